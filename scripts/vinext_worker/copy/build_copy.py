"""Copying a build's pages and static files to the folder that is deployed as assets.

The layout is that of `seed.build`. Bodies are written first and `build.json` last, so that an interrupted run leaves the
previous build in place.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.body import MAX_BODY_BYTES, BytesBody
from core.paths import PRERENDER_FOLDER, normalize_path
from seed.build import (
    BUILD_FILE,
    MAX_DYNAMIC_PATHS,
    MAX_STATIC_FILES,
    Artifact,
    Build,
    ManifestError,
    Skipped,
    artifact_file,
    pack_file,
    shard_count,
    shard_file,
    shard_of,
    shard_to_json,
)
from seed.manifest import is_dynamic, skip_reason
from seed.manifest_file import ManifestFile
from seed.output import BuildClues
from seed.pages_router import FOR_EACH_VISITOR, ROUTER, is_for_each_visitor, pages_value
from seed.routes import artifact_files, record_of, rule_reason
from seed.routing import Routing, read_routing
from seed.rules import STAGES_VERSION
from vinext_worker.copy.draft_secret import draft_digest
from vinext_worker.copy.earlier_builds import KEPT_BUILDS, STATIC_FILES, EarlierBuilds
from vinext_worker.copy.pack import MAX_PACK_BYTES, MAX_PACKED_BYTES, Pack, content_name
from vinext_worker.copy.shard_store import ShardStore
from vinext_worker.copy.static_folders import public_files, static_folders
from vinext_worker.errors import UserError
from vinext_worker.sites.files import remove_others, write_atomically
from vinext_worker.sites.site_build import NO_VINEXT
from vinext_worker.sites.unread_rules import unread_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from seed.build import RouteRecord
    from seed.manifest import Route
    from vinext_worker.sites.site_build import SiteBuild

MAX_SKIPPED_SHOWN = 1000
_SHOWN_NAMES = 3


@dataclass(frozen=True)
class CopyReport:
    """The result of a copy.

    `skipped` has the first thousand paths that are not served from the build, with the reasons; `skipped_routes` counts all.
    `rules` names the app's rules that come before the cache; `has_stages` says whether the app's request stage applies them.
    `static_folders` is as in `seed.build.Build`, and `static_files` has all of a Python site. `kept_files` are static files of
    earlier builds, which stay.
    """

    build_id: str
    routes: int
    written_files: int
    unchanged_files: int
    removed_files: int
    skipped: tuple[tuple[str, str], ...]
    skipped_routes: int = 0
    rules: tuple[str, ...] = ()
    has_stages: bool = False
    static_folders: tuple[str, ...] = ()
    static_files: tuple[str, ...] = ()
    kept_files: int = 0


def copy_build(built: SiteBuild, destination: Path, kept_builds: int = KEPT_BUILDS) -> CopyReport:
    """Copy a build: write only files that have changed, and remove files of earlier builds.

    The static files of so many earlier builds stay (`copy.earlier_builds`).

    The copy takes one route at a time, so memory grows only by the names of the files. Raises UserError if the manifest cannot
    be read, if the destination cannot be written, or if it has files that no copy has put there.
    """
    try:
        manifest = ManifestFile(built.manifest)
        _require_own_folder(destination, built.client_directory)
        earlier = EarlierBuilds.read(destination)
        report = _Copy(built, manifest, destination / PRERENDER_FOLDER).run()
        return _with_static_files(report, built.client_directory, destination, earlier, kept_builds)
    except ManifestError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"the build cannot be copied to {destination}: {error}") from error


def _require_own_folder(destination: Path, client: Path) -> None:
    """Raise UserError if a copy would remove what it does not know. It knows a folder that has pages, and the build's own."""
    if not destination.is_dir() or (destination / PRERENDER_FOLDER).is_dir():
        return
    if client.is_dir() and destination.samefile(client):
        return
    names = sorted(path.name for path in destination.iterdir())
    if names:
        some = ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")
        raise UserError(
            f"{destination} has files that no copy has put there ({some}), and a copy would remove them; name an empty folder, "
            "or one that does not exist, in [assets] `directory` or with --to"
        )


def expected_files(built: SiteBuild) -> int:
    """Return how many files a copy will have, without the static files of earlier builds; nothing is written.

    The sizes of the build's files tell. Equal bodies are counted each. Raises UserError if the manifest cannot be read.
    """
    try:
        pages = _Copy(built, ManifestFile(built.manifest), built.client_directory).expected_files()
    except ManifestError as error:
        raise UserError(str(error)) from error
    return pages + sum(1 for path in built.client_directory.rglob("*") if path.is_file())


class _Copy:
    """One pass over the routes of a manifest."""

    def __init__(self, built: SiteBuild, manifest: ManifestFile, folder: Path) -> None:
        self._artifacts = built.artifacts_directory
        self._server = built.manifest.parent
        self._manifest = manifest
        self._folder = folder
        routing = read_routing(self._server, manifest.head.build_id)
        self._routing = Routing(unread_rules(built)) if routing is None else routing
        self._clues = BuildClues(self._routing.base_path)
        self._draft_digest = _draft_digest(built)
        self._static_folders = static_folders(built.client_directory)
        self._static_files = public_files(built.client_directory) if built.vinext_version == NO_VINEXT else ()
        self._skipped: list[tuple[str, str]] = []
        self._routes = 0
        self._skipped_routes = 0
        self._dynamic_paths: list[str] = []
        self._written = 0
        self._unchanged = 0
        self._kept: set[str] = {STATIC_FILES}
        self._routers: set[str] = set()

    def run(self) -> CopyReport:
        head = self._manifest.head
        # Routes that turn out to be unusable leave their shards a little emptier.
        shards = shard_count(sum(1 for _ in self._seedable()))
        self._skipped.clear()
        self._skipped_routes = 0
        self._dynamic_paths.clear()
        with ShardStore(shards) as store:
            for route in self._seedable():
                try:
                    store.add(normalize_path(route.path), self._record_of_files(route))
                except (ManifestError, OSError, UnicodeEncodeError) as error:
                    self._skip(route.path, str(error))
            digest = hashlib.sha256()
            for number in range(shards):
                text = shard_to_json(self._copy_shard(store.records(number))).encode("utf-8", "surrogatepass")
                digest.update(text + b"\n")
                store.finish(number, text)
            index = digest.hexdigest()[:16]
            for number, text in enumerate(store.texts()):
                self._write(shard_file(index, number), text)
        build = Build(
            build_id=head.build_id,
            schema=head.schema,
            built_at_ms=self._manifest.built_at_ms,
            trailing_slash=head.trailing_slash,
            base_path=self._clues.base_path,
            rsc_headers=self._clues.rsc_headers(self._server),
            index=index,
            shards=shards,
            rules=self._routing.rules,
            stages=self._routing.stages,
            static_folders=self._static_folders,
            static_files=self._static_files[:MAX_STATIC_FILES],
            header_sets=self._routing.header_sets,
            dynamic_paths=tuple(self._dynamic_paths),
            draft_digest=self._draft_digest,
            routers=self._routing.routers or tuple(sorted(self._routers)) or ("app",),
            i18n=self._routing.i18n,
            images=self._routing.images,
        )
        self._write(BUILD_FILE, build.to_json().encode())
        removed = remove_others(self._folder, self._kept.__contains__)
        return CopyReport(
            build_id=head.build_id,
            routes=self._routes,
            written_files=self._written,
            unchanged_files=self._unchanged,
            removed_files=removed,
            skipped=tuple(self._skipped),
            skipped_routes=self._skipped_routes,
            rules=tuple(rule.name for rule in self._routing.rules),
            has_stages=self._routing.stages == STAGES_VERSION,
            static_folders=self._static_folders,
            static_files=self._static_files,
        )

    def expected_files(self) -> int:
        """Return how many files the pages will have: packs and large bodies, the index, and what there is one of."""
        paths = {normalize_path(route.path): self._sizes(route) for route in self._seedable()}
        shards = shard_count(len(paths))
        files = shards + len((BUILD_FILE, STATIC_FILES))
        filled: dict[int, int] = {}
        for path in sorted(paths):
            shard, small = shard_of(path, shards), [size for size in paths[path] if size <= MAX_PACKED_BYTES]
            files += len(paths[path]) - len(small)
            if not small:
                continue
            room = MAX_PACK_BYTES - filled.get(shard, MAX_PACK_BYTES)
            if sum(small) > room:
                files += 1
                filled[shard] = 0
            filled[shard] += sum(small)
        return files

    def _sizes(self, route: Route) -> list[int]:
        """Return the sizes of a route's files that are there."""
        try:
            files = artifact_files(route, trailing_slash=self._manifest.head.trailing_slash).values()
            return [path.stat().st_size for file in files if (path := self._artifacts / file).is_file()]
        except (ManifestError, OSError, ValueError):
            return []

    def _seedable(self) -> Iterator[Route]:
        for route in self._manifest.routes():
            if isinstance(route, Skipped):
                self._skip(route.path, route.reason)
                continue
            if route.router:
                self._routers.add(ROUTER if route.router == ROUTER else "app")
            if (reason := skip_reason(route, self._manifest.schema) or rule_reason(route, self._routing)) is not None:
                self._skip(route.path, reason)
                if is_dynamic(route) and len(self._dynamic_paths) < MAX_DYNAMIC_PATHS:
                    self._dynamic_paths.append(normalize_path(route.path))
            else:
                yield route

    def _skip(self, path: str, reason: str) -> None:
        self._skipped_routes += 1
        if len(self._skipped) < MAX_SKIPPED_SHOWN:
            self._skipped.append((path, reason))

    def _record_of_files(self, route: Route) -> RouteRecord:
        """Return the record of a route, its artifacts under the names of the build's files."""
        files = artifact_files(route, trailing_slash=self._manifest.head.trailing_slash)
        there = {
            artifact: file
            for artifact, file in files.items()
            if artifact is not Artifact.RSC or (self._artifacts / file).is_file()
        }
        return record_of(route, self._manifest.schema, there, self._routing, trailing_slash=self._manifest.head.trailing_slash)

    def _copy_shard(self, records: Iterable[tuple[str, RouteRecord]]) -> dict[str, RouteRecord]:
        """Copy the bodies of some routes, and return their records by path."""
        copied: dict[str, RouteRecord] = {}
        pack = Pack()
        for path, record in records:
            try:
                bodies = {artifact: self._body(record, artifact) for artifact in record.artifacts}
            except (ManifestError, OSError, UnicodeEncodeError) as error:
                self._skip(path, str(error))
                continue
            self._routes += 1
            record = replace(record, artifacts={artifact: content_name(body) for artifact, body in bodies.items()})  # noqa: PLW2901
            small = {artifact: body for artifact, body in bodies.items() if len(body) <= MAX_PACKED_BYTES}
            for artifact in bodies.keys() - small.keys():
                self._write_body(artifact_file(record.artifacts[artifact]), bodies[artifact])
            if not small:
                copied[path] = record
                continue
            if not pack.has_room(small.values()):
                copied |= self._write_pack(pack)
                pack = Pack()
            pack.add(path, record, small)
        return copied | self._write_pack(pack)

    def _body(self, record: RouteRecord, artifact: Artifact) -> bytes:
        file = record.artifacts[artifact]
        content = (self._artifacts / file).read_bytes()
        if len(content) > MAX_BODY_BYTES:
            raise ManifestError(f"{file} has {len(content)} bytes, but an asset may have at most {MAX_BODY_BYTES}")
        if artifact is Artifact.PAGES and is_for_each_visitor(BytesBody(content)):
            raise ManifestError(FOR_EACH_VISITOR)
        if artifact is Artifact.PAGES and pages_value(BytesBody(content), record.headers, record.status, "") is None:
            raise ManifestError(f"{file} does not tell the data of its page (__NEXT_DATA__)")
        if artifact in {Artifact.HTML, Artifact.PAGES}:
            self._clues.learn(content)
        return content

    def _write_pack(self, pack: Pack) -> dict[str, RouteRecord]:
        records = pack.records()
        if records:
            self._write_body(pack_file(pack.name), bytes(pack.content))
        return records

    def _write_body(self, file: str, content: bytes) -> None:
        path = self._folder / file
        # The name tells the content, so a file with that name and size is the same file.
        if file in self._kept or (path.is_file() and path.stat().st_size == len(content)):
            self._unchanged += file not in self._kept
            self._kept.add(file)
        else:
            self._write(file, content)

    def _write(self, name: str, content: bytes) -> None:
        self._kept.add(name)
        if write_atomically(self._folder / name, content):
            self._written += 1
        else:
            self._unchanged += 1


def _draft_digest(built: SiteBuild) -> str:
    if built.vinext_version == NO_VINEXT:
        return ""
    return draft_digest((built.server_config.parent, built.manifest.parent))


def _with_static_files(
    report: CopyReport, client: Path, destination: Path, earlier: EarlierBuilds, kept_builds: int
) -> CopyReport:
    """Copy the static files next to the pages, so that they are served without any Worker."""
    written = unchanged = 0
    files = {path.relative_to(client).as_posix() for path in client.rglob("*") if path.is_file()}
    files = {name for name in files if name.partition("/")[0] != PRERENDER_FOLDER}
    folders = tuple(folder.removeprefix("/") for folder in report.static_folders)
    builds = earlier.followed_by(report.build_id, (name for name in files if name.startswith(folders)), kept_builds)
    kept = builds.names() - files
    # Remove first: an old file may be where a new folder has to be.
    removed = remove_others(destination, (files | kept | {PRERENDER_FOLDER}).__contains__)
    for name in files:
        source, target = client / name, destination / name
        if target.is_dir():
            removed += remove_others(target, lambda _: False)
            target.rmdir()
        status = source.stat()
        if target.is_file() and (target.stat().st_size, target.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            unchanged += 1
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        written += 1
    if builds.write(destination):
        written += 1
    else:
        unchanged += 1
    return replace(
        report,
        kept_files=sum((destination / name).is_file() for name in kept),
        written_files=report.written_files + written,
        unchanged_files=report.unchanged_files + unchanged,
        removed_files=report.removed_files + removed,
    )
