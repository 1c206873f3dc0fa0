"""Reads that the time of the last invalidation saves, and reads that it must not save."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.fakes.kv import Colo, InMemoryKV, KVError
from tests.fakes.ports import START_MS, FakeBackground, FakeClock, FakeLog

from cache.entry import AppPageValue
from cache.handler import SetContext, entry_cache
from cache.keys import fnv1a64_hex, kv_last_invalidation_key
from cache.kv import KVCacheHandler
from cache.kv_markers import LAST_WRITTEN_EVERY_MS, SETTLING_MS
from cache.marker_writer import FIRST_TRY_MS, RETRY_FOR_MS
from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.body import text_body

LAST = "__last-invalidation"
PAGE = AppPageValue(html=text_body("<p>"), status=200)
HOUR_MS = 3_600_000
SETTLED_SECONDS = SETTLING_MS / 1000 + 1


def framed(**settings: Any) -> FakeSubject:
    return FakeSubject(lambda subject: kv(subject, layout=Layout.FRAMED, **settings))


async def quiet(**settings: Any) -> FakeSubject:
    """Return a cache with a page under the tags `a` and `b` in which nothing was invalidated for an hour."""
    subject = framed(**settings)
    await subject.kv.put(LAST, str(subject.now_ms() - HOUR_MS))
    await subject.handler.set("k", PAGE, SetContext(tags=("a", "b")))
    subject.kv.operations.clear()
    return subject


def reads(subject: FakeSubject) -> list[str]:
    found = [key for operation, key in subject.kv.operations if operation == "get_texts"]
    subject.kv.operations.clear()
    return found


async def test_where_nothing_was_invalidated_since_a_page_was_made_one_key_is_read_for_all() -> None:
    subject = await quiet()
    await subject.handler.set("other", PAGE, SetContext(tags=("c",)))
    for key in ("k", "other", "k"):
        assert await subject.handler.get(key) is not None
    assert reads(subject) == [LAST]
    subject.pass_seconds(5)
    for key in ("other", "k"):
        assert await subject.handler.get(key) is not None
    assert not await subject.handler.is_invalidated(["c", "d"], subject.now_ms())
    assert reads(subject) == [LAST]


async def test_pages_older_than_the_last_invalidation_are_checked_once_it_has_settled() -> None:
    subject = await quiet()
    await kv(subject).revalidate_tag("other")
    subject.kv.operations.clear()
    for seconds, expected in (
        (1, [LAST, "__last-stale,__tag:a,__tag:b"]),
        (5, [LAST, "__last-stale,__tag:a,__tag:b"]),
        (SETTLED_SECONDS, [LAST, "__last-stale,__tag:a,__tag:b"]),
        (5, [LAST]),
        (HOUR_MS / 1000, [LAST]),
    ):
        subject.pass_seconds(seconds)
        assert await subject.handler.get("k") is not None
        assert reads(subject) == expected


async def test_a_page_and_the_time_of_the_last_invalidation_are_read_at_once() -> None:
    subject = await quiet()
    begun: list[str] = []
    both = asyncio.Event()

    async def wait_for_both(operation: str, _key: str) -> None:
        begun.append(operation)
        if len(begun) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 5)

    subject.kv.before = wait_for_both
    assert await subject.handler.get("k") is not None
    assert sorted(begun) == ["get", "get_texts"]


async def test_where_that_time_cannot_be_read_the_page_is_a_miss_and_one_line() -> None:
    subject = await quiet()

    async def refuse(operation: str, _key: str) -> None:
        if operation == "get_texts":
            raise KVError("KV GET failed: 500 Internal Server Error")

    subject.kv.before = refuse
    assert await subject.handler.get("k") is None
    assert subject.log.names() == ["cache.read_failed"]


async def test_an_invalidation_elsewhere_is_seen_after_5_seconds() -> None:
    subject = await quiet()
    assert await subject.handler.get("k") is not None
    await kv(subject).revalidate_tag("b")
    assert await subject.handler.get("k") is not None
    subject.pass_seconds(5)
    assert await subject.handler.get("k") is None


async def test_without_a_time_of_the_last_invalidation_markers_are_read_and_it_is_written() -> None:
    subject = framed()
    await subject.handler.set("k", PAGE, SetContext(tags=("a",)))
    await kv(subject).revalidate_tag("a")
    await subject.kv.delete(LAST)
    begun_ms = subject.now_ms() + 1000
    subject.clock.now_ms = begun_ms
    assert await subject.handler.get("k") is None
    await subject.settle()
    assert subject.kv.texts()[LAST] == str(begun_ms)
    other = kv(subject, layout=Layout.FRAMED)
    assert await other.is_invalidated(["a"], START_MS)
    await subject.settle()
    assert [key for operation, key in subject.kv.operations if operation == "put"].count(LAST) == 2


@pytest.mark.parametrize("text", ["soon", "", "1e999"])
async def test_an_invalid_time_saves_no_reads(text: str) -> None:
    subject = await quiet()
    await subject.kv.put(LAST, text)
    for _ in range(2):
        subject.pass_seconds(6)
        assert await subject.handler.get("k") is not None
        assert "__tag:a" in reads(subject)[1]


async def test_with_vinext_s_layout_others_may_invalidate_without_writing_the_time() -> None:
    subject = FakeSubject(kv)
    await subject.kv.put(LAST, str(subject.now_ms() - HOUR_MS))
    await subject.handler.set("k", PAGE, SetContext(tags=("a",)))
    await subject.kv.put("__tag:a", str(subject.now_ms()))
    assert await subject.handler.get("k") is None


async def test_it_is_written_at_most_twice_a_minute_by_an_isolate() -> None:
    subject = framed()
    for _ in range(601):
        await subject.handler.revalidate_tag("t")
        subject.pass_seconds(0.1)
    assert [key for operation, key in subject.kv.operations if operation == "put"].count(LAST) == 3


async def test_an_invalidation_whose_time_cannot_be_written_is_not_written_yet() -> None:
    subject = framed()

    async def refuse(operation: str, key: str) -> None:
        if (operation, key) == ("put", LAST):
            raise KVError("KV PUT failed: 500 Internal Server Error")

    subject.kv.before = refuse
    assert await entry_cache(subject.handler).invalidate(["a", "b"]) == ("a", "b")
    subject.kv.before = None
    await subject.settle()
    assert LAST in subject.kv.stored


@pytest.mark.parametrize(
    ("prefix", "key"), [("", LAST), ("shop", f"shop:{LAST}"), ("p" * 600, f"__app:{fnv1a64_hex('p' * 600)}:{LAST}")]
)
def test_its_key_is_that_of_the_app(prefix: str, key: str) -> None:
    assert kv_last_invalidation_key(prefix) == key


KV_KEEPS_MS = 60_000
NOTICED_MS = 5_000
CLOCKS_DIFFER_MS = 2_000
TAGS = [f"t{number}" for number in range(6)]


@dataclass
class Isolates:
    """Isolates on one namespace, each in its own location and with its own clock."""

    layout: Layout
    seed: int
    count: int = 3

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - no secret
        self.time = FakeClock()
        self.kv = InMemoryKV(self.time, one_write_a_second=True)
        self.background = FakeBackground(self.time)
        self.log = FakeLog()
        self.handlers = [self._isolate(self.random.randint(-CLOCKS_DIFFER_MS, CLOCKS_DIFFER_MS)) for _ in range(self.count)]
        # By tag: when it was invalidated, and when KV had that.
        self.invalidated_ms: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))

    async def run(self, steps: int) -> int:
        """Request pages and invalidate tags. Return how many answers came from the cache."""
        hits = 0
        for _ in range(steps):
            # Mostly busy, sometimes quiet for minutes.
            self.time.pass_seconds(self.random.choice([0.1, 0.4, 1, 3, 10, 50, 400]) * self.random.random())
            handler = self.random.choice(self.handlers)
            if self.random.random() < 0.04:
                await self._invalidate(handler)
                continue
            key = f"page{self.random.randrange(8)}"
            tags = tuple(TAGS[number % len(TAGS)] for number in (int(key[-1]), int(key[-1]) // 2))
            entry = await handler.get(key)
            if entry is None:
                made = AppPageValue(html=text_body(str(self.time.now_ms)), status=200)
                await handler.set(key, made, SetContext(tags=tags))
            else:
                hits += 1
                assert isinstance(entry.value, AppPageValue)
                self._check(tags, int(entry.value.html.to_bytes()))
            await self.background.done()
        assert "cache.invalidation_lost" not in self.log.names()
        return hits

    async def _invalidate(self, handler: TieredCacheHandler) -> None:
        tag = self.random.choice(TAGS)
        invalidated_ms = self.time.now_ms
        await handler.revalidate_tag(tag)
        await self.background.done()
        self.invalidated_ms[tag] = (invalidated_ms, self.time.now_ms)

    def _check(self, tags: tuple[str, ...], made_ms: int) -> None:
        for tag in tags:
            invalidated_ms, written_ms = self.invalidated_ms[tag]
            is_known = written_ms <= self.time.now_ms - KV_KEEPS_MS - NOTICED_MS
            assert not (is_known and made_ms < invalidated_ms), f"{tag} since {made_ms}"

    def _isolate(self, ahead_ms: int) -> TieredCacheHandler:
        def clock() -> int:
            return self.time.now_ms + ahead_ms

        known_ms = NOTICED_MS // (2 if self.layout is Layout.FRAMED else 10)
        memory = MemoryCacheHandler(6000, clock)  # two pages of eight
        back = KVCacheHandler(
            Colo(self.kv),
            clock=clock,
            background=self.background,
            layout=self.layout,
            tag_cache_ms=known_ms,
            clock_skew_ms=2 * CLOCKS_DIFFER_MS,
            log=self.log,
            sleep=self.time.sleep,
        )
        return TieredCacheHandler(memory, back, clock=clock, recheck_ms=NOTICED_MS - known_ms)


# The time of the last invalidation saves reads in the framed layout only, so a few seeds are enough for vinext's.
@pytest.mark.parametrize(
    ("layout", "seed"), [*((Layout.FRAMED, seed) for seed in range(20)), *((Layout.VINEXT, seed) for seed in range(4))]
)
async def test_an_invalidated_page_is_served_by_no_isolate_after_the_limit(layout: Layout, seed: int) -> None:
    """KV passes an invalidation on within a minute, and it holds everywhere five seconds later, in either layout."""
    isolates = Isolates(layout, seed)
    assert await isolates.run(1500) > 300


async def test_the_settling_time_covers_every_delay() -> None:
    """The time is written late, and so may be a marker, KV passes both on late, and clocks differ."""
    late_ms = LAST_WRITTEN_EVERY_MS + FIRST_TRY_MS + RETRY_FOR_MS
    assert late_ms + KV_KEEPS_MS + 2 * CLOCKS_DIFFER_MS + NOTICED_MS <= SETTLING_MS
