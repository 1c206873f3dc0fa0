"""Stale invalidations in KV: their keys, whom they reach and when, and the reads that they cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.subjects import FakeSubject, kv, tiered
from tests.fakes.kv import KVError
from tests.fakes.ports import START_MS, FakeClock

from cache.entry import AppPageValue, Freshness, freshness
from cache.handler import SetContext, entry_cache
from cache.invalidation import GONE, LONGEST_STALE_SECONDS, Invalidation, joined
from cache.keys import kv_stale_key
from cache.kv_markers import LAST_WRITTEN_EVERY_MS, SETTLING_MS, stale_marker
from cache.marker_writer import marker_text
from cache.markers import StaleMarkers
from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.body import text_body

LAST = "__last-invalidation"
LAST_STALE = "__last-stale"
PAGE = AppPageValue(html=text_body("<p>"), status=200)
SETTLED_SECONDS = SETTLING_MS / 1000 + 1
TAGGED = SetContext(tags=("a", "b"))


def subject_of(layout: Layout = Layout.VINEXT) -> FakeSubject:
    return FakeSubject(lambda subject: kv(subject, layout=layout))


async def state(subject: FakeSubject, key: str = "k") -> Freshness | None:
    entry = await subject.handler.get(key)
    return None if entry is None else freshness(entry, subject.now_ms())


def reads(subject: FakeSubject) -> list[str]:
    found = [key for operation, key in subject.kv.operations if operation == "get_texts"]
    subject.kv.operations.clear()
    return found


@pytest.mark.parametrize("layout", Layout)
async def test_a_stale_marker_has_a_key_of_its_own_which_vinext_does_not_read(layout: Layout) -> None:
    subject = subject_of(layout)
    await subject.handler.revalidate_tag(["a", "é"], expire_seconds=60)
    text = f"{START_MS} {START_MS + 60_000}"
    assert subject.kv.texts() == {
        "__swr:a": text,
        "__swr:%C3%A9": text,
        LAST: str(START_MS),
        LAST_STALE: str(START_MS),
    }


def test_a_stale_key_never_exceeds_512_bytes() -> None:
    assert kv_stale_key("a", "shop") == "shop:__swr:a"
    for prefix in ("", "p" * 482, "p" * 600):
        assert len(kv_stale_key("x" * 600, prefix).encode()) <= 512
    assert kv_stale_key("x" * 600) != kv_stale_key("y" * 600)


@pytest.mark.parametrize("layout", Layout)
async def test_a_stale_invalidation_elsewhere_is_seen_after_the_time_for_which_markers_are_kept(layout: Layout) -> None:
    subject = subject_of(layout)
    await subject.handler.set("k", PAGE, TAGGED)
    assert await state(subject) is Freshness.FRESH
    await kv(subject, layout=layout).revalidate_tag("b", expire_seconds=3600)
    subject.pass_seconds(1)
    assert await state(subject) is Freshness.FRESH
    subject.pass_seconds(5)
    assert await state(subject) is Freshness.STALE
    await kv(subject, layout=layout).set("k", PAGE, TAGGED)
    assert await state(subject) is Freshness.FRESH
    subject.pass_seconds(3600)
    assert await state(subject) is Freshness.FRESH


@pytest.mark.parametrize("layout", Layout)
async def test_a_copy_in_memory_becomes_stale_when_it_is_checked_again_and_the_new_page_is_found(layout: Layout) -> None:
    def two_tiers(subject: FakeSubject) -> TieredCacheHandler:
        front = MemoryCacheHandler(10_000_000, subject.clock)
        return TieredCacheHandler(front, kv(subject, layout=layout, tag_cache_ms=500), clock=subject.clock, recheck_ms=4500)

    subject = FakeSubject(two_tiers)
    other = two_tiers(subject)
    await subject.handler.set("k", PAGE, TAGGED)
    await other.revalidate_tag("a", expire_seconds=3600)
    assert await state(subject) is Freshness.FRESH
    subject.pass_seconds(5)
    assert await state(subject) is Freshness.STALE
    await other.set("k", AppPageValue(html=text_body("new")), TAGGED)
    subject.pass_seconds(4.5)
    entry = await subject.handler.get("k")
    assert entry is not None
    assert (entry.value, freshness(entry, subject.now_ms())) == (AppPageValue(html=text_body("new")), Freshness.FRESH)


async def test_a_copy_in_memory_is_gone_when_the_time_of_staleness_is_over() -> None:
    subject = FakeSubject(tiered)
    await subject.handler.set("k", PAGE, TAGGED)
    await subject.handler.revalidate_tag("a", expire_seconds=2)
    assert await state(subject) is Freshness.STALE
    subject.pass_seconds(3)
    assert await state(subject) is None


async def test_where_nothing_became_stale_a_page_s_markers_cost_one_more_key_for_all_pages() -> None:
    subject = subject_of()
    for key in ("k", "other"):
        await subject.handler.set(key, PAGE, SetContext(tags=(key,)))
    for key in ("k", "other", "k"):
        assert await state(subject, key) is Freshness.FRESH
    assert reads(subject) == [f"{LAST_STALE},__tag:k", "__tag:other"]
    subject.pass_seconds(4)
    await subject.handler.set("third", PAGE, SetContext(tags=("third",)))
    assert await state(subject, "third") is Freshness.FRESH
    subject.pass_seconds(4)
    # That time was read 8 seconds ago, but no earlier than is due for the markers beside it.
    assert await state(subject, "third") is Freshness.FRESH
    assert reads(subject) == ["__tag:third"]


@pytest.mark.parametrize("layout", Layout)
async def test_stale_markers_are_read_for_old_pages_only_and_once_more_when_they_have_settled(layout: Layout) -> None:
    subject = subject_of(layout)
    await subject.kv.put(LAST, "0")
    await subject.handler.set("k", PAGE, SetContext(tags=("a",)))
    subject.pass_seconds(1000)
    await kv(subject, layout=layout).revalidate_tag("other", expire_seconds=3600)
    subject.pass_seconds(SETTLED_SECONDS)
    await subject.handler.set("new", PAGE, SetContext(tags=("b",)))
    reads(subject)
    last = [LAST] if layout is Layout.FRAMED else []
    assert await state(subject) is Freshness.FRESH
    assert reads(subject) == [*last, f"{LAST_STALE},__tag:a", "__swr:a"]
    for _ in range(3):
        subject.pass_seconds(5)
        assert await state(subject, "new") is Freshness.FRESH
        assert await state(subject) is Freshness.FRESH
        assert not any("__swr" in keys for keys in reads(subject))


async def test_without_a_tag_cache_one_read_more_finds_the_stale_markers() -> None:
    subject = FakeSubject(lambda subject: kv(subject, tag_cache_ms=0))
    await subject.handler.set("k", PAGE, SetContext(tags=("a",)))
    await kv(subject).revalidate_tag("a", expire_seconds=60)
    reads(subject)
    assert await state(subject) is Freshness.STALE
    assert reads(subject) == [f"{LAST_STALE},__tag:a", "__swr:a"]


async def test_the_time_of_the_last_stale_invalidation_is_not_written_each_time() -> None:
    subject = subject_of()
    for _ in range(3):
        await subject.handler.revalidate_tag("a", expire_seconds=60)
        subject.pass_seconds(1)
    subject.pass_seconds(LAST_WRITTEN_EVERY_MS / 1000)
    await subject.handler.revalidate_tag("a", expire_seconds=60)
    written = [key for operation, key in subject.kv.operations if operation == "put"]
    assert (written.count(LAST), written.count(LAST_STALE), written.count("__swr:a")) == (2, 2, 4)


@pytest.mark.parametrize(
    ("failing", "error", "failed"),
    [
        ("__swr:a", "500", ("a",)),
        (LAST_STALE, "500", ("a", "b")),
        (LAST, "500", ("a", "b")),
    ],
)
async def test_a_stale_invalidation_that_fails_says_which_tags(failing: str, error: str, failed: tuple[str, ...]) -> None:
    subject = subject_of()
    await subject.handler.set("k", PAGE, TAGGED)

    async def before(operation: str, key: str) -> None:
        if (operation, key) == ("put", failing):
            raise KVError(error)

    subject.kv.before = before
    assert await entry_cache(subject.handler).invalidate(["a", "b"], 60) == failed
    assert await state(subject) is Freshness.STALE
    subject.kv.before = None
    await subject.settle()
    assert failing in subject.kv.stored


async def test_a_stale_marker_that_cannot_be_read_invalidates() -> None:
    subject = subject_of()
    await subject.handler.set("k", PAGE, TAGGED)
    await subject.kv.put(LAST_STALE, str(subject.now_ms()))
    await subject.kv.put("__swr:b", "soon")
    assert await state(subject) is None


async def test_an_invalidation_while_stale_markers_are_read_holds() -> None:
    subject = subject_of()
    await subject.handler.set("k", PAGE, TAGGED)
    await kv(subject).revalidate_tag("b", expire_seconds=60)

    async def before(operation: str, key: str) -> None:
        if operation == "get_texts" and "__swr:" in key:
            subject.kv.before = None
            await subject.handler.revalidate_tag("a")

    subject.kv.before = before
    assert await state(subject) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("5 7", Invalidation(5, 7)),
        ("5", GONE),
        ("5 7 9", GONE),
        ("5 x", GONE),
        ("5  7", GONE),
        ("-5 7", GONE),
        ("5 " + "7" * 17, GONE),
        ("\u0665 7", GONE),
    ],
)
def test_a_stale_marker_is_two_times(text: str | None, expected: Invalidation | None) -> None:
    assert stale_marker(text) == expected


@given(st.integers(0, 2**52), st.floats(0.001, allow_nan=False))
def test_a_stale_marker_is_read_as_it_was_written(at_ms: int, seconds: float) -> None:
    written = Invalidation.stale(at_ms, seconds)
    assert stale_marker(marker_text(written)) == written
    assert written.expire_at_ms <= at_ms + LONGEST_STALE_SECONDS * 1000


def test_content_is_stale_by_the_last_invalidation_and_gone_by_the_first_end() -> None:
    assert joined([]) is None
    assert joined([Invalidation(1, 9), Invalidation(3, 5)]) == Invalidation(3, 5)
    assert Invalidation(3, 5).at(5) == Invalidation(3, 5)
    assert Invalidation(3, 5).at(6) is GONE


def test_a_forgotten_stale_invalidation_reaches_every_name() -> None:
    markers = StaleMarkers(2)
    assert markers.reaching(["x"], 0) is None
    for number, name in enumerate("abc", start=1):
        markers.record([name], Invalidation(number, 100 + number))
    assert markers.reaching(["x"], 1) == Invalidation(1, 101)
    assert markers.reaching(["x"], 2) is None
    assert markers.reaching(["b", "c"], 2) == Invalidation(3, 102)


async def test_an_entry_that_a_tag_made_stale_keeps_its_identity_and_periods() -> None:
    clock = FakeClock()
    handler = MemoryCacheHandler(1_000_000, clock)
    await handler.set("k", PAGE, SetContext(tags=("t",), revalidate=60, expire=600))
    before = await handler.get("k")
    await handler.revalidate_tag("t", expire_seconds=5)
    after = await handler.get("k")
    assert before is not None
    assert after is not None
    assert after.identity is before.identity
    assert (after.revalidate_seconds, after.expire_seconds) == (60, 600)
    assert after.expire_at_ms == clock.now_ms + 5000
    await handler.revalidate_tag("t", expire_seconds=3600)
    later = await handler.get("k")
    assert later is not None
    assert later.expire_at_ms == clock.now_ms + 5000
