"""The cache in front of the Worker (Workers Cache): the tags of what it keeps, and how invalidations reach it.

Sources: https://developers.cloudflare.com/workers/cache/purge/ and
https://developers.cloudflare.com/cache/how-to/purge-cache/purge-by-tags/#a-few-things-to-remember
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from cache.failures import FAILED_PURGES
from cache.handler import CacheInFront
from cache.tags import encode_tag, merge_tags, prefix_tags
from core.runtime import WORK_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from cache.handler import EntryCache
    from cache.keys import KeySchema
    from core.runtime import Runtime

MAX_PURGED = 100
"""How many tags a call may purge (https://developers.cloudflare.com/cache/how-to/purge-cache/#availability-and-limits)."""

# Cloudflare takes 1,024 characters. With shorter ones, more of them fit into the header.
_MAX_TAG_CHARACTERS = 64

_MAX_TAGS = 1000

_MAX_HEADER_CHARACTERS = 16 * 1024

_HEX_DIGITS = 32

# What `encode_tag` leaves, and a Cache-Tag may not have.
_ENCODED = str.maketrans({" ": "%20", "\t": "%09", ",": "%2C"})


class Purger(Protocol):
    """The cache in front of this Worker."""

    async def purge(self, tags: Sequence[str]) -> None:
        """Drop all that it keeps under one of at most MAX_PURGED tags; raise if it does not say that it has."""
        ...


def edge_tag(tag: str) -> str:
    """Return a tag as the cache in front knows it: printable ASCII without spaces and commas, a long one hashed."""
    encoded = encode_tag(tag).translate(_ENCODED)
    return encoded if len(encoded) <= _MAX_TAG_CHARACTERS else f"sha256:{sha256(encoded.encode()).hexdigest()[:_HEX_DIGITS]}"


def cache_tag_header(tags: Iterable[str]) -> str | None:
    """Return the value of a Cache-Tag header; None if there are more tags than Cloudflare takes."""
    names = merge_tags(map(edge_tag, tags))
    text = ",".join(names)
    return text if len(names) <= _MAX_TAGS and len(text) <= _MAX_HEADER_CHARACTERS else None


class PurgingCache(CacheInFront):
    """A cache whose invalidations reach the cache in front of the Worker too, once the store has them.

    After the time that `again_ms` gives they do so a second time: an isolate that did not know of the invalidation yet may have
    answered with the old page meanwhile. None: that takes longer than background work may. What the store has not written yet
    it may learn of for as long as that is tried.
    """

    def __init__(
        self, entries: EntryCache, purger: Purger, schema: KeySchema, runtime: Runtime, again_ms: Callable[[], int | None]
    ) -> None:
        super().__init__(entries)
        self._purger = purger
        self._schema = schema
        self._runtime = runtime
        self._again_ms = again_ms

    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate by tags; see EntryCache."""
        names = tuple(tags)
        return await self._then_purge(self._back.invalidate(names, expire_seconds), names)

    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        """Invalidate a page and those below it; see EntryCache."""
        return await self._then_purge(self._back.invalidate_below(prefix), prefix_tags(self._schema, prefix))

    async def replaced(self, tags: Iterable[str]) -> None:
        """Purge tags; see EntryCache."""
        await self._purge_twice(tags, self._again_ms())

    async def _then_purge(self, invalidating: Awaitable[tuple[str, ...]], tags: Iterable[str]) -> tuple[str, ...]:
        """Invalidate, and purge tags, also if a part of it failed: the other part may be done."""
        is_late = True
        try:
            unwritten = await invalidating
            is_late = bool(unwritten)
        finally:
            again_ms = self._again_ms()
            await self._purge_twice(tags, WORK_MS if is_late and again_ms is not None else again_ms)
        return unwritten

    async def _purge_twice(self, tags: Iterable[str], again_ms: int | None) -> None:
        names = merge_tags(map(edge_tag, filter(None, tags)))
        failure = await self._purge(names)
        if failure is not None:
            FAILED_PURGES.note(failure)
        if again_ms is not None:
            self._runtime.background.run(self._purge_again(names, again_ms), "purge the cache in front again")

    async def _purge_again(self, names: Sequence[str], delay_ms: int) -> None:
        await self._runtime.sleep(delay_ms / 1000)
        await self._purge(names)

    async def _purge(self, names: Sequence[str]) -> str | None:
        """Purge tags; return why some of them could not be, which is logged."""
        failed: list[str] = []
        reason: str | None = None
        for start in range(0, len(names), MAX_PURGED):
            batch = names[start : start + MAX_PURGED]
            try:
                await self._purger.purge(batch)
            except Exception as error:  # noqa: BLE001 - whatever the platform raises, the store has the invalidation
                failed += batch
                reason = str(error)
        if reason is not None:
            self._runtime.log.event("error", "edge.purge_failed", tags=failed, error=reason)
        return reason
