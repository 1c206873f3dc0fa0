"""What every cache handler does, as plain functions: they need a `Subject` and nothing else.

They run under CPython and, unchanged, inside workerd. A rule that must see time pass calls `subject.pass_seconds`; a subject
that cannot turn its clock skips those, which are in `NEEDS_CLOCK`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from cache.entry import AppPageValue, AppRouteValue, FetchValue, Freshness, ImageValue, PagesValue, RedirectValue, freshness
from cache.handler import GetContext, SetContext
from cache.keys import KeySchema
from cache.tags import path_tags, revalidate_path_tag
from core.body import BytesBody, text_body
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from cache.entry import CacheValue
    from cache.handler import CacheHandler


class Subject(Protocol):
    """A handler under test on an empty store."""

    handler: CacheHandler
    schemas: tuple[KeySchema, ...]
    """Those whose tags the handler takes."""
    keeps_end: bool
    """Whether the store holds `expire`; schema V1 in vinext's layout does not."""

    def now_ms(self) -> int: ...

    def pass_seconds(self, seconds: float) -> None: ...

    async def settle(self) -> None:
        """Wait for work in the background."""
        ...


Rule: TypeAlias = Callable[[Subject], Awaitable[None]]
"""Raises AssertionError where the handler of a subject breaks it."""

EVERY_BYTE = bytes(range(256))
STRANGE = '\x00\x01\b\t\n\f\r\x1f "\\/</script>\x7fé日本語🎉\u2028\u2029'
PAGE = AppPageValue(html=text_body("<p>é</p>"), status=200)
VALUES: dict[str, CacheValue | None] = {
    "page": PAGE,
    "page, empty": AppPageValue(html=text_body(""), status=200),
    "page, rsc": AppPageValue(rsc_data=BytesBody(EVERY_BYTE), status=200),
    "page, empty rsc": AppPageValue(rsc_data=BytesBody(b"")),
    "page, both": AppPageValue(html=text_body(STRANGE), rsc_data=BytesBody(EVERY_BYTE)),
    "page, every field": AppPageValue(
        html=text_body(STRANGE),
        headers={"location": "/about", "x-list": ["a", STRANGE], "x-empty": ""},
        postponed=STRANGE,
        status=307,
        extra={"renderObservation": {"numbers": [0, 1.5, 1e21, None], "lone": "\ud800x\udc00"}},
    ),
    "pages": PagesValue(
        html=text_body(STRANGE), page_data={"a": [STRANGE]}, headers={"x": "y"}, status=404, generated_from_data_request=True
    ),
    "pages, least": PagesValue(html=text_body(""), page_data={}),
    "route": AppRouteValue(body=BytesBody(EVERY_BYTE), status=200, headers={"content-type": "image/png"}),
    "route, empty": AppRouteValue(body=BytesBody(b""), status=204, headers={}),
    "redirect": RedirectValue(props={"pageProps": {"__N_REDIRECT": "/a"}}),
    "image": ImageValue(etag='"x"', buffer=BytesBody(EVERY_BYTE), extension="webp", revalidate=60),
    "fetch": FetchValue(
        headers={"a": STRANGE}, body=STRANGE, url="https://example.com/é", status=200, tags=("t",), revalidate=False
    ),
    "fetch, least": FetchValue(headers={}, body="", url=""),
    "tombstone": None,
}


async def a_key_that_was_never_set_is_absent(subject: Subject) -> None:
    assert await subject.handler.get("nothing") is None


async def every_kind_of_value_comes_back_as_it_was(subject: Subject) -> None:
    for name, value in VALUES.items():
        await subject.handler.set(name, value, SetContext(tags=("a", "b"), revalidate=60))
    for name, value in VALUES.items():
        entry = await subject.handler.get(name)
        assert entry is not None, name
        assert _in_python(entry.value) == value, name
        assert set(entry.tags) >= {"a", "b"}, name


async def an_entry_has_its_times(subject: Subject) -> None:
    before_ms = subject.now_ms()
    await subject.handler.set("k", PAGE, SetContext(revalidate=60, expire=600))
    entry = await subject.handler.get("k")
    assert entry is not None
    assert before_ms <= entry.last_modified_ms <= subject.now_ms() + 1
    assert entry.revalidate_at_ms == entry.last_modified_ms + 60_000
    assert (entry.revalidate_seconds, entry.expire_seconds) in {(60, 600), (60, None)}
    assert freshness(entry, subject.now_ms()) is Freshness.FRESH


async def an_entry_without_a_period_is_never_stale(subject: Subject) -> None:
    await subject.handler.set("none", PAGE)
    await subject.handler.set("false", PAGE, SetContext(revalidate=False))
    await subject.handler.set("infinite", PAGE, SetContext(revalidate=float("inf")))
    for key in ("none", "false", "infinite"):
        entry = await subject.handler.get(key)
        assert entry is not None, key
        assert (entry.revalidate_at_ms, entry.revalidate_seconds, entry.expire_at_ms) == (None, None, None), key


async def an_entry_is_stale_after_its_period_and_expired_after_its_end(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(revalidate=60, expire=600))
    states = []
    for seconds in (60, 1, 538, 2):
        subject.pass_seconds(seconds)
        entry = await subject.handler.get("k")
        states.append(entry and freshness(entry, subject.now_ms()))
    end = None if subject.keeps_end else Freshness.STALE
    assert states == [Freshness.FRESH, Freshness.STALE, Freshness.STALE, end]


async def a_period_of_0_stores_nothing(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(revalidate=0))
    assert await subject.handler.get("k") is None
    await subject.handler.set("k", PAGE, SetContext(revalidate=60))
    await subject.handler.set("k", AppPageValue(html=text_body("new")), SetContext(revalidate=0))
    entry = await subject.handler.get("k")
    assert entry is not None
    assert _in_python(entry.value) == PAGE


async def a_value_s_own_period_and_tags_come_first(subject: Subject) -> None:
    value = FetchValue(headers={}, body="", url="", tags=("own", "both"), revalidate=600)
    await subject.handler.set("k", value, SetContext(tags=("both", "given"), revalidate=30))
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.tags == ("own", "both", "given")
    assert entry.revalidate_seconds == 600


async def the_last_write_wins(subject: Subject) -> None:
    for number in range(5):
        await subject.handler.set("k", AppPageValue(html=text_body(str(number))))
    entry = await subject.handler.get("k")
    assert entry is not None
    assert _in_python(entry.value) == AppPageValue(html=text_body("4"))


async def a_reader_may_ask_for_a_shorter_period(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(revalidate=600))
    await subject.handler.set("never", PAGE)
    subject.pass_seconds(31)
    for key in ("k", "never"):
        entry = await subject.handler.get(key, GetContext(revalidate_seconds=30))
        assert entry is not None
        assert freshness(entry, subject.now_ms()) is Freshness.STALE
        longer = await subject.handler.get(key, GetContext(revalidate_seconds=6000))
        assert longer is not None
        assert freshness(longer, subject.now_ms()) is Freshness.FRESH


async def invalidating_a_tag_takes_every_entry_that_carries_it(subject: Subject) -> None:
    for key, tags in (("a", ("x", "y")), ("b", ("y",)), ("c", ("z",))):
        await subject.handler.set(key, PAGE, SetContext(tags=tags))
    await subject.handler.revalidate_tag("y")
    assert [await subject.handler.get(key) is not None for key in "abc"] == [False, False, True]


async def several_tags_are_invalidated_together(subject: Subject) -> None:
    for key in "abc":
        await subject.handler.set(key, PAGE, SetContext(tags=(key,)))
    await subject.handler.revalidate_tag(tag for tag in "ab")
    assert [await subject.handler.get(key) is not None for key in "abc"] == [False, False, True]


async def new_content_after_an_invalidation_is_valid_within_the_same_millisecond(subject: Subject) -> None:
    for _ in range(3):
        await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
        assert await subject.handler.get("k") is not None
        await subject.handler.revalidate_tag("t")
        assert await subject.handler.get("k") is None
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    assert await subject.handler.get("k") is not None


async def content_of_an_earlier_time_does_not_outlive_an_invalidation(subject: Subject) -> None:
    built_ms = subject.now_ms() - 3_600_000
    seed = SetContext(tags=("t",), last_modified_ms=built_ms, revalidate=7200)
    await subject.handler.set("k", PAGE, seed)
    entry = await subject.handler.get("k")
    assert entry is not None
    assert (entry.last_modified_ms, entry.revalidate_at_ms) == (built_ms, built_ms + 7_200_000)
    await subject.handler.revalidate_tag("t")
    assert await subject.handler.get("k") is None
    assert await subject.handler.is_invalidated(("other", "t"), built_ms)
    await subject.handler.set("k", PAGE, seed)
    assert await subject.handler.get("k") is None
    subject.pass_seconds(60)
    assert await subject.handler.get("k") is None


async def content_of_the_time_of_an_invalidation_is_invalid(subject: Subject) -> None:
    await subject.handler.revalidate_tag("t")
    at_ms = subject.now_ms()
    assert await subject.handler.is_invalidated(("t",), at_ms)
    assert not await subject.handler.is_invalidated(("t",), at_ms + 1)
    await subject.handler.set("k", PAGE, SetContext(tags=("t",), last_modified_ms=at_ms))
    assert await subject.handler.get("k") is None
    await subject.handler.set("k", PAGE, SetContext(tags=("t",), last_modified_ms=at_ms + 1))
    assert await subject.handler.get("k") is not None


async def a_stale_invalidation_makes_entries_stale_for_its_time_and_absent_after_it(subject: Subject) -> None:
    for key, context in (("never stale", SetContext(tags=("t",))), ("an hour", SetContext(tags=("u", "t"), revalidate=3600))):
        await subject.handler.set(key, PAGE, context)
    await subject.handler.set("other", PAGE, SetContext(tags=("u",)))
    await subject.handler.revalidate_tag("t", expire_seconds=60)
    for seconds, state in ((0, Freshness.STALE), (60, Freshness.STALE), (1, None), (3000, None)):
        subject.pass_seconds(seconds)
        for key in ("never stale", "an hour"):
            assert await _state(subject, key) is state, (key, seconds)
        assert await _state(subject, "other") is Freshness.FRESH


async def content_that_follows_a_stale_invalidation_is_fresh(subject: Subject) -> None:
    for _ in range(2):
        await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
        assert await _state(subject, "k") is Freshness.FRESH
        await subject.handler.revalidate_tag("t", expire_seconds=60)
        assert await _state(subject, "k") is Freshness.STALE
    await subject.handler.set("k", AppPageValue(html=text_body("new")), SetContext(tags=("t",)))
    for seconds in (0, 100, 3600):
        subject.pass_seconds(seconds)
        assert await _state(subject, "k") is Freshness.FRESH


async def a_stale_invalidation_reaches_content_of_an_earlier_time_that_is_stored_later(subject: Subject) -> None:
    built_ms = subject.now_ms() - 3_600_000
    await subject.handler.revalidate_tag("t", expire_seconds=60)
    await subject.handler.set("k", PAGE, SetContext(tags=("t",), last_modified_ms=built_ms))
    entry = await subject.handler.get("k")
    assert entry is not None
    assert (entry.last_modified_ms, freshness(entry, subject.now_ms())) == (built_ms, Freshness.STALE)
    assert not await subject.handler.is_invalidated(["t"], built_ms)
    subject.pass_seconds(61)
    assert await subject.handler.get("k") is None
    assert await subject.handler.is_invalidated(["t"], built_ms)
    assert not await subject.handler.is_invalidated(["t"], subject.now_ms())


async def whichever_comes_first_an_invalidation_without_a_time_wins(subject: Subject) -> None:
    for first, second in ((None, 60), (60, None), (0, 60), (60, 0)):
        key = f"{first} {second}"
        await subject.handler.set(key, PAGE, SetContext(tags=("t",)))
        await subject.handler.revalidate_tag("t", expire_seconds=first)
        await subject.handler.revalidate_tag("t", expire_seconds=second)
        assert await subject.handler.get(key) is None, key


async def of_two_stale_invalidations_the_last_one_says_until_when(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    await subject.handler.revalidate_tag("t", expire_seconds=600)
    subject.pass_seconds(10)
    await subject.handler.revalidate_tag("t", expire_seconds=60)
    assert await _state(subject, "k") is Freshness.STALE
    subject.pass_seconds(61)
    assert await _state(subject, "k") is None


async def a_stale_invalidation_may_last_for_ever(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    await subject.handler.revalidate_tag("t", expire_seconds=float("inf"))
    subject.pass_seconds(3600 * 24 * 300)
    assert await _state(subject, "k") is Freshness.STALE


async def a_stale_invalidation_of_a_soft_tag_is_for_its_readers(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    await subject.handler.revalidate_tag("soft", expire_seconds=60)
    soft = GetContext(soft_tags=("other", "soft"))
    assert await _state(subject, "k", soft) is Freshness.STALE
    assert await _state(subject, "k") is Freshness.FRESH
    subject.pass_seconds(61)
    assert await _state(subject, "k", soft) is None
    assert await _state(subject, "k") is Freshness.FRESH


async def a_path_can_become_stale(subject: Subject) -> None:
    for schema in subject.schemas:
        for path in ("/docs", "/docs/日本語", "/blog"):
            await subject.handler.set(f"{schema}{path}", PAGE, SetContext(tags=path_tags(schema, path)))
        await subject.handler.revalidate_tag(revalidate_path_tag("/docs", "layout"), expire_seconds=60)
        states = [await _state(subject, f"{schema}{path}") for path in ("/docs", "/docs/日本語", "/blog")]
        assert states == [Freshness.STALE, Freshness.STALE, Freshness.FRESH]


async def a_tag_never_invalidated_is_not_invalidated(subject: Subject) -> None:
    assert not await subject.handler.is_invalidated(("x", "y"), 0)
    assert not await subject.handler.is_invalidated((), 0)


async def a_soft_tag_hides_an_entry_but_keeps_it(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    await subject.handler.revalidate_tag("soft")
    assert await subject.handler.get("k", GetContext(soft_tags=("other", "soft"))) is None
    assert await subject.handler.get("k", GetContext(soft_tags=("other",))) is not None
    assert await subject.handler.get("k") is not None


async def a_path_is_invalidated_by_its_tags(subject: Subject) -> None:
    paths = ("/", "/docs", "/docs/a", "/docs-old", "/blog/日本語")
    tags = {
        revalidate_path_tag("/docs"): {"/docs"},
        revalidate_path_tag("/docs/", "page"): {"/docs"},
        revalidate_path_tag("/docs", "layout"): {"/docs", "/docs/a"},
        revalidate_path_tag("/"): {"/"},
        revalidate_path_tag("/", "layout"): set(paths),
        revalidate_path_tag("/blog/日本語"): {"/blog/日本語"},
    }
    for schema in subject.schemas:
        for tag, gone in tags.items():
            for path in paths:
                await subject.handler.set(f"{schema}{path}", PAGE, SetContext(tags=path_tags(schema, path)))
            await subject.handler.revalidate_tag(tag)
            left = {path for path in paths if await subject.handler.get(f"{schema}{path}") is not None}
            assert left == set(paths) - gone, (tag, schema)


async def a_path_prefix_reaches_the_page_and_those_below(subject: Subject) -> None:
    built_ms = subject.now_ms() - 1000
    paths = ("/", "/docs", "/docs/a", "/docs/a/b", "/docs-old", "/blog")
    for path in paths[:4]:
        await subject.handler.set(path, PAGE, SetContext(tags=path_tags(KeySchema.V2, path), last_modified_ms=built_ms))
    await subject.handler.revalidate_by_path_prefix("/docs")
    for path in paths[4:]:
        await subject.handler.set(path, PAGE, SetContext(tags=path_tags(KeySchema.V2, path), last_modified_ms=built_ms))
    assert [path for path in paths if await subject.handler.get(path) is not None] == ["/", "/docs-old", "/blog"]
    later = [await subject.handler.is_invalidated(path_tags(KeySchema.V2, path), built_ms) for path in paths]
    assert later == [False, True, True, True, False, False]
    await subject.handler.revalidate_by_path_prefix("/")
    assert [path for path in paths if await subject.handler.get(path) is not None] == []


async def a_path_prefix_reaches_pages_known_by_their_pattern(subject: Subject) -> None:
    tags = ("/blog/hello/notes", "_N_T_/blog/hello/notes", "_N_T_/layout", "_N_T_/blog/layout", "_N_T_/blog/[slug]/page")
    await subject.handler.set("k", PAGE, SetContext(tags=tags))
    await subject.handler.revalidate_by_path_prefix("/blog/hell")
    assert await subject.handler.get("k") is not None
    await subject.handler.revalidate_by_path_prefix("/blog/hello/")
    assert await subject.handler.get("k") is None


async def invalid_tags_are_left_out(subject: Subject) -> None:
    tags = ("ok", "", "a:b", "a\\b", "a\tb", "x" * 257, "x" * 256)
    await subject.handler.set("k", PAGE, SetContext(tags=tags))
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.tags == ("ok", "a:b", "a\\b", "x" * 256)
    await subject.handler.revalidate_tag(["a\tb", ""])
    assert await subject.handler.get("k") is not None
    assert not await subject.handler.is_invalidated(["a\tb", ""], 0)


async def a_tag_may_have_a_colon_or_a_backslash(subject: Subject) -> None:
    for tag in ("item:1", "a\\b"):
        await subject.handler.set("k", PAGE, SetContext(tags=(tag,)))
        await subject.handler.revalidate_tag("other:1")
        assert await subject.handler.get("k") is not None
        await subject.handler.revalidate_tag(tag)
        assert await subject.handler.get("k") is None


async def what_was_remembered_can_be_forgotten(subject: Subject) -> None:
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    subject.handler.reset_request_cache()
    assert await subject.handler.get("k") is not None
    await subject.handler.revalidate_tag("t")
    subject.handler.reset_request_cache()
    assert await subject.handler.get("k") is None


async def keys_are_told_apart(subject: Subject) -> None:
    keys = ["a", "A", "a ", "ä", "a\u0308", "a" * 505, "a" * 506, "a" * 600, "a" * 601, "日" * 300, "日" * 301, "\x00"]
    for key in keys:
        await subject.handler.set(key, AppPageValue(html=text_body(key)))
    for key in keys:
        entry = await subject.handler.get(key)
        assert entry is not None, key
        assert _in_python(entry.value) == AppPageValue(html=text_body(key)), key


async def wrong_arguments_are_named(subject: Subject) -> None:
    handler = subject.handler
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "key": lambda: handler.get(5),  # type: ignore[arg-type]
        "context": lambda: handler.get("k", {"softTags": []}),  # type: ignore[arg-type]
        "context.soft_tags": lambda: handler.get("k", GetContext(soft_tags=(5,))),  # type: ignore[arg-type]
        "context.revalidate_seconds": lambda: handler.get("k", GetContext(revalidate_seconds=-1)),
        "value": lambda: handler.set("k", "text"),  # type: ignore[arg-type]
        "value.html": lambda: handler.set("k", AppPageValue(html="text")),  # type: ignore[arg-type]
        "value.body": lambda: handler.set("k", FetchValue(headers={}, body=b"", url="")),  # type: ignore[arg-type]
        "value.headers['a']": lambda: handler.set("k", AppPageValue(headers={"a": 5})),  # type: ignore[dict-item]
        "value.status": lambda: handler.set("k", AppPageValue(status=99)),
        "value.headers": lambda: handler.set("k", AppRouteValue(BytesBody(b""), 200, None)),  # type: ignore[arg-type]
        "context.revalidate": lambda: handler.set("k", PAGE, SetContext(revalidate=float("nan"))),
        "context.expire": lambda: handler.set("k", PAGE, SetContext(expire="60")),  # type: ignore[arg-type]
        "context.last_modified_ms": lambda: handler.set("k", PAGE, SetContext(last_modified_ms=-1)),
        "context.tags": lambda: handler.set("k", PAGE, SetContext(tags=5)),  # type: ignore[arg-type]
        "tags": lambda: handler.revalidate_tag([None]),  # type: ignore[list-item]
        "expire_seconds": lambda: handler.revalidate_tag("t", expire_seconds=-1),
        "prefix": lambda: handler.revalidate_by_path_prefix("docs"),
        "since_ms": lambda: handler.is_invalidated(["t"], "now"),  # type: ignore[arg-type]
    }
    for argument, attempt in attempts.items():
        try:
            await attempt()
        except InvalidArgumentError as error:
            assert error.argument == argument, error  # noqa: PT017 - the suite runs where there is no pytest
            assert "allowed: " in str(error)  # noqa: PT017
        else:
            raise AssertionError(f"a wrong {argument} was taken")
    assert await handler.get("k") is None


RULES: tuple[Callable[[Subject], Awaitable[None]], ...] = (
    a_key_that_was_never_set_is_absent,
    every_kind_of_value_comes_back_as_it_was,
    an_entry_has_its_times,
    an_entry_without_a_period_is_never_stale,
    an_entry_is_stale_after_its_period_and_expired_after_its_end,
    a_period_of_0_stores_nothing,
    a_value_s_own_period_and_tags_come_first,
    the_last_write_wins,
    a_reader_may_ask_for_a_shorter_period,
    invalidating_a_tag_takes_every_entry_that_carries_it,
    several_tags_are_invalidated_together,
    new_content_after_an_invalidation_is_valid_within_the_same_millisecond,
    content_of_an_earlier_time_does_not_outlive_an_invalidation,
    content_of_the_time_of_an_invalidation_is_invalid,
    a_stale_invalidation_makes_entries_stale_for_its_time_and_absent_after_it,
    content_that_follows_a_stale_invalidation_is_fresh,
    a_stale_invalidation_reaches_content_of_an_earlier_time_that_is_stored_later,
    whichever_comes_first_an_invalidation_without_a_time_wins,
    of_two_stale_invalidations_the_last_one_says_until_when,
    a_stale_invalidation_may_last_for_ever,
    a_stale_invalidation_of_a_soft_tag_is_for_its_readers,
    a_path_can_become_stale,
    a_tag_never_invalidated_is_not_invalidated,
    a_soft_tag_hides_an_entry_but_keeps_it,
    a_path_is_invalidated_by_its_tags,
    a_path_prefix_reaches_the_page_and_those_below,
    a_path_prefix_reaches_pages_known_by_their_pattern,
    invalid_tags_are_left_out,
    a_tag_may_have_a_colon_or_a_backslash,
    what_was_remembered_can_be_forgotten,
    keys_are_told_apart,
    wrong_arguments_are_named,
)
NEEDS_CLOCK = frozenset(
    {
        an_entry_is_stale_after_its_period_and_expired_after_its_end,
        a_reader_may_ask_for_a_shorter_period,
        content_of_an_earlier_time_does_not_outlive_an_invalidation,
        a_stale_invalidation_makes_entries_stale_for_its_time_and_absent_after_it,
        content_that_follows_a_stale_invalidation_is_fresh,
        a_stale_invalidation_reaches_content_of_an_earlier_time_that_is_stored_later,
        of_two_stale_invalidations_the_last_one_says_until_when,
        a_stale_invalidation_may_last_for_ever,
        a_stale_invalidation_of_a_soft_tag_is_for_its_readers,
    }
)


async def _state(subject: Subject, key: str, context: GetContext | None = None) -> Freshness | None:
    """What a reader gets under a key; None is nothing, which an expired entry never is."""
    entry = await subject.handler.get(key, context)
    return None if entry is None else freshness(entry, subject.now_ms())


def _in_python(value: CacheValue | None) -> CacheValue | None:
    """The value with its bodies copied into Python, to compare it."""
    match value:
        case AppPageValue():
            rsc_data = None if value.rsc_data is None else BytesBody(value.rsc_data.to_bytes())
            return AppPageValue(
                BytesBody(value.html.to_bytes()), rsc_data, value.headers, value.postponed, value.status, value.extra
            )
        case PagesValue():
            flag = value.generated_from_data_request
            html = BytesBody(value.html.to_bytes())
            return PagesValue(html, value.page_data, value.headers, value.status, flag, value.extra)
        case AppRouteValue():
            return AppRouteValue(BytesBody(value.body.to_bytes()), value.status, value.headers, value.extra)
        case ImageValue():
            buffer = BytesBody(value.buffer.to_bytes())
            return ImageValue(value.etag, buffer, value.extension, value.revalidate, value.extra)
        case _:
            return value
