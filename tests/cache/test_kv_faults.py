"""A namespace that fails: a read is a miss, a write is lost with one log line, and an invalidation is written later."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cache.subjects import SUBJECTS, FakeSubject, kv
from tests.fakes.kv import KVError
from tests.fakes.ports import START_MS

from cache.entry import AppPageValue, CacheEntry
from cache.handler import SetContext, entry_cache
from cache.keys import KeySchema
from cache.tags import path_tags
from core.body import text_body
from core.errors import CacheError, InvalidationError

PAGE = AppPageValue(html=text_body("<p>"), status=200)
CONTEXT = SetContext(tags=("t", "u"), revalidate=60)


def failing(subject: FakeSubject, *operations: str, nth: int | None = None, error: Exception | None = None) -> None:
    count = 0

    async def before(operation: str, key: str) -> None:
        nonlocal count
        if operation in operations or not operations:
            count += 1
            if nth is None or count == nth:
                raise error or KVError("KV failed: 503")

    subject.kv.before = subject.r2.before = before


async def stored() -> FakeSubject:
    subject = FakeSubject(kv)
    await subject.handler.set("k", PAGE, CONTEXT)
    return subject


@pytest.mark.parametrize(
    "error", [KVError("503"), TimeoutError(), OSError("gone"), RuntimeError("js"), ValueError("?")], ids=repr
)
@pytest.mark.parametrize(("operation", "line"), [("get", "cache.read_failed"), ("get_texts", "cache.read_failed")])
async def test_a_read_that_fails_is_a_miss(operation: str, line: str, error: Exception) -> None:
    subject = await stored()
    failing(subject, operation, error=error)
    assert await subject.handler.get("k") is None
    assert subject.log.names() == [line]
    subject.kv.before = None
    assert await subject.handler.get("k") is not None


async def test_a_write_that_fails_is_lost_with_one_line() -> None:
    subject = FakeSubject(kv)
    failing(subject, "put")
    await subject.handler.set("k", PAGE, CONTEXT)
    await subject.settle()
    assert subject.log.names() == ["cache.write_failed"]
    assert subject.log.lines[0][2] == {"key": "cache:k", "error": "KVError: KV failed: 503"}


def html_of(text: str) -> AppPageValue:
    return AppPageValue(html=text_body(text))


async def html_in_kv(subject: FakeSubject) -> str | None:
    entry = await kv(subject).get("k")
    return None if entry is None else entry.value.html.to_bytes().decode()  # type: ignore[union-attr]


async def test_of_the_writes_of_an_isolate_within_a_second_the_last_one_stays() -> None:
    subject = FakeSubject(kv)
    subject.kv.one_write_a_second = True
    for text in ("first", "second", "third"):
        await subject.handler.set("k", html_of(text), CONTEXT)
    assert await html_in_kv(subject) == "first"
    await subject.settle()
    assert await html_in_kv(subject) == "third"
    assert subject.kv.operations.count(("put", "cache:k")) == 4
    assert subject.log.names() == []


async def test_a_write_that_another_isolate_has_come_before_within_a_second_is_lost_and_no_fault() -> None:
    subject = FakeSubject(kv)
    subject.kv.one_write_a_second = True
    await kv(subject).set("k", html_of("theirs"), CONTEXT)
    await subject.handler.set("k", html_of("ours"), CONTEXT)
    await subject.settle()
    assert [line[:2] for line in subject.log.lines] == [("info", "cache.write_too_soon")]
    assert await html_in_kv(subject) == "theirs"
    assert subject.kv.operations.count(("put", "cache:k")) == 2


async def test_a_later_write_that_fails_for_good_is_lost_with_one_line() -> None:
    subject = FakeSubject(kv)
    subject.kv.one_write_a_second = True
    await subject.handler.set("k", html_of("first"), CONTEXT)
    await subject.handler.set("k", html_of("second"), CONTEXT)
    failing(subject, "put")
    await subject.settle()
    assert [line[:2] for line in subject.log.lines] == [("error", "cache.write_failed")]
    assert await html_in_kv(subject) == "first"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KVError("KV DELETE failed: 429 Too Many Requests"), ("info", "cache.write_too_soon")),
        (KVError("KV failed: 503"), ("error", "cache.write_failed")),
    ],
    ids=["too soon", "failed"],
)
async def test_a_removal_that_fails_is_lost_with_one_line(error: Exception, line: tuple[str, str]) -> None:
    subject = FakeSubject(kv)
    await subject.kv.put("cache:k", "{")
    failing(subject, "delete", error=error)
    assert await subject.handler.get("k") is None
    assert await subject.background.done() == []
    assert [entry[:2] for entry in subject.log.lines if entry[1] != "cache.entry_corrupt"] == [line]


async def test_an_invalidation_that_fails_says_which_tags_and_is_written_later() -> None:
    subject = await stored()
    await subject.handler.set("b", PAGE, SetContext(tags=("b",)))
    failing(subject, "put", nth=3)
    assert await entry_cache(subject.handler).invalidate(["a", "b", "t"]) == ("b",)
    # This isolate knows of the invalidation, and serves neither.
    assert [await subject.handler.get(key) for key in "kb"] == [None, None]
    assert "__tag:b" not in subject.kv.stored
    await subject.settle()
    assert int(subject.kv.texts()["__tag:b"]) == subject.now_ms() >= START_MS + 1000
    assert subject.log.names() == []


@pytest.mark.parametrize(("operation", "nth"), [("list", 1), ("list", 2), ("get", 1)])
async def test_a_prefix_invalidation_whose_entries_cannot_be_listed_says_so(operation: str, nth: int) -> None:
    subject = await below_docs()
    failing(subject, operation, nth=nth)
    with pytest.raises(InvalidationError) as raised:
        await subject.handler.revalidate_by_path_prefix("/docs")
    assert set(raised.value.tags) <= {"_N_T_/docs/layout", "/docs", "_N_T_/docs"}
    assert isinstance(raised.value, CacheError)
    subject.kv.before = None
    assert await subject.handler.get("1") is None
    await subject.settle()


@pytest.mark.parametrize(("nth", "tag"), [(2, "_N_T_/docs/layout"), (4, "_N_T_/docs")])
async def test_a_prefix_invalidation_that_fails_says_which_tags(nth: int, tag: str) -> None:
    subject = await below_docs()
    failing(subject, "put", nth=nth)
    assert len(await entry_cache(subject.handler).invalidate_below("/docs")) == 1
    assert await subject.handler.get("1") is None
    await subject.settle()
    assert f"__tag:{tag}" in subject.kv.stored


async def below_docs() -> FakeSubject:
    subject = FakeSubject(kv)
    for number in range(5):
        await subject.handler.set(f"{number}", PAGE, SetContext(tags=path_tags(KeySchema.V2, f"/docs/{number}")))
    await subject.handler.set("long", PAGE, SetContext(tags=tuple(f"{number}" * 200 for number in range(6))))
    return subject


async def test_an_unknown_invalidation_counts_as_invalidated() -> None:
    subject = await stored()
    failing(subject, "get_texts")
    assert await subject.handler.is_invalidated(["t"], 0)
    assert subject.log.names() == ["cache.markers_failed"]


# Each of these calls KV in a different order. The others share the order of one of these, and memory never calls KV.
@pytest.mark.parametrize("name", ["kv-v2-vinext", "kv-v2-framed", "kv-no-tag-cache", "tiered", "tiered-always-asking"])
@pytest.mark.parametrize("nth", range(1, 16))
async def test_a_failure_of_any_call_never_reaches_a_reader_or_a_writer(name: str, nth: int) -> None:
    subject = FakeSubject(SUBJECTS[name])
    failing(subject, nth=nth)
    seen: list[Any] = []
    for key in ("a", "b", "a"):
        await subject.handler.set(key, PAGE, CONTEXT)
        seen.append(await subject.handler.get(key))
        subject.pass_seconds(6)
        seen.append(await subject.handler.get(key))
        await subject.handler.revalidate_tag(["t"])
        assert await subject.handler.get(key) is None
        subject.pass_seconds(1)
    assert all(entry is None or isinstance(entry, CacheEntry) for entry in seen)
    await subject.background.done()


@pytest.mark.parametrize("name", SUBJECTS)
async def test_a_store_that_is_down_serves_nothing_and_breaks_nothing(name: str) -> None:
    subject = FakeSubject(SUBJECTS[name])
    failing(subject)
    await subject.handler.set("k", PAGE, CONTEXT)
    subject.pass_seconds(10)
    entry = await subject.handler.get("k")
    assert (entry is None) is (name != "memory")
    await subject.background.done()
