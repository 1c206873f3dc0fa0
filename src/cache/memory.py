"""Entries in the isolate's memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from cache.arguments import (
    require_count,
    require_key,
    require_milliseconds,
    require_period,
    require_tags,
    require_value,
)
from cache.entry import Freshness, freshness, stale_after
from cache.eviction import Eviction
from cache.handler import require_get_context, require_set_context
from cache.keys import KeySchema
from cache.markers import Stamper, TagFilter, TagMarkers
from cache.ports import SILENT_LOG
from cache.tags import encode_tag, is_tag_below, prefix_tags
from cache.values import size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry
    from cache.eviction import Use
    from cache.handler import GetContext, SetContext
    from cache.ports import Clock, Log
    from cache.values import CacheValue

MARKER_CAPACITY = 10_000
# The entry itself, its place in the indexes, and the headers that are made once to answer with it.
_ENTRY_OVERHEAD_BYTES = 2048


class _Kept(NamedTuple):
    entry: CacheEntry
    names: tuple[str, ...]
    size_bytes: int
    use: Use


class MemoryCacheHandler:
    """Keeps entries until `capacity_bytes` are full, then drops those that are worth least (`cache.eviction`); 0 keeps none.

    Nothing in here awaits, so requests never see it half changed. Tags are compared percent-encoded. At most
    `marker_capacity` invalidations are remembered; once some are forgotten, content as old as those counts as invalid
    unless its tags are known to be good, so that nothing old comes back.
    """

    def __init__(
        self, capacity_bytes: int, clock: Clock, *, log: Log = SILENT_LOG, marker_capacity: int = MARKER_CAPACITY
    ) -> None:
        require_count("capacity_bytes", capacity_bytes)
        require_count("marker_capacity", marker_capacity, least=1)
        self._capacity_bytes = capacity_bytes
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._keys_by_name: dict[str, dict[str, None]] = {}
        self._eviction = Eviction()
        self._markers = TagMarkers(marker_capacity)
        self._tags = TagFilter(log, None)
        self._stamper = Stamper(clock, self._tags, lambda tags: self._markers.newest(_names(tags)))
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    async def get(self, key: str, context: GetContext | None = None) -> CacheEntry | None:
        """Read an entry; see CacheHandler."""
        require_key(key)
        asked = require_get_context(context)
        entry = self.look_up(key)
        if entry is None:
            return None
        if asked.soft_tags and self.invalidates(asked.soft_tags, entry.last_modified_ms):
            return None
        return stale_after(entry, asked.revalidate_seconds)

    def look_up(self, key: str) -> CacheEntry | None:
        """Give the entry under `key`, which counts as a use; an expired one is dropped."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._eviction.use(kept.use)
        if freshness(kept.entry, self._clock()) is Freshness.EXPIRED:
            self.drop(key)
            return None
        return kept.entry

    async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
        """Write an entry; see CacheHandler."""
        require_key(key)
        require_value(value)
        entry = self._stamper.entry(value, require_set_context(context))
        if entry is not None:
            self.keep(key, entry)

    def keep(self, key: str, entry: CacheEntry) -> None:
        """Keep an entry as it is, unless it is invalid already or larger than the whole memory."""
        names = _names(entry.tags)
        if self._markers.may_invalidate(names, entry.last_modified_ms):
            return
        before = self._kept.get(key)
        self.drop(key)
        size_bytes = _ENTRY_OVERHEAD_BYTES + sys.getsizeof(key) + _size_bytes(entry)
        if size_bytes > self._capacity_bytes:
            return
        uses = 0 if before is None else before.use.uses
        self._kept[key] = _Kept(entry, names, size_bytes, self._eviction.add(key, size_bytes, uses))
        self.size_bytes += size_bytes
        for name in names:
            self._keys_by_name.setdefault(name, {})[key] = None
        while self.size_bytes > self._capacity_bytes:
            self.drop(self._eviction.least())

    def drop(self, key: str) -> None:
        """Forget the entry under `key`, if there is one."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._eviction.remove(kept.use)
        self.size_bytes -= kept.size_bytes
        for name in kept.names:
            keys = self._keys_by_name[name]
            del keys[key]
            if not keys:
                del self._keys_by_name[name]

    async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None:
        """Invalidate by tags; see CacheHandler."""
        require_period("expire_seconds", expire_seconds)
        self._invalidate(_names(self._tags.valid(require_tags("tags", tags))))

    async def revalidate_by_path_prefix(self, prefix: str) -> None:
        """Invalidate a page and those below it; see CacheHandler."""
        written = prefix_tags(KeySchema.V2, prefix)
        below = {name for name in self._keys_by_name if is_tag_below(name, encode_tag(prefix))}
        self._invalidate((*below.difference(written), *self._tags.valid(written)))

    async def is_invalidated(self, tags: Iterable[str], since_ms: int) -> bool:
        """Tell whether a tag was invalidated; see CacheHandler."""
        require_milliseconds("since_ms", since_ms)
        return self.invalidates(require_tags("tags", tags), since_ms)

    def invalidates(self, tags: Iterable[str], since_ms: int) -> bool:
        """Tell whether content of `since_ms` with one of `tags` is, or may be, invalid."""
        return self._markers.may_invalidate(_names(self._tags.valid(tags)), since_ms)

    def reset_request_cache(self) -> None:
        """Do nothing: what is in memory is all there is."""

    def _invalidate(self, names: tuple[str, ...]) -> None:
        at_ms = self._stamper.invalidation_ms()
        self._markers.record(names, at_ms)
        for key in {key for name in names for key in self._keys_by_name.get(name, ())}:
            if self._kept[key].entry.last_modified_ms <= at_ms:
                self.drop(key)


def _names(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are compared: V1 writes non-ASCII as it is, V2 percent-encodes it, and both mean one tag."""
    return tuple(map(encode_tag, tags))


def _size_bytes(entry: CacheEntry) -> int:
    return size_bytes(entry.value) + sum(map(sys.getsizeof, entry.tags))
