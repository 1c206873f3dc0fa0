"""The invalidations of all isolates, as the Durable Objects of tags tell them.

KV's markers hold besides: they reach an isolate that the objects do not answer, and their writers need no object. What an object
adds is that every isolate learns of an invalidation at its next question, instead of a minute later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from cache.handler import DEFAULT_GET, CacheInFront
from cache.lease import LeaseObjects
from cache.marker_log import Place, note_text
from cache.marker_queue import queue_text
from core.errors import described
from core.recent import Recent
from core.runtime import WORK_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cache.entry import CacheEntry
    from cache.handler import EntryCache, GetContext
    from cache.invalidation import Invalidation
    from cache.marker_log import News
    from core.runtime import Runtime

# How often an object that did not answer is asked again. Until it answers, no read waits for it.
RETRY_MS = 1_000


class TagObjects(LeaseObjects, Protocol):
    """The objects of a site, numbered from 0. Every call may raise, and ends by itself."""

    async def note(self, shard: int, text: str) -> None:
        """Keep an invalidation (`marker_log.note_text`): when this returns, every later question is answered with it."""

    async def since(self, shard: int, place: Place) -> News:
        """Return the invalidations after a place."""
        ...

    async def queue(self, shard: int, text: str) -> bool:
        """Write markers to KV until they are there (`marker_queue.queue_text`); return False if no object can."""
        ...


class SharedMarkers:
    """What the objects know, asked at most every `check_ms`: 0 asks for each read.

    `learners` are told of each invalidation by another isolate. Half-way through the period the first read asks in
    the background, so on a site with visitors none of them waits.
    """

    def __init__(self, objects: TagObjects, runtime: Runtime, *, check_ms: int, shards: int) -> None:
        self._objects = objects
        self._runtime = runtime
        self._check_ms = check_ms
        self._places = [Place()] * shards
        self._due_ms = 0
        self._is_failing = False
        self._own: Recent[tuple[str, bool], float] = Recent()
        self.learners: list[Callable[[Sequence[str], Invalidation], None]] = []
        self.wanted_ms = 0
        """From this time on a read should follow."""

    async def follow(self) -> None:
        """Learn what others have invalidated, or begin to, if it is time. Never raises: KV's markers hold without an answer."""
        now_ms = self._runtime.clock()
        if now_ms < self.wanted_ms:
            return
        if self.is_due(now_ms):
            await self.ask()
        else:
            self._runtime.run_once("tags", self.ask, "ask for invalidations")

    def is_due(self, now_ms: int) -> bool:
        """Return whether a read has to wait for the objects: the last answer is too old, and they do answer."""
        return now_ms >= self._due_ms and not self._is_failing

    @property
    def is_failing(self) -> bool:
        """Whether the objects did not answer when they were last asked, so that KV's markers are all there is."""
        return self._is_failing

    def forget(self) -> None:
        """Ask at the next read."""
        self.wanted_ms = self._due_ms = 0

    async def note(self, tags: Sequence[str], invalidation: Invalidation) -> bool:
        """Tell the objects of an invalidation by this isolate; return whether they all have it. Else it is tried again."""
        for tag in tags:
            self._own[tag, invalidation.is_gone] = invalidation.at_ms
        by_shard: dict[int, list[str]] = {}
        for tag in tags:
            by_shard.setdefault(self._shard_of(tag), []).append(tag)
        texts = {shard: note_text(names, invalidation) for shard, names in by_shard.items()}
        if await self._note(texts):
            return True
        self._runtime.background.run(self._note_again(texts), "tell of an invalidation", WORK_MS)
        return False

    async def queue(self, invalidations: Mapping[str, Invalidation], tags: Mapping[str, str]) -> bool:
        """Leave it to the objects to write markers to KV; return whether they will. `tags` has the tag of a marker's key.

        The object that tells of an invalidation also has its marker, and tells of it until KV has taken that.
        """
        by_shard: dict[int, dict[str, Invalidation]] = {}
        for key, invalidation in invalidations.items():
            by_shard.setdefault(self._shard_of(tags[key]) if key in tags else 0, {})[key] = invalidation
        texts = {shard: queue_text(some, tags) for shard, some in by_shard.items()}
        try:
            return all(await asyncio.gather(*(self._objects.queue(shard, text) for shard, text in texts.items())))
        except Exception as error:  # noqa: BLE001 - whatever the binding raises, the isolate goes on itself
            self._failed(error)
            return False

    async def _note(self, texts: dict[int, str]) -> bool:
        """Send the texts, and keep those that did not arrive."""

        async def send(shard: int, text: str) -> None:
            try:
                await self._objects.note(shard, text)
            except Exception as error:  # noqa: BLE001 - whatever the binding raises, KV has the marker
                self._failed(error)
            else:
                del texts[shard]

        await asyncio.gather(*(send(shard, text) for shard, text in tuple(texts.items())))
        return not texts

    async def _note_again(self, texts: dict[int, str]) -> None:
        end_ms = self._runtime.clock() + WORK_MS
        pause_ms = RETRY_MS
        while self._runtime.clock() + pause_ms < end_ms:
            await self._runtime.sleep(pause_ms / 1000)
            if await self._note(texts):
                return
            pause_ms *= 2
        self._runtime.log.event(
            "error", "tags.not_told", advice="isolates learn of these invalidations from KV, within a minute or so"
        )

    async def ask(self) -> frozenset[str]:
        """Learn what others have invalidated; return those tags. Never raises: KV's markers hold without an answer."""
        now_ms = self._runtime.clock()
        told: set[str] = set()
        try:
            if len(self._places) == 1:
                await self._ask_shard(0, told)
            else:
                await asyncio.gather(*(self._ask_shard(shard, told) for shard in range(len(self._places))))
        except Exception as error:  # noqa: BLE001 - whatever the binding raises, KV's markers hold
            self._failed(error)
        else:
            self._is_failing = False
            self._due_ms = max(self._due_ms, now_ms + self._check_ms)
            self.wanted_ms = self._due_ms - self._check_ms // 2
        return frozenset(told)

    async def _ask_shard(self, shard: int, told: set[str]) -> None:
        place, is_complete = self._places[shard], False
        while not is_complete:
            news = await self._objects.since(shard, place)
            if news.place == place and not news.is_complete:
                raise ValueError(f"the object of shard {shard} says that there is more, and tells nothing")
            told.update(tag for tag, _ in news.told)
            known = self._places[shard]
            if news.place.epoch != known.epoch or news.place.position > known.position:
                # Else another question was answered with the same meanwhile.
                self._learn(news.told)
                self._places[shard] = news.place
            place, is_complete = news.place, news.is_complete

    def _learn(self, told: Iterable[tuple[str, Invalidation]]) -> None:
        for tag, invalidation in told:
            if self._own.get((tag, invalidation.is_gone)) != invalidation.at_ms:
                for learn in self.learners:
                    learn((tag,), invalidation)

    def _failed(self, error: Exception) -> None:
        self._is_failing = True
        self.wanted_ms = self._runtime.clock() + RETRY_MS
        self._runtime.log.event("warning", "tags.unreachable", error=described(error))

    def _shard_of(self, tag: str) -> int:
        return crc32(tag.encode()) % len(self._places)


class FollowingCache(CacheInFront):
    """A cache that follows the invalidations of all isolates before it reads.

    Its observer does not: to ask the objects would change what this isolate knows.
    """

    def __init__(self, entries: EntryCache, shared: SharedMarkers, clock: Callable[[], int]) -> None:
        super().__init__(entries)
        self._shared = shared
        self._clock = clock

    @property
    def is_following(self) -> bool:
        """Whether the objects have answered when they were last asked."""
        return not self._shared.is_failing

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache. Where a read has to wait for the objects, it asks them and the cache together."""
        now_ms = self._clock()
        if now_ms < self._shared.wanted_ms:
            return await self._back.read(key, asked)
        if not self._shared.is_due(now_ms):
            await self._shared.follow()
            return await self._back.read(key, asked)
        asking = asyncio.ensure_future(self._shared.ask())
        entry = await self._back.read(key, asked)
        told = await asking
        if entry is None or told.isdisjoint((*entry.tags, *asked.soft_tags)):
            return entry
        # It may have been read before the objects told of it.
        return await self._back.read(key, asked)

    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return what has become of content; see EntryCache."""
        await self._shared.follow()
        return await self._back.invalidation(tags, since_ms)

    def forget_reads(self) -> None:
        """Ask the objects at the next read; see EntryCache."""
        self._shared.forget()
        self._back.forget_reads()
