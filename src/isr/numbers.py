"""What the page cache of a site has done in this isolate since it started, counted."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from isr.story import Outcome

if TYPE_CHECKING:
    from enum import StrEnum

LATENCY_MS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""The upper bounds of the buckets of a histogram; each takes what is above the bound before, and one more what is above all."""

COUNTED = (Outcome.HIT, Outcome.STALE, Outcome.MISS, Outcome.PASSED_ON, Outcome.NOT_FOUND, Outcome.FAILED)
"""What may become of a request."""


class Latency:
    """How many requests were answered, and how long each took: `buckets[i]` of them at most `LATENCY_MS[i]`.

    Cloudflare's clock stands still while the Worker computes, so this is the time that it waited.
    """

    __slots__ = ("buckets", "count", "total_ms")

    def __init__(self) -> None:
        self.count = 0
        self.total_ms = 0.0
        self.buckets = [0] * (len(LATENCY_MS) + 1)

    def add(self, took_ms: float) -> None:
        """Count one more."""
        self.count += 1
        self.total_ms += took_ms
        self.buckets[bisect_left(LATENCY_MS, took_ms)] += 1


class Numbers:
    """The counters of a site in an isolate; anybody may read them.

    `requests` are by what became of them, `passed_on` those that the page handler answered without anything being kept, by
    reason. `sent_bytes` are those of bodies from the cache. `stored` counts entries written, and `stored_bytes` their bodies.
    `refused` are answers that were not kept, of visitors and of renders for everybody, by reason. `regenerated` and
    `regenerations_failed` are those renders, in the background.
    """

    def __init__(self) -> None:
        self._requests: dict[Outcome, Latency] = {}
        self.passed_on: dict[StrEnum, int] = {}
        self.sent_bytes = 0
        self.stored = 0
        self.stored_bytes = 0
        self.refused: dict[StrEnum, int] = {}
        self.regenerated = 0
        self.regenerations_failed = 0

    def answered(self, outcome: Outcome, reason: StrEnum | None, sent_bytes: int, took_ms: float) -> None:
        """Count a request. A HIT costs a few additions."""
        (self._requests.get(outcome) or self._requests.setdefault(outcome, Latency())).add(took_ms)
        self.sent_bytes += sent_bytes
        if outcome is Outcome.PASSED_ON and reason is not None:
            self.passed_on[reason] = self.passed_on.get(reason, 0) + 1

    def refuse(self, reason: StrEnum) -> None:
        """Count an answer that was not kept."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    @property
    def requests(self) -> dict[Outcome, Latency]:
        """The requests by what became of them, also of what has not happened yet."""
        return {outcome: self._requests.get(outcome) or Latency() for outcome in COUNTED}

    @property
    def total(self) -> int:
        """All requests."""
        return sum(latency.count for latency in self._requests.values())

    @property
    def hit_rate(self) -> float | None:
        """The share of requests that were answered from the cache, fresh or stale, from 0 to 1; None before the first."""
        total, requests = self.total, self.requests
        return (requests[Outcome.HIT].count + requests[Outcome.STALE].count) / total if total else None
