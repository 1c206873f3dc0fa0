"""Entries in R2, alone and behind KV: where each lies, and what a fault of R2 costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cache.subjects import FakeSubject, kv_and_r2, r2
from tests.conformance.r2_bucket import RULES
from tests.fakes.kv import Stored
from tests.fakes.ports import FakeBackground, FakeClock
from tests.fakes.r2 import InMemoryR2, R2Error

from cache.entry import AppPageValue, CacheEntry, PagesValue
from cache.handler import DEFAULT_GET, GetContext, SetContext, entry_cache
from cache.keys import KeySchema
from cache.kv import KVCacheHandler
from cache.kv_namespace import MAX_METADATA_BYTES, MAX_VALUE_BYTES
from cache.memory import MemoryCacheHandler
from cache.stored import MAGIC, Layout
from cache.tags import path_tags
from cache.tiered import TieredCacheHandler
from core.body import ArrivingBody, BytesBody, text_body
from core.errors import BrokenBodyError
from core.javascript import json_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.kv_namespace import KVNamespace

LIMIT = 100
SMALL, LARGE = text_body("x" * LIMIT), text_body("y" * (LIMIT + 1))
TAGGED = SetContext(tags=("t",), revalidate=60)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_the_fake_obeys(rule: Callable[[KVNamespace], Awaitable[None]]) -> None:
    await rule(InMemoryR2(FakeClock()))


def both() -> FakeSubject:
    return FakeSubject(lambda subject: kv_and_r2(subject, LIMIT))


async def test_alone_a_body_is_the_object_and_its_head_the_metadata() -> None:
    subject = FakeSubject(r2)
    await subject.handler.set("k", AppPageValue(html=LARGE, status=200), TAGGED)
    found = subject.r2.stored["cache:k"]
    assert found.value == LARGE.data
    assert found.metadata is not None
    assert (found.metadata["tags"], found.metadata["bodySize"]) == (["t"], LARGE.size_bytes)


async def test_a_head_that_is_too_large_for_metadata_precedes_the_body() -> None:
    subject = FakeSubject(r2)
    value = PagesValue(html=LARGE, page_data={"large": "z" * 3000}, status=200)
    await subject.handler.set("k", value, TAGGED)
    found = subject.r2.stored["cache:k"]
    assert found.value.startswith(MAGIC)
    assert found.metadata == {"tags": ["t"]}
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.value == value


async def test_alone_invalidations_are_objects_too() -> None:
    subject = FakeSubject(r2)
    await subject.handler.revalidate_tag("t")
    assert {"__tag:t"} <= set(subject.r2.stored)
    assert subject.kv.operations == []


async def test_with_kv_only_large_bodies_are_in_r2() -> None:
    subject = both()
    await subject.handler.set("small", AppPageValue(html=SMALL, status=200), TAGGED)
    await subject.handler.set("large", AppPageValue(html=LARGE, status=200), TAGGED)
    await subject.handler.revalidate_tag("other")
    assert set(subject.r2.stored) == {"cache:large"}
    assert subject.kv.stored["cache:small"].value == SMALL.data
    assert subject.r2.stored["cache:large"].value == LARGE.data
    pointer, head = subject.kv.stored["cache:large"], subject.r2.stored["cache:large"].metadata
    assert (pointer.value, pointer.metadata) == (b"", {"r2": 1, **(head or {})})
    assert pointer.expiration is not None
    subject.r2.operations.clear()
    assert await subject.handler.get("small") is not None
    assert subject.r2.operations == []


@pytest.mark.parametrize("tag_characters", [*range(600, 1000, 37), 3000])
async def test_a_head_of_any_size_has_room_in_kv_s_metadata_or_goes_with_the_body(tag_characters: int) -> None:
    subject = both()
    tags = tuple("t" * min(200, tag_characters - start) for start in range(0, tag_characters, 200))
    tags = tuple(f"{number}{tag[1:]}" for number, tag in enumerate(tags))
    await subject.handler.set("k", AppPageValue(html=LARGE, status=200), SetContext(tags=tags))
    await subject.settle()
    assert subject.log.lines == []
    assert len(json_text(subject.kv.stored["cache:k"].metadata).encode()) <= MAX_METADATA_BYTES
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.tags == tags
    assert entry.value == AppPageValue(html=LARGE, status=200)


async def test_a_page_that_has_shrunk_or_grown_is_read_from_where_it_was_written_last() -> None:
    subject = both()
    for body in (SMALL, LARGE, SMALL, LARGE):
        await subject.handler.set("k", AppPageValue(html=body), TAGGED)
        entry = await subject.handler.get("k")
        assert entry is not None
        assert entry.value == AppPageValue(html=body)


async def test_a_body_and_its_head_are_of_one_version_while_kv_is_behind() -> None:
    """KV shows an old value for a minute, R2 never."""
    subject = both()
    await subject.handler.set("k", AppPageValue(html=LARGE, headers={"x": "old"}), TAGGED)
    old = subject.kv.stored["cache:k"]
    newer = AppPageValue(html=text_body("z" * 2 * LIMIT), headers={"x": "new"})
    await subject.handler.set("k", newer, TAGGED)
    subject.kv.stored["cache:k"] = old
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.value == newer


async def test_a_page_larger_than_a_value_in_kv_is_stored() -> None:
    subject = FakeSubject(lambda subject: kv_and_r2(subject, MAX_VALUE_BYTES))
    await subject.handler.set("k", AppPageValue(html=BytesBody(bytes(MAX_VALUE_BYTES + 1))), TAGGED)
    assert subject.log.lines == []
    assert await subject.handler.get("k") is not None


async def test_an_entry_whose_body_is_gone_is_a_miss_with_one_line() -> None:
    subject = both()
    await subject.handler.set("k", AppPageValue(html=LARGE), TAGGED)
    subject.r2.stored.clear()
    assert await subject.handler.get("k") is None
    assert [line[1:] for line in subject.log.lines] == [
        ("cache.read_failed", {"key": "cache:k", "error": "LostBodyError: R2 has no object cache:k"})
    ]


@pytest.mark.parametrize("make", [r2, lambda subject: kv_and_r2(subject, LIMIT)], ids=["r2", "kv and r2"])
@pytest.mark.parametrize("error", [R2Error("10001"), TimeoutError("R2 did not answer within 5000 ms")], ids=repr)
async def test_a_bucket_that_fails_costs_the_page_and_one_line(make: Callable[[FakeSubject], object], error: Exception) -> None:
    subject = FakeSubject(make)  # type: ignore[arg-type]
    await subject.handler.set("k", AppPageValue(html=LARGE), TAGGED)

    async def fail(*_: str) -> None:
        raise error

    subject.r2.before = fail
    assert await subject.handler.get("k") is None
    await subject.handler.set("new", AppPageValue(html=LARGE), TAGGED)
    await subject.settle()
    assert subject.log.names() == ["cache.read_failed", "cache.write_failed"]
    assert "cache:new" not in subject.kv.stored


async def test_without_the_bucket_an_entry_of_kv_and_r2_is_a_miss_with_one_line() -> None:
    subject = both()
    await subject.handler.set("k", AppPageValue(html=LARGE), TAGGED)
    alone = FakeSubject(lambda subject: kv_and_r2(subject, LIMIT, has_bucket=False))
    alone.kv.stored.update(subject.kv.stored)
    assert await alone.handler.get("k") is None
    await alone.settle()
    assert alone.log.names() == ["cache.entry_corrupt"]


async def test_a_deleted_entry_is_deleted_in_both() -> None:
    subject = both()
    await subject.handler.set("k", AppPageValue(html=LARGE), TAGGED)
    subject.r2.stored["cache:k"] = Stored(b"cut off", None, subject.r2.stored["cache:k"].metadata)
    subject.pass_seconds(1)
    assert await subject.handler.get("k") is None
    await subject.settle()
    assert "cache:k" not in subject.kv.stored
    assert "cache:k" not in subject.r2.stored


async def test_a_second_write_within_a_second_comes_a_second_later() -> None:
    subject = FakeSubject(r2)
    subject.r2.one_write_a_second = True
    for html in (LARGE, text_body("<p>newer")):
        await subject.handler.set("k", AppPageValue(html=html), TAGGED)
    await subject.settle()
    assert subject.log.names() == []
    entry = await r2(subject).get("k")
    assert entry is not None
    assert entry.value.html.to_bytes() == b"<p>newer"  # type: ignore[union-attr]


async def test_a_path_prefix_is_found_in_listings_of_large_entries() -> None:
    subject = both()
    tags = path_tags(KeySchema.V2, "/docs/a")[:1]
    for number in range(4):
        await subject.handler.set(f"k{number}", AppPageValue(html=LARGE), SetContext(tags=tags))
    await subject.handler.revalidate_by_path_prefix("/docs")
    assert [await subject.handler.get(f"k{number}") for number in range(4)] == [None] * 4


async def test_an_entry_whose_object_was_deleted_keeps_no_path_prefix_from_being_invalidated() -> None:
    subject = both()
    long = tuple(f"{number:03}-{'t' * 200}" for number in range(20))
    tags = (*path_tags(KeySchema.V2, "/docs/a")[:1], *long)
    for key in ("lost", "k"):
        await subject.handler.set(key, AppPageValue(html=LARGE), SetContext(tags=tags))
    del subject.r2.stored["cache:lost"]
    await subject.handler.revalidate_by_path_prefix("/docs")
    assert await subject.handler.get("k") is None


class Arriving(ArrivingBody):
    """A body that comes to its end, or breaks off there."""

    def __init__(self, data: bytes, *, breaks: bool = False) -> None:
        self.size_bytes = LIMIT + 1
        self._rest = data
        self._breaks = breaks

    async def part(self, part_bytes: int) -> bytes | None:
        part, self._rest = self._rest[:part_bytes], self._rest[part_bytes:]
        if not part and self._breaks:
            raise BrokenBodyError("it broke off")
        return part or None

    async def drop(self) -> None: ...


STORES = {"R2 alone": lambda: FakeSubject(r2), "KV and R2": both}


@pytest.mark.parametrize("tags", [("t",), tuple(f"{number:0>200}" for number in range(20))], ids=["a small head", "a large head"])
@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
async def test_a_body_that_is_still_arriving_is_stored_in_parts_and_read_whole(
    make: Callable[[], FakeSubject], tags: tuple[str, ...]
) -> None:
    subject = make()
    memory = MemoryCacheHandler(1_000_000, subject.clock)
    handler = TieredCacheHandler(memory, subject.handler, clock=subject.clock)
    await handler.write("k", CacheEntry.make(AppPageValue(html=LARGE, status=200), tags, subject.clock(), 60))
    await handler.write("k", CacheEntry.make(AppPageValue(html=Arriving(b"z" * 150), status=200), tags, subject.clock(), 60))
    assert ("k" in memory, set(subject.r2.stored)) == (False, {"cache:k"})
    entry = await handler.read("k")
    assert entry is not None
    assert isinstance(entry.value, AppPageValue)
    assert (entry.value.html.to_bytes(), entry.tags, "k" in memory) == (b"z" * 150, tags, True)


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
async def test_of_a_body_that_breaks_off_nothing_is_kept_and_its_reason_is_for_others_to_say(
    make: Callable[[], FakeSubject],
) -> None:
    subject = make()
    body = Arriving(b"z" * 150, breaks=True)
    entry = CacheEntry.make(AppPageValue(html=body, status=200), ("t",), subject.clock(), 60)
    await entry_cache(subject.handler).write("k", entry)
    assert "cache:k" not in {*subject.r2.stored, *subject.kv.stored}
    assert subject.log.lines == []


async def test_what_is_too_large_for_memory_is_passed_on_on_its_way_the_next_time() -> None:
    asked: list[bool] = []

    class Back(KVCacheHandler):
        async def read(self, key: str, asked_as: GetContext = DEFAULT_GET) -> CacheEntry | None:
            asked.append(asked_as.streamed)
            return await super().read(key, asked_as)

    clock = FakeClock()
    back = Back(InMemoryR2(clock), clock=clock, background=FakeBackground(), layout=Layout.FRAMED)
    handler = TieredCacheHandler(MemoryCacheHandler(50, clock), back, clock=clock)
    await back.set("k", AppPageValue(html=LARGE, status=200), TAGGED)
    for _ in range(2):
        assert await handler.read("k", GetContext(streamed=True)) is not None
    assert await handler.read("k") is not None
    assert asked == [False, True, False]
