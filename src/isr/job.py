"""What it takes to regenerate a page again: kept while that goes on, by whoever sees to it that it ends (`cache.due_pages`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isr.lookup import Lookup
from pages.request import NO_HEADERS, PageRequest
from seed.build import Artifact

if TYPE_CHECKING:
    from isr.served_build import ServedBuild

_MAX_CHARACTERS = 8_192


@dataclass(frozen=True)
class Job:
    """A page as it is asked for when it is regenerated; there is nothing of a visitor in it but the host.

    `replay` is how an app in stages renders it (`pages.stages`).
    """

    origin: str
    lookup: Lookup
    replay: str | None = None

    def to_text(self) -> str:
        """Return it as JSON, "" if that is too long to be kept. `url` is for people."""
        lookup = self.lookup
        document = {
            "url": f"{self.origin}{lookup.canonical_path}",
            "origin": self.origin,
            "path": lookup.path,
            "urlPath": lookup.url_path,
            "tagPath": lookup.tag_path,
            "artifacts": lookup.artifacts,
            "variant": lookup.variant,
            "selected": lookup.selected,
            "replay": self.replay,
        }
        text = json.dumps(document)
        return text if len(text) <= _MAX_CHARACTERS else ""

    @classmethod
    def read(cls, text: str, build: ServedBuild) -> Job:
        """Return what a text says, with the keys of this build. Raise ValueError, TypeError or KeyError for any other text."""
        document = json.loads(text)
        path, variant = str(document["path"]), str(document["variant"])
        artifacts = tuple(map(Artifact, document["artifacts"]))
        lookup = Lookup(
            path,
            str(document["urlPath"]),
            artifacts,
            tuple(build.key(path, f"{artifact.value}{variant}") for artifact in artifacts),
            str(document["tagPath"]),
            variant,
            selected=tuple((str(name), str(value)) for name, value in document["selected"]),
        )
        replay = document["replay"]
        return cls(str(document["origin"]), lookup, None if replay is None else str(replay))


def request_of(text: str) -> PageRequest:
    """Return a request for the page that a text is of: it tells the site. Raise as `Job.read` does."""
    document = json.loads(text)
    return PageRequest("GET", str(document["origin"]), str(document["urlPath"]), "", NO_HEADERS)
