"""Copies in a region: which reads they answer, and which the store answers after all."""

from __future__ import annotations

import pytest
from tests.cache.subjects import FakeSubject, regional

from cache.entry import AppPageValue, CacheEntry
from cache.handler import GetContext, SetContext, entry_cache
from cache.look import Unserved
from cache.stored import Layout
from core.body import BytesBody, text_body

PAGE = AppPageValue(html=text_body("<p>é"), status=200, headers={"x": "é"})
NEWER = AppPageValue(html=text_body("<p>newer"), status=200)
TAGGED = SetContext(tags=("t",), revalidate=60)


class OnItsWay:
    """A body that can only be sent, once."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def split(self) -> tuple[BytesBody, BytesBody]:
        return BytesBody(b"a" * self.size_bytes), BytesBody(b"a" * self.size_bytes)


async def read_once(context: SetContext = TAGGED) -> FakeSubject:
    """A page that is in the store, and of which the region has a copy."""
    subject = FakeSubject(lambda subject: regional(subject, layout=Layout.FRAMED))
    await subject.handler.set("k", PAGE, context)
    assert await subject.handler.get("k") is not None
    await subject.settle()
    subject.kv.operations.clear()
    subject.region.hits = 0
    return subject


async def value(subject: FakeSubject, context: GetContext | None = None) -> object:
    entry = await subject.handler.get("k", context)
    return None if entry is None else entry.value


async def test_a_fresh_copy_is_served_without_the_store() -> None:
    subject = await read_once()
    for _ in range(3):
        assert await value(subject) == PAGE
    assert (subject.region.hits, subject.kv.count("get")) == (3, 0)


async def test_a_copy_goes_after_its_period() -> None:
    subject = await read_once(SetContext(tags=("t",), revalidate=600))
    subject.pass_seconds(61)
    assert await value(subject) == PAGE
    assert (subject.region.hits, subject.kv.count("get")) == (0, 1)


async def test_a_stale_copy_is_never_served_for_a_newer_page_of_the_store() -> None:
    subject = await read_once(SetContext(tags=("t",), revalidate=10))
    await subject.handler.set("k", NEWER, TAGGED)
    subject.pass_seconds(11)
    assert await value(subject) == NEWER
    await subject.settle()
    subject.kv.operations.clear()
    assert await value(subject) == NEWER  # the new copy
    assert subject.kv.count("get") == 0


@pytest.mark.parametrize("expire_seconds", [None, 30.0])
async def test_an_invalidation_reaches_copies(expire_seconds: float | None) -> None:
    subject = await read_once()
    await subject.handler.revalidate_tag("t", expire_seconds=expire_seconds)
    entry = await subject.handler.get("k")
    assert (entry is None) is (expire_seconds is None)
    await subject.handler.set("k", NEWER, TAGGED)
    assert await value(subject) == NEWER


async def test_a_soft_tag_is_its_readers() -> None:
    subject = await read_once()
    await subject.handler.revalidate_tag("soft")
    assert await value(subject, GetContext(soft_tags=("soft",))) is None
    assert await value(subject) == PAGE


async def test_a_reader_s_shorter_period_is_not_kept() -> None:
    subject = FakeSubject(regional)
    await subject.handler.set("k", PAGE, SetContext())
    assert await value(subject, GetContext(revalidate_seconds=30)) == PAGE
    await subject.settle()
    assert subject.region.kept == {}


async def test_a_region_that_fails_is_one_line_a_call_and_the_store_is_asked() -> None:
    subject = await read_once()
    subject.region.error = TimeoutError("the Cache API did not answer within 1000 ms")
    assert await value(subject) == PAGE
    await subject.settle()
    assert subject.log.names() == ["cache.region_failed"] * 2


async def test_a_body_that_is_on_its_way_is_divided() -> None:
    subject = FakeSubject(regional)
    handler = subject.handler
    given = CacheEntry(AppPageValue(html=OnItsWay(5)), (), subject.now_ms())  # type: ignore[arg-type]
    answered = handler._keep("cache:k", given)  # type: ignore[attr-defined]
    await subject.settle()
    assert answered.value == AppPageValue(html=BytesBody(b"aaaaa"))
    assert subject.region.kept["cache:k"][1] == b"aaaaa"


async def looked(subject: FakeSubject) -> list[tuple[str, Unserved | None]]:
    """What a look at the page shows, layer by layer. It changes nothing."""
    kept, stored = dict(subject.region.kept), dict(subject.kv.stored)
    handler = entry_cache(subject.handler)
    found = [(look.layer, look.reason) for look in await handler.observer().look("k")]
    assert (subject.region.kept, subject.kv.stored) == (kept, stored)
    return found


async def test_a_look_says_why_the_store_is_asked() -> None:
    subject = await read_once(SetContext(tags=("t",), revalidate=10))
    assert await looked(subject) == [("region", None)]
    subject.pass_seconds(11)
    assert await looked(subject) == [("region", Unserved.COPY_NOT_FRESH), ("store", None)]
    subject.region.error = OSError("no region")
    assert await looked(subject) == [("region", Unserved.STORE_FAILED), ("store", None)]
    subject.region.error = None
    await subject.handler.revalidate_tag("t")
    subject.pass_seconds(60)
    assert await looked(subject) == [("region", Unserved.ABSENT), ("store", Unserved.INVALIDATED)]
    assert [mark.tag for mark in await entry_cache(subject.handler).marks(["t", "u"])] == ["t"]


async def test_a_look_at_an_invalidated_copy_asks_the_store() -> None:
    subject = await read_once()
    await subject.handler.revalidate_tag("t")
    assert await looked(subject) == [("region", Unserved.COPY_INVALIDATED), ("store", Unserved.INVALIDATED)]
