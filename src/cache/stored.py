"""Stored values, in either of two layouts.

vinext's layout is one JSON text with every body in it. The framed layout is a JSON head and a raw body, which nobody has to
decode. Where the head fits into KV's metadata, it is the metadata, and the body alone is the value, so that a Worker can pass
the body on while it still reads it. Otherwise the value has both:

    magic 4 bytes · version 1 byte · length of the head 4 bytes, big-endian · head · body

The head is the document of the entry without the body's field, plus `body`, the name of that field or null, and `bodySize`,
its size in bytes, which shows whether a value was cut off. It is null where the size was not known yet: a value that is stored in
parts is there as a whole or not at all.

In both layouts `keyHash` says under which key the entry was stored, so that no reader takes it for another's. vinext's readers
look at the fields that they know, and ignore it. Entries without it are read as they are.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cache.document import (
    DETACH,
    MAX_KNOWN_CHARACTERS,
    MAX_KNOWN_ENTRIES,
    body_field,
    entry_document,
    read_entry,
    value_document,
    with_bodies,
)
from cache.keys import KeySchema
from core.body import EMPTY_BODY, ArrivingBody, BytesBody, decode_base64, parse_json
from core.errors import CorruptValueError, OtherKeyError
from core.javascript import json_text, string_text, to_utf8
from core.recent import Recent, text_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cache.document import Document
    from cache.entry import CacheEntry
    from cache.kv_namespace import KVValue
    from core.body import Body, Buffer

MAGIC = b"\x8fVXF"
VERSION = 1
_LENGTH_AT = len(MAGIC) + 1
PREFIX_BYTES = _LENGTH_AT + 4

# Enough for the head of nearly every page, so that one copy into Python reads it.
FIRST_READ_BYTES = 4096

_KEY_HASH = "keyHash"
_KEY_HASH_CHARACTERS = 16


class Layout(StrEnum):
    """The form of stored entries: vinext's JSON, or a head and a raw body."""

    VINEXT = "vinext"
    FRAMED = "framed"


@dataclass(frozen=True)
class Codec:
    """A writer of one layout and a reader of both, which looks for the written one first.

    `name` is the key that the store has for the value. A reader that gives it gets no other key's entry; None: it is not written,
    or not compared.
    """

    layout: Layout
    schema: KeySchema

    def write(self, entry: CacheEntry, name: str | None = None) -> tuple[bytes | Body, ...]:
        """Return the parts, in order, of a value that has the whole entry; raises the errors of `json_text`."""
        if self.layout is Layout.FRAMED:
            return write_framed(entry, name)
        return write_vinext(entry, bounded=self.schema is KeySchema.V2, name=name)

    def write_apart(self, entry: CacheEntry, max_bytes: int, name: str | None = None) -> tuple[str, Body] | None:
        """Return the head, to keep as metadata of at most `max_bytes`, and the body, which is then the value.

        None where the value has the whole entry: in vinext's layout, and where there is no body or the head is larger.
        Raises the errors of `json_text`.
        """
        if self.layout is not Layout.FRAMED:
            return None
        document, body = framed_head(entry, name)
        if body is None:
            return None
        head = json_text(document)
        return (head, body) if len(head.encode()) <= max_bytes else None

    def read(self, buffer: Buffer, name: str | None = None) -> CacheEntry:
        """Read a stored value of either layout; raises CorruptValueError."""
        first_bytes = buffer.head(FIRST_READ_BYTES if self.layout is Layout.FRAMED else len(MAGIC))
        try:
            if not is_framed(first_bytes):
                return read_vinext(buffer, name)
            return read_framed(buffer, first_bytes if len(first_bytes) > len(MAGIC) else buffer.head(FIRST_READ_BYTES), name)
        except RecursionError as error:
            raise CorruptValueError("nested too deeply") from error

    async def read_value(self, value: KVValue, name: str | None = None) -> CacheEntry:
        """Read an entry whose head may be the value's metadata; raises CorruptValueError."""
        if value.metadata is None or not is_head(value.metadata):
            return self.read(await value.whole(), name)
        return await read_apart(value.metadata, value.body, name)


def entry_to_bytes(entry: CacheEntry) -> bytes:
    """Return an entry as bytes, for a store of any kind: the framed layout."""
    return whole_bytes(write_framed(entry))


def entry_from_bytes(data: bytes) -> CacheEntry:
    """Return the entry of `entry_to_bytes`, or of a value in vinext's layout; raises CorruptValueError."""
    return _FRAMED.read(BytesBody(data))


def key_hash(name: str) -> str:
    """Return what an entry says of the key under which it is stored: the beginning of the key's SHA-256."""
    return hashlib.sha256(to_utf8(name)).hexdigest()[:_KEY_HASH_CHARACTERS]


def size_bytes(parts: Sequence[bytes | Body]) -> int:
    """Return the size of a stored value."""
    return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)


def whole_bytes(parts: Sequence[bytes | Body]) -> bytes:
    """Return a stored value in one piece."""
    return b"".join(part if isinstance(part, bytes) else part.to_bytes() for part in parts)


def write_vinext(entry: CacheEntry, *, bounded: bool, name: str | None = None) -> tuple[bytes | Body, ...]:
    """Return, in parts, the UTF-8 of the JSON that vinext's KV handler would store; `bounded` is schema V2.

    A body stays where its bytes are. It may be large, and what Python's memory has grown to, it never gives back.
    """
    document = entry_document(entry, None, bounded=bounded)
    if name is not None:
        document[_KEY_HASH] = key_hash(name)
    if entry.value is None:
        return (json_text(document).encode(),)
    value = value_document(entry.value)
    encodings = DETACH.get(str(value["kind"]), {})
    parts: list[bytes | Body] = []
    text = '{"value":'
    for number, (field, item) in enumerate(value.items()):
        text += f"{',' if number else '{'}{string_text(field)}:"
        if field in encodings:
            parts += text.encode(), body_field(value, field).json_string(encodings[field])
            text = ""
        else:
            text += json_text(item)
    del document["value"]
    # Both are objects with a field at least.
    return (*parts, f"{text}}},{json_text(document)[1:]}".encode())


def read_vinext(buffer: Buffer, name: str | None = None) -> CacheEntry:
    """Read a value in vinext's layout; raises CorruptValueError."""
    text, bodies = buffer.json(DETACH)
    detached = tuple(bodies)
    known = _KNOWN_ENTRIES.get((text, detached))
    if known is None:
        known = _read_entry(text, detached)
        if len(text) <= MAX_KNOWN_CHARACTERS:
            _KNOWN_ENTRIES[text, detached] = known
    known.require_key(name)
    return with_bodies(known.entry, bodies)


def is_framed(first_bytes: bytes) -> bool:
    """Return whether a value is framed, and not JSON, by its first bytes."""
    return first_bytes.startswith(MAGIC)


def write_framed(entry: CacheEntry, name: str | None = None) -> tuple[bytes | Body, ...]:
    """Return the parts of a value that has both: the head, and the body unchanged."""
    document, body = framed_head(entry, name)
    head = json_text(document).encode()
    prefix = MAGIC + bytes([VERSION]) + len(head).to_bytes(4, "big")
    return (prefix + head,) if body is None else (prefix + head, body)


def framed_head(entry: CacheEntry, name: str | None = None) -> tuple[Document, Body | None]:
    """Return the head of an entry and its body, None where it has no body."""
    body: Body | None = None
    raw: str | None = None
    value: dict[str, object] | None = None
    if entry.value is not None:
        value = value_document(entry.value)
        raw, body = _largest_body(value)
        for field in DETACH.get(str(value["kind"]), {}):
            if field == raw:
                del value[field]
            elif field in value:
                value[field] = _inline(body_field(value, field))
    document = entry_document(entry, value, bounded=True)
    document["body"] = raw
    if isinstance(body, ArrivingBody):
        document["bodySize"] = body.expected_bytes
    else:
        document["bodySize"] = 0 if body is None else body.size_bytes
    if name is not None:
        document[_KEY_HASH] = key_hash(name)
    return document, body


def is_head(metadata: str) -> bool:
    """Return whether metadata, JSON without spaces, is a head. Inside a string, each quote has a backslash before it."""
    return '"bodySize":' in metadata


def read_framed(buffer: Buffer, first_bytes: bytes, name: str | None = None) -> CacheEntry:
    """Read a framed value whose first bytes are known already; raises CorruptValueError."""
    if len(first_bytes) < PREFIX_BYTES or first_bytes[len(MAGIC)] != VERSION:
        message = f"not a framed entry of version {VERSION}"
        raise CorruptValueError(message)
    start = PREFIX_BYTES + int.from_bytes(first_bytes[_LENGTH_AT:PREFIX_BYTES], "big")
    size = buffer.size_bytes
    if start > size:
        message = f"the head ends at byte {start} of {size}"
        raise CorruptValueError(message)
    if start > len(first_bytes):
        first_bytes = buffer.head(start)
    head = _known_head(first_bytes[PREFIX_BYTES:start])
    head.require_key(name)
    if head.body_bytes is not None and head.body_bytes != size - start:
        message = "the size in the head is not that of the body"
        raise CorruptValueError(message)
    return head.entry if head.body is None else with_bodies(head.entry, {head.body: buffer.tail(start)})


async def read_apart(head: str, body: Callable[[int | None], Awaitable[Body]], name: str | None = None) -> CacheEntry:
    """Read an entry whose head was apart from its body; raises CorruptValueError, as `body` may for a wrong size."""
    known = _known_head(head)
    known.require_key(name)
    size = known.body_bytes
    if known.body is None or not (size is None or (isinstance(size, int) and size >= 0)):
        raise CorruptValueError("the metadata is a head without the name or size of a body")
    return with_bodies(known.entry, {known.body: await body(size)})


@dataclass(frozen=True)
class _Head:
    """A document without the body; its entry has an empty body in each field whose value is elsewhere.

    `body` is the field of the raw body, and `body_bytes` its size, where the document states them.
    """

    entry: CacheEntry
    key_hash: object
    body: str | None = None
    body_bytes: object = None

    def require_key(self, name: str | None) -> None:
        """Raise OtherKeyError if the entry was stored under another key."""
        if name is not None and self.key_hash is not None and self.key_hash != key_hash(name):
            raise OtherKeyError(f"it was stored under another key, whose hash is {self.key_hash!r}")


_FRAMED = Codec(Layout.FRAMED, KeySchema.V2)


def _known_bytes(text: object, _head: _Head) -> int:
    return _KNOWN_TIMES * text_bytes(text) + _KNOWN_BYTES


# What a parsed document takes: its texts again, the objects, and the values that are computed once to answer with the entry.
_KNOWN_TIMES = 3
_KNOWN_BYTES = 2500

_KNOWN_ENTRIES: Recent[tuple[str, tuple[str, ...]], _Head] = Recent(MAX_KNOWN_ENTRIES, _known_bytes)
_KNOWN_HEADS: Recent[bytes | str, _Head] = Recent(MAX_KNOWN_ENTRIES, _known_bytes)


def _read_entry(text: str, detached: tuple[str, ...]) -> _Head:
    """Read an entry with empty bodies in place of the detached fields."""
    document = parse_json(text)
    hashed = document.pop(_KEY_HASH, None) if isinstance(document, dict) else None
    return _Head(read_entry(document, dict.fromkeys(detached, EMPTY_BODY)), hashed)


def _largest_body(value: dict[str, object]) -> tuple[str | None, Body | None]:
    """Return the body to store raw, with its name; where a page has both forms, the other one goes into the head."""
    bodies = [(name, body_field(value, name)) for name in DETACH.get(str(value["kind"]), {}) if name in value]
    return max(bodies, key=lambda item: item[1].size_bytes, default=(None, None))


def _inline(body: Body) -> str:
    return binascii.b2a_base64(body.to_bytes(), newline=False).decode("ascii")


def _known_head(text: bytes | str) -> _Head:
    known = _KNOWN_HEADS.get(text)
    if known is None:
        known = _read_head(text)
        if len(text) <= MAX_KNOWN_CHARACTERS:
            _KNOWN_HEADS[text] = known
    return known


def _read_head(text: bytes | str) -> _Head:
    document = parse_json(text)
    if not isinstance(document, dict):
        message = f"the head is an object, not {type(document).__name__}"
        raise CorruptValueError(message)
    body_bytes, name = document.pop("bodySize", None), document.pop("body", None)
    hashed = document.pop(_KEY_HASH, None)
    bodies: dict[str, Body] = {}
    value = document.get("value")
    raw = None
    if isinstance(value, dict):
        for field in DETACH.get(str(value.get("kind")), {}):
            inlined = value.pop(field, None)
            if isinstance(inlined, str):
                bodies[field] = BytesBody(decode_base64(inlined))
            elif field == name:
                raw = field
                bodies[field] = EMPTY_BODY
    return _Head(read_entry(document, bodies), hashed, raw, body_bytes)
