"""The layout that vinext stores: one JSON text with every body in it."""

from __future__ import annotations

import binascii
from functools import lru_cache
from typing import TYPE_CHECKING

from cache.body import EMPTY_BODY, body_text, parse_json
from cache.document import (
    DETACH,
    KNOWN_ENTRIES,
    LARGEST_KNOWN,
    body_field,
    entry_document,
    read_entry,
    value_document,
    with_bodies,
)
from cache.javascript import json_text, string_text

if TYPE_CHECKING:
    from cache.body import Body, Buffer, Encoding
    from cache.entry import CacheEntry


def write_vinext(entry: CacheEntry, *, bounded: bool) -> bytes:
    """Give the UTF-8 of what vinext's KV handler would store; `bounded` is schema V2."""
    document = entry_document(entry, None, bounded=bounded)
    value = "null" if entry.value is None else _value_text(value_document(entry.value))
    fields = [f"{string_text(name)}:{value if name == 'value' else json_text(item)}" for name, item in document.items()]
    return f"{{{','.join(fields)}}}".encode()


def read_vinext(buffer: Buffer) -> CacheEntry:
    """Read what vinext stored; raises CorruptValueError."""
    text, bodies = buffer.json(DETACH)
    read = _known_entry if len(text) <= LARGEST_KNOWN else _read_entry
    return with_bodies(read(text, tuple(bodies)), bodies)


def _read_entry(text: str, detached: tuple[str, ...]) -> CacheEntry:
    """Read an entry from which these fields were taken; there are empty bodies in their place."""
    return read_entry(parse_json(text), dict.fromkeys(detached, EMPTY_BODY))


_known_entry = lru_cache(KNOWN_ENTRIES)(_read_entry)


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
