"""A build's pages and static files into the folder that is deployed as assets.

The layout is that of `seed.index`. Artifacts are written first and `build.json` last, so that a
run that is cut off leaves the build that was there before.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.keys import normalize_path
from seed.artifacts import Artifact, artifact_files
from seed.errors import ManifestError
from seed.index import (
    BUILD_FILE,
    PRERENDER_FOLDER,
    Build,
    artifact_file,
    shard_count,
    shard_file,
    shard_of,
    shard_to_json,
)
from seed.manifest import parse_manifest, skip_reason
from seed.records import record_of
from vinext_worker.errors import UserError
from vinext_worker.files import remove_others, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from seed.index import (
        RouteRecord,
    )
    from seed.manifest import Manifest, Route
    from vinext_worker.site import BuiltSite

MOST_ARTIFACT_BYTES = 25 * 1024 * 1024
_NAME_CHARACTERS = 40
# A build tells its base path by the URLs of its own files alone.
_FILE_URL = re.compile(rb'(?:src|href)="(/[^"/?][^"?]{0,200}?)?/_next/static/')
_COMPATIBILITY_ID = re.compile(rb'compatibilityId:"([^"\\]{1,200})"')


@dataclass(frozen=True)
class CopyReport:
    """What a copy did; `skipped` pairs paths with the reasons why their pages are not served from the build."""

    build_id: str
    routes: int
    written_files: int
    unchanged_files: int
    removed_files: int
    skipped: tuple[tuple[str, str], ...]


def copy_build(built: BuiltSite, destination: Path) -> CopyReport:
    """Copy a build. Only what changed is written; what an earlier build left is removed.

    Raises UserError where the manifest cannot be read or the destination cannot be written.
    """
    try:
        manifest = parse_manifest(built.manifest.read_bytes(), str(built.manifest))
        built_at_ms = built.manifest.stat().st_mtime_ns // 1_000_000
    except ManifestError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{built.manifest} cannot be read ({error.strerror}); build the site again") from error
    copy = _Copy(built, manifest, destination / PRERENDER_FOLDER)
    try:
        report = copy.run(built_at_ms)
        return _with_static_files(report, built.client_directory, destination)
    except OSError as error:
        raise UserError(f"the build cannot be copied to {destination}: {error}") from error


class _Copy:
    """One run over the routes of a manifest."""

    def __init__(self, built: BuiltSite, manifest: Manifest, folder: Path) -> None:
        self._artifacts = built.artifacts_directory
        self._server = built.manifest.parent
        self._manifest = manifest
        self._folder = folder
        self._skipped: list[tuple[str, str]] = [("", reason) for reason in manifest.unreadable]
        self._compatibility_id: str | None = None
        self._base_path: str | None = None
        self._written = 0
        self._unchanged = 0
        self._kept: set[Path] = set()

    def run(self, built_at_ms: int) -> CopyReport:
        records = self._copy_routes()
        shards = shard_count(len(records))
        contents = _shards(records, shards)
        index = hashlib.sha256("\n".join(contents).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        for number, text in enumerate(contents):
            self._write(shard_file(index, number), text.encode())
        build = Build(
            build_id=self._manifest.build_id,
            schema=self._manifest.schema,
            built_at_ms=built_at_ms,
            trailing_slash=self._manifest.trailing_slash,
            base_path=self._base_path or "",
            rsc_headers=self._rsc_headers(),
            index=index,
            shards=shards,
        )
        self._write(BUILD_FILE, build.to_json().encode())
        removed = remove_others(self._folder, self._kept)
        return CopyReport(
            build_id=self._manifest.build_id,
            routes=len(records),
            written_files=self._written,
            unchanged_files=self._unchanged,
            removed_files=removed,
            skipped=tuple(self._skipped),
        )

    def _copy_routes(self) -> dict[str, RouteRecord]:
        records: dict[str, RouteRecord] = {}
        for route in self._manifest.routes:
            reason = skip_reason(route, self._manifest.schema)
            if reason is None:
                try:
                    records[normalize_path(route.path)] = self._copy_route(route)
                except (ManifestError, OSError) as error:
                    reason = str(error)
            if reason is not None:
                self._skipped.append((route.path, reason))
        return records

    def _copy_route(self, route: Route) -> RouteRecord:
        files = artifact_files(route, trailing_slash=self._manifest.trailing_slash)
        names: dict[Artifact, str] = {}
        for artifact, file in files.items():
            source = self._artifacts / file
            if artifact is Artifact.RSC and not source.is_file():
                continue
            content = source.read_bytes()
            if len(content) > MOST_ARTIFACT_BYTES:
                raise ManifestError(f"{file} has {len(content)} bytes, assets may have {MOST_ARTIFACT_BYTES}")
            names[artifact] = self._copy_artifact(content)
            if artifact is Artifact.HTML:
                self._learn_from(content)
        return record_of(route, self._manifest.schema, names)

    def _copy_artifact(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()[:_NAME_CHARACTERS]
        path = self._folder / artifact_file(name)
        # The name is the content's, so a file of that size is that file.
        if path in self._kept or (path.is_file() and path.stat().st_size == len(content)):
            self._unchanged += path not in self._kept
            self._kept.add(path)
        else:
            self._write(artifact_file(name), content)
        return name

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        self._kept.add(path)
        if write_atomically(path, content):
            self._written += 1
        else:
            self._unchanged += 1

    def _learn_from(self, html: bytes) -> None:
        if self._compatibility_id is None and (found := _COMPATIBILITY_ID.search(html)):
            self._compatibility_id = found[1].decode()
        if self._base_path is None and (found := _FILE_URL.search(html)):
            self._base_path = (found[1] or b"").decode()

    def _rsc_headers(self) -> dict[str, str]:
        headers = {}
        if self._compatibility_id is not None:
            headers["X-Vinext-RSC-Compatibility-Id"] = self._compatibility_id
        build_id = self._server / "RSC_BUILD_ID"
        if build_id.is_file():
            headers["X-Vinext-RSC-Build-Id"] = build_id.read_text(encoding="utf-8").strip()
        return headers


def _shards(records: dict[str, RouteRecord], shards: int) -> list[str]:
    parts: list[dict[str, RouteRecord]] = [{} for _ in range(shards)]
    for path, record in sorted(records.items()):
        parts[shard_of(path, shards)][path] = record
    return [shard_to_json(part) for part in parts]


def _with_static_files(report: CopyReport, client: Path, destination: Path) -> CopyReport:
    """Mirror the client's files beside the pages, so that they are served without any Worker."""
    written = unchanged = 0
    kept: set[Path] = set()
    for source in sorted(client.rglob("*")):
        relative = source.relative_to(client)
        if not source.is_file() or relative.parts[0] == PRERENDER_FOLDER:
            continue
        target = destination / relative
        kept.add(target)
        status = source.stat()
        if target.is_file() and (target.stat().st_size, target.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            unchanged += 1
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        written += 1
    removed = remove_others(destination, kept, but=destination / PRERENDER_FOLDER)
    return CopyReport(
        build_id=report.build_id,
        routes=report.routes,
        written_files=report.written_files + written,
        unchanged_files=report.unchanged_files + unchanged,
        removed_files=report.removed_files + removed,
        skipped=report.skipped,
    )
