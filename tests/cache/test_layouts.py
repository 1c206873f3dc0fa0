"""Entries as stored: what vinext wrote is read, and what is written is what vinext would have written."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.subjects import FakeSubject, kv
from tests.cache.vectors import kv_dump, rows, seed_dump, value_of, without_key

from cache.document import DETACH, MAX_KNOWN_CHARACTERS, MAX_KNOWN_ENTRIES, bodies_of
from cache.entry import (
    AppPageValue,
    AppRouteValue,
    CacheEntry,
    FetchValue,
    Freshness,
    ImageValue,
    PagesValue,
    RedirectValue,
    freshness,
)
from cache.handler import SetContext
from cache.keys import KeySchema
from cache.kv_namespace import MAX_METADATA_BYTES, KVWhole
from cache.stored import _KNOWN_ENTRIES, _KNOWN_HEADS, FIRST_READ_BYTES, MAGIC, PREFIX_BYTES, Codec, Layout, whole_bytes
from core.body import BytesBody, text_body
from core.errors import CorruptValueError
from core.javascript import json_text
from vinext.testing.rules import VALUES

if TYPE_CHECKING:
    from cache.entry import CacheValue

SCHEMAS = {"0.0.38": KeySchema.V1, "1.4.0": KeySchema.V2}
DUMPED = [
    pytest.param(version, row["value"], id=f"{version} {row['key'][:80]}")
    for version in SCHEMAS
    for row in kv_dump(version)
    if row["valueKind"]
]


class CountingBuffer:
    """A buffer that counts the bytes brought into Python."""

    def __init__(self, data: bytes) -> None:
        self._buffer = BytesBody(data)
        self.size_bytes = len(data)
        self.heads: list[int] = []

    def head(self, size: int) -> bytes:
        self.heads.append(size)
        return self._buffer.head(size)

    def part(self, start: int, size_bytes: int) -> BytesBody:
        raise NotImplementedError

    def tail(self, start: int) -> BytesBody:
        return self._buffer.tail(start)

    def json(self, detach: Any) -> Any:
        raise AssertionError("a framed value is not parsed as a whole")

    def to_bytes(self) -> bytes:
        raise AssertionError("a framed value is not copied as a whole")

    def json_string(self, encoding: Any) -> Any:
        raise AssertionError("a framed value is not written as JSON")


def joined(codec: Codec, entry: CacheEntry) -> bytes:
    return whole_bytes(codec.write(entry))


@pytest.mark.parametrize(("version", "stored"), DUMPED)
def test_vinext_s_entry_is_read_and_written_again_to_the_byte(version: str, stored: str) -> None:
    codec = Codec(Layout.VINEXT, SCHEMAS[version])
    entry = codec.read(BytesBody(stored.encode()))
    assert joined(codec, entry).decode() == stored
    framed = Codec(Layout.FRAMED, SCHEMAS[version])
    assert joined(codec, framed.read(BytesBody(joined(framed, entry)))).decode() == stored


@pytest.mark.parametrize("schema", ["v1", "v2"])
@pytest.mark.parametrize("row", rows("writes"), ids=lambda row: row["name"])
async def test_a_set_stores_what_vinext_stores(row: dict[str, Any], schema: str) -> None:
    given_, expected = row["input"], row[schema]
    context = {name: item for name, item in given_.get("ctx", {}).items() if name != "tags"}
    subject = FakeSubject(lambda subject: kv(subject, KeySchema(schema), app_prefix=given_.get("appPrefix", "")))
    tags = tuple(given_.get("ctx", {}).get("tags", ()))
    await subject.handler.set(given_["key"], value_of(given_["value"]), SetContext(tags=tags, **context))
    if expected is None:
        assert subject.kv.stored == {}
        return
    (key, stored), *others = subject.kv.stored.items()
    seconds = None if stored.expiration is None else stored.expiration - subject.now_ms() // 1000
    assert not others
    if row["name"] == "invalid tags":
        # vinext encodes tags before its handler sees them, which the generator goes around. A colon and a backslash are taken.
        encoded = ["a%0Ab", "a%00"] if schema == "v2" else []
        assert stored.metadata == {"tags": ["ok", "a:b", "a\\b", *encoded, "x" * 256, "/a/b", " ", "a,b"]}
    else:
        assert without_key(stored.value, key).decode() == expected["value"]
        assert stored.metadata == expected["metadata"]
    assert (key, seconds) == (expected["key"], expected["ttl"])


@pytest.mark.parametrize("schema", ["v1", "v2"])
async def test_every_seed_stores_what_vinext_would_store(schema: str) -> None:
    expected = {row["key"]: row[schema] for row in rows("seeds")}
    for row in seed_dump():
        subject = FakeSubject(lambda subject: kv(subject, KeySchema(schema)))
        await subject.handler.set(row["key"], value_of(row["value"]), SetContext(**row["ctx"]))
        wanted = expected[row["key"]]
        ((key, stored),) = subject.kv.stored.items()
        assert key == wanted["key"]
        assert hashlib.sha256(without_key(stored.value, key)).hexdigest() == wanted["value"]
        assert stored.metadata == wanted["metadata"]
        seconds = None if stored.expiration is None else stored.expiration - subject.now_ms() // 1000
        assert seconds == wanted["ttl"]


@pytest.mark.parametrize("row", rows("reads"), ids=lambda row: row["name"])
@pytest.mark.parametrize("schema", ["v1", "v2"])
async def test_a_stored_text_is_read_as_vinext_reads_it(row: dict[str, Any], schema: str) -> None:
    """A missing field or one of the wrong shape is a miss where vinext would go on with `undefined`, or fail."""
    subject = FakeSubject(lambda subject: kv(subject, KeySchema(schema)))
    await subject.kv.put("cache:k", row["text"])
    made_ms = subject.now_ms() - 1000
    for tag, marker in {"at": made_ms, "before": made_ms - 1, "after": made_ms + 1, "text": "soon"}.items():
        await subject.kv.put(f"__tag:{tag}", str(marker))
    entry = await subject.handler.get("k")
    await subject.settle()
    ours = "miss" if entry is None else freshness(entry, subject.now_ms()).value
    theirs = row[schema]
    # V1 does not look at the fields that V2 added.
    if schema == "v1" and ("xpire" in row["name"] or "cacheControl" in row["name"]):
        theirs = row["v2"]
    assert ours == theirs
    if ours == "miss":
        assert "cache:k" not in subject.kv.stored


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"cacheControl": {"revalidate": None}, "revalidateAt": None}, (None, None, None)),
        ({"cacheControl": {"revalidate": None, "expire": None}, "revalidateAt": None, "expireAt": None}, (None, None, None)),
        ({"cacheControl": {"revalidate": 60, "expire": 90, "stale": 5}, "revalidateAt": 61_000}, (60, 90, 5)),
        ({"revalidateAt": 61_000}, (60, None, None)),
        ({"revalidateAt": 1500, "expireAt": 91_000}, (0.5, 90, None)),
        ({"revalidateAt": None, "expireAt": 91_000}, (None, 90, None)),
    ],
)
def test_periods_are_read_or_worked_out(stored: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """The first is vinext's fault: it writes its static entries so and refuses them for ever."""
    document = {"value": None, "tags": [], "lastModified": 1000, **stored}
    entry = Codec(Layout.VINEXT, KeySchema.V2).read(BytesBody(json.dumps(document).encode()))
    assert (entry.revalidate_seconds, entry.expire_seconds, entry.stale_seconds) == expected


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("name", VALUES)
def test_every_kind_is_written_and_read(name: str, layout: Layout) -> None:
    codec = Codec(layout, KeySchema.V2)
    entry = CacheEntry.make(VALUES[name], ("a", "é"), 1000, 60, 600, 5)
    other = Codec(next(one for one in Layout if one is not layout), KeySchema.V1)
    assert codec.read(BytesBody(joined(codec, entry))) == entry
    assert other.read(BytesBody(joined(codec, entry))) == entry


@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if value is not None])
def test_a_framed_value_that_was_cut_off_or_grew_is_corrupt(name: str) -> None:
    codec = Codec(Layout.FRAMED, KeySchema.V2)
    data = joined(codec, CacheEntry.make(VALUES[name], ("a",), 1000, 60))
    for end in [*range(len(MAGIC), PREFIX_BYTES + 5), len(data) // 2, len(data) - 1]:
        with pytest.raises(CorruptValueError):
            codec.read(BytesBody(data[:end]))
    with pytest.raises(CorruptValueError):
        codec.read(BytesBody(data + b"x"))
    with pytest.raises(CorruptValueError, match="version 1"):
        codec.read(BytesBody(MAGIC + b"\x02" + data[len(MAGIC) + 1 :]))


@pytest.mark.parametrize(("headers", "heads"), [(10, [FIRST_READ_BYTES]), (5000, [FIRST_READ_BYTES, 5000])])
def test_a_framed_body_never_enters_python(headers: int, heads: list[int]) -> None:
    codec = Codec(Layout.FRAMED, KeySchema.V2)
    html = text_body("é" * 100_000)
    entry = CacheEntry.make(AppPageValue(html=html, headers={"x": "y" * headers}), (), 1000, 60)
    buffer = CountingBuffer(joined(codec, entry))
    assert codec.read(buffer) == entry
    assert len(buffer.heads) == len(heads)
    assert sum(buffer.heads) < 20_000
    assert any(part is html for part in codec.write(entry))


ETAGS = {"etag": '"e"'}
PAGES = [
    pytest.param(
        AppPageValue(html=BytesBody(b"<p>1"), headers=ETAGS), AppPageValue(html=BytesBody(b"<p>2"), headers=ETAGS), id="html"
    ),
    pytest.param(AppPageValue(rsc_data=BytesBody(b"1:a")), AppPageValue(rsc_data=BytesBody(b"2:b")), id="rsc"),
    pytest.param(PagesValue(BytesBody(b"<p>1"), {"a": [1]}), PagesValue(BytesBody(b"<p>2"), {"a": [1]}), id="pages"),
    pytest.param(AppRouteValue(BytesBody(b"1"), 200, {}), AppRouteValue(BytesBody(b"2"), 200, {}), id="route"),
    pytest.param(ImageValue("e", BytesBody(b"1"), "png"), ImageValue("e", BytesBody(b"2"), "png"), id="image"),
]


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize(("value", "other"), PAGES)
def test_what_is_read_again_differs_in_nothing_but_its_body(value: CacheValue, other: CacheValue, layout: Layout) -> None:
    """Both values are the same but for their bodies, so that the second is one of which everything else is known."""
    codec = Codec(layout, KeySchema.V2)
    entries = [CacheEntry.make(one, ("a",), 1000, 60) for one in (value, other, value)]
    found = [codec.read(BytesBody(joined(codec, entry))) for entry in entries]
    assert found == entries
    assert found[0].identity is found[1].identity is found[2].identity


@pytest.mark.parametrize("layout", Layout)
def test_what_was_worked_out_of_an_entry_is_not_known_of_one_that_differs(layout: Layout) -> None:
    codec = Codec(layout, KeySchema.V2)
    html = text_body("<p>")
    entries = [
        CacheEntry.make(AppPageValue(html=html), ("a",), 1000, 60),
        CacheEntry.make(AppPageValue(html=html), ("b",), 1000, 60),
        CacheEntry.make(AppPageValue(html=html), ("a",), 1001, 60),
        CacheEntry.make(AppPageValue(html=html, headers={"x": "y"}), ("a",), 1000, 60),
        CacheEntry.make(AppPageValue(rsc_data=html), ("a",), 1000, 60),
        CacheEntry.make(PagesValue(html, None), ("a",), 1000, 60),
    ]
    found = [codec.read(BytesBody(joined(codec, entry))) for entry in entries]
    assert found == entries
    assert len({id(entry.identity) for entry in found}) == len(entries)


@pytest.mark.parametrize("layout", Layout)
def test_no_body_is_kept(layout: Layout) -> None:
    codec = Codec(layout, KeySchema.V2)
    entry = codec.read(BytesBody(joined(codec, CacheEntry.make(AppPageValue(html=text_body("<p>")), ("kept",), 1000, 60))))
    assert isinstance(entry.value, AppPageValue)
    body = weakref.ref(entry.value.html)
    del entry
    gc.collect()
    assert body() is None


@pytest.mark.parametrize(("layout", "known"), [(Layout.FRAMED, _KNOWN_HEADS), (Layout.VINEXT, _KNOWN_ENTRIES)])
def test_what_is_kept_is_bounded(layout: Layout, known: Any) -> None:
    codec = Codec(layout, KeySchema.V2)
    for number in range(MAX_KNOWN_ENTRIES + 10):
        codec.read(BytesBody(joined(codec, CacheEntry.make(AppPageValue(), (), number))))
    assert 0 < len(known) <= MAX_KNOWN_ENTRIES  # fewer where other memories take some of their common budget
    large = BytesBody(joined(codec, CacheEntry.make(AppPageValue(postponed="x" * MAX_KNOWN_CHARACTERS), (), 1)))
    before = dict(known)
    assert codec.read(large) == codec.read(large)
    assert known == before


def test_a_damaged_value_is_corrupt_however_well_its_head_is_known() -> None:
    codec = Codec(Layout.FRAMED, KeySchema.V2)
    data = joined(codec, CacheEntry.make(AppPageValue(html=text_body("<p>known")), ("a",), 1000, 60))
    damaged = [
        data[:-1],
        data + b"x",
        data.replace(b'"tags":["a"]', b'"tags":["a",'),
        data.replace(b'"lastModified"', b'"LastModified"'),
    ]
    for _ in range(2):
        codec.read(BytesBody(data))
        for value in damaged:
            with pytest.raises(CorruptValueError):
                codec.read(BytesBody(value))


def test_schema_v1_writes_none_of_v2_s_fields() -> None:
    entry = CacheEntry.make(None, (), 1000, 60, 600, 5)
    fields = json.loads(joined(Codec(Layout.VINEXT, KeySchema.V1), entry))
    assert fields == {"value": None, "tags": [], "lastModified": 1000, "revalidateAt": 61_000}


def apart(entry: CacheEntry) -> KVWhole | None:
    written = Codec(Layout.FRAMED, KeySchema.V2).write_apart(entry, MAX_METADATA_BYTES)
    return None if written is None else KVWhole(written[0], BytesBody(written[1].to_bytes()))


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if value is not None and value.kind in DETACH])
async def test_every_kind_with_a_body_is_read_from_its_head_and_its_body(name: str, layout: Layout) -> None:
    entry = CacheEntry.make(VALUES[name], ("a", "é"), 1000, 60, 600, 5)
    stored = apart(entry)
    assert stored is not None
    assert stored.buffer in bodies_of(entry).values()
    assert await Codec(layout, KeySchema.V2).read_value(stored) == entry


@pytest.mark.parametrize(
    "value", [None, RedirectValue(props={}), FetchValue({}, "b", "u")], ids=lambda value: type(value).__name__
)
def test_what_has_no_body_is_one_value(value: CacheValue | None) -> None:
    assert apart(CacheEntry.make(value, (), 1000, 60)) is None


async def test_a_head_that_metadata_cannot_hold_stays_with_its_body() -> None:
    html = text_body("<p>")
    for tag in ("x" * 600, "日" * 200):
        fitting = apart(CacheEntry.make(AppPageValue(html=html), (tag,), 1000, 60))
        assert fitting is not None
        assert fitting.metadata is not None
        room = MAX_METADATA_BYTES - len(fitting.metadata.encode())
        assert apart(CacheEntry.make(AppPageValue(html=html), (tag + "x" * room,), 1000, 60)) is not None
        assert apart(CacheEntry.make(AppPageValue(html=html), (tag + "x" * (room + 1),), 1000, 60)) is None


async def test_other_metadata_is_no_head_whatever_its_tags_say() -> None:
    codec = Codec(Layout.FRAMED, KeySchema.V2)
    entry = CacheEntry.make(AppPageValue(html=text_body("<p>")), ('"bodySize":', '{"bodySize":1}'), 1000, 60)
    for metadata in (None, "null", '"bodySize"', json_text({"tags": entry.tags})):
        assert await codec.read_value(KVWhole(metadata, BytesBody(joined(codec, entry)))) == entry


async def test_a_head_that_does_not_fit_its_body_is_corrupt() -> None:
    codec = Codec(Layout.FRAMED, KeySchema.V2)
    stored = apart(CacheEntry.make(AppPageValue(html=text_body("<p>")), ("a",), 1000, 60))
    assert stored is not None
    assert stored.metadata is not None
    for text in ("", "<p", "<p>x"):
        with pytest.raises(CorruptValueError):
            await codec.read_value(KVWhole(stored.metadata, BytesBody(text.encode())))
    for head in (
        stored.metadata.replace('"bodySize":3', '"bodySize":-3'),
        stored.metadata.replace('"bodySize":3', '"bodySize":"3"'),
        stored.metadata.replace('"body":"html"', '"body":"rscData"'),
        stored.metadata.replace('"body":"html"', '"body":null'),
        stored.metadata.replace('"lastModified"', '"LastModified"'),
        stored.metadata.replace('"tags":["a"]', f'"tags":{"[" * 600}{"]" * 600}'),
        '[{"bodySize":3}]',
        '"bodySize":3',
    ):
        with pytest.raises(CorruptValueError):
            await codec.read_value(KVWhole(head, stored.buffer))


texts = st.text(st.characters(exclude_categories=[]), max_size=20)
plain_texts = st.text(max_size=50)
headers_of = st.dictionaries(plain_texts, st.one_of(texts, st.lists(texts, max_size=3)), max_size=3)
statuses = st.none() | st.integers(200, 599)
bodies = st.binary(max_size=80).map(BytesBody)
html_of = plain_texts.map(text_body)
json_of = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
extras = st.dictionaries(
    st.sampled_from(["renderObservation", "prerendered", "x", "é"]), json_of.filter(lambda item: item is not None)
)
values = st.one_of(
    st.none(),
    st.builds(AppPageValue, html_of, st.none() | bodies, st.none() | headers_of, st.none() | texts, statuses, extras),
    st.builds(PagesValue, html_of, json_of, st.none() | headers_of, statuses, st.none() | st.booleans(), extras),
    st.builds(AppRouteValue, bodies, st.integers(200, 599), headers_of, extras),
    st.builds(RedirectValue, st.dictionaries(texts, json_of, max_size=3), extras),
    st.builds(ImageValue, texts, bodies, texts, st.none() | st.integers(0, 10**6), extras),
    st.builds(
        FetchValue,
        st.dictionaries(texts, texts, max_size=3),
        texts,
        texts,
        statuses,
        st.none() | st.lists(texts, max_size=3).map(tuple),
        st.sampled_from([None, False, 0, 60, math.inf]),
        extras,
        extras,
    ),
)
entries = st.builds(
    CacheEntry.make,
    values,
    st.lists(texts, max_size=4).map(tuple),
    st.integers(0, 2**52),
    st.none() | st.integers(1, 10**9),
    st.none() | st.integers(1, 10**9),
)


@given(entries)
async def test_any_entry_is_read_from_its_head_and_its_body(entry: CacheEntry) -> None:
    stored = apart(entry)
    if stored is not None:
        assert await Codec(Layout.VINEXT, KeySchema.V1).read_value(stored) == entry


@given(entries, st.sampled_from(list(Layout)))
def test_any_entry_is_read_as_it_was_written(entry: CacheEntry, layout: Layout) -> None:
    codec = Codec(layout, KeySchema.V2)
    written = joined(codec, entry)
    found = codec.read(BytesBody(written))
    assert found == entry
    assert joined(codec, found) == written


def test_stale_and_fresh_are_told_in_the_reads() -> None:
    states = {row["v2"] for row in rows("reads")}
    assert states >= {"miss", Freshness.FRESH.value, Freshness.STALE.value}
