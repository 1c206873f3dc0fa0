"""Nobody waits for the store to take a result, and everybody in the isolate has the result at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.fakes.data_cache import Counter, World, counted
from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog

from cache.kv import KVCacheHandler
from cache.memory import MemoryCacheHandler
from cache.tiered import TieredCacheHandler
from datacache.cached import cached
from datacache.context import revalidate_path, revalidate_tag
from datacache.life import cache_life
from pages.policy import Rendering, rendering_as

# No test that passes takes as long.
_LIMIT_SECONDS = 2


class Store:
    """A data cache on KV, with memory in front if wanted, whose writes of entries begin and do not end until they may."""

    def __init__(self, *, memory: bool) -> None:
        clock, background, log = FakeClock(), FakeBackground(), FakeLog()
        self.kv = InMemoryKV(clock, before=self._before)
        self.may_write = asyncio.Event()
        self.failure: Exception | None = None
        handler: Any = KVCacheHandler(self.kv, clock=clock, background=background, log=log)
        if memory:
            handler = TieredCacheHandler(MemoryCacheHandler(1_000_000, clock), handler, clock=clock)
        self.world = World(clock=clock, background=background, log=log, handler=handler)

    async def _before(self, operation: str, key: str) -> None:
        if operation == "put" and key.startswith("cache:"):
            async with asyncio.timeout(_LIMIT_SECONDS):
                await self.may_write.wait()
            if self.failure is not None:
                raise self.failure

    async def end_writes(self) -> None:
        self.may_write.set()
        assert await self.world.background.done() == []


@pytest.fixture(params=[True, False], ids=["memory in front", "KV alone"])
async def store(request: pytest.FixtureRequest) -> Store:
    return Store(memory=request.param)


async def test_a_call_does_not_wait_for_the_store(store: Store) -> None:
    work, counter = counted(tags=["posts"])
    assert [(await work(number))["call"] for number in (1, 2, 3, 1, 2, 3)] == [1, 2, 3, 1, 2, 3]
    assert store.kv.stored == {}
    await store.end_writes()
    assert len(store.kv.stored) == 3
    store.world.cache.entries.forget_reads()
    assert ((await work(1))["call"], counter.calls) == (1, 3)
    assert store.world.cache.unwritten == {}


async def test_with_memory_in_front_the_store_is_not_asked_for_what_was_just_made() -> None:
    store = Store(memory=True)
    work, _ = counted()
    await work()
    asked = store.kv.count("get")
    await work()
    assert store.kv.count("get") == asked
    await store.end_writes()


@pytest.mark.parametrize(("profile", "first"), [(None, 2), ("max", 1)])
async def test_an_invalidation_reaches_a_result_that_is_being_written(store: Store, profile: str | None, first: int) -> None:
    work, _ = counted(tags=["posts"])
    await work()
    store.world.clock.pass_seconds(5)
    await revalidate_tag("posts", profile=profile)
    store.world.clock.pass_seconds(5)
    assert (await work())["call"] == first
    for _ in range(10):
        await asyncio.sleep(0)
    assert (await work())["call"] == 2
    await store.end_writes()
    assert (await work())["call"] == 2


async def test_the_invalidation_of_a_page_reaches_a_result_that_is_being_written(store: Store) -> None:
    work, _ = counted()
    await work()
    store.world.clock.pass_seconds(5)
    await revalidate_path("/a")
    store.world.clock.pass_seconds(5)
    with rendering_as(Rendering("/b")):
        assert (await work())["call"] == 1
    with rendering_as(Rendering("/a")):
        assert [(await work())["call"] for _ in range(2)] == [2, 2]
    await store.end_writes()


@pytest.mark.parametrize(("passed", "calls"), [(59, [1, 1]), (61, [1, 1]), (3601, [2, 2])], ids=["fresh", "stale", "expired"])
async def test_a_result_that_is_being_written_gets_old(store: Store, passed: float, calls: list[int]) -> None:
    counter = Counter()

    @cached()
    async def work() -> int:
        cache_life("minutes")
        return counter.next()

    assert await work() == 1
    store.world.clock.pass_seconds(passed)
    assert [await work(), await work()] == calls
    await store.end_writes()


async def test_a_newer_result_is_returned_in_place_of_the_one_in_the_store(store: Store) -> None:
    work, _ = counted(revalidate=60)
    store.may_write.set()
    await work()
    await store.end_writes()
    store.may_write.clear()
    store.world.clock.pass_seconds(61)
    with rendering_as(Rendering("/", is_for_cache=True)):
        assert [(await work())["call"] for _ in range(2)] == [2, 2]
    await store.end_writes()


async def test_a_write_that_ends_while_the_store_is_asked_is_seen() -> None:
    store = Store(memory=False)
    work, _ = counted()
    await work()
    asked = store.kv.get

    async def get_late(key: str, *, streamed: bool = False) -> Any:
        found = await asked(key, streamed=streamed)
        await store.end_writes()
        return found

    store.kv.get = get_late  # type: ignore[method-assign]  # the store is late
    assert (await work())["call"] == 1


async def test_a_result_that_the_store_does_not_take_is_one_line_in_the_log(store: Store) -> None:
    work, _ = counted()
    store.failure = OSError("unreachable")
    assert (await work())["call"] == 1
    await store.end_writes()
    assert store.world.log.names() == ["cache.write_failed"]
    assert store.world.cache.unwritten == {}
