"""The words of an answer that no two builds or renders have in common: times, identities, hashes of files, ports."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vinext_worker.sites.site_build import SiteBuild

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NUMBERED = re.compile(
    rf"(?P<time>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z)|(?P<uuid>{_UUID})|(?P<date>\w{{3}}, \d\d \w{{3}} \d{{4}} \d\d:\d\d:\d\d GMT)"
)
_FILES = re.compile(r"(/_next/static/(?:[\w~-]+/)*)[\w~.-]+?\.(js|css|map|woff2?)\b")
_ACTION = re.compile(r"\b[0-9a-f]{40,64}\b")
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

    def replaced(self, text: str, numbers: Numbers, url: str) -> str:
        """The text with a name for each such word; what changes from render to render is numbered as it comes."""
        for word, name in self.own.items():
            text = text.replace(word, name)
        text = text.replace(url.partition("//")[2], "<host>")
        text = _FILES.sub(r"\1<hash>.\2", text)
        text = _GRAPH.sub("<graph>", text)
        text = _NUMBERED.sub(lambda found: numbers.of(found.lastgroup or "", found[0]), text)
        return _ACTION.sub("<hash>", text)


@dataclass
class Numbers:
    """Numbers what a visit has seen, so that `<time 1>` again is the same content, and `<time 2>` is new content."""

    seen: dict[str, Sequence[str]] = field(default_factory=dict)

    def of(self, kind: str, word: str) -> str:
        known = self.seen.get(kind, ())
        if word not in known:
            known = self.seen[kind] = (*known, word)
        return f"<{kind} {known.index(word) + 1}>"
