from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.subjects import FakeSubject, tiered
from tests.fakes.noise import noise
from tests.fakes.ports import START_MS, FakeClock

from cache.compression import CompressedBody, Compression
from cache.entry import AppPageValue, AppRouteValue, CacheEntry, FetchValue, ImageValue, PagesValue, RedirectValue
from cache.handler import SetContext
from cache.memory import MemoryCacheHandler
from core.body import BytesBody

if TYPE_CHECKING:
    from cache.entry import CacheValue
    from core.body import Body

KB = 1024
MEMORY_BYTES = 32 * KB * KB
PAGES = sorted((Path(__file__).parents[1] / "fixtures" / "vinext").glob("1.4.0/prerendered-routes/**/*.html"))
NOISE = noise(100 * KB)
TEXT = b"<p>a paragraph of a page</p>" * 100


@dataclass(frozen=True)
class PlatformBody(BytesBody):
    """As the Worker's, which are in JavaScript's memory."""


def entry(value: CacheValue | None) -> CacheEntry:
    return CacheEntry.make(value, ("t",), START_MS)


def html(made: CacheEntry | None) -> Body:
    assert made is not None
    assert isinstance(made.value, AppPageValue)
    return made.value.html


def page(body: bytes) -> AppPageValue:
    return AppPageValue(html=BytesBody(body))


def text_of(number: int, size: int = 10 * KB) -> bytes:
    """Pages of one site: much in them is the same."""
    return (b"<nav>one for all</nav>" * 100 + f"<p>paragraph of page {number}</p>".encode() * size)[:size]


@given(
    st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 400), st.booleans()), min_size=1, max_size=12),
    st.sampled_from([0, 1, 64 * KB, MEMORY_BYTES]),
)
def test_what_is_decompressed_is_what_was_compressed(bodies: list[tuple[bytes, int, bool]], capacity_bytes: int) -> None:
    compression = Compression(capacity_bytes, PlatformBody)
    for part, times, has_noise in bodies:
        body = part * times + (NOISE if has_noise else b"")
        before = entry(page(body))
        made, saved_bytes = compression.compress(before)
        assert html(made).size_bytes == len(body)
        assert html(made).to_bytes() == body
        again, more_bytes = compression.decompress(made)
        assert html(again).to_bytes() == body
        assert saved_bytes == more_bytes


@pytest.mark.parametrize(
    ("value", "bodies"),
    [
        (AppPageValue(html=BytesBody(TEXT), rsc_data=BytesBody(TEXT[1:]), headers={"a": "b"}, status=201), {"html", "rsc_data"}),
        (AppPageValue(rsc_data=BytesBody(TEXT)), {"rsc_data"}),
        (PagesValue(html=BytesBody(TEXT), page_data={"a": 1}), {"html"}),
        (AppRouteValue(body=BytesBody(TEXT), status=200, headers={}), {"body"}),
        (ImageValue(etag="e", buffer=BytesBody(TEXT), extension="svg"), {"buffer"}),
        (FetchValue(headers={}, body="b" * 5000, url=""), set()),
        (RedirectValue(props={}), set()),
        (None, set()),
    ],
)
def test_the_bodies_of_every_kind_of_entry_are_compressed_and_nothing_else(value: CacheValue | None, bodies: set[str]) -> None:
    before = entry(value)
    compression = Compression(MEMORY_BYTES)
    made, saved_bytes = compression.compress(before)
    fields = {} if made.value is None else vars(made.value)
    assert {name for name, field in fields.items() if isinstance(field, CompressedBody)} == bodies
    assert (saved_bytes > 0) is bool(bodies)
    assert compression.decompress(made)[0] == before


@pytest.mark.parametrize(
    "body", [b"", TEXT[:500], NOISE, NOISE[:5000], TEXT * 400], ids=["empty", "small", "noise", "a bit", "large"]
)
def test_what_is_small_or_very_large_or_does_not_get_smaller_stays(body: bytes) -> None:
    before = entry(page(body))
    assert Compression(MEMORY_BYTES).compress(before) == (before, 0)


def test_what_begins_like_text_and_is_none_stays() -> None:
    compression = Compression(MEMORY_BYTES)
    compression.compress(entry(page(TEXT)))
    before = entry(page(TEXT + NOISE))
    assert compression.compress(before) == (before, 0)


def test_pages_that_vinext_has_made_take_a_seventh() -> None:
    bodies = [path.read_bytes() for path in PAGES]
    assert len(bodies) > 10
    compression = Compression(MEMORY_BYTES)
    saved_bytes = sum(compression.compress(entry(page(body)))[1] for body in bodies)
    assert saved_bytes > sum(map(len, bodies)) * 6 / 7


async def filled(capacity_bytes: int, pages: int) -> MemoryCacheHandler:
    handler = MemoryCacheHandler(capacity_bytes, FakeClock(), make_body=PlatformBody)
    for number in range(pages):
        await handler.set(str(number), page(text_of(number)), SetContext(tags=(f"t{number}",)))
    return handler


async def test_nothing_is_compressed_while_there_is_room() -> None:
    handler = await filled(400 * KB, 30)
    assert all([isinstance(html(await handler.get(str(number))), BytesBody) for number in range(30)])


async def test_full_memory_holds_more_than_twice_as_many_pages_and_gives_each_as_it_was() -> None:
    handler = await filled(400 * KB, 80)
    assert len(handler) == 80
    assert handler.size_bytes <= 400 * KB
    for number in range(80):
        assert html(await handler.get(str(number))).to_bytes() == text_of(number)


async def test_what_is_used_all_the_time_is_kept_as_it_came() -> None:
    handler = MemoryCacheHandler(400 * KB, FakeClock())
    for number in range(500):
        await handler.set(str(number), page(text_of(number)))
        await handler.get("0")
    assert isinstance(html(await handler.get("0")), BytesBody)
    assert isinstance(html(await handler.get("450")), CompressedBody)


async def test_what_was_compressed_and_is_used_again_and_again_is_decompressed() -> None:
    handler = await filled(400 * KB, 80)
    size_bytes = handler.size_bytes
    assert isinstance(html(await handler.get("3")), CompressedBody)
    for _ in range(20):
        body = html(await handler.get("3"))
    assert isinstance(body, PlatformBody)
    assert body.data == text_of(3)
    assert len(handler) >= 79
    assert abs(handler.size_bytes - size_bytes) < 10 * KB


async def test_compressed_pages_are_invalidated_like_others() -> None:
    handler = await filled(400 * KB, 80)
    assert isinstance(html(await handler.get("3")), CompressedBody)
    await handler.revalidate_tag("t3")
    assert await handler.get("3") is None
    await handler.set("4", page(b"new"))
    assert html(await handler.get("4")).to_bytes() == b"new"


@pytest.mark.parametrize("is_invalid", [True, False])
async def test_a_copy_that_is_compressed_while_it_is_checked_is_the_same_copy(*, is_invalid: bool) -> None:
    """Else what has turned out invalid would be taken for something newer, and served."""
    subject = FakeSubject(tiered)
    handler = subject.handler
    await handler.set("k", AppPageValue(html=BytesBody(TEXT)), SetContext(tags=("t",)))
    subject.pass_seconds(5)
    front = handler._front  # type: ignore[attr-defined]

    async def compress(begun: str, _key: str) -> None:
        if begun == "get_texts":
            subject.kv.before = None
            front._compress(front._kept["k"])
            if is_invalid:
                await subject.kv.put("__tag:t", str(subject.now_ms()))

    subject.kv.before = compress
    subject.kv.operations.clear()
    found = await handler.get("k")
    await subject.settle()
    if is_invalid:
        assert found is None
    else:
        assert html(found).to_bytes() == TEXT
        assert [name for name, _ in subject.kv.operations] == ["get_texts"]
        assert await handler.get("k") is not None
