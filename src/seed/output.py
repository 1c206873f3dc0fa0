"""A build's output where vinext left it, in `dist/server`, and the facts that only its pages and files show."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from core.body import BytesBody
from core.paths import normalize_path
from seed.build import ARTIFACTS_FOLDER, MANIFEST_NAME, Artifact, AssetsError, Build, ManifestError, Skipped
from seed.manifest import skip_reason
from seed.manifest_file import ManifestFile
from seed.routes import artifact_files, record_of, routers_of, rule_reason
from seed.routing import Routing, read_routing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.body import Body
    from seed.build import RouteRecord
    from seed.manifest import Route

# Without the adapter, a build shows its base path only in the URLs of its own files, where `assetPrefix` looks the same.
_FILE_URL = re.compile(rb'(?:src|href)="(/[^"/?][^"?]{0,200}?)?/_next/static/')
_COMPATIBILITY_ID = re.compile(rb'compatibilityId:"([^"\\]{1,200})"')

# All pages of a build show the same facts; those that these do not show, none does.
_PAGES_ASKED = 20


class OutputSource:
    """The pages of one build, in the folder that holds its manifest.

    The pages are as old as the manifest. Raises ManifestError for a manifest that cannot be read.
    """

    names_by_content = False

    def __init__(self, folder: Path) -> None:
        self._artifacts = str(folder / ARTIFACTS_FOLDER)
        self._manifest = ManifestFile(folder / MANIFEST_NAME)
        head = self._manifest.head
        self._routing = read_routing(folder, head.build_id) or Routing()
        clues = self._clues()
        self.build = Build(
            build_id=head.build_id,
            schema=head.schema,
            built_at_ms=self._manifest.built_at_ms,
            trailing_slash=head.trailing_slash,
            base_path=clues.base_path,
            rsc_headers=clues.rsc_headers(folder),
            index="",
            shards=0,
            rules=self._routing.rules,
            stages=self._routing.stages,
            header_sets=self._routing.header_sets,
            routers=routers_of(self._routing, (route for route in self._manifest.routes() if not isinstance(route, Skipped))),
            i18n=self._routing.i18n,
            images=self._routing.images,
        )

    async def record(self, path: str) -> RouteRecord | None:
        """Search the whole manifest for a path: this source is for readers of every page."""
        async for route_path, record in self.routes():
            if route_path == path and not isinstance(record, Skipped):
                return record
        return None

    def observer(self) -> OutputSource:
        return self

    def lacks(self, path: str) -> bool:
        del path
        return False

    async def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        for route in self._manifest.routes():
            if isinstance(route, Skipped):
                yield "", route
                continue
            reason = skip_reason(route, self.build.schema) or rule_reason(route, self._routing)
            if reason is not None:
                yield route.path, Skipped(route.path, reason)
                continue
            try:
                yield normalize_path(route.path), self._record(route)
            except ManifestError as error:
                yield route.path, Skipped(route.path, str(error))

    async def body(self, record: RouteRecord, artifact: Artifact) -> Body | None:
        return self._read(record.artifacts[artifact])

    def etag(self, name: str) -> str | None:
        del name
        return None

    def _record(self, route: Route) -> RouteRecord:
        files = artifact_files(route, trailing_slash=self.build.trailing_slash)
        # A missing RSC payload is no fault: the page's HTML stands alone.
        there = {
            artifact: name
            for artifact, name in files.items()
            if artifact is not Artifact.RSC or os.path.isfile(f"{self._artifacts}/{name}")  # noqa: PTH113 - see _read
        }
        return record_of(route, self.build.schema, there, self._routing, trailing_slash=self.build.trailing_slash)

    def _read(self, name: str) -> BytesBody | None:
        try:
            with open(f"{self._artifacts}/{name}", "rb") as file:  # noqa: PTH123 - a Path for each file takes as long as reading it
                return BytesBody(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AssetsError(f"{name} cannot be read ({error.strerror})") from error

    def _clues(self) -> BuildClues:
        clues = BuildClues(self._routing.base_path)
        asked = 0
        for route in self._manifest.routes():
            if isinstance(route, Skipped) or skip_reason(route, self._manifest.schema) is not None:
                continue
            try:
                files = artifact_files(route, trailing_slash=self._manifest.head.trailing_slash)
                html = files.get(Artifact.HTML) or files.get(Artifact.PAGES)
                page = None if html is None else self._read(html)
            except (ManifestError, AssetsError):
                continue
            if page is not None:
                clues.learn(page.data)
                asked += 1
            if clues.is_complete or asked == _PAGES_ASKED:
                break
        return clues


def _deployment_id(server: Path) -> str | None:
    """Return the `deploymentId` of next.config, which vinext's server names in its RSC payloads; None if there is none."""
    try:
        found = json.loads((server / "vinext-prerender-paths.json").read_bytes())["deploymentId"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


class BuildClues:
    """Facts about the whole build, learnt from one page after the other; a `base_path` of None is not known yet."""

    def __init__(self, base_path: str | None = None) -> None:
        self._compatibility_id: str | None = None
        self._base_path = base_path

    @property
    def is_complete(self) -> bool:
        """Whether further pages have nothing to add."""
        return self._compatibility_id is not None and self._base_path is not None

    @property
    def base_path(self) -> str:
        """The prefix of every URL of the site, "" for none."""
        return self._base_path or ""

    def learn(self, html: bytes) -> None:
        """Learn from a page's HTML."""
        if self._compatibility_id is None and (match := _COMPATIBILITY_ID.search(html)):
            self._compatibility_id = match[1].decode()
        if self._base_path is None and (match := _FILE_URL.search(html)):
            self._base_path = (match[1] or b"").decode()

    def rsc_headers(self, server: Path) -> dict[str, str]:
        """Return the headers without which vinext's client rejects an RSC payload; `server` is the build's `dist/server`."""
        headers = {}
        if self._compatibility_id is not None:
            headers["X-Vinext-RSC-Compatibility-Id"] = self._compatibility_id
        if (deployment := _deployment_id(server)) is not None:
            headers["X-Nextjs-Deployment-Id"] = deployment
        build_id = server / "RSC_BUILD_ID"
        if build_id.is_file():
            headers["X-Vinext-RSC-Build-Id"] = build_id.read_text(encoding="utf-8").strip()
        return headers
