"""The memory that several sites share."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.ports import FakeClock

from cache.entry import AppPageValue, CacheEntry
from cache.memory import MemoryCacheHandler
from cache.pool import FREE_BYTES, MemoryPool
from core.body import text_body

KB = 1024

# It does not compress.
NOISE = "".join(map(chr, random.Random(1).choices(range(33, 127), k=64 * KB)))  # noqa: S311 - the same each time


def page(size_bytes: int, *tags: str, at_ms: int = 0) -> CacheEntry:
    return CacheEntry.make(AppPageValue(html=text_body(NOISE[:size_bytes])), tags, at_ms)


@dataclass
class Sites:
    """The memories of some sites in one pool."""

    capacity_bytes: int
    own_bytes: int = 0
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = MemoryPool(self.capacity_bytes)
        self.memories: list[MemoryCacheHandler] = []

    def add(self) -> MemoryCacheHandler:
        number = len(self.memories)
        share = self.pool.share(self.own_bytes, lambda: self.ended.append(number))
        self.memories.append(MemoryCacheHandler(self.capacity_bytes, FakeClock(), share=share))
        return self.memories[-1]

    def use(self, number: int) -> None:
        self.memories[number].share.used()


def test_a_site_that_floods_the_memory_leaves_each_other_site_its_part() -> None:
    sites = Sites(1000 * KB)
    few = [sites.add() for _ in range(9)]
    flooding = sites.add()
    for number, memory in enumerate(few):
        memory.put(f"/{number}", page(8 * KB))
    for number in range(2000):
        flooding.put(f"/{number}", page(4 * KB))
        assert sites.pool.size_bytes <= 1000 * KB
    assert all(f"/{number}" in memory for number, memory in enumerate(few))
    assert flooding.size_bytes > 500 * KB


def test_what_is_more_than_a_part_is_given_up_first_by_the_site_that_was_asked_least_lately() -> None:
    sites = Sites(100 * KB)
    first, second, third = (sites.add() for _ in range(3))
    first.put("/", page(40 * KB))
    second.put("/", page(40 * KB))
    sites.use(0)
    # It may be compressed, which is not enough.
    for number in range(6):
        third.put(f"/{number}", page(6 * KB))
        sites.use(0)
    assert "/" in first
    assert "/" not in second


def test_a_site_that_nobody_asks_for_makes_room_for_one_that_is_asked() -> None:
    sites = Sites(100 * KB)
    for _ in range(200):
        sites.add().put("/", page(4 * KB))
    kept = [number for number, memory in enumerate(sites.memories) if "/" in memory]
    assert len(kept) > 15
    assert kept == list(range(200 - len(kept), 200))


def test_a_site_ends_when_it_has_no_entries_left_to_give_up() -> None:
    sites = Sites(100 * KB, own_bytes=3000)
    free = FREE_BYTES // 3000
    for _ in range(free):
        sites.add()
    assert not sites.ended
    for _ in range(100):
        sites.add()
    assert sites.ended == list(range(len(sites.ended)))
    assert len(sites.ended) == len(sites.memories) - (FREE_BYTES + 100 * KB) // 3000


def test_a_site_that_has_ended_keeps_nothing_more() -> None:
    sites = Sites(0, own_bytes=FREE_BYTES)
    ended = sites.add()
    sites.add()
    assert sites.ended == [0]
    ended.put("/", page(10))
    sites.use(0)
    assert "/" not in ended
    assert sites.pool.size_bytes == FREE_BYTES


@pytest.mark.parametrize("order", [range(500), [number % 7 for number in range(500)]], ids=["each once", "some again and again"])
def test_an_entry_is_found_by_its_own_site_alone(order: list[int]) -> None:
    sites = Sites(10_000 * KB)
    for _ in range(500):
        sites.add()
    for number in order:
        sites.memories[number].put("/", page(100 + number, "tag"))
    for number in set(order):
        entry = sites.memories[number].use("/")
        assert entry is not None
        assert isinstance(entry.value, AppPageValue)
        assert entry.value.html is not None
        assert entry.value.html.size_bytes == 100 + number


SITES = 5
PART = 60 * KB / 4 / SITES

changes = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "use", "read", "drop", "invalidate"]),
        st.integers(0, SITES - 1),
        st.integers(0, 6),
        st.integers(0, 20_000),
    ),
    max_size=120,
)


class Separate:
    """What sites would have, each in a memory of its own without an end."""

    def __init__(self, sites: Sites) -> None:
        self.sites = sites
        self.wanted: dict[tuple[int, str], CacheEntry] = {}

    async def change(self, act: str, number: int, path: int, size_bytes: int, at_ms: int) -> None:
        memory, key, tag = self.sites.memories[number], f"/{path}", f"tag-{path % 3}"
        if act == "put":
            entry = self.wanted[number, key] = page(size_bytes, tag, "all", at_ms=at_ms)
            memory.put(key, entry)
        elif act == "use":
            self.sites.use(number)
        elif act == "read":
            memory.use(key)
        elif act == "drop":
            memory.drop(key)
            self.wanted.pop((number, key), None)
        else:
            await memory.invalidate([tag])
            for other in range(path % 3, 7, 3):
                self.wanted.pop((number, f"/{other}"), None)

    def check(self) -> None:
        for number, memory in enumerate(self.sites.memories):
            for key in memory._kept:
                found, entry = memory.look_at(key).entry, self.wanted[number, key]
                assert found is not None
                assert (found.last_modified_ms, found.tags) == (entry.last_modified_ms, entry.tags)


@given(changes)
async def test_sites_in_one_memory_are_as_separate_as_in_many(made: list[tuple[str, int, int, int]]) -> None:
    """What a site has is what it has put and not invalidated since; and no other site takes from its part."""
    sites = Sites(60 * KB)
    for _ in range(SITES):
        sites.add()
    separate = Separate(sites)
    for at, (act, number, path, size_bytes) in enumerate(made):
        before = [(set(memory._kept), memory.size_bytes) for memory in sites.memories]
        await separate.change(act, number, path, size_bytes, 10**9 + at)
        separate.check()
        for other, (kept, bytes_before) in enumerate(before):
            if other != number and (bytes_before <= PART or act not in {"put", "read"}):
                assert set(sites.memories[other]._kept) == kept
        assert sites.pool.size_bytes == sum(memory.size_bytes for memory in sites.memories) <= 60 * KB
