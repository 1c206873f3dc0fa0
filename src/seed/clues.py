"""What a build does not write down, and tells by the pages it rendered and the files beside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A build tells its base path by the URLs of its own files alone.
_FILE_URL = re.compile(rb'(?:src|href)="(/[^"/?][^"?]{0,200}?)?/_next/static/')
_COMPATIBILITY_ID = re.compile(rb'compatibilityId:"([^"\\]{1,200})"')


class BuildClues:
    """Learns from one page after the other what holds for all of them."""

    def __init__(self) -> None:
        self._compatibility_id: str | None = None
        self._base_path: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether further pages can tell nothing more."""
        return self._compatibility_id is not None and self._base_path is not None

    @property
    def base_path(self) -> str:
        """What every URL of the site begins with."""
        return self._base_path or ""

    def learn(self, html: bytes) -> None:
        """Look at a page's HTML."""
        if self._compatibility_id is None and (found := _COMPATIBILITY_ID.search(html)):
            self._compatibility_id = found[1].decode()
        if self._base_path is None and (found := _FILE_URL.search(html)):
            self._base_path = (found[1] or b"").decode()

    def rsc_headers(self, server: Path) -> dict[str, str]:
        """The headers without which vinext's client rejects an RSC payload; `server` is the folder of the build's Worker."""
        headers = {}
        if self._compatibility_id is not None:
            headers["X-Vinext-RSC-Compatibility-Id"] = self._compatibility_id
        build_id = server / "RSC_BUILD_ID"
        if build_id.is_file():
            headers["X-Vinext-RSC-Build-Id"] = build_id.read_text(encoding="utf-8").strip()
        return headers
