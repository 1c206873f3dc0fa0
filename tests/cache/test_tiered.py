from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.cache.subjects import FakeSubject, kv, tiered
from tests.fakes.no_op import NoOpCacheHandler
from tests.fakes.ports import FakeClock

from cache.entry import AppPageValue, Freshness, freshness
from cache.handler import GetContext, SetContext
from cache.memory import MemoryCacheHandler
from cache.tiered import TieredCacheHandler
from core.body import text_body
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, CacheValue

OLD = AppPageValue(html=text_body("old"))
NEW = AppPageValue(html=text_body("new"))
CONTEXT = SetContext(tags=("t",), revalidate=60)


def value(entry: CacheEntry | None) -> Any:
    return entry and entry.value


async def test_a_copy_in_memory_is_served_without_asking() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    subject.kv.operations.clear()
    subject.pass_seconds(4.999)
    assert value(await subject.handler.get("k")) == OLD
    assert subject.kv.operations == []


async def test_after_the_period_only_the_markers_are_asked() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    subject.kv.operations.clear()
    subject.pass_seconds(5)
    for _ in range(3):
        assert value(await subject.handler.get("k")) == OLD
    assert subject.kv.operations == [("get_texts", "__last-stale,__tag:t")]


async def test_an_invalidation_elsewhere_is_seen_after_the_period_and_the_newer_entry_served() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    other = kv(subject)
    subject.pass_seconds(1)
    await other.revalidate_tag("t")
    subject.pass_seconds(1)
    await other.set("k", NEW, CONTEXT)
    assert value(await subject.handler.get("k")) == OLD
    subject.pass_seconds(3)
    assert value(await subject.handler.get("k")) == NEW
    await other.revalidate_tag("t")
    subject.pass_seconds(5)
    assert await subject.handler.get("k") is None


async def test_our_own_invalidation_is_seen_at_once() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    await subject.handler.revalidate_tag("t")
    assert await subject.handler.get("k") is None


async def test_a_stale_copy_is_read_again_after_the_period() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    subject.pass_seconds(61)
    entry = await subject.handler.get("k")
    assert entry is not None
    assert freshness(entry, subject.now_ms()) is Freshness.STALE
    await kv(subject).set("k", NEW, CONTEXT)
    assert value(await subject.handler.get("k")) == OLD
    subject.pass_seconds(5)
    assert value(await subject.handler.get("k")) == NEW


async def test_an_entry_of_another_isolate_is_kept_after_the_first_read() -> None:
    subject = FakeSubject(tiered)
    await kv(subject).set("k", OLD, CONTEXT)
    assert value(await subject.handler.get("k", GetContext(revalidate_seconds=1))) == OLD
    subject.kv.operations.clear()
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.revalidate_seconds == 60
    assert subject.kv.operations == []


async def test_an_invalidation_while_the_back_is_read_holds() -> None:
    subject = FakeSubject(tiered)
    await kv(subject).set("k", OLD, CONTEXT)
    for operation in ("get", "get_texts"):

        async def invalidate(begun: str, _key: str, operation: str = operation) -> None:
            if begun == operation:
                subject.kv.before = None
                await subject.handler.revalidate_tag("t")

        subject.kv.before = invalidate
        assert await subject.handler.get("k") is None, operation
        await subject.settle()
        subject.pass_seconds(1)
        await kv(subject).set("k", OLD, CONTEXT)
        subject.handler.reset_request_cache()


async def test_an_invalidation_while_a_copy_is_checked_holds() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    subject.pass_seconds(5)

    async def invalidate(begun: str, _key: str) -> None:
        if begun == "get_texts":
            subject.kv.before = None
            await subject.handler.revalidate_tag("t")

    subject.kv.before = invalidate
    assert await subject.handler.get("k") is None
    await subject.settle()


@pytest.mark.parametrize("has_copy", [False, True], ids=["no copy in front", "a stale copy in front"])
async def test_a_write_while_the_back_is_read_is_not_overwritten(has_copy: bool) -> None:  # noqa: FBT001
    """The back has read the old entry before the write, and returns it after the write."""
    subject = FakeSubject(tiered)
    await (subject.handler if has_copy else kv(subject)).set("k", OLD, CONTEXT)
    subject.pass_seconds(61)
    has_read, may_return = asyncio.Event(), asyncio.Event()

    async def wait(begun: str, _key: str) -> None:
        if begun == "get_texts":
            has_read.set()
            await may_return.wait()

    subject.kv.before = wait
    reader = asyncio.ensure_future(subject.handler.get("k"))
    await has_read.wait()
    await subject.handler.set("k", NEW, CONTEXT)
    may_return.set()
    assert value(await reader) == NEW
    assert value(await subject.handler.get("k")) == NEW


async def test_a_write_while_a_copy_is_checked_is_not_overwritten() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    subject.pass_seconds(5)

    async def write(begun: str, _key: str) -> None:
        if begun == "get_texts":
            subject.kv.before = None
            await subject.handler.set("k", NEW, CONTEXT)

    subject.kv.before = write
    assert value(await subject.handler.get("k")) == NEW
    await subject.settle()


async def test_checks_are_bounded() -> None:
    subject = FakeSubject(
        lambda subject: TieredCacheHandler(MemoryCacheHandler(20_000, subject.clock), NoOpCacheHandler(), clock=subject.clock)
    )
    for number in range(5000):
        await subject.handler.set(f"{number}", OLD)
    assert isinstance(subject.handler, TieredCacheHandler)
    assert len(subject.handler._checked_ms) < 1200


async def test_soft_tags_are_checked_in_the_back() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", OLD, CONTEXT)
    await kv(subject).revalidate_tag("soft")
    assert await subject.handler.get("k", GetContext(soft_tags=("soft",))) is None
    assert await subject.handler.get("k") is not None


@pytest.mark.parametrize(
    ("argument", "values"),
    [("front", {"front": NoOpCacheHandler()}), ("back", {"back": object()}), ("recheck_ms", {"recheck_ms": -1})],
)
def test_a_wrong_setting_is_named(argument: str, values: dict[str, Any]) -> None:
    given = {"front": MemoryCacheHandler(1, FakeClock()), "back": NoOpCacheHandler(), "clock": FakeClock(), **values}
    with pytest.raises(InvalidArgumentError) as raised:
        TieredCacheHandler(**given)
    assert raised.value.argument == argument


async def test_a_front_that_a_site_has_derived_is_used_by_its_own_methods() -> None:
    calls: list[str] = []

    class Front(MemoryCacheHandler):
        async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
            calls.append(f"set {key}")
            await super().set(key, value, context)

        async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None:
            calls.append(f"revalidate {tags} {expire_seconds}")
            await super().revalidate_tag(tags, expire_seconds=expire_seconds)

    clock = FakeClock()
    handler = TieredCacheHandler(Front(1_000_000, clock), MemoryCacheHandler(1_000_000, clock), clock=clock)
    await handler.set("k", OLD, SetContext(tags=("t",)))
    assert await handler.get("k") is not None
    await handler.revalidate_tag("t", expire_seconds=60)
    entry = await handler.get("k")
    assert entry is not None
    assert freshness(entry, clock.now_ms) is Freshness.STALE
    assert calls == ["set k", "revalidate ('t',) 60"]


async def test_one_string_is_one_soft_tag() -> None:
    clock = FakeClock()
    back = MemoryCacheHandler(1_000_000, clock)
    handler = TieredCacheHandler(MemoryCacheHandler(1_000_000, clock), back, clock=clock)
    await handler.set("k", OLD)
    await back.revalidate_tag("docs")
    docs: Any = "docs"
    assert await handler.get("k", GetContext(soft_tags=docs)) is None
