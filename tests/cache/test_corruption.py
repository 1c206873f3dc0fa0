"""A stored value of any shape is either an entry, or a miss with one log line and a delete in the background."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cache.subjects import FakeSubject, kv
from tests.cache.vectors import kv_dump

from cache.entry import AppPageValue, CacheEntry, PagesValue
from cache.handler import SetContext
from cache.keys import KeySchema
from cache.kv import KVCacheHandler
from cache.stored import Codec, Layout
from core.body import BytesBody, body_text, text_body
from core.errors import CorruptValueError
from vinext.testing.rules import VALUES

if TYPE_CHECKING:
    from cache.entry import CacheValue

MUTATIONS = 500
CODEC = Codec(Layout.VINEXT, KeySchema.V2)
WRONG: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e300,
    -1.7e308,
    10**400,
    "",
    "x",
    "%",
    [],
    ["x"],
    [5],
    {},
    {"x": 5},
    {"kind": "APP_PAGE"},
]


def stored_values() -> list[bytes]:
    dumped = [row["value"] for version in ("0.0.38", "1.4.0") for row in kv_dump(version) if row["valueKind"]]
    shortest = sorted(dumped, key=len)[:40]
    written = []
    for layout in Layout:
        for value in VALUES.values():
            entry = CacheEntry.make(value, ("a", "/é"), 1_700_000_000_000, 60, 600)
            parts = Codec(layout, KeySchema.V2).write(entry)
            written.append(b"".join(part if isinstance(part, bytes) else part.to_bytes() for part in parts))
    return [text.encode() for text in shortest] + written


STORED = stored_values()
DOCUMENTS = [json.loads(data) for data in STORED if data.startswith(b"{")]


def shape(node: Any) -> str:
    """Return the names and types in a document, which are the same for documents that are read in the same way."""
    if isinstance(node, dict):
        return str({name: shape(node[name]) for name in sorted(node)})
    if isinstance(node, list):
        return str(sorted({shape(item) for item in node}))
    return type(node).__name__


# The last of each shape is kept: this project's own ones come last, and are small.
SHAPES = list({shape(document): document for document in DOCUMENTS}.values())


@st.composite
def damaged_bytes(draw: st.DrawFn) -> bytes:
    """Draw a stored value with a few bits flipped, cut off, repeated or spliced with another."""
    data = bytearray(draw(st.sampled_from(STORED)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 4)):
            case 0 if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[: draw(st.integers(0, 40))]
            case 3:
                del data[at : at + draw(st.integers(1, 30))]
            case _:
                other = draw(st.sampled_from(STORED))
                data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


@st.composite
def damaged_documents(draw: st.DrawFn) -> bytes:
    """Draw a document with a field anywhere in it replaced, removed or added."""
    document = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTS))))
    for _ in range(draw(st.integers(1, 3))):
        nodes = list(containers(document))
        node = draw(st.sampled_from(nodes))
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = draw(st.sampled_from(places)) if places else None
        if place is None:
            continue
        if draw(st.booleans()):
            node[place] = copy.deepcopy(draw(st.sampled_from(WRONG)))
        else:
            del node[place]
    return json.dumps(document).encode()


def containers(node: Any) -> Any:
    if isinstance(node, dict | list):
        yield node
        for item in list(node.values() if isinstance(node, dict) else node):
            yield from containers(item)


async def read(data: bytes) -> None:
    subject = FakeSubject(kv)
    assert isinstance(subject.handler, KVCacheHandler)
    await subject.kv.put("cache:k", data)
    entry = await subject.handler.get("k")
    await subject.settle()
    try:
        expected = CODEC.read(BytesBody(data))
    except CorruptValueError:
        assert entry is None
        assert subject.log.names() == ["cache.entry_corrupt"]
        assert subject.kv.stored == {}
        return
    assert subject.log.names() == []
    if entry is not None:
        assert entry == expected
        # An entry that was read can be written again.
        await subject.handler.set("copy", entry.value, SetContext(tags=entry.tags))
        again = await subject.handler.get("copy")
        await subject.settle()
        # A number too large for JavaScript is written as null.
        assert again is None or again.value == as_text(entry.value) or b"0" * 400 in data


def as_text(value: CacheValue | None) -> CacheValue | None:
    """Return a value as JSON stores it: bytes that are not UTF-8, which only a framed entry can hold, become U+FFFD."""
    if isinstance(value, AppPageValue | PagesValue):
        return replace(value, html=text_body(body_text(value.html)))
    return value


@pytest.mark.parametrize("depth", [50, 900, 990, 100_000])
@pytest.mark.parametrize("name", ["tags", "value", "more", "lastModified"])
async def test_a_deeply_nested_document_never_raises(name: str, depth: int) -> None:
    document: dict[str, object] = {"value": None, "tags": [], "lastModified": 1, "revalidateAt": None}
    text = json.dumps({**document, name: "@"}).replace('"@"', "[" * depth + "]" * depth)
    subject = FakeSubject(kv)
    await subject.kv.put("cache:k", text)
    assert (await subject.handler.get("k") is None) or name == "more"
    await subject.settle()
    assert ("cache:k" in subject.kv.stored) is (subject.log.names() == [])


@settings(max_examples=MUTATIONS, suppress_health_check=list(HealthCheck))
@given(damaged_bytes())
async def test_damaged_bytes_never_raise(data: bytes) -> None:
    await read(data)


@settings(max_examples=MUTATIONS, suppress_health_check=list(HealthCheck))
@given(damaged_documents())
async def test_a_damaged_document_never_raises(data: bytes) -> None:
    await read(data)


@pytest.mark.parametrize("document", SHAPES, ids=lambda document: str((document["value"] or {}).get("kind")))
async def test_every_field_of_a_document_in_every_wrong_shape_never_raises(document: Any) -> None:
    changed = copy.deepcopy(document)
    for node in list(containers(changed)):
        if isinstance(node, dict):
            for name in list(node):
                kept = node[name]
                for wrong in WRONG:
                    node[name] = wrong
                    try:
                        assert isinstance(CODEC.read(BytesBody(json.dumps(changed).encode())), CacheEntry)
                    except CorruptValueError as error:
                        assert str(error)  # noqa: PT017 - either is right
                node[name] = kept
    assert changed == document
