"""The effect of invalidations on content: it is stale for a while, or invalid at once (see `cache.markers`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry

# Next.js's number for a profile without an end, the largest that it takes: 136 years.
LONGEST_STALE_SECONDS = 4_294_967_294


@dataclass(frozen=True)
class Invalidation:
    """The effect of invalidations on content as old as `at_ms`: it is stale until `expire_at_ms`, and invalid after that."""

    at_ms: float
    expire_at_ms: float

    @classmethod
    def gone(cls, at_ms: int) -> Invalidation:
        """Return an invalidation that is made at `at_ms` and leaves nothing stale."""
        return cls(at_ms, -math.inf)

    @classmethod
    def stale(cls, at_ms: int, seconds: float) -> Invalidation:
        """Return a stale invalidation that is made at `at_ms` and lets content be stale for `seconds`."""
        return cls(at_ms, at_ms + math.floor(min(seconds, LONGEST_STALE_SECONDS) * 1000))

    @property
    def is_gone(self) -> bool:
        """Whether it leaves nothing stale."""
        return self.expire_at_ms == -math.inf

    def reaches(self, since_ms: float) -> bool:
        """Return whether content of `since_ms` is as old as the invalidation."""
        return self.at_ms >= since_ms

    def at(self, now_ms: int) -> Invalidation:
        """Return this invalidation, or GONE if its time is over."""
        return GONE if now_ms > self.expire_at_ms else self

    def of(self, entry: CacheEntry) -> CacheEntry:
        """Return an entry as a stale invalidation leaves it."""
        return entry.stale_since(self.at_ms, self.expire_at_ms) if self.reaches(entry.last_modified_ms) else entry


GONE = Invalidation(math.inf, -math.inf)
"""The effect on content that is invalid."""


def entry_after(entry: CacheEntry, found: Invalidation | None) -> CacheEntry | None:
    """Return an entry as what was found to be invalidated leaves it: the same one after nothing, None if it is gone."""
    if found is None or found is GONE:
        return entry if found is None else None
    return found.of(entry)


def is_stale_period(seconds: float | None) -> bool:
    """Return whether an invalidation with that `expire_seconds` leaves content stale for a while: not with None or 0."""
    return seconds is not None and seconds > 0


def joined(found: Iterable[Invalidation]) -> Invalidation | None:
    """Return the effect of several invalidations that reach the same content: stale by the last, invalid by the first."""
    several = tuple(found)
    if not several:
        return None
    return Invalidation(max(one.at_ms for one in several), min(one.expire_at_ms for one in several))
