from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.noise import noise
from tests.fakes.ports import FakeClock

from cache.entry import AppPageValue
from cache.eviction import Eviction
from cache.handler import SetContext
from cache.memory import MemoryCacheHandler
from core.body import BytesBody

KB = 1024
MB = 1024 * KB


class Cache:
    """Keys of a size in a handler of a capacity."""

    def __init__(self, capacity_bytes: int) -> None:
        self.handler = MemoryCacheHandler(capacity_bytes, FakeClock())

    async def ask(self, key: str, size_bytes: int) -> bool:
        """Ask for a page, which is kept where it was not there; tells whether it was."""
        if await self.handler.get(key) is not None:
            return True
        await self.handler.set(key, AppPageValue(html=BytesBody(noise(size_bytes))))
        return False


def zipf(pages: int, requests: int, seed: int) -> list[int]:
    weights = list(accumulate(1 / rank for rank in range(1, pages + 1)))
    return random.Random(seed).choices(range(pages), cum_weights=weights, k=requests)  # noqa: S311 - no secret


async def test_of_pages_that_are_used_alike_the_oldest_use_goes_first() -> None:
    cache = Cache(40_000)
    for key in "abca":
        await cache.ask(key, 10_000)
    await cache.ask("d", 10_000)
    assert [key for key in "abcd" if key in cache.handler] == ["a", "c", "d"]


async def test_a_small_page_outlasts_a_large_one_and_one_that_is_used_outlasts_both() -> None:
    cache = Cache(100 * KB)
    for _ in range(8):
        await cache.ask("large and used", 40 * KB)
    await cache.ask("small", 5 * KB)
    await cache.ask("large", 40 * KB)
    await cache.ask("new", 20 * KB)
    assert "large" not in cache.handler
    assert all(key in cache.handler for key in ("large and used", "small", "new"))


async def test_a_crawler_that_asks_for_everything_once_leaves_what_is_used() -> None:
    cache = Cache(1 * MB)
    for _ in range(3):
        for number in range(20):
            await cache.ask(f"used {number}", 20 * KB)
    for number in range(1000):
        await cache.ask(f"once {number}", 20 * KB)
        await cache.ask(f"used {number % 20}", 20 * KB)
    assert all(f"used {number}" in cache.handler for number in range(20))


async def test_a_page_that_is_used_no_more_goes_however_often_it_was_used() -> None:
    cache = Cache(1 * MB)
    for _ in range(10_000):
        await cache.ask("yesterday", 10 * KB)
    for number in range(2000):
        await cache.ask(f"today {number}", 20 * KB)
    assert "yesterday" not in cache.handler


async def test_a_large_page_that_is_asked_for_all_the_time_is_kept() -> None:
    """Each of 600 small pages in a tenth of the requests, so that the memory is always full; the large one in each hundredth."""
    cache = Cache(8 * MB)
    found = 0
    for number, page in enumerate(zipf(1000, 20_000, 1)):
        await cache.ask(f"small {page}", 20 * KB)
        if number % 100 == 0:
            found += await cache.ask("large", 2 * MB)
    assert found > 150


async def test_it_finds_more_than_dropping_what_was_not_used_for_longest_does() -> None:
    sizes = [(4, 8, 8, 16, 24, 40, 100)[page % 7] * KB for page in range(2000)]
    asked = zipf(2000, 20_000, 2)
    cache = Cache(12 * MB)
    found = sum([await cache.ask(str(page), sizes[page]) for page in asked])
    assert found > 1.05 * _found_by_lru(asked, sizes, 12 * MB)


def _found_by_lru(asked: list[int], sizes: list[int], capacity_bytes: int) -> int:
    kept: dict[int, None] = {}
    used = found = 0
    for page in asked:
        if page in kept:
            found += 1
            del kept[page]
        else:
            used += sizes[page]
        kept[page] = None
        while used > capacity_bytes:
            oldest = next(iter(kept))
            del kept[oldest]
            used -= sizes[oldest]
    return found


async def test_a_page_that_is_made_again_keeps_its_uses() -> None:
    cache = Cache(100 * KB)
    for _ in range(10):
        await cache.ask("used", 40 * KB)
    await cache.handler.set("used", AppPageValue(html=BytesBody(noise(40 * KB))), SetContext())
    for number in range(20):
        await cache.ask(f"once {number}", 30 * KB)
        if number % 5 == 0:
            assert "used" in cache.handler


Step = tuple[str, str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "use", "remove", "least"]), st.sampled_from("abcdefgh"), st.integers(1, 300_000))
)


@given(STEPS)
def test_the_least_is_what_a_search_through_all_finds(steps: list[Step]) -> None:
    eviction = Eviction()
    uses = {}
    for what, key, size_bytes in steps:
        if what == "add" and key not in uses:
            uses[key] = eviction.add(key, size_bytes)
        elif what == "use" and key in uses:
            eviction.use(uses[key])
        elif what == "remove" and key in uses:
            eviction.remove(uses.pop(key))
        elif what == "least" and uses:
            least = eviction.least()
            assert uses[least].worth() == min(use.worth() for use in uses.values())
            eviction.remove(uses.pop(least))


def test_of_nothing_there_is_no_least() -> None:
    with pytest.raises(IndexError):
        Eviction().least()


def test_what_is_remembered_of_what_has_gone_is_bounded() -> None:
    eviction = Eviction()
    for number in range(100):
        eviction.add(str(number), 1000)
    for number in range(50_000):
        eviction.remove(eviction.add(f"again {number}", 1000))
    assert len(eviction._queue) < 4000
    assert eviction.least() == "0"
