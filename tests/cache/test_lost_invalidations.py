"""Invalidations that KV does not take at once, because it takes one write a second for a key or fails, are not lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.fakes.kv import Colo, InMemoryKV, KVError
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog
from tests.fakes.turns import let_others_run

from cache.entry import AppPageValue, Freshness, freshness
from cache.handler import SetContext, entry_cache
from cache.kv import KVCacheHandler
from cache.marker_writer import FIRST_TRY_MS, RETRY_FOR_MS
from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.body import text_body

if TYPE_CHECKING:
    from collections.abc import Callable

KV_KEEPS_SECONDS = 60
NOTICED_SECONDS = 5
SKEW_MS = 1000
CONTEXT = SetContext(tags=("busy",))


def version_page(version: int) -> AppPageValue:
    return AppPageValue(html=text_body(str(version)), status=200)


@dataclass
class Isolate:
    handler: TieredCacheHandler
    background: FakeBackground
    log: FakeLog

    async def ask(self, newest: int) -> int:
        """Return the version of the page that a visitor gets; the page handler renders the newest one."""
        entry = await self.handler.get("page")
        if entry is None or freshness(entry, self.handler._clock()) is Freshness.STALE:
            await self.handler.set("page", version_page(newest), CONTEXT)
        if entry is None:
            return newest
        assert isinstance(entry.value, AppPageValue)
        return int(entry.value.html.to_bytes())


class Site:
    """Isolates in different locations, whose clocks differ."""

    def __init__(self, layout: Layout, ahead_ms: tuple[int, ...] = (-SKEW_MS // 2, 0, SKEW_MS // 2)) -> None:
        self.clock = FakeClock()
        self.kv = InMemoryKV(self.clock, one_write_a_second=True)
        self.isolates = [self._isolate(layout, ahead_ms) for ahead_ms in ahead_ms]
        self.version = 0

    def _isolate(self, layout: Layout, ahead_ms: int) -> Isolate:
        def clock() -> int:
            return self.clock.now_ms + ahead_ms

        background, log = FakeBackground(), FakeLog()
        back = KVCacheHandler(
            Colo(self.kv),
            clock=clock,
            background=background,
            log=log,
            layout=layout,
            tag_cache_ms=2500,
            clock_skew_ms=SKEW_MS,
            sleep=self.clock.sleep,
        )
        front = MemoryCacheHandler(1_000_000, clock)
        return Isolate(TieredCacheHandler(front, back, clock=clock, recheck_ms=2500), background, log)

    async def invalidate(self, isolate: Isolate, seconds: float | None = None) -> None:
        self.version += 1
        await isolate.handler.revalidate_tag("busy", expire_seconds=seconds)

    async def pass_seconds(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.clock.pass_seconds(0.1)
            for _ in range(10):
                await asyncio.sleep(0)

    async def end(self) -> None:
        """Let everything be written and passed on; nothing may go on in the background after that."""
        await self.pass_seconds(RETRY_FOR_MS / 1000 + KV_KEEPS_SECONDS + NOTICED_SECONDS)
        for isolate in self.isolates:
            assert all(task.done() for _, task in isolate.background.tasks)
            assert await isolate.background.done() == []
            assert "cache.invalidation_lost" not in isolate.log.names()


@pytest.mark.parametrize(("layout", "seconds"), [(Layout.VINEXT, None), (Layout.FRAMED, 3600)], ids=["gone", "stale"])
async def test_the_busiest_tag_is_up_to_date_in_every_isolate_in_the_end(layout: Layout, seconds: float | None) -> None:
    """Three isolates invalidate it ten times a second for a minute, and serve a page of it all the time."""
    site = Site(layout)
    for _ in range(600):
        for isolate in site.isolates:
            await site.invalidate(isolate, seconds)
            await isolate.ask(site.version)
        await site.pass_seconds(0.1)
    await site.end()
    for isolate in site.isolates:
        if seconds is not None:
            await isolate.ask(site.version)  # and may get the old page once more
        assert await isolate.ask(site.version) == site.version


@pytest.mark.parametrize("layout", Layout)
async def test_of_two_invalidations_within_a_second_none_is_lost(layout: Layout) -> None:
    site = Site(layout)
    first, second, third = site.isolates
    await first.ask(0)
    await site.invalidate(first)
    await site.pass_seconds(0.5)
    await third.ask(site.version)
    await site.invalidate(second)
    await site.end()
    assert [await isolate.ask(site.version) for isolate in site.isolates] == [2, 2, 2]


async def test_a_marker_that_is_written_late_replaces_no_invalidation_of_somebody_else() -> None:
    """The one that is late is older. Its marker would bring back a page from between the two, if it stated its own time."""
    site = Site(Layout.VINEXT, (0, 0, 0))
    first, second, third = site.isolates
    await site.kv.put("__tag:busy", "0")
    await site.pass_seconds(0.1)
    await site.invalidate(first)  # refused
    await site.pass_seconds(0.95)
    await third.ask(site.version)
    await site.pass_seconds(0.05)
    await site.invalidate(second)
    invalidated_ms = site.clock.now_ms
    await site.end()
    assert int(site.kv.texts()["__tag:busy"]) > invalidated_ms
    assert [await isolate.ask(site.version) for isolate in site.isolates] == [2, 2, 2]


def puts(subject: FakeSubject, key: str) -> int:
    return subject.kv.operations.count(("put", key))


def when(subject: FakeSubject, fails: Callable[[str, int], bool]) -> list[tuple[str, int]]:
    """Let the writes fail for which that holds, by their key and the milliseconds since now; return all as they come."""
    begun_ms = subject.now_ms()
    seen: list[tuple[str, int]] = []

    async def before(operation: str, key: str) -> None:
        if operation == "put":
            seen.append((key, subject.now_ms() - begun_ms))
            if fails(*seen[-1]):
                raise KVError("KV PUT failed: 503 Service Unavailable")

    subject.kv.before = before
    return seen


async def test_a_key_is_tried_at_most_once_a_second_and_with_its_newest_time() -> None:
    subject = FakeSubject(kv)
    seen = when(subject, lambda _key, _ms: False)
    for _ in range(50):
        await subject.handler.revalidate_tag("t")
        subject.pass_seconds(0.1)
    await subject.settle()
    times = [ms for key, ms in seen if key == "__tag:t"]
    assert len(times) >= 4
    assert all(later - earlier >= 1000 for earlier, later in pairwise(times))
    assert int(subject.kv.texts()["__tag:t"]) >= subject.now_ms() - 1000


async def test_a_store_that_is_back_in_time_gets_every_marker() -> None:
    subject = FakeSubject(kv)
    seen = when(subject, lambda _key, ms: ms < 20_000)
    assert await entry_cache(subject.handler).invalidate(["a", "b"]) == ("a", "b")
    await subject.settle()
    assert {"__tag:a", "__tag:b", "__last-invalidation"} <= subject.kv.stored.keys()
    assert len(seen) <= 3 * 7
    assert subject.log.names() == []


async def test_what_could_not_be_written_in_the_end_is_one_line_that_says_what() -> None:
    subject = FakeSubject(kv)
    when(subject, lambda key, _ms: key != "__tag:a")
    before_ms = subject.now_ms()
    assert await entry_cache(subject.handler).invalidate(["a", "b"]) == ("a", "b")  # without the time, nobody looks for a marker
    await subject.settle()
    assert subject.now_ms() - before_ms <= RETRY_FOR_MS
    [(level, event, fields)] = subject.log.lines
    assert (level, event, fields["keys"]) == ("error", "cache.invalidation_lost", ["__last-invalidation", "__tag:b"])
    assert fields["error"] == "KVError: KV PUT failed: 503 Service Unavailable"
    assert "invalidate them again" in str(fields["advice"])


async def test_a_write_that_hangs_until_the_work_is_given_up_is_said() -> None:
    subject = FakeSubject(kv)
    when(subject, lambda key, _ms: key == "__tag:a")
    await subject.handler.revalidate_tag("a")

    async def hang(_operation: str, _key: str) -> None:
        await asyncio.Event().wait()

    subject.kv.before = hang
    subject.pass_seconds(1)
    await let_others_run()
    for _, task in subject.background.tasks:
        task.cancel()
    await let_others_run()
    assert [fields["keys"] for _, event, fields in subject.log.lines if event == "cache.invalidation_lost"] == [["__tag:a"]]


async def test_work_that_the_platform_has_ended_is_said_by_the_next_invalidation() -> None:
    subject = FakeSubject(kv)

    async def never(_seconds: float) -> None:
        await asyncio.Event().wait()

    handler = KVCacheHandler(subject.kv, clock=subject.clock, background=subject.background, log=subject.log, sleep=never)
    when(subject, lambda key, _ms: key == "__tag:a")
    await handler.revalidate_tag("a")
    subject.pass_seconds(90)
    await handler.revalidate_tag("b")
    assert [fields["keys"] for _, event, fields in subject.log.lines if event == "cache.invalidation_lost"] == [["__tag:a"]]


async def test_a_write_that_never_ends_keeps_its_key_for_a_while_only() -> None:
    subject = FakeSubject(kv)

    async def hang(operation: str, key: str) -> None:
        if (operation, key) == ("put", "__tag:a"):
            await asyncio.Event().wait()

    subject.kv.before = hang
    hanging = asyncio.ensure_future(subject.handler.revalidate_tag("a"))
    await let_others_run()
    subject.kv.before = None
    subject.background.tasks.clear()
    subject.pass_seconds(1)
    assert await entry_cache(subject.handler).invalidate(["a"]) == ("a",)
    await subject.settle()
    assert int(subject.kv.texts()["__tag:a"]) == subject.now_ms()
    hanging.cancel()


async def test_of_very_many_markers_the_visitor_waits_for_some() -> None:
    """Six are written at a time, each in half a second here; the others follow in the background."""
    subject = FakeSubject(kv)
    tags = [f"t{number}" for number in range(400)]
    at_once = 0
    most = 0

    async def slow(operation: str, key: str) -> None:
        nonlocal at_once, most
        if operation == "put":
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            if at_once:  # the first of a group lets the time pass
                subject.pass_seconds(0.5)
            at_once = 0

    subject.kv.before = slow
    before_ms = subject.now_ms()
    unwritten = await entry_cache(subject.handler).invalidate(tags)
    assert most == 6
    assert subject.now_ms() - before_ms <= FIRST_TRY_MS + 500
    assert 0 < len(unwritten) < len(tags)
    assert set(unwritten).isdisjoint(tag for tag in tags if f"__tag:{tag}" in subject.kv.stored)
    await subject.settle()
    assert all(f"__tag:{tag}" in subject.kv.stored for tag in tags)


# Content that this isolate made after its own invalidation is valid. Others cannot tell by their clocks, and render it once more.


async def test_what_is_made_after_an_invalidation_is_valid_here_and_after_the_difference_of_clocks_everywhere() -> None:
    subject = FakeSubject(lambda subject: kv(subject, clock_skew_ms=SKEW_MS))
    other = kv(subject, clock_skew_ms=SKEW_MS)
    for made_after_ms, is_valid_elsewhere in ((0, False), (SKEW_MS - 1, False), (SKEW_MS + 1, True)):
        subject.pass_seconds(10)
        await subject.handler.revalidate_tag("busy")
        subject.clock.now_ms += made_after_ms
        await subject.handler.set("page", version_page(1), CONTEXT)
        assert await subject.handler.get("page") is not None
        assert (await other.get("page") is not None) is is_valid_elsewhere
    await subject.settle()


@pytest.mark.parametrize("expire_seconds", [None, 60], ids=["gone", "stale"])
async def test_an_invalidation_holds_against_what_a_faster_clock_has_dated_later(expire_seconds: float | None) -> None:
    subject = FakeSubject(lambda subject: kv(subject, clock_skew_ms=SKEW_MS))

    def fast_clock() -> int:
        return subject.now_ms() + SKEW_MS

    fast = KVCacheHandler(subject.kv, clock=fast_clock, background=subject.background, clock_skew_ms=SKEW_MS)
    third = kv(subject, clock_skew_ms=SKEW_MS)
    await fast.set("page", version_page(1), CONTEXT)
    await subject.handler.revalidate_tag("busy", expire_seconds=expire_seconds)
    subject.pass_seconds(10)
    for handler in (subject.handler, third, fast):
        entry = await handler.get("page")
        if expire_seconds is None:
            assert entry is None
        else:
            assert entry is not None
            assert (entry.revalidate_at_ms or 0) < subject.now_ms()
    await subject.settle()


async def test_memory_that_has_a_page_of_a_faster_clock_drops_it_at_once() -> None:
    clock = FakeClock()
    memory = MemoryCacheHandler(1_000_000, clock)
    await memory.set("page", version_page(1), SetContext(tags=("busy",), last_modified_ms=clock.now_ms + SKEW_MS))
    await memory.revalidate_tag("busy")
    assert await memory.get("page") is None
