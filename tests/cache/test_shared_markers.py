"""Several isolates whose KV is a minute late, and the objects that tell them of each other's invalidations."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.flight import FakeFlight
from tests.fakes.kv import Colo, InMemoryKV
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog
from tests.fakes.tag_objects import FakeTagObjects

from cache.entry import AppPageValue, Freshness, freshness
from cache.handler import GetContext, SetContext
from cache.keys import kv_key
from cache.kv import KVCacheHandler
from cache.marker_log import KEPT_MS, News
from cache.memory import MemoryCacheHandler
from cache.shared_markers import RETRY_MS, FollowingCache, SharedMarkers
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.body import text_body
from core.runtime import Runtime

if TYPE_CHECKING:
    from cache.handler import EntryCache
    from cache.marker_log import Place

OLD = AppPageValue(html=text_body("old"))
NEW = AppPageValue(html=text_body("new"))
CONTEXT = SetContext(tags=("t",), revalidate=3600)
SKEW_MS = 1000


@dataclass
class Network:
    """Isolates in locations of their own: what one of them has read from KV it keeps for a minute."""

    check_ms: int = 5000
    shards: int = 1
    layout: Layout = Layout.VINEXT
    memory_bytes: int = 1_000_000
    clock: FakeClock = field(default_factory=FakeClock)
    log: FakeLog = field(default_factory=FakeLog)

    def __post_init__(self) -> None:
        self.kv = InMemoryKV(self.clock)
        self.objects = FakeTagObjects(self.clock)
        self.background = FakeBackground(self.clock)

    def isolate(self, clock: FakeClock | None = None) -> EntryCache:
        clock = clock or self.clock
        runtime = Runtime(FakeFlight(clock, self.log), self.background, clock, self.log, clock.sleep)
        shared = SharedMarkers(self.objects, runtime, check_ms=self.check_ms, shards=self.shards)
        back = KVCacheHandler(
            Colo(self.kv),
            clock=clock,
            background=self.background,
            layout=self.layout,
            clock_skew_ms=SKEW_MS,
            log=self.log,
            sleep=clock.sleep,
            shared=shared,
        )
        if not self.memory_bytes:
            return FollowingCache(back, shared, clock)
        front = MemoryCacheHandler(self.memory_bytes, clock)
        shared.learners.append(lambda tags, invalidation: front.learn(tags, invalidation, SKEW_MS))
        return FollowingCache(TieredCacheHandler(front, back, clock=clock), shared, clock)

    async def two_that_have_read(self) -> tuple[EntryCache, EntryCache]:
        """Two isolates that serve the same old page, and know that nothing was invalidated."""
        one, other = self.isolate(), self.isolate()
        await one.set("k", OLD, CONTEXT)
        assert [await shown(isolate) for isolate in (one, other)] == ["old", "old"]
        self.clock.pass_seconds(10)
        assert [await shown(isolate) for isolate in (one, other)] == ["old", "old"]
        self.clock.pass_seconds(0.001)
        return one, other


async def shown(isolate: EntryCache, key: str = "k") -> str | None:
    entry = await isolate.get(key)
    if entry is None:
        return None
    text: Any = entry.value
    is_stale = freshness(entry, isolate._clock()) is Freshness.STALE  # type: ignore[attr-defined]
    return f"{text.html.to_bytes().decode()}{' stale' if is_stale else ''}"


EVERY_KIND = pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="memory and KV"),
        pytest.param({"memory_bytes": 0}, id="KV alone"),
        pytest.param({"layout": Layout.FRAMED}, id="framed"),
        pytest.param({"shards": 4}, id="four shards"),
    ],
)


@EVERY_KIND
async def test_after_an_invalidation_has_returned_no_isolate_serves_what_it_invalidated(given: dict[str, Any]) -> None:
    network = Network(check_ms=0, **given)
    one, other = await network.two_that_have_read()
    await one.revalidate_tag("t")
    assert [await shown(isolate) for isolate in (one, other, network.isolate())] == [None, None, None]


@EVERY_KIND
async def test_a_stale_invalidation_is_seen_at_once_too(given: dict[str, Any]) -> None:
    network = Network(check_ms=0, **given)
    one, other = await network.two_that_have_read()
    await one.revalidate_tag("t", expire_seconds=60)
    assert [await shown(isolate) for isolate in (one, other, network.isolate())] == ["old stale"] * 3
    network.clock.pass_seconds(61)
    assert [await shown(isolate) for isolate in (one, other)] == [None, None]


@EVERY_KIND
async def test_what_is_made_after_learning_of_an_invalidation_is_served_at_once(given: dict[str, Any]) -> None:
    network = Network(check_ms=0, **given)
    one, other = await network.two_that_have_read()
    await one.revalidate_tag("t")
    assert await shown(other) is None
    network.clock.pass_seconds(0.001)
    await other.set("another", NEW, CONTEXT)
    assert await shown(other, "another") == "new"


async def test_the_first_read_asks_the_objects_and_the_store_together() -> None:
    network = Network(memory_bytes=0)
    await network.isolate().set("k", OLD, CONTEXT)
    is_asked, is_read = asyncio.Event(), asyncio.Event()
    since = network.objects.since

    async def since_while_the_store_is_read(shard: int, place: Place) -> News:
        is_asked.set()
        await asyncio.wait_for(is_read.wait(), 5)
        return await since(shard, place)

    async def while_the_objects_are_asked(operation: str, key: str) -> None:
        del operation, key
        is_read.set()
        await asyncio.wait_for(is_asked.wait(), 5)

    network.objects.since = since_while_the_store_is_read  # type: ignore[method-assign]
    network.kv.before = while_the_objects_are_asked
    assert await shown(network.isolate()) == "old"


@pytest.mark.parametrize("memory_bytes", [0, 1_000_000])
@pytest.mark.parametrize("expire_seconds", [None, 60])
async def test_what_was_read_before_the_objects_told_of_it_is_read_again(memory_bytes: int, expire_seconds: float | None) -> None:
    network = Network(check_ms=0, memory_bytes=memory_bytes)
    one, other = await network.two_that_have_read()
    since = network.objects.since
    is_invalidated = asyncio.Event()

    async def invalidated_meanwhile(shard: int, place: Place) -> News:
        await is_invalidated.wait()
        return await since(shard, place)

    async def invalidate() -> None:
        for _ in range(50):  # the store answers meanwhile
            await asyncio.sleep(0)
        await one.revalidate_tag("t", expire_seconds=expire_seconds)
        is_invalidated.set()

    network.objects.since = invalidated_meanwhile  # type: ignore[method-assign]
    # Both readers ask before either is told.
    expected = None if expire_seconds is None else "old stale"
    _, *seen = await asyncio.gather(invalidate(), shown(other), shown(other))
    assert seen == [expected, expected]


async def test_an_invalidation_of_a_soft_tag_is_seen_at_once() -> None:
    network = Network(check_ms=0)
    one, other = await network.two_that_have_read()
    await one.revalidate_tag("soft")
    assert await other.get("k", GetContext(soft_tags=("soft",))) is None
    assert await shown(other) == "old"


async def test_a_read_for_which_the_objects_tell_of_other_tags_asks_the_store_once() -> None:
    network = Network(memory_bytes=0)
    one = network.isolate()
    await one.set("k", OLD, CONTEXT)
    network.clock.pass_seconds(1)
    await one.revalidate_tag("another")
    network.kv.operations.clear()
    assert await shown(network.isolate()) == "old"
    assert network.kv.operations.count(("get", kv_key("k"))) == 1


async def test_what_was_begun_before_is_not_kept() -> None:
    network = Network(check_ms=0)
    one, other = await network.two_that_have_read()
    begun_ms = network.clock()
    network.clock.pass_seconds(0.1)
    await one.revalidate_tag("t")
    assert await shown(other) is None
    await other.set("k", OLD, SetContext(tags=("t",), revalidate=3600, last_modified_ms=begun_ms))
    assert await shown(other) is None


@pytest.mark.parametrize("ahead_seconds", [-0.9, 0.9])
async def test_clocks_may_differ(ahead_seconds: float) -> None:
    network = Network(check_ms=0)
    ahead = FakeClock(network.clock.now_ms + int(ahead_seconds * 1000))
    one, other = network.isolate(), network.isolate(ahead)
    await other.set("k", OLD, CONTEXT)
    assert await shown(other) == "old"
    await one.revalidate_tag("t")
    assert await shown(other) is None


@pytest.mark.parametrize("is_first", [False, True], ids=["of others", "of its own"])
@EVERY_KIND
async def test_an_invalidation_holds_after_one_by_a_clock_that_is_ahead(given: dict[str, Any], *, is_first: bool) -> None:
    network = Network(check_ms=0, **given)
    behind = FakeClock(network.clock.now_ms - 50)
    first, second = network.isolate(), network.isolate(behind)
    reader = first if is_first else network.isolate()
    await first.revalidate_tag("t")
    assert await shown(reader, "another") is None
    network.clock.pass_seconds(0.001)
    await reader.set("k", OLD, CONTEXT)
    network.clock.pass_seconds(0.01)
    behind.pass_seconds(0.011)
    assert await shown(reader) == "old"
    await second.revalidate_tag("t")
    assert await shown(reader) is None


async def test_an_object_that_lost_its_storage_may_tell_of_an_earlier_time() -> None:
    network = Network(check_ms=0, memory_bytes=0)
    behind = FakeClock(network.clock.now_ms - 50)
    first, second, reader = network.isolate(), network.isolate(behind), network.isolate()
    await first.revalidate_tag("t")
    assert await shown(reader, "another") is None
    network.clock.pass_seconds(0.001)
    await reader.set("k", OLD, CONTEXT)
    assert await shown(reader) == "old"
    network.clock.pass_seconds(0.01)
    network.objects = FakeTagObjects(network.clock)
    for isolate in (second, reader):
        isolate._shared._objects = network.objects  # type: ignore[attr-defined]
    await second.revalidate_tag("t")
    assert await shown(reader) is None


async def test_an_object_that_says_there_is_more_and_tells_nothing_is_asked_no_further() -> None:
    network = Network(check_ms=0)
    isolate = network.isolate()
    await isolate.set("k", OLD, CONTEXT)

    async def tells_nothing(shard: int, place: Place) -> News:
        del shard
        await asyncio.sleep(0)
        return News(place, (), is_complete=False)

    network.objects.since = tells_nothing  # type: ignore[method-assign]
    assert await shown(isolate) == "old"
    assert network.log.names() == ["tags.unreachable"]


async def test_a_copy_by_a_clock_that_is_ahead_of_its_reader_goes_too() -> None:
    network = Network(check_ms=0)
    writer, reader = network.isolate(FakeClock(network.clock.now_ms + 500)), network.isolate()
    await writer.set("k", OLD, CONTEXT)
    assert await shown(reader) == "old"
    await network.isolate().revalidate_tag("t")
    assert await shown(reader) is None


async def test_one_small_question_a_period_serves_all_pages() -> None:
    network = Network(check_ms=5000)
    isolate = network.isolate()
    for name in ("a", "b", "c"):
        await isolate.set(name, OLD, CONTEXT)
    for _ in range(11):
        for name in ("a", "b", "c"):
            assert await isolate.get(name) is not None
        await network.background.done()
        network.clock.pass_seconds(1)
    assert network.objects.calls == ["since"] * 4  # at 0, and then before the five seconds are over


async def test_within_the_period_an_invalidation_elsewhere_is_seen_at_its_end() -> None:
    network = Network(check_ms=5000)
    one, other = await network.two_that_have_read()
    await network.background.done()
    await one.revalidate_tag("t")
    assert await shown(other) == "old"
    network.clock.pass_seconds(5)
    assert await shown(other) is None


async def test_other_tags_stay() -> None:
    network = Network(check_ms=0)
    one, other = await network.two_that_have_read()
    network.kv.operations.clear()
    await one.revalidate_tag("another")
    assert await shown(other) == "old"
    assert network.kv.count("get") == 0


async def test_without_an_answer_kv_holds_and_nobody_waits_again() -> None:
    network = Network(check_ms=0)
    one, other = await network.two_that_have_read()
    network.objects.fault = TimeoutError("VINEXT_TAGS did not answer within 1000 ms")
    assert await one.invalidate(("t",)) == ()  # KV has taken the marker
    assert network.kv.texts()["__tag:t"]
    assert [await shown(isolate) for isolate in (one, other)] == [None, "old"]
    asked = len(network.objects.calls)
    assert await shown(other) == "old"
    assert len(network.objects.calls) == asked
    assert set(network.log.names()) == {"tags.unreachable"}
    network.clock.pass_seconds(61)
    assert await shown(other) is None


async def test_what_an_object_missed_it_is_told_again_and_isolates_catch_up() -> None:
    network = Network(check_ms=0)
    one, other = await network.two_that_have_read()
    network.objects.fault = TimeoutError()
    await one.revalidate_tag("t")
    assert await shown(other) == "old"
    network.objects.fault = None
    assert await network.background.done() == []  # a second passes
    network.clock.pass_seconds(RETRY_MS / 1000)
    assert await shown(other) == "old"  # it does not wait for an object that failed
    await network.background.done()
    assert await shown(other) is None


async def test_an_object_that_never_takes_it_is_said() -> None:
    network = Network(check_ms=0)
    isolate = network.isolate()
    network.objects.fault = RuntimeError("no such method")
    await isolate.revalidate_tag("t")
    assert await network.background.done() == []
    assert network.log.names()[-1] == "tags.not_told"


async def test_with_the_object_alone_an_invalidation_is_confirmed() -> None:
    network = Network(check_ms=0)
    one, other = await network.two_that_have_read()

    async def refuse(operation: str, _key: str) -> None:
        if operation == "put":
            raise OSError("KV is away")

    network.kv.before = refuse
    assert await one.invalidate(("t",)) == ()
    assert await shown(other) is None


@pytest.mark.parametrize("shards", [1, 4])
async def test_an_object_tells_of_what_kv_refuses_however_long(shards: int) -> None:
    network = Network(check_ms=0, shards=shards)
    network.objects.has_kv = True
    one, _ = await network.two_that_have_read()

    async def refuse(operation: str, _key: str) -> None:
        if operation == "put":
            raise OSError("KV is away")

    network.kv.before = refuse
    await one.revalidate_tag("t")
    await network.background.done()
    network.clock.pass_seconds(KEPT_MS / 1000 + 1)
    await one.invalidate(("t-2", "t-3", "t-4", "t-5"))  # the objects forget what they may
    await network.background.done()
    network.kv.before = None
    assert await shown(network.isolate()) is None


async def test_an_object_writes_what_kv_refused_when_the_isolate_is_gone() -> None:
    network = Network(check_ms=0)
    network.objects.has_kv = True
    isolate = network.isolate()

    async def refuse(operation: str, _key: str) -> None:
        if operation == "put":
            raise OSError("KV is away")

    network.kv.before = refuse
    await isolate.revalidate_tag("t")
    assert await network.background.done() == []
    network.kv.before = None
    network.clock.pass_seconds(60)

    async def put(key: str, text: str) -> None:
        await network.kv.put(key, text)

    assert await network.objects.parts()[1].write_some(put) == {}
    assert network.kv.texts()["__tag:t"] == str(network.clock())
    assert "cache.invalidation_lost" not in network.log.names()
