"""Memory in front of another cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.entry import Freshness, freshness, stale_after
from cache.handler import DEFAULT_GET, EntryCache, entry_cache, require_handler
from cache.invalidation import GONE
from cache.memory import MemoryCacheHandler
from core.arguments import require_count
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, CacheValue
    from cache.handler import CacheHandler, GetContext, SetContext
    from cache.invalidation import Invalidation
    from core.runtime import Clock

_SPARE_CHECKS = 1000

_NEVER_MS = -(2**62)


class TieredCacheHandler(EntryCache):
    """A cache that reads from `front` the entries it holds, and from `back` the rest.

    A copy in front is served for `recheck_ms`. Then `back` is asked whether its tags were invalidated, and for a stale
    copy whether there is a newer entry. An invalidation by this isolate takes effect in both at once.
    """

    def __init__(self, front: MemoryCacheHandler, back: CacheHandler, *, clock: Clock, recheck_ms: int = 5000) -> None:
        if not isinstance(front, MemoryCacheHandler):
            raise InvalidArgumentError("front", front, "a MemoryCacheHandler")
        require_handler("back", back)
        require_count("recheck_ms", recheck_ms)
        self._front = front
        # The same, by the public methods of a class that a site has derived from it.
        self._front_entries = entry_cache(front)
        self._back = entry_cache(back)
        self._clock = clock
        self._recheck_ms = recheck_ms
        self._checked_ms: dict[str, int] = {}

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache."""
        entry = self._front.use(key)
        now_ms = self._clock()
        is_checked = entry is not None and now_ms - self._checked_ms.get(key, _NEVER_MS) < self._recheck_ms
        if entry is None or not (is_checked or await self._holds(key, entry, now_ms)):
            entry = await self._fetch(key, entry)
        if entry is not None and asked.soft_tags:
            entry = await self._softly_invalidated(asked.soft_tags, entry)
        return None if entry is None else stale_after(entry, asked.revalidate_seconds)

    async def write(self, key: str, entry: CacheEntry) -> None:
        """Write an entry; see EntryCache."""
        await self._front_entries.write(key, entry)
        self._checked(key, self._clock())
        await self._back.write(key, entry)

    async def set_new(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        """Write a value; see EntryCache."""
        await self._front_entries.set_new(key, value, context)
        self._checked(key, self._clock())
        await self._back.set_new(key, value, context)

    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate by tags; see EntryCache."""
        names = tuple(tags)
        await self._front_entries.invalidate(names, expire_seconds)
        return await self._back.invalidate(names, expire_seconds)

    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        """Invalidate a page and those below it; see EntryCache."""
        await self._front_entries.invalidate_below(prefix)
        return await self._back.invalidate_below(prefix)

    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return what has become of content; see EntryCache."""
        names = tuple(tags)
        front = await self._front_entries.invalidation(names, since_ms)
        if front is GONE:
            return GONE
        back = await self._back.invalidation(names, since_ms)
        # Each knows the stale invalidations by this isolate, so the later of the two is the one that holds.
        return back if front is None or back is GONE or (back is not None and back.at_ms >= front.at_ms) else front

    def forget_reads(self) -> None:
        """Forget the checks of the copies in front; see EntryCache."""
        self._checked_ms.clear()
        self._back.forget_reads()

    async def _holds(self, key: str, entry: CacheEntry, now_ms: int) -> bool:
        """Return whether the copy in front, whose last check is too long ago, may still be served."""
        if freshness(entry, now_ms) is not Freshness.FRESH:
            return False
        if await self._back.invalidation(entry.tags, entry.last_modified_ms) is not None:
            return False
        if not self._front.still_has(key, entry):
            return False
        self._checked(key, now_ms)
        return True

    async def _fetch(self, key: str, copy: CacheEntry | None) -> CacheEntry | None:
        """Read from the back and keep the entry in front, unless something newer happened here in the meantime."""
        asked_ms = self._clock()
        entry = await self._back.read(key)
        current = self._front.use(key)
        if current is not None and (copy is None or not self._front.still_has(key, copy)):
            return current
        found = None if entry is None else self._front.effect(entry.tags, entry.last_modified_ms)
        if entry is None or found is GONE:
            self._front.drop(key)
            return None
        if found is not None:
            entry = found.of(entry)
        self._front.put(key, entry)
        self._checked(key, asked_ms)
        return entry

    async def _softly_invalidated(self, soft_tags: tuple[str, ...], entry: CacheEntry) -> CacheEntry | None:
        found = await self.invalidation(soft_tags, entry.last_modified_ms)
        if found is None or found is GONE:
            return entry if found is None else None
        return found.of(entry)

    def _checked(self, key: str, at_ms: int) -> None:
        if key not in self._front:
            return
        self._checked_ms[key] = at_ms
        if len(self._checked_ms) > len(self._front) + _SPARE_CHECKS:
            self._checked_ms = {key: ms for key, ms in self._checked_ms.items() if key in self._front}
