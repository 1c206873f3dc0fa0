"""The words of an answer that no two builds or renders have in common: times, identities, hashes of files, ports."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vinext_worker.sites.site_build import SiteBuild

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OF_A_RENDER = re.compile(rf"(?P<time>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z)|(?P<uuid>{_UUID})")
_FILES = re.compile(r"(/_next/static/(?:[\w~-]+/)*)[\w~.-]+?\.(js|css|map|woff2?)\b")
_DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
_ACTION = re.compile(r"\b[0-9a-f]{32,64}\b")
_GRAPH = re.compile(r"app-route-graph:[0-9a-f]+")


@dataclass(frozen=True)
class Words:
    """The words of one build."""

    build_id: str
    own: Mapping[str, str]

    @classmethod
    def of(cls, build: SiteBuild) -> Words:
        """Read a build's own words from its output."""
        server = build.manifest.parent
        build_id: str = json.loads(build.manifest.read_text())["buildId"]
        own = {build_id: "<build>"}
        marker = server / "RSC_BUILD_ID"
        if marker.is_file():
            own[marker.read_text().strip()] = "<rsc build>"
        for page in build.artifacts_directory.rglob("*.html"):
            found = re.search(r'compatibilityId:"([^"]+)"', page.read_text())
            if found is not None:
                own.setdefault(found[1], "<compatibility>")
                break
        return cls(build_id, own)

    def replaced(self, text: str, url: str) -> str:
        """The text with a name for each such word."""
        for word, name in self.own.items():
            text = text.replace(word, name)
        text = text.replace(url.partition("//")[2], "<host>")
        text = _FILES.sub(r"\1<hash>.\2", text)
        text = _DATE.sub("<date>", text)
        text = _GRAPH.sub("<graph>", text)
        text = _OF_A_RENDER.sub(lambda found: f"<{found.lastgroup}>", text)
        return _ACTION.sub("<hash>", text)

    def of_a_render(self, text: str) -> frozenset[str]:
        """The times and identities that an app wrote when it rendered this."""
        return frozenset(found[0] for found in _OF_A_RENDER.finditer(text)) - self.own.keys()
