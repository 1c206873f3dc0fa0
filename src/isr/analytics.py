"""Data points for Workers Analytics Engine: one for every so many requests, and nobody waits for it.

`docs/operating.md` has the columns for people, and `vinext-worker stats` reads them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from core.errors import described
from core.recent import Recent
from isr.answer import outcome_of, sent_bytes
from isr.story import code_of

if TYPE_CHECKING:
    from enum import StrEnum

    from core.log import Log
    from isr.answer import Answer
    from isr.served_build import ServedBuild
    from isr.story import Outcome
    from pages.request import PageRequest

BLOBS = ("outcome", "reason", "route", "path", "host", "site", "build")
"""The names of blob1, blob2, …"""

DOUBLES = ("requests", "ms", "bytes", "status")
"""The names of double1, double2, … The first is how many requests the data point stands for."""

_MAX_INDEX_BYTES = 96

_MAX_TEXT_CHARACTERS = 1024

_REMEMBERED = 200

_POINT_BYTES = 1000


class Dataset(Protocol):
    """A dataset of Analytics Engine."""

    def make(self, point: str) -> Any:
        """Return a data point, given as JSON, as it is written."""

    def write(self, point: Any) -> None:
        """Write what `make` has returned, perhaps not for the first time."""


Facts: TypeAlias = "tuple[Outcome, StrEnum | None, str, str, int, int, int, str]"


class Analytics:
    """Writes a data point for one of every `sample` requests of an isolate.

    `first` is the number of the first request that is written, from 0 to below `sample`: were it the same in all isolates, the
    requests that start one would count too much or not at all.
    """

    def __init__(self, dataset: Dataset, sample: int, first: int, log: Log) -> None:
        self._dataset = dataset
        self._sample = sample
        self._left = first
        self._log = log
        # Most HITs of a page have the same data point, and to make one costs more than to write it.
        self._points: Recent[Facts, Any] = Recent(_REMEMBERED, lambda *_: _POINT_BYTES)

    def answered(self, request: PageRequest, answer: Answer, took_ms: float, site: str, build: ServedBuild) -> None:
        """Count a request for a page; never raises."""
        if self._left:
            self._left -= 1
            return
        self._left = self._sample - 1
        try:
            size_bytes, ms = sent_bytes(answer), round(took_ms)
            facts = (outcome_of(answer), answer.reason, request.path, request.origin, ms, size_bytes, answer.status, site)
            point = self._points.get(facts)
            if point is None:
                texts = (request.path, request.host, site, build.build_id or "")
                doubles = (self._sample, ms, size_bytes, answer.status)
                text = data_point(facts[0], facts[1], route_of(request.path, build.base_path), texts, doubles)
                point = self._points[facts] = self._dataset.make(text)
            self._dataset.write(point)
        except Exception as error:  # noqa: BLE001 - whatever the dataset has to say must not cost the visitor the page
            self._log.event("error", "analytics.failed", error=described(error))


def data_point(
    outcome: Outcome, reason: StrEnum | None, route: str, texts: tuple[str, str, str, str], doubles: tuple[int, int, int, int]
) -> str:
    """Return the JSON of a data point, by BLOBS and DOUBLES. The route is the index, so that a rare one is sampled less."""
    blobs = (outcome.name.lower(), "" if reason is None else code_of(reason), route, *texts)
    cut = [text[:_MAX_TEXT_CHARACTERS] for text in blobs]
    return json.dumps({"indexes": (route[:_MAX_INDEX_BYTES],), "blobs": cut, "doubles": doubles})


def route_of(path: str, base_path: str) -> str:
    """Return the part of the site that a URL path belongs to: `/blog/*` for all below `/blog`, else the path itself."""
    rest = path.removeprefix(base_path) if path.startswith(f"{base_path}/") else path
    first, slash, below = rest[1:].partition("/")
    return f"{path[: len(path) - len(rest)]}/{first}{'/*' if slash and below else ''}"
