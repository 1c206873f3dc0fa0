"""Copies of entries near the visitor, between an isolate's memory and the store."""

from __future__ import annotations

import copy as copying
from typing import TYPE_CHECKING, Protocol

from cache.document import bodies_of, with_bodies
from cache.entry import Freshness, freshness, size_bytes, stale_after
from cache.handler import DEFAULT_GET, CacheInFront, entry_cache
from cache.keys import KeySchema, kv_key
from cache.kv_namespace import KV_LIMITS
from cache.kv_record import TTLPolicy, kv_record
from cache.look import Look, Missing, Unserved
from cache.stored import Codec, Layout
from core.body import Divisible
from core.errors import described
from core.log import SILENT_LOG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.entry import CacheEntry
    from cache.handler import CacheHandler, EntryCache, GetContext
    from cache.kv_namespace import KVValue
    from core.body import Body
    from core.log import Log
    from core.runtime import Background, Clock

# The layout that is read without decoding. Its schema says only what vinext's layout has to leave out.
_CODEC = Codec(Layout.FRAMED, KeySchema.V2)


class Region(Protocol):
    """A cache that the isolates of one place share. It may forget anything at any time, and forgets all after a short period."""

    async def get(self, key: str, *, streamed: bool = False) -> KVValue | None:
        """Read a copy, None where there is none; `streamed` as in `KVNamespace.get`."""
        ...

    async def put(self, key: str, value: Sequence[bytes | Body], metadata: str | None) -> None:
        """Keep a copy. `metadata` is JSON without spaces."""
        ...


class RegionalCacheHandler(CacheInFront):
    """A cache that keeps copies of the fresh entries of `back` in a region.

    A copy is served while it is fresh and `back` knows of no invalidation of its tags. Everything else is asked of `back`. After
    a write, a copy of the entry before is stale, or invalid, or as good. A failure of the region is one log line, and `back` is
    asked.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its name
        self,
        region: Region,
        back: CacheHandler,
        *,
        clock: Clock,
        background: Background,
        app_prefix: str = "",
        log: Log = SILENT_LOG,
    ) -> None:
        self._region = region
        super().__init__(entry_cache(back))
        self._clock = clock
        self._background = background
        self._prefix = app_prefix
        self._log = log

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache."""
        name = kv_key(key, self._prefix)
        copy = await self._copy(name, asked)
        if copy is not None:
            return stale_after(copy, asked.revalidate_seconds)
        entry = await self._back.read(key, asked)
        # A shorter period is one reader's.
        if entry is None or asked.revalidate_seconds is not None or freshness(entry, self._clock()) is not Freshness.FRESH:
            return entry
        return self._keep(name, entry)

    def observer(self) -> EntryCache:
        """Return a view; see EntryCache."""
        observer = copying.copy(self)
        observer._back = self._back.observer()  # noqa: SLF001 - a copy of this very object
        return observer

    async def look(self, key: str) -> tuple[Look, ...]:
        """Return the region's copy, and what the back has if that is not served; see EntryCache."""
        name = kv_key(key, self._prefix)
        found = await self._find(name, DEFAULT_GET)
        if not isinstance(found, Missing):
            return (Look("region", found, None, found, name, _CODEC.layout.value),)
        error = "" if found.error is None else f"{type(found.error).__name__}: {found.error}"
        own = Look("region", None, found.reason, found.entry, name, _CODEC.layout.value, error)
        return (own, *await self._back.look(key))

    async def _copy(self, name: str, asked: GetContext) -> CacheEntry | None:
        """Return the region's copy if it may be served."""
        found = await self._find(name, asked)
        if not isinstance(found, Missing):
            return found
        if found.error is not None:
            self._failed(name, found.error)
        return None

    async def _find(self, name: str, asked: GetContext) -> CacheEntry | Missing:
        """Return the region's copy, or why it is not served. Nothing changes in the region."""
        try:
            kept = await self._region.get(name, streamed=asked.streamed)
            copy = None if kept is None else await _CODEC.read_value(kept, name)
        except Exception as error:  # noqa: BLE001 - any failure of the region leaves the store to ask
            return Missing(Unserved.STORE_FAILED, error=error)
        if copy is None:
            return Missing(Unserved.ABSENT)
        if freshness(copy, self._clock()) is not Freshness.FRESH:
            return Missing(Unserved.COPY_NOT_FRESH, copy)
        for tags in (copy.tags, asked.soft_tags):
            if tags and await self._back.invalidation(tags, copy.last_modified_ms) is not None:
                return Missing(Unserved.COPY_INVALIDATED, copy)
        return copy

    def _keep(self, name: str, entry: CacheEntry) -> CacheEntry:
        """Keep a copy, and return the entry to answer with: of a body that is on its way, each gets one half."""
        if entry.value is None or size_bytes(entry.value) > KV_LIMITS.value_bytes:
            return entry
        halves = {field: body.split() for field, body in bodies_of(entry).items() if isinstance(body, Divisible)}
        copy = with_bodies(entry, {field: first for field, (first, _) in halves.items()})
        self._background.run(self._put(name, copy), f"keep {name} in the region")
        return with_bodies(entry, {field: second for field, (_, second) in halves.items()})

    async def _put(self, name: str, copy: CacheEntry) -> None:
        try:
            record = kv_record(copy, _CODEC, TTLPolicy.THIRTY_DAYS, name)
            await self._region.put(name, record.parts, record.metadata)
        except Exception as error:  # noqa: BLE001 - likewise
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        self._log.event("warning", "cache.region_failed", key=name, error=described(error))
