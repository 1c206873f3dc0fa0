"""The files of a build that bear a hash in their names (scripts, styles, images), and the static files of a Python site.

The assets answer requests for them before the Worker is asked, if `run_worker_first` says so. If it does not, the Worker gives
the same answers, before it looks for a page: nobody sees a page without its scripts because a folder is not named there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.paths import PRERENDER_FOLDER, canonical_url_path, is_below
from seed.build import AssetsError

if TYPE_CHECKING:
    from core.log import Log
    from pages.handler import PageResponse
    from pages.request import PageRequest

_METHODS = frozenset({"GET", "HEAD"})


class FileSource(Protocol):
    """The files that are deployed with the Worker."""

    async def file(self, request: PageRequest) -> PageResponse | None:
        """Return the answer for the file at a request's path, None if there is none. Raise AssetsError."""


@dataclass(frozen=True)
class BuiltFiles:
    """Answers requests for `files`, by their canonical URL paths, and for files below the `folders` of a build."""

    folders: tuple[str, ...]
    files: frozenset[str]
    source: FileSource
    log: Log

    def may_have(self, path: str) -> bool:
        """Return whether a file may be at a percent-encoded path. The assets redirect to a spelling of their own."""
        is_known = path in self.files or path.startswith(self.folders)
        return is_known or ("%" in path and bool(self.files) and canonical_url_path(path) in self.files)

    async def answer(self, request: PageRequest) -> PageResponse | None:
        """Return the answer for a file; None if there is no such file, or the assets fail, which is logged."""
        if request.method not in _METHODS or is_below(request.path, PRERENDER_FOLDER):
            return None
        try:
            return await self.source.file(request)
        except AssetsError as error:
            self.log.event("error", "file.failed", path=request.path, error=str(error))
            return None
