from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeClock, FakeLog

from cache.entry import AppPageValue, AppRouteValue, CacheEntry, FetchValue
from cache.handler import GetContext, SetContext
from cache.keys import KeySchema, fnv1a64_hex
from cache.kv_markers import KVMarkers, marker_ms
from cache.kv_record import TTLPolicy
from cache.marker_writer import MARKER_TTL_SECONDS
from cache.stored import Codec, Layout, key_hash, whole_bytes, write_framed
from cache.tags import encode_tag, path_tags
from core.body import BytesBody, text_body
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from cache.entry import CacheValue
    from cache.kv_namespace import KVWhole

PAGE = AppPageValue(html=text_body("<p>"), status=200)
DAY = 24 * 3600


def on_kv(**settings: Any) -> FakeSubject:
    return FakeSubject(lambda subject: kv(subject, **settings))


def ttl_of(subject: FakeSubject, key: str) -> int | None:
    expiration = subject.kv.stored[key].expiration
    return None if expiration is None else expiration - subject.now_ms() // 1000


@pytest.mark.parametrize(
    ("policy", "revalidate", "seconds"),
    [
        (TTLPolicy.THIRTY_DAYS, 60, 30 * DAY),
        (TTLPolicy.THIRTY_DAYS, 10**9, 30 * DAY),
        (TTLPolicy.THIRTY_DAYS, None, None),
        (TTLPolicy.THIRTY_DAYS, False, None),
        (TTLPolicy.TEN_TIMES, 1, 60),
        (TTLPolicy.TEN_TIMES, 6.5, 65),
        (TTLPolicy.TEN_TIMES, 3600, 36_000),
        (TTLPolicy.TEN_TIMES, 10**9, 30 * DAY),
        (TTLPolicy.TEN_TIMES, None, None),
    ],
)
async def test_an_entry_is_kept_as_long_as_its_period_says(policy: TTLPolicy, revalidate: Any, seconds: int | None) -> None:
    subject = on_kv(ttl=policy)
    await subject.handler.set("k", PAGE, SetContext(revalidate=revalidate))
    assert ttl_of(subject, "cache:k") == seconds


async def test_metadata_is_measured_in_bytes() -> None:
    """vinext counts characters; KV then refuses the write with 413, and such a page is never cached."""
    subject = on_kv(schema=KeySchema.V1)
    tags = tuple(f"{number}{'日' * 120}" for number in range(4))
    assert len(json.dumps({"tags": tags}, ensure_ascii=False)) < 1024
    await subject.handler.set("k", PAGE, SetContext(tags=tags))
    assert subject.kv.stored["cache:k"].metadata is None
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.tags == tags
    assert subject.log.names() == []


@pytest.mark.parametrize("layout", Layout)
async def test_a_value_over_25_mib_is_not_written(layout: Layout) -> None:
    subject = on_kv(layout=layout)
    most = 25 * 1024 * 1024
    await subject.handler.set("k", AppRouteValue(BytesBody(bytes(most + 1)), 200, {}), SetContext(revalidate=60))
    await subject.handler.set("quotes", AppPageValue(html=BytesBody(b'"' * (most - 200 if layout is Layout.VINEXT else most))))
    assert subject.kv.stored == {}
    assert subject.log.names() == ["cache.value_too_large"] * 2
    assert subject.kv.count("put") == 0


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("k" * 506, "", f"cache:{'k' * 506}"),
        ("k" * 507, "", f"cache:__hash:{fnv1a64_hex('k' * 507)}"),
        ("日" * 170, "", f"cache:__hash:{fnv1a64_hex('日' * 170)}"),
        ("k", "p" * 600, f"__app:{fnv1a64_hex('p' * 600)}:cache:k"),
    ],
)
async def test_a_key_never_exceeds_512_bytes(key: str, prefix: str, expected: str) -> None:
    subject = on_kv(app_prefix=prefix)
    await subject.handler.set(key, PAGE)
    assert list(subject.kv.stored) == [expected]
    assert await subject.handler.get(key) is not None


@pytest.mark.parametrize("layout", Layout)
async def test_apps_of_one_namespace_are_kept_apart(layout: Layout) -> None:
    """Their entries differ in the body only, so results computed for one may be reused for the other."""
    subject = on_kv()
    hosts = ("a.example", "b.example", "c.example")
    handlers = {host: kv(subject, app_prefix=host, layout=layout) for host in hosts}
    for host in hosts[:2]:
        await handlers[host].set("k", AppPageValue(html=text_body(host)), SetContext(tags=("t",)))
        assert await handlers[host].get("k") is not None
    await handlers["a.example"].revalidate_tag("t")
    entries = [await handlers[host].get("k") for host in hosts]
    assert [entry and entry.value for entry in entries] == [None, AppPageValue(html=text_body("b.example")), None]
    assert set(subject.kv.stored) >= {"b.example:cache:k", "a.example:__tag:t"}


async def test_markers_are_read_together_and_kept_for_5_seconds() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(tags=("a", "b", "c")))
    for seconds, reads in ((0, 1), (4.999, 1), (0.001, 2), (1, 2)):
        subject.pass_seconds(seconds)
        assert await subject.handler.get("k") is not None
        assert subject.kv.count("get_texts") == reads
    subject.handler.reset_request_cache()
    assert await subject.handler.get("k") is not None
    assert subject.kv.count("get_texts") == 3
    assert subject.kv.operations[-1] == ("get_texts", "__last-stale,__tag:a,__tag:b,__tag:c")


async def test_more_than_100_markers_take_several_reads() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(tags=tuple(map(str, range(250)))))
    assert await subject.handler.get("k") is not None
    sizes = [key.count(",") + 1 for operation, key in subject.kv.operations if operation == "get_texts"]
    assert sizes == [100, 100, 51]


async def test_an_invalidation_elsewhere_is_seen_after_5_seconds() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    assert await subject.handler.get("k") is not None
    other = kv(subject)
    await other.revalidate_tag("t")
    assert await subject.handler.get("k") is not None
    subject.pass_seconds(5)
    assert await subject.handler.get("k") is None


async def test_our_own_invalidation_wins_over_an_older_answer_of_kv() -> None:
    """KV is eventually consistent: after a write, a read may give the old value for a minute."""
    subject = on_kv(tag_cache_ms=0)
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    stored = dict(subject.kv.stored)
    await subject.handler.revalidate_tag("t")
    subject.kv.stored.update(stored)
    subject.kv.stored.pop("__tag:t")
    for _ in range(3):
        subject.pass_seconds(30)
        subject.handler.reset_request_cache()
        assert await subject.handler.get("k") is None
        await subject.settle()
        subject.kv.stored.update(stored)


async def test_an_invalidation_while_an_entry_is_read_holds() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    for operation in ("get", "get_texts"):
        subject.handler.reset_request_cache()
        invalidated = False

        async def invalidate(begun: str, _key: str, operation: str = operation) -> None:
            nonlocal invalidated
            if begun == operation and not invalidated:
                invalidated = True
                await subject.handler.revalidate_tag("t")

        subject.kv.before = invalidate
        assert await subject.handler.get("k") is None, operation
        subject.kv.before = None
        await subject.settle()
        await subject.handler.set("k", PAGE, SetContext(tags=("t",)))


def kv_markers(namespace: InMemoryKV, clock: FakeClock, capacity: int) -> KVMarkers:
    return KVMarkers(
        namespace,
        clock=clock,
        sleep=clock.sleep,
        log=FakeLog(),
        keep_ms=5000,
        clock_skew_ms=0,
        capacity=capacity,
        last="last",
        last_stale="last-stale",
    )


async def test_a_late_answer_does_not_replace_a_newer_one() -> None:
    clock = FakeClock()
    namespace = InMemoryKV(clock)
    markers = kv_markers(namespace, clock, 100)
    gate = asyncio.Event()
    answers = iter([{"t": "5"}, {"t": "7"}])

    async def get_texts(keys: object) -> dict[str, str]:
        answer = next(answers)
        if answer["t"] == "5":
            await gate.wait()
        return answer

    namespace.get_texts = get_texts  # type: ignore[method-assign]
    late = asyncio.ensure_future(markers.has_invalidated(["t"], 5))
    await asyncio.sleep(0)
    clock.pass_seconds(1)
    assert await markers.has_invalidated(["t"], 7)
    gate.set()
    assert await late
    assert await markers.has_invalidated(["t"], 7)


async def test_remembered_markers_are_bounded() -> None:
    clock = FakeClock()
    markers = kv_markers(InMemoryKV(clock), clock, 50)
    for start in range(0, 500, 20):
        keys = [f"__tag:{number}" for number in range(start, start + 20)]
        await markers.has_invalidated(keys, 0)
        markers.own.record(keys, clock.now_ms)
    assert len(markers._read) == len(markers.own._markers) == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, float("-inf")),
        ("", float("-inf")),
        ("1700000000123", 1700000000123),
        (" 5\n", 5),
        ("1e3", 1000),
        ("soon", float("inf")),
        ("1_000", float("inf")),
        ("inf", float("inf")),
        ("nan", float("inf")),
        ("1-2", float("inf")),
        ("  ", 0),
    ],
)
def test_a_marker_that_is_not_a_number_is_newer_than_any_entry(text: str | None, expected: float) -> None:
    assert marker_ms(text) == expected


async def test_markers_hold_the_time_as_text_and_outlive_entries() -> None:
    subject = on_kv()
    await subject.handler.revalidate_tag(["t", "日"])
    keys = ["__tag:t", "__tag:%E6%97%A5", "__last-invalidation"]
    assert subject.kv.texts() == dict.fromkeys(keys, str(subject.now_ms()))
    assert {ttl_of(subject, key) for key in keys} == {MARKER_TTL_SECONDS}


async def test_a_seed_stays_invalid_when_vinext_s_markers_would_be_gone() -> None:
    """vinext keeps markers for 30 days; after that, a page of a build or a page that is never stale came back."""
    subject = on_kv()
    built_ms = subject.now_ms()
    subject.pass_seconds(DAY)
    await subject.handler.revalidate_tag("t")
    subject.pass_seconds(40 * DAY)
    assert await kv(subject).is_invalidated(["t"], built_ms)


async def test_a_write_of_an_already_invalidated_entry_is_skipped() -> None:
    subject = on_kv()
    built_ms = subject.now_ms() - 1000
    await subject.handler.revalidate_tag("t")
    await subject.handler.set("k", PAGE, SetContext(tags=("t",), last_modified_ms=built_ms))
    assert list(subject.kv.stored) == ["__last-invalidation", "__tag:t"]


async def test_a_write_goes_on_after_its_caller_was_cancelled() -> None:
    subject = on_kv()
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(*_: str) -> None:
        has_begun.set()
        await may_end.wait()

    subject.kv.before = wait
    caller = asyncio.ensure_future(subject.handler.set("k", PAGE))
    await has_begun.wait()
    caller.cancel()
    may_end.set()
    assert [what for what, _ in subject.background.tasks] == ["write cache:k"]
    await subject.settle()
    assert list(subject.kv.stored) == ["cache:k"]
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_every_write_is_registered_in_the_background() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    await subject.handler.revalidate_tag("t")
    await subject.handler.get("k")
    assert [what for what, _ in subject.background.tasks] == ["write cache:k", "invalidate t", "delete cache:k"]


async def test_an_expired_entry_is_deleted_and_one_hidden_by_a_soft_tag_is_not() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(revalidate=1, expire=2))
    await subject.handler.revalidate_tag("soft")
    await subject.handler.set("soft", PAGE, SetContext(last_modified_ms=subject.now_ms() - 1))
    assert await subject.handler.get("soft", GetContext(soft_tags=("soft",))) is None
    subject.pass_seconds(3)
    assert await subject.handler.get("k") is None
    await subject.settle()
    assert list(subject.kv.stored) == ["__last-invalidation", "__tag:soft", "cache:soft"]


async def test_a_page_that_takes_the_place_of_a_removed_one_is_stored() -> None:
    """KV takes one write a second for a key, and the removal is one."""
    subject = on_kv()
    subject.kv.one_write_a_second = True
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    await subject.handler.revalidate_tag("t")
    subject.pass_seconds(5)
    assert await subject.handler.get("k") is None
    await subject.settle()
    subject.pass_seconds(0.2)
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))
    assert "cache:k" not in subject.kv.stored
    await subject.settle()
    assert await kv(subject).get("k") is not None


async def test_in_the_framed_layout_a_reader_removes_no_entry_that_the_next_one_will_replace() -> None:
    """What it reads may be old, and what it would remove the entry that another isolate has just written."""
    subject = on_kv(layout=Layout.FRAMED)
    await subject.handler.set("expired", PAGE, SetContext(revalidate=1, expire=2))
    await subject.handler.set("gone", PAGE, SetContext(tags=("t",)))
    await subject.handler.set("soft", PAGE, SetContext(last_modified_ms=subject.now_ms() - 1))
    await subject.handler.revalidate_tag(["t", "soft"])
    subject.pass_seconds(3)
    for key in ("expired", "gone", "soft"):
        assert await subject.handler.get(key, GetContext(soft_tags=("soft",))) is None
    await subject.settle()
    assert [name for name, _ in subject.kv.operations if name == "delete"] == []
    assert {"cache:expired", "cache:gone", "cache:soft"} <= subject.kv.stored.keys()


async def test_an_invalidation_of_a_soft_tag_while_the_entry_s_tags_are_checked_holds() -> None:
    subject = on_kv()
    await subject.handler.set("k", PAGE, SetContext(tags=("t",)))

    async def invalidate(begun: str, keys: str) -> None:
        if (begun, keys) == ("get_texts", "__tag:t"):
            await subject.handler.revalidate_tag("soft")

    subject.kv.before = invalidate
    assert await subject.handler.get("k", GetContext(soft_tags=("soft",))) is None
    assert [key for begun, key in subject.kv.operations if begun == "get_texts"] == [
        "__last-stale,__tag:soft",
        "__tag:t",
    ]
    assert await subject.handler.get("k") is not None


async def test_a_path_prefix_takes_few_writes_however_many_pages_there_are() -> None:
    subject = on_kv()
    for number in range(50):
        await subject.handler.set(f"{number}", PAGE, SetContext(tags=path_tags(KeySchema.V2, f"/docs/{number}/a")))
    await subject.handler.revalidate_by_path_prefix("/docs")
    assert [key for operation, key in subject.kv.operations if operation == "put" and key.startswith("__tag")] == [
        "__tag:_N_T_/docs/layout",
        "__tag:/docs",
        "__tag:_N_T_/docs",
    ]
    for number in range(50):
        assert await subject.handler.get(f"{number}") is None


async def test_a_path_prefix_reaches_entries_without_metadata() -> None:
    """Their tags, such as those of long paths, were too long for metadata; vinext skips such entries."""
    subject = on_kv()
    long = [f"{'x' * 190}{number}" for number in range(6)]
    inside = ("/blog/hello/notes", "_N_T_/blog/[slug]/page", *long)
    outside = ("/blog/other", "_N_T_/blog/[slug]/page", *long)
    await subject.handler.set("inside", PAGE, SetContext(tags=inside))
    await subject.handler.set("outside", PAGE, SetContext(tags=outside))
    await subject.kv.put("cache:broken", "{")
    assert all(stored.metadata is None for stored in subject.kv.stored.values())
    await subject.handler.revalidate_by_path_prefix("/blog/hello")
    assert await subject.handler.get("inside") is None
    assert await subject.handler.get("outside") is not None


@pytest.mark.parametrize("prefix", ["/blog/日本語", "/blog/%E6%97%A5%E6%9C%AC%E8%AA%9E", "/blog/日本語/"])
@pytest.mark.parametrize("schema", KeySchema)
async def test_a_path_prefix_may_be_encoded_or_not(prefix: str, schema: KeySchema) -> None:
    subject = on_kv(schema=schema)
    tags = path_tags(schema, "/blog/日本語/1")
    await subject.handler.set("all", PAGE, SetContext(tags=tags))
    await subject.handler.set("leaf", PAGE, SetContext(tags=tags[:1]))
    await subject.handler.revalidate_by_path_prefix(prefix)
    assert [await subject.handler.get(key) for key in ("all", "leaf")] == [None, None]


@pytest.mark.parametrize("spelling", ["記" * 256, encode_tag("記" * 256)], ids=["text", "encoded"])
@pytest.mark.parametrize("layout", Layout)
async def test_the_characters_of_a_tag_are_counted_before_they_are_encoded(layout: Layout, spelling: str) -> None:
    subject = on_kv(layout=layout)
    await subject.handler.set("k", PAGE, SetContext(tags=("記" * 256,)))
    assert await subject.handler.get("k") is not None
    await subject.handler.revalidate_tag(spelling)
    assert await subject.handler.get("k") is None


async def test_a_namespace_is_shared_by_the_layouts() -> None:
    subject = on_kv()
    framed = kv(subject, layout=Layout.FRAMED)
    await framed.set("framed", PAGE)
    await subject.handler.set("vinext", PAGE)
    for handler in (framed, subject.handler):
        for key in ("framed", "vinext"):
            entry = await handler.get(key)
            assert entry is not None
            assert entry.value == PAGE


async def test_a_framed_body_is_the_value_and_its_head_the_metadata() -> None:
    subject = on_kv(layout=Layout.FRAMED)
    await subject.handler.set("k", AppPageValue(html=text_body("<p>é"), status=200), SetContext(tags=("t",), revalidate=60))
    stored = subject.kv.stored["cache:k"]
    assert stored.value == "<p>é".encode()
    assert stored.metadata == {
        "value": {"kind": "APP_PAGE", "status": 200},
        "tags": ["t"],
        "lastModified": subject.now_ms(),
        "revalidateAt": subject.now_ms() + 60_000,
        "expireAt": None,
        "cacheControl": {"revalidate": 60},
        "body": "html",
        "bodySize": 5,
        "keyHash": key_hash("cache:k"),
    }


async def test_a_framed_entry_that_was_stored_in_one_piece_is_still_read() -> None:
    subject = on_kv(layout=Layout.FRAMED)
    entry = CacheEntry.make(PAGE, (), subject.now_ms())
    data = b"".join(part if isinstance(part, bytes) else part.to_bytes() for part in write_framed(entry))
    for metadata in (None, '{"tags":[]}'):
        await subject.kv.put("cache:k", data, metadata=metadata)
        assert await subject.handler.get("k", GetContext(streamed=True)) == entry


@pytest.mark.parametrize("layout", Layout)
async def test_a_body_that_looks_like_an_entry_is_not_read_as_one(layout: Layout) -> None:
    """A route handler may answer with any JSON."""
    subject = on_kv(layout=layout)
    fake = b'{"value":{"kind":"APP_PAGE","html":"<script>"},"tags":[],"lastModified":1,"revalidateAt":null,"expireAt":null}'
    route = AppRouteValue(body=BytesBody(fake), status=200, headers={})
    await kv(subject, layout=Layout.FRAMED).set("k", route)
    assert subject.kv.stored["cache:k"].value == fake
    entry = await subject.handler.get("k")
    assert entry is not None
    assert entry.value == route


@pytest.mark.parametrize("layout", Layout)
async def test_a_reader_may_request_a_streamed_body(layout: Layout) -> None:
    subject = on_kv(layout=layout)
    asked: list[bool] = []
    get = subject.kv.get

    async def watched(key: str, *, streamed: bool = False) -> KVWhole | None:
        asked.append(streamed)
        return await get(key, streamed=streamed)

    subject.kv.get = watched  # type: ignore[method-assign]
    for context in (None, GetContext(), GetContext(streamed=True)):
        await subject.handler.get("k", context)
    assert asked == [False, False, layout is Layout.FRAMED]
    with pytest.raises(InvalidArgumentError, match=r"^context\.streamed is 1 \(int\), allowed: True or False"):
        await subject.handler.get("k", GetContext(streamed=1))  # type: ignore[arg-type]


async def test_an_error_names_values_that_json_cannot_represent() -> None:
    subject = on_kv()
    with pytest.raises(InvalidArgumentError, match=r"^value is "):
        await subject.handler.set("k", AppPageValue(extra={"x": object()}))
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidArgumentError, match=r"^value is .* allowed: fields that JSON can hold"):
        await subject.handler.set("k", AppPageValue(html=text_body("x"), postponed="p", extra={"x": nested}))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("schema", "v1"),
        ("layout", "framed"),
        ("ttl", 60),
        ("tag_cache_ms", -1),
        ("app_prefix", None),
    ],
)
def test_a_wrong_setting_is_named(argument: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        on_kv(**{argument: value})
    assert raised.value.argument == argument


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("value", [PAGE, FetchValue({}, "b", "u"), None], ids=["body", "no body", "tombstone"])
async def test_the_entry_of_another_key_is_a_miss_with_one_line(layout: Layout, value: CacheValue | None) -> None:
    subject = on_kv(layout=layout)
    await subject.handler.set("mine", value, SetContext(revalidate=60))
    await subject.handler.set("other", value, SetContext(revalidate=60))
    subject.kv.stored["cache:mine"] = subject.kv.stored["cache:other"]
    for streamed in (False, True):
        assert await subject.handler.get("mine", GetContext(streamed=streamed)) is None
        assert await subject.handler.get("other", GetContext(streamed=streamed)) is not None
    await subject.settle()
    assert "cache:mine" in subject.kv.stored, "KV may give the right value the next time"
    assert {(event, fields["key"]) for _, event, fields in subject.log.lines} == {("cache.entry_of_other_key", "cache:mine")}


@pytest.mark.parametrize("layout", Layout)
async def test_an_entry_of_another_app_is_a_miss(layout: Layout) -> None:
    subject = on_kv(layout=layout, app_prefix="a")
    await subject.handler.set("k", PAGE, SetContext())
    subject.kv.stored["b:cache:k"] = subject.kv.stored["a:cache:k"]
    assert await subject.handler.get("k") is not None
    assert await kv(subject, layout=layout, app_prefix="b").get("k") is None


@pytest.mark.parametrize("layout", Layout)
async def test_an_entry_that_does_not_tell_its_key_is_read(layout: Layout) -> None:
    subject = on_kv(layout=layout)
    entry = CacheEntry.make(PAGE, ("t",), subject.now_ms())
    await subject.kv.put("cache:k", whole_bytes(Codec(layout, KeySchema.V2).write(entry)))
    assert await subject.handler.get("k") == entry
