"""Entries in the isolate's memory."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from cache.entry import Freshness, PagesValue, freshness, size_bytes, stale_after
from cache.eviction import Eviction
from cache.handler import DEFAULT_GET, EntryCache
from cache.invalidation import GONE, Invalidation, entry_after, is_stale_period
from cache.keys import KeySchema
from cache.look import Look, Mark, Unserved
from cache.markers import StaleMarkers, Stamper, TagMarkers
from cache.pool import MemoryPool
from cache.tag_index import TagIndex
from cache.tags import TagFilter, encode_tag, is_tag_below, prefix_tags
from core.arguments import require_count
from core.body import EMPTY_BODY, BytesBody
from core.log import SILENT_LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cache.entry import CacheEntry, CacheValue
    from cache.eviction import Use
    from cache.handler import GetContext, SetContext
    from cache.pool import Share
    from core.body import Body
    from core.log import Log
    from core.runtime import Clock

MARKER_CAPACITY = 10_000

# The entry itself, its places here, and the values that are computed once to answer with it.
_ENTRY_OVERHEAD_BYTES = 1000

# The place of a tag in the index; its text is there twice, because its key in KV is remembered with the entry.
_TAG_OVERHEAD_BYTES = 240

# A page in constant use is kept as it came, so that no answer has to decompress it. Such pages have this share of a full memory;
# the rest holds several times as many pages.
_SHARE_AS_IT_CAME = 1 / 8
_USES_TO_DECOMPRESS = 16


class MemoryCacheHandler(EntryCache):
    """A cache in memory that keeps entries until `capacity_bytes` are full, or the pool of a `share` is; 0 keeps none.

    Then the entries of least worth (`cache.eviction`) are compressed, and of the compressed ones those of least worth are
    dropped. An entry that is used again and again is decompressed. `make_body` makes the bodies of both.

    `size_bytes` is about the memory that the entries take, `share` what they have of the pool.

    Nothing in this class awaits, so requests never see it half changed. Tags are compared percent-encoded. At most
    `marker_capacity` invalidations are remembered; once some are forgotten, content as old as those counts as invalid
    unless its tags are known to be good, so that no old content comes back.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its name
        self,
        capacity_bytes: int,
        clock: Clock,
        *,
        log: Log = SILENT_LOG,
        marker_capacity: int = MARKER_CAPACITY,
        make_body: Callable[[bytes], Body] = BytesBody,
        share: Share | None = None,
    ) -> None:
        require_count("capacity_bytes", capacity_bytes)
        require_count("marker_capacity", marker_capacity, minimum=1)
        self._capacity_bytes = capacity_bytes
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._index = TagIndex()
        self._as_they_came = Eviction()
        self._compressed = Eviction()
        self.share = MemoryPool(capacity_bytes, make_body).share() if share is None else share
        self.share.members.append(self)
        self._pool = self.share.pool
        self.size_bytes = 0
        # When a copy in front of another store was compared with it (`cache.tiered`): of what is kept here, and of nothing else.
        self.checked_ms: dict[str, int] = {}
        self._markers = TagMarkers(marker_capacity)
        self._stale_markers = StaleMarkers(marker_capacity)
        self._tags = TagFilter(log, None)

    @cached_property
    def _stamper(self) -> Stamper:
        return Stamper(self._clock, self._tags, self._newest_marker)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache."""
        entry = self.use(key)
        if entry is None:
            return None
        if asked.soft_tags:
            entry = entry_after(entry, self.effect(asked.soft_tags, entry.last_modified_ms))
        return None if entry is None else stale_after(entry, asked.revalidate_seconds)

    def use(self, key: str) -> CacheEntry | None:
        """Return the entry under `key` and count the use; drop an expired one."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        kept.place.use(kept.use)
        if freshness(kept.entry, self._clock()) is Freshness.EXPIRED:
            self.drop(key)
            return None
        if kept.place is self._compressed and kept.use.used_here >= _USES_TO_DECOMPRESS:
            return self._decompress(kept)
        return kept.entry

    async def look(self, key: str) -> tuple[Look, ...]:
        """Return what is kept; see EntryCache."""
        return (self.look_at(key),)

    def look_at(self, key: str) -> Look:
        """Return what is kept under a key, without counting it as a use."""
        kept = self._kept.get(key)
        if kept is None:
            return Look("memory", reason=Unserved.ABSENT)
        form = "compressed" if kept.place is self._compressed else "as it came"
        if freshness(kept.entry, self._clock()) is Freshness.EXPIRED:
            return Look("memory", None, Unserved.EXPIRED, kept.entry, form=form, marks=self._marks(kept.entry.tags))
        return Look("memory", kept.entry, None, kept.entry, form=form, marks=self._marks(kept.entry.tags))

    async def marks(self, tags: Iterable[str]) -> tuple[Mark, ...]:
        """Return the invalidations by this isolate; see EntryCache."""
        return self._marks(tags)

    def _marks(self, tags: Iterable[str]) -> tuple[Mark, ...]:
        found: list[Mark] = []
        for tag in tags:
            gone_ms, stale = self._markers.newest(_names((tag,))), self._stale_markers.get(encode_tag(tag))
            if gone_ms is not None:
                found.append(Mark(tag, gone_ms))
            if stale is not None:
                found.append(Mark(tag, stale.at_ms, stale.expire_at_ms))
        return tuple(found)

    def still_has(self, key: str, entry: CacheEntry) -> bool:
        """Return whether the entry under `key` is still that one, compressed or not, and no tag has made it stale."""
        kept = self._kept.get(key)
        if kept is None or kept.entry.identity is not entry.identity:
            return False
        return kept.entry.revalidate_at_ms == entry.revalidate_at_ms

    async def write(self, key: str, entry: CacheEntry) -> None:
        """Write an entry; see EntryCache."""
        self.put(key, self._tags.with_valid_tags(entry))

    async def set_new(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        """Write a value; see EntryCache."""
        entry = self._stamper.entry(value, context)
        if entry is not None:
            self.put(key, entry)

    def put(self, key: str, entry: CacheEntry) -> None:
        """Keep an entry unchanged, unless it is invalid already or larger than the whole memory."""
        names = _names(entry.tags)
        if self._markers.may_have_invalidated(names, entry.last_modified_ms):
            return
        stale = self._stale_markers.reaching(names, entry.last_modified_ms)
        if stale is not None:
            entry = stale.of(entry)
        before = self._kept.get(key)
        self.drop(key)
        size_bytes = _ENTRY_OVERHEAD_BYTES + sys.getsizeof(key) + _size_bytes(entry)
        if size_bytes > self._capacity_bytes:
            return
        uses = 0 if before is None else before.use.uses
        use = self._as_they_came.add(key, size_bytes, uses + 1)
        self._kept[key] = _Kept(entry, names, self._as_they_came, use)
        self._index.add(key, names)
        self._count()
        self.share.used()
        self._pool.make_room()

    def drop(self, key: str) -> None:
        """Forget the entry under `key`, if there is one."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        kept.place.remove(kept.use)
        self._index.remove(key, kept.names)
        self.checked_ms.pop(key, None)
        self._count()

    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate by tags; see EntryCache."""
        names = _names(self._tags.valid(tags))
        if expire_seconds is not None and is_stale_period(expire_seconds):
            self._make_stale(names, Invalidation.stale(self._stamper.invalidation_ms(), expire_seconds))
        else:
            self._invalidate(names)
        return ()

    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        """Invalidate a page and those below it; see EntryCache."""
        written = prefix_tags(KeySchema.V2, prefix)
        below = {name for name in self._index if is_tag_below(name, encode_tag(prefix))}
        self._invalidate((*below.difference(written), *self._tags.valid(written)))
        return ()

    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return what has become of content; see EntryCache."""
        return self.effect(tags, since_ms)

    def effect(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return the effect of all known invalidations on content; GONE also where one of them may have been forgotten."""
        names = _names(self._tags.valid(tags))
        if self._markers.may_have_invalidated(names, since_ms):
            return GONE
        stale = self._stale_markers.reaching(names, since_ms)
        return None if stale is None else stale.at(self._clock())

    def learn(self, tags: Iterable[str], invalidation: Invalidation, clock_skew_ms: int = 0) -> None:
        """Take note of an invalidation by another isolate, whose clock may differ by `clock_skew_ms`.

        What this isolate has begun to make before now, and not later than the invalidation by any clock, is dropped. The
        store behind knows what has become of it.
        """
        names = _names(tuple(tags))
        at_ms = int(min(invalidation.at_ms + clock_skew_ms, self._clock()))
        if invalidation.is_gone:
            self._markers.record(names, at_ms)
        else:
            self._stale_markers.record(names, replace(invalidation, at_ms=at_ms))
        for key in self._keys_of(names):
            # By another isolate's clock it may have been made after now.
            if self._kept[key].entry.last_modified_ms <= invalidation.at_ms + clock_skew_ms:
                self.drop(key)

    def forget_reads(self) -> None:
        """Do nothing: there is no other store to read from."""

    def close(self) -> None:
        """Give up all entries for ever."""
        self._capacity_bytes = 0
        for key in tuple(self._kept):
            self.drop(key)

    def give_up_some(self) -> None:
        """Compress or drop the entry of least worth."""
        if self._as_they_came.size_bytes > min(self.size_bytes, self._capacity_bytes) * _SHARE_AS_IT_CAME:
            self._compress(self._kept[self._as_they_came.least()])
        else:
            self.drop(self._compressed.least())

    def _count(self) -> None:
        before = self.size_bytes
        self.size_bytes = self._as_they_came.size_bytes + self._compressed.size_bytes
        self.share.change(self.size_bytes - before)

    def _compress(self, kept: _Kept) -> None:
        """Compress an entry as far as it pays, and move it to the compressed ones in any case."""
        entry, saved_bytes = self._pool.compression.compress(kept.entry)
        self._move(kept, entry, self._compressed, -saved_bytes)

    def _decompress(self, kept: _Kept) -> CacheEntry:
        entry, more_bytes = self._pool.compression.decompress(kept.entry)
        self._move(kept, entry, self._as_they_came, more_bytes)
        self._pool.make_room()
        return entry

    def _move(self, kept: _Kept, entry: CacheEntry, place: Eviction, more_bytes: int) -> None:
        kept.place.remove(kept.use)
        use = place.add(kept.use.key, kept.use.size_bytes + more_bytes, kept.use.uses)
        self._kept[use.key] = _Kept(entry, kept.names, place, use)
        self._count()

    def _invalidate(self, names: tuple[str, ...]) -> None:
        self._markers.record(names, self._stamper.invalidation_ms())
        for key in self._keys_of(names):
            self.drop(key)

    def _make_stale(self, names: tuple[str, ...], invalidation: Invalidation) -> None:
        """Make the entries stale here, so that no read has to look at markers.

        What is here was made before, also where its time, by another clock, says otherwise.
        """
        self._stale_markers.record(names, invalidation)
        for key in self._keys_of(names):
            kept = self._kept[key]
            entry = kept.entry.stale_since(invalidation.at_ms, invalidation.expire_at_ms)
            self._kept[key] = replace(kept, entry=entry)

    def _keys_of(self, names: tuple[str, ...]) -> set[str]:
        return {key for name in names for key in self._index.keys(name)}

    def _newest_marker(self, tags: tuple[str, ...]) -> int | None:
        names = _names(tags)
        return max(
            (ms for ms in (self._markers.newest(names), self._stale_markers.newest(names)) if ms is not None), default=None
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    entry: CacheEntry
    names: tuple[str, ...]
    place: Eviction
    use: Use


# A page is kept as HTML and as RSC payload, with the same tags.
@lru_cache(maxsize=16)
def _names(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags in the form to compare: V1 writes non-ASCII as it is, V2 percent-encodes it, and both mean one tag."""
    return tuple(dict.fromkeys(map(encode_tag, tags)))


def _size_bytes(entry: CacheEntry) -> int:
    tag_bytes = 2 * sum(map(sys.getsizeof, entry.tags)) + _TAG_OVERHEAD_BYTES * len(entry.tags)
    total = size_bytes(entry.value) + tag_bytes
    if isinstance(entry.value, PagesValue):
        total += size_bytes(replace(entry.value, html=EMPTY_BODY))  # the text of its data, once that was asked for
    return total
