"""Reading a build's output where vinext left it: `dist/server`, not copied anywhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cache.body import BytesBody
from cache.keys import normalize_path
from seed.artifacts import ARTIFACTS_FOLDER, MANIFEST_NAME, Artifact
from seed.clues import BuildClues
from seed.errors import AssetsError, ManifestError
from seed.index import Build
from seed.manifest import skip_reason
from seed.manifest_file import ManifestFile
from seed.routes import artifact_files, record_of
from seed.skipped import Skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cache.body import Body
    from seed.index import RouteRecord
    from seed.manifest import Route

# All pages of a build say the same; where these do not say it, none does.
_PAGES_ASKED = 20


class OutputSource:
    """The pages of one build, out of the folder that holds its manifest.

    Its pages are as old as the manifest. Raises ManifestError where that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._artifacts = str(folder / ARTIFACTS_FOLDER)
        self._manifest = ManifestFile(folder / MANIFEST_NAME)
        head = self._manifest.head
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
        )

    async def record(self, path: str) -> RouteRecord | None:
        """Looks through the whole manifest: this source is for those who want every page."""
        async for found, record in self.routes():
            if found == path and not isinstance(record, Skipped):
                return record
        return None

    def lacks(self, path: str) -> bool:
        del path
        return False

    async def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        for route in self._manifest.routes():
            if isinstance(route, Skipped):
                yield "", route
                continue
            reason = skip_reason(route, self.build.schema)
            if reason is not None:
                yield route.path, Skipped(route.path, reason)
                continue
            try:
                yield normalize_path(route.path), self._record(route)
            except ManifestError as error:
                yield route.path, Skipped(route.path, str(error))

    async def body(self, name: str) -> Body | None:
        return self._read(name)

    def etag(self, name: str) -> str | None:
        del name
        return None

    def _record(self, route: Route) -> RouteRecord:
        files = artifact_files(route, trailing_slash=self.build.trailing_slash)
        # A missing payload is no fault: the page's HTML stands alone.
        there = {
            artifact: name
            for artifact, name in files.items()
            if artifact is not Artifact.RSC or os.path.isfile(f"{self._artifacts}/{name}")  # noqa: PTH113 - see _read
        }
        return record_of(route, self.build.schema, there)

    def _read(self, name: str) -> BytesBody | None:
        try:
            with open(f"{self._artifacts}/{name}", "rb") as file:  # noqa: PTH123 - a Path for each file takes as long as reading it
                return BytesBody(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AssetsError(f"{name} cannot be read ({error.strerror})") from error

    def _clues(self) -> BuildClues:
        clues = BuildClues()
        asked = 0
        for route in self._manifest.routes():
            if isinstance(route, Skipped) or skip_reason(route, self._manifest.schema) is not None:
                continue
            try:
                files = artifact_files(route, trailing_slash=self._manifest.head.trailing_slash)
                page = self._read(files[Artifact.HTML]) if Artifact.HTML in files else None
            except (ManifestError, AssetsError):
                continue
            if page is not None:
                clues.learn(page.data)
                asked += 1
            if clues.is_complete or asked == _PAGES_ASKED:
                break
        return clues
