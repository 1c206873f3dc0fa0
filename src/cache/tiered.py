"""Memory in front of another cache."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from cache.document import bodies_of
from cache.entry import Freshness, freshness, stale_after
from cache.handler import DEFAULT_GET, EntryCache, GetContext, entry_cache, require_handler
from cache.invalidation import GONE, entry_after
from cache.look import Unserved
from cache.memory import MemoryCacheHandler
from core.arguments import require_count
from core.body import ArrivingBody, Divisible
from core.errors import InvalidArgumentError
from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, CacheValue
    from cache.handler import CacheHandler, SetContext
    from cache.invalidation import Invalidation
    from cache.look import Look, Mark
    from core.runtime import Clock

_NEVER_MS = -(2**62)

_STREAMED = GetContext(streamed=True)


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
        self._checked_ms = front.checked_ms

    @cached_property
    def _too_large(self) -> Recent[str, None]:
        return Recent()

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache."""
        entry = self._front.use(key)
        now_ms = self._clock()
        if entry is None or not (self._is_checked(key, now_ms) or await self._holds(key, entry, now_ms)):
            entry = await self._fetch(key, entry, asked)
        if entry is not None and asked.soft_tags:
            entry = await self._softly_invalidated(asked.soft_tags, entry)
        return None if entry is None else stale_after(entry, asked.revalidate_seconds)

    def observer(self) -> EntryCache:
        """Return a view; see EntryCache."""
        observer = copy.copy(self)
        observer._back = self._back.observer()  # noqa: SLF001 - a copy of this very object
        return observer

    async def look(self, key: str) -> tuple[Look, ...]:
        """Return what is in front, and what is in the back if that would be asked; see EntryCache."""
        front, now_ms = self._front.look_at(key), self._clock()
        if front.entry is not None and not self._is_checked(key, now_ms):
            front = replace(front, reason=await self._outdated(front.entry, now_ms))
        if front.reason is None:
            return (front,)
        *others, back = await self._back.look(key)
        entry = None if back.entry is None else self._as_front_knows(back.entry)
        if entry is None and back.reason is None:
            back = replace(back, reason=Unserved.INVALIDATED, marks=(*back.marks, *await self._front.marks(back.kept_tags)))
        return (replace(front, entry=None), *others, replace(back, entry=entry))

    async def marks(self, tags: Iterable[str]) -> tuple[Mark, ...]:
        """Return the invalidations that either knows; see EntryCache."""
        names = tuple(tags)
        newest: dict[tuple[str, bool], Mark] = {}
        for mark in (*await self._back.marks(names), *await self._front.marks(names)):
            kind = mark.tag, mark.stale_until_ms is None
            newest[kind] = max(newest.get(kind, mark), mark, key=lambda one: one.at_ms)
        return tuple(newest.values())

    async def write(self, key: str, entry: CacheEntry) -> None:
        """Write an entry; see EntryCache. A body that is still arriving goes to the back alone."""
        if any(isinstance(body, ArrivingBody) for body in bodies_of(entry).values()):
            self._front.drop(key)
            await self._back.write(key, entry)
            return
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
        if await self._outdated(entry, now_ms) is not None or not self._front.still_has(key, entry):
            return False
        self._checked(key, now_ms)
        return True

    def _is_checked(self, key: str, now_ms: int) -> bool:
        """Return whether a copy in front was checked so lately that it is served."""
        return now_ms - self._checked_ms.get(key, _NEVER_MS) < self._recheck_ms

    async def _outdated(self, entry: CacheEntry, now_ms: int) -> Unserved | None:
        """Return why a copy in front, whose last check is too long ago, is read again; None if it still holds."""
        if freshness(entry, now_ms) is not Freshness.FRESH:
            return Unserved.COPY_NOT_FRESH
        is_invalidated = await self._back.invalidation(entry.tags, entry.last_modified_ms) is not None
        return Unserved.COPY_INVALIDATED if is_invalidated else None

    def _as_front_knows(self, entry: CacheEntry) -> CacheEntry | None:
        """Return an entry of the back as this isolate's own invalidations leave it, None if it is gone."""
        return entry_after(entry, self._front.effect(entry.tags, entry.last_modified_ms))

    async def _fetch(self, key: str, copy: CacheEntry | None, asked: GetContext) -> CacheEntry | None:
        """Read from the back and keep the entry in front, unless something newer happened here in the meantime.

        What was too large for the front the last time is passed on while it is still on its way, if the reader takes it so.
        """
        asked_ms = self._clock()
        entry = await self._back.read(key, _STREAMED if asked.streamed and key in self._too_large else DEFAULT_GET)
        current = self._front.use(key)
        if current is not None and (copy is None or not self._front.still_has(key, copy)):
            return current
        entry = None if entry is None else self._as_front_knows(entry)
        if entry is None:
            self._front.drop(key)
            return None
        if any(isinstance(body, Divisible) for body in bodies_of(entry).values()):
            self._front.drop(key)
            return entry
        self._front.put(key, entry)
        if key not in self._front:
            self._too_large[key] = None
        self._checked(key, asked_ms)
        return entry

    async def _softly_invalidated(self, soft_tags: tuple[str, ...], entry: CacheEntry) -> CacheEntry | None:
        return entry_after(entry, await self.invalidation(soft_tags, entry.last_modified_ms))

    def _checked(self, key: str, at_ms: int) -> None:
        if key in self._front:
            self._checked_ms[key] = at_ms
