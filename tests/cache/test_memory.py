from __future__ import annotations

import asyncio
import random
import sys
from typing import TYPE_CHECKING, TypeVar, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.fakes.noise import noise
from tests.fakes.ports import START_MS, FakeClock, FakeLog

from cache.entry import AppPageValue, FetchValue, PagesValue
from cache.handler import SetContext
from cache.memory import MemoryCacheHandler
from core.body import BytesBody, text_body
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def page(size: int) -> AppPageValue:
    """Return a page that compression does not make smaller."""
    return AppPageValue(html=BytesBody(noise(size)))


async def kept(handler: MemoryCacheHandler, keys: str) -> str:
    return "".join([key for key in keys if await handler.get(key) is not None])


async def test_the_least_recently_used_entry_goes_first() -> None:
    handler = MemoryCacheHandler(40_000, FakeClock())
    for key in "abc":
        await handler.set(key, page(10_000))
    await handler.get("a")
    await handler.set("d", page(10_000))
    assert await kept(handler, "abcd") == "acd"
    assert handler.size_bytes <= 40_000


async def test_an_entry_larger_than_the_bound_is_not_kept_and_takes_nothing_with_it() -> None:
    handler = MemoryCacheHandler(10_000, FakeClock())
    await handler.set("a", page(10))
    await handler.set("b", page(10_001))
    assert await kept(handler, "ab") == "a"
    await handler.set("a", page(10_001))
    assert (len(handler), handler.size_bytes) == (0, 0)


async def test_a_bound_of_0_switches_it_off() -> None:
    handler = MemoryCacheHandler(0, FakeClock())
    await handler.set("a", AppPageValue())
    await handler.revalidate_tag("t")
    assert await handler.get("a") is None
    assert await handler.is_invalidated(["t"], START_MS)


async def test_keys_headers_tags_and_other_fields_are_counted() -> None:
    sizes = []
    for key, value, tags in (
        ("k", AppPageValue(), ()),
        ("k" * 5000, AppPageValue(), ()),
        ("k", AppPageValue(headers={"x" * 2500: ["y" * 2500]}), ()),
        ("k", AppPageValue(extra={"a": {"b": ["z" * 5000]}}), ()),
        ("k", FetchValue(headers={}, body="b" * 5000, url=""), ()),
        ("k", AppPageValue(), tuple(f"{number:0200}" for number in range(25))),
    ):
        handler = MemoryCacheHandler(1_000_000, FakeClock())
        await handler.set(key, value, SetContext(tags=tags))
        sizes.append(handler.size_bytes)
    assert all(size - sizes[0] >= 5000 - 500 for size in sizes[1:])


async def test_a_body_is_kept_as_it_is() -> None:
    handler = MemoryCacheHandler(10_000, FakeClock())
    value = page(10)
    await handler.set("a", value)
    entry = await handler.get("a")
    assert entry is not None
    assert entry.value is value


async def test_invalidating_a_tag_looks_at_its_own_entries_only() -> None:
    handler = MemoryCacheHandler(10_000_000, FakeClock())
    for number in range(500):
        await handler.set(str(number), AppPageValue(), SetContext(tags=(f"t{number}",)))
    await handler.revalidate_tag("t7")
    assert len(handler) == 499
    assert "7" not in handler


async def test_forgotten_markers_leave_a_floor_that_nothing_old_passes() -> None:
    clock = FakeClock()
    handler = MemoryCacheHandler(1_000_000, clock, marker_capacity=3)
    built_ms = clock.now_ms
    clock.pass_seconds(10)
    await handler.revalidate_tag("page")
    clock.pass_seconds(10)
    for number in range(5):
        await handler.revalidate_tag(f"other-{number}")
    assert await handler.is_invalidated(["page"], built_ms)
    assert await handler.is_invalidated(["never heard of"], built_ms)
    assert not await handler.is_invalidated(["page"], clock.now_ms + 1)
    await handler.set("seed", AppPageValue(), SetContext(tags=("page",), last_modified_ms=built_ms))
    await handler.set("untagged", AppPageValue(), SetContext(last_modified_ms=built_ms))
    await handler.set("new", AppPageValue(), SetContext(tags=("page",)))
    assert "seed" not in handler
    assert "untagged" in handler
    clock.pass_seconds(1)
    await handler.set("new", AppPageValue(), SetContext(tags=("page",)))
    assert "new" in handler


async def test_an_invalid_seed_leaves_what_is_there() -> None:
    handler = MemoryCacheHandler(1_000_000, FakeClock())
    await handler.revalidate_tag("t")
    await handler.set("k", page(1), SetContext(tags=("t",)))
    await handler.set("k", page(2), SetContext(tags=("t",), last_modified_ms=START_MS - 1))
    entry = await handler.get("k")
    assert entry is not None
    assert entry.value == page(1)


async def test_an_invalid_tag_is_logged_once() -> None:
    log = FakeLog()
    handler = MemoryCacheHandler(1_000_000, FakeClock(), log=log)
    for _ in range(3):
        await handler.set("k", AppPageValue(), SetContext(tags=("x" * 257, "ok")))
    assert log.names() == ["cache.tag_invalid"]


async def test_requests_that_interleave_leave_it_whole() -> None:
    """Steps of many requests alternate; sizes and indexes must agree afterwards."""
    clock = FakeClock()
    handler = MemoryCacheHandler(60_000, clock)
    order = random.Random(7)  # noqa: S311 - an order that is the same each time

    async def request(number: int) -> None:
        for step in range(40):
            await asyncio.sleep(0)
            key, tag = f"k{order.randrange(20)}", f"t{order.randrange(6)}"
            match order.randrange(4):
                case 0:
                    await handler.set(key, page(order.randrange(9000)), SetContext(tags=(tag,), revalidate=number + step + 1))
                case 1:
                    await handler.get(key)
                case 2:
                    await handler.revalidate_tag(tag)
                case _:
                    clock.pass_seconds(1)

    await asyncio.gather(*map(request, range(10)))
    check(handler)


def check(handler: MemoryCacheHandler) -> None:
    for place in (handler._as_they_came, handler._compressed):
        assert place.size_bytes == sum(stored.use.size_bytes for stored in handler._kept.values() if stored.place is place)
    assert handler.size_bytes <= handler._capacity_bytes
    indexed = {(name, key) for name in handler._index for key in handler._index.keys(name)}
    assert indexed == {(name, key) for key, stored in handler._kept.items() for name in stored.names}
    assert all(handler._index.keys(name) for name in handler._index)


class MemoryMachine(RuleBasedStateMachine):
    """Against a model without bounds: a value that the memory returns was written last, and not invalidated since."""

    keys = st.sampled_from("abcdef")
    tags = st.sampled_from("tuvw")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.handler = MemoryCacheHandler(30_000, self.clock)
        self.model: dict[str, tuple[int, set[str], bytes]] = {}
        self.count = 0

    def run(self, work: Coroutine[object, None, T]) -> T:
        try:
            work.send(None)
        except StopIteration as done:
            return cast("T", done.value)
        raise AssertionError("the memory awaited something")

    @rule(key=keys, tags=st.sets(tags), size=st.integers(0, 15_000), share_of_noise=st.floats(0, 1))
    def set(self, key: str, tags: set[str], size: int, share_of_noise: float) -> None:
        self.count += 1
        noise_bytes = int(size * share_of_noise)
        body = key.encode() * (size - noise_bytes) + noise(noise_bytes)
        value = AppPageValue(html=BytesBody(body), status=200 + self.count % 300)
        self.run(self.handler.set(key, value, SetContext(tags=tuple(tags), revalidate=60, expire=600)))
        self.model[key] = (value.status or 0, tags, body)

    @rule(tag=tags)
    def invalidate(self, tag: str) -> None:
        self.run(self.handler.revalidate_tag(tag))
        self.model = {key: kept for key, kept in self.model.items() if tag not in kept[1]}

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds: int) -> None:
        self.clock.pass_seconds(seconds)

    @rule(key=keys, times=st.sampled_from([1, 1, 1, 20]))
    def get(self, key: str, times: int) -> None:
        for _ in range(times):
            entry = self.run(self.handler.get(key))
            if entry is not None:
                assert key in self.model
                assert isinstance(entry.value, AppPageValue)
                assert entry.value.status == self.model[key][0]
                assert entry.value.html.to_bytes() == self.model[key][2]

    @invariant()
    def whole(self) -> None:
        check(self.handler)


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=30)


@pytest.mark.parametrize("capacity", [-1, 1.5, "1", None, True])
def test_a_wrong_bound_is_named(capacity: object) -> None:
    with pytest.raises(InvalidArgumentError, match="capacity_bytes"):
        MemoryCacheHandler(capacity, FakeClock())  # type: ignore[arg-type]


async def test_text_and_its_percent_encoded_form_are_one_tag() -> None:
    handler = MemoryCacheHandler(1_000_000, FakeClock())
    await handler.set("k", AppPageValue(html=text_body("")), SetContext(tags=("日",)))
    await handler.revalidate_tag("%E6%97%A5")
    assert await handler.get("k") is None


async def test_two_spellings_of_one_tag_are_one() -> None:
    """Schema V1 writes non-ASCII as it is, V2 percent-encodes it: a page of a build may carry both."""
    memory = MemoryCacheHandler(1_000_000, FakeClock())
    for key in ("a", "b"):
        await memory.set(key, page(10), SetContext(tags=("é", "%C3%A9", "t")))
    await memory.set("a", page(10), SetContext(tags=("é", "%C3%A9")))
    await memory.revalidate_tag("t")
    assert [await memory.get(key) is None for key in ("a", "b")] == [False, True]
    await memory.revalidate_tag("é")
    assert len(memory) == 0


async def test_an_entry_takes_the_room_of_its_tags_in_every_place_that_has_them() -> None:
    """The entry itself, the index by tag, and the keys of the tags in KV."""
    handler = MemoryCacheHandler(10**8, FakeClock())
    tags = tuple(f"/{'x' * 200}/{number}" for number in range(100))
    await handler.set("a", AppPageValue())
    without = handler.size_bytes
    await handler.set("a", AppPageValue(), SetContext(tags=tags))
    assert handler.size_bytes - without > 2 * sum(map(sys.getsizeof, tags)) + 100 * 200


async def test_the_data_of_a_page_takes_the_room_of_its_objects_and_of_its_text() -> None:
    handler = MemoryCacheHandler(10**8, FakeClock())
    data = {"pageProps": {"rows": [{"id": number} for number in range(1000)]}}
    await handler.set("a", PagesValue(html=text_body("<p>"), page_data=data))
    objects = sum(map(sys.getsizeof, data["pageProps"]["rows"]))
    assert handler.size_bytes > objects + len(str(data))
