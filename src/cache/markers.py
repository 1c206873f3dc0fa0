"""The times at which tags were invalidated, as far as this isolate knows, and the times that follow from them.

An entry is invalid when a tag's marker is at or after the entry's `last_modified_ms`. This rule is vinext's, and other
Workers apply it to the entries that we store. Two things can happen within one millisecond, all the more because the
clock of a Worker stands still while it computes. So the isolate orders its own acts itself, by at most a millisecond
each: new content that follows an invalidation is dated after the marker, and an invalidation that follows new content
is dated no earlier than that content.

A stale invalidation (Next.js's `revalidateTag(tag, profile)`) has a marker of its own beside the tag's marker. Content as
old as it is stale for some seconds, counted from the invalidation, and then invalid. Of several stale invalidations of a
tag the last one counts, as in Next.js; only content in memory keeps an earlier end. Neither kind takes the place of the
other: what either invalidates is invalid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from cache.entry import CacheEntry, own_revalidate, own_tags
from cache.invalidation import joined
from cache.tags import merge_tags
from core.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from cache.entry import CacheValue
    from cache.handler import SetContext
    from cache.invalidation import Invalidation
    from cache.tags import TagFilter
    from core.runtime import Clock


MAX_MARKERS = 50_000
"""How many markers an isolate remembers, of all kinds and of all its sites."""

_BUDGET = Budget(MAX_MARKERS)

M = TypeVar("M")


class _Markers(ABC, Generic[M]):
    """The last marker of each name. The oldest is dropped beyond `capacity`.

    So it is when all the markers of an isolate are too many, and these are among the most.
    """

    def __init__(self, capacity: int, budget: Budget = _BUDGET) -> None:
        self._capacity = capacity
        self._budget = budget
        self._markers: dict[str, M] = {}

    def __del__(self) -> None:
        self._budget.change(self, len(self._markers), 0)

    def record(self, names: Iterable[str], marker: M) -> None:
        """Record that `names` were invalidated."""
        before = len(self._markers)
        for name in names:
            self._markers[name] = self._later(self._markers.pop(name, marker), marker)
        while len(self._markers) > self._capacity:
            self._drop_oldest()
        self._budget.change(self, before, len(self._markers))

    def give_up_some(self) -> None:
        """Drop the oldest quarter, at least one."""
        before = len(self._markers)
        for _ in range(before // 4 + 1):
            self._drop_oldest()
        self._budget.change(self, before, len(self._markers))

    def _drop_oldest(self) -> None:
        self._note_dropped(self._markers.pop(next(iter(self._markers))))

    @staticmethod
    @abstractmethod
    def _later(earlier: M, marker: M) -> M:
        """Return which of two markers of a name counts; the second one was recorded later."""

    @abstractmethod
    def _note_dropped(self, marker: M) -> None:
        """Remember what has to be remembered of a marker that is dropped."""


class StaleMarkers(_Markers["Invalidation"]):
    """The last stale invalidation of each name. One that was dropped reaches all names."""

    _dropped: Invalidation | None = None

    @staticmethod
    def _later(earlier: Invalidation, marker: Invalidation) -> Invalidation:
        return earlier if earlier.at_ms > marker.at_ms else marker

    def _note_dropped(self, marker: Invalidation) -> None:
        self._dropped = joined((marker, self._dropped or marker))

    def get(self, name: str) -> Invalidation | None:
        """Return the known stale invalidation of one name."""
        return self._markers.get(name)

    def newest(self, names: Collection[str]) -> int | None:
        """Return the time of the newest known stale invalidation of any of `names`."""
        if self._markers.keys().isdisjoint(names):
            return None
        return int(max(self._markers[name].at_ms for name in names if name in self._markers))

    def reaching(self, names: Collection[str], since_ms: int) -> Invalidation | None:
        """Return the effect on content of `since_ms` under `names`."""
        if not self._markers and self._dropped is None:  # so it is on sites that invalidate everything at once
            return None
        markers = (self._markers.get(name, self._dropped) for name in names)
        return joined(marker for marker in markers if marker is not None and marker.reaches(since_ms))


class TagMarkers(_Markers[int]):
    """The time of the newest invalidation of each name. Of those that were dropped, the newest time is remembered as a floor."""

    floor_ms: int | None = None

    @staticmethod
    def _later(earlier: int, marker: int) -> int:
        return max(earlier, marker)

    def _note_dropped(self, marker: int) -> None:
        self.floor_ms = marker if self.floor_ms is None else max(self.floor_ms, marker)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known to be invalidated; nothing was dropped then either."""
        return not self._markers and self.floor_ms is None

    def newest(self, names: Collection[str]) -> int | None:
        """Return the newest known invalidation of any of `names`."""
        if self._markers.keys().isdisjoint(names):  # nearly always so, and one step shows it
            return None
        return max(self._markers[name] for name in names if name in self._markers)

    def has_invalidated(self, names: Collection[str], since_ms: int) -> bool:
        """Return whether one of `names` is known to be invalidated at `since_ms` or later."""
        newest_ms = self.newest(names)
        return newest_ms is not None and newest_ms >= since_ms

    def may_have_invalidated(self, names: Collection[str], since_ms: int) -> bool:
        """Return the same as `has_invalidated`, but True also where the marker may have been dropped."""
        if self.floor_ms is None or since_ms > self.floor_ms:
            return self.has_invalidated(names, since_ms)
        return any(self._markers.get(name, self.floor_ms) >= since_ms for name in names)


class Stamper:
    """The source of the times of an isolate's acts, and of the entries of a `set`."""

    def __init__(self, clock: Clock, tags: TagFilter, newest_marker: Callable[[tuple[str, ...]], int | None]) -> None:
        self._clock = clock
        self._tags = tags
        self._newest_marker = newest_marker
        self._newest_made_ms = 0

    def invalidation_ms(self) -> int:
        """Return the time of an invalidation that is made now: not before anything that this isolate has made."""
        return max(self._clock(), self._newest_made_ms)

    def entry(self, value: CacheValue | None, context: SetContext) -> CacheEntry | None:
        """Return the entry to store, or None where its period is 0. Content without a time of its own is dated now."""
        revalidate = own_revalidate(value)
        if revalidate is None:
            revalidate = context.revalidate
        if revalidate == 0 and revalidate is not False:
            return None
        tags = self._tags.valid(merge_tags(own_tags(value), context.tags))
        made_ms = context.last_modified_ms
        if made_ms is None:
            made_ms = self._clock()
            marker_ms = self._newest_marker(tags)
            if marker_ms is not None:
                made_ms = max(made_ms, marker_ms + 1)
            self._newest_made_ms = max(self._newest_made_ms, made_ms)
        return CacheEntry.make(value, tags, int(made_ms), revalidate, context.expire, context.stale)
