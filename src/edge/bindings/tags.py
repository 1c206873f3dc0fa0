"""The Durable Objects of tags (the protocols of `cache.shared_markers` and `cache.lease`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from zlib import crc32

from cache.due_pages import read_pages
from cache.marker_log import read_news
from edge.promises import Deadline, bind_remote

if TYPE_CHECKING:
    from cache.due_pages import DuePage
    from cache.marker_log import News, Place

TIMEOUT_MS = 1_000
"""KV's markers are there: nobody waits longer for better ones."""


class TagsBinding:
    """The objects of a site by the raw binding; `prefix` begins their names. A call that takes too long raises TimeoutError.

    The number of shards is part of the names: where it was changed, all of a site's isolates have to ask the same objects.
    """

    def __init__(self, binding: Any, prefix: str, shards: int) -> None:
        self._binding = binding
        self._names = [f"{prefix}:{shard}/{shards}" for shard in range(shards)]
        self._deadline = Deadline(TIMEOUT_MS, "VINEXT_TAGS did not answer")

    async def note(self, shard: int, text: str) -> None:
        await self._deadline.value(bind_remote(self._object(shard).note, text))

    async def since(self, shard: int, place: Place) -> News:
        return read_news(await self._deadline.value(bind_remote(self._object(shard).since, place.epoch, place.position)))

    async def queue(self, shard: int, text: str) -> bool:
        return bool(await self._deadline.value(bind_remote(self._object(shard).queue, text)))

    async def take(self, key: str, own_ms: int, since_ms: int, job: str) -> int:
        return int(await self._deadline.value(bind_remote(self._object(self._shard_of(key)).take, key, own_ms, since_ms, job)))

    async def ended(self, key: str, own_ms: int, failure: str) -> None:
        await self._deadline.value(bind_remote(self._object(self._shard_of(key)).ended, key, own_ms, failure))

    async def pages(self, key: str, state: str) -> list[DuePage]:
        shards = [self._shard_of(key)] if key else range(len(self._names))
        asked = [self._deadline.value(bind_remote(self._object(shard).pages, key, state)) for shard in shards]
        return [page for text in await asyncio.gather(*asked) for page in read_pages(text)]

    async def is_held(self, key: str, own_ms: int, since_ms: int) -> bool:
        return bool(await self._deadline.value(bind_remote(self._object(self._shard_of(key)).is_held, key, own_ms, since_ms)))

    def _shard_of(self, key: str) -> int:
        return crc32(key.encode()) % len(self._names)

    def _object(self, shard: int) -> Any:
        # It belongs to a request, so it cannot be kept.
        return self._binding.get(self._binding.idFromName(self._names[shard]))
