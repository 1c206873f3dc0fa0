"""Stored values, in either of two layouts.

vinext's layout is one JSON text with every body in it. The framed layout is a JSON head and a raw body, which nobody has to
decode. Where the head fits into KV's metadata, it is the metadata, and the body alone is the value, so that a Worker can pass
the body on while it still reads it. Otherwise the value has both:

    magic 4 bytes · version 1 byte · length of the head 4 bytes, big-endian · head · body

The head is the document of the entry without the body's field, plus `body`, the name of that field or null, and `bodySize`,
its size in bytes, which shows whether a value was cut off.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
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
from core.body import EMPTY_BODY, BytesBody, body_text, decode_base64, parse_json
from core.errors import CorruptValueError
from core.javascript import json_text, string_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cache.document import Document
    from cache.entry import CacheEntry
    from cache.kv_namespace import KVValue
    from core.body import Body, Buffer, Encoding

MAGIC = b"\x8fVXF"
VERSION = 1
_LENGTH_AT = len(MAGIC) + 1
PREFIX_BYTES = _LENGTH_AT + 4

# Enough for the head of nearly every page, so that one copy into Python reads it.
FIRST_READ_BYTES = 4096


class Layout(StrEnum):
    """The form of stored entries: vinext's JSON, or a head and a raw body."""

    VINEXT = "vinext"
    FRAMED = "framed"


@dataclass(frozen=True)
class Codec:
    """A writer of one layout and a reader of both, which looks for the written one first."""

    layout: Layout
    schema: KeySchema

    def write(self, entry: CacheEntry) -> tuple[bytes | Body, ...]:
        """Return the parts, in order, of a value that has the whole entry; raises the errors of `json_text`."""
        if self.layout is Layout.FRAMED:
            return write_framed(entry)
        return (write_vinext(entry, bounded=self.schema is KeySchema.V2),)

    def write_apart(self, entry: CacheEntry, max_bytes: int) -> tuple[str, Body] | None:
        """Return the head, to keep as metadata of at most `max_bytes`, and the body, which is then the value.

        None where the value has the whole entry: in vinext's layout, and where there is no body or the head is larger.
        Raises the errors of `json_text`.
        """
        if self.layout is not Layout.FRAMED:
            return None
        document, body = framed_head(entry)
        if body is None:
            return None
        head = json_text(document)
        return (head, body) if len(head.encode()) <= max_bytes else None

    def read(self, buffer: Buffer) -> CacheEntry:
        """Read a stored value of either layout; raises CorruptValueError."""
        first_bytes = buffer.head(FIRST_READ_BYTES if self.layout is Layout.FRAMED else len(MAGIC))
        try:
            if not is_framed(first_bytes):
                return read_vinext(buffer)
            return read_framed(buffer, first_bytes if len(first_bytes) > len(MAGIC) else buffer.head(FIRST_READ_BYTES))
        except RecursionError as error:
            raise CorruptValueError("nested too deeply") from error

    async def read_value(self, value: KVValue) -> CacheEntry:
        """Read an entry whose head may be the value's metadata; raises CorruptValueError."""
        if value.metadata is None or not is_head(value.metadata):
            return self.read(await value.whole())
        return read_apart(value.metadata, value.body)


def size_bytes(parts: Sequence[bytes | Body]) -> int:
    """Return the size of a stored value."""
    return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)


def write_vinext(entry: CacheEntry, *, bounded: bool) -> bytes:
    """Return the UTF-8 of the JSON that vinext's KV handler would store; `bounded` is schema V2."""
    document = entry_document(entry, None, bounded=bounded)
    value = "null" if entry.value is None else _value_text(value_document(entry.value))
    fields = [f"{string_text(name)}:{value if name == 'value' else json_text(item)}" for name, item in document.items()]
    return f"{{{','.join(fields)}}}".encode()


def read_vinext(buffer: Buffer) -> CacheEntry:
    """Read a value in vinext's layout; raises CorruptValueError."""
    text, bodies = buffer.json(DETACH)
    read = _known_entry if len(text) <= MAX_KNOWN_CHARACTERS else _read_entry
    return with_bodies(read(text, tuple(bodies)), bodies)


def is_framed(first_bytes: bytes) -> bool:
    """Return whether a value is framed, and not JSON, by its first bytes."""
    return first_bytes.startswith(MAGIC)


def write_framed(entry: CacheEntry) -> tuple[bytes | Body, ...]:
    """Return the parts of a value that has both: the head, and the body unchanged."""
    document, body = framed_head(entry)
    head = json_text(document).encode()
    prefix = MAGIC + bytes([VERSION]) + len(head).to_bytes(4, "big")
    return (prefix + head,) if body is None else (prefix + head, body)


def framed_head(entry: CacheEntry) -> tuple[Document, Body | None]:
    """Return the head of an entry and its body, None where it has no body."""
    body: Body | None = None
    name: str | None = None
    value: dict[str, object] | None = None
    if entry.value is not None:
        value = value_document(entry.value)
        name, body = _largest_body(value)
        for field in DETACH.get(str(value["kind"]), {}):
            if field == name:
                del value[field]
            elif field in value:
                value[field] = _inline(body_field(value, field))
    document = entry_document(entry, value, bounded=True)
    document["body"] = name
    document["bodySize"] = 0 if body is None else body.size_bytes
    return document, body


def is_head(metadata: str) -> bool:
    """Return whether metadata, JSON without spaces, is a head. Inside a string, each quote has a backslash before it."""
    return '"bodySize":' in metadata


def read_framed(buffer: Buffer, first_bytes: bytes) -> CacheEntry:
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
    text = first_bytes[PREFIX_BYTES:start]
    head = _known_head(text) if len(text) <= MAX_KNOWN_CHARACTERS else _read_head(text)
    if head.body_bytes != size - start:
        message = "the size in the head is not that of the body"
        raise CorruptValueError(message)
    return head.entry if head.body is None else with_bodies(head.entry, {head.body: buffer.tail(start)})


def read_apart(head: str, body: Callable[[int], Body]) -> CacheEntry:
    """Read an entry whose head was apart from its body; raises CorruptValueError, as `body` may for a wrong size."""
    known = _known_head(head)
    if known.body is None or not isinstance(known.body_bytes, int) or known.body_bytes < 0:
        raise CorruptValueError("the metadata is a head without the name or size of a body")
    return with_bodies(known.entry, {known.body: body(known.body_bytes)})


def _value_text(value: dict[str, object]) -> str:
    encodings = DETACH.get(str(value["kind"]), {})
    fields = []
    for name, item in value.items():
        encoding = encodings.get(name)
        text = json_text(item) if encoding is None else _body_text(body_field(value, name), encoding)
        fields.append(f"{string_text(name)}:{text}")
    return f"{{{','.join(fields)}}}"


def _body_text(body: Body, encoding: Encoding) -> str:
    if encoding == "text":
        return string_text(body_text(body))
    return f'"{binascii.b2a_base64(body.to_bytes(), newline=False).decode("ascii")}"'


def _read_entry(text: str, detached: tuple[str, ...]) -> CacheEntry:
    """Read an entry with empty bodies in place of the detached fields."""
    return read_entry(parse_json(text), dict.fromkeys(detached, EMPTY_BODY))


_known_entry = lru_cache(MAX_KNOWN_ENTRIES)(_read_entry)


def _largest_body(value: dict[str, object]) -> tuple[str | None, Body | None]:
    """Return the body to store raw, with its name; where a page has both forms, the other one goes into the head."""
    bodies = [(name, body_field(value, name)) for name in DETACH.get(str(value["kind"]), {}) if name in value]
    return max(bodies, key=lambda item: item[1].size_bytes, default=(None, None))


def _inline(body: Body) -> str:
    return binascii.b2a_base64(body.to_bytes(), newline=False).decode("ascii")


@dataclass(frozen=True)
class _Head:
    """The content of a head; its entry has an empty body in the field `body`, where the raw one belongs."""

    entry: CacheEntry
    body: str | None
    body_bytes: object


def _read_head(text: bytes | str) -> _Head:
    document = parse_json(text)
    if not isinstance(document, dict):
        message = f"the head is an object, not {type(document).__name__}"
        raise CorruptValueError(message)
    body_bytes, name = document.pop("bodySize", None), document.pop("body", None)
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
    return _Head(read_entry(document, bodies), raw, body_bytes)


_known_head = lru_cache(MAX_KNOWN_ENTRIES)(_read_head)
