"""Bytes that need not be in Python's memory, such as a JavaScript buffer."""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from core.errors import CorruptValueError, InvalidArgumentError
from core.javascript import json_text, to_utf8

if TYPE_CHECKING:
    from collections.abc import Mapping

Encoding: TypeAlias = Literal["text", "base64"]

Detach: TypeAlias = "Mapping[str, Mapping[str, Encoding]]"


class Body(Protocol):
    """A run of bytes that can be measured and passed on without being copied."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        ...

    def to_bytes(self) -> bytes:
        """Copy the bytes into Python's memory; a TypeError for a body that can only be sent (`GetContext.streamed`)."""
        ...


class Buffer(Body, Protocol):
    """A whole stored value, as read from a store."""

    def head(self, size: int) -> bytes:
        """Copy the first `size` bytes, fewer where the value is shorter."""
        ...

    def tail(self, start: int) -> Body:
        """Give everything from byte `start` on, not copied."""
        ...

    def json(self, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """Give the JSON text without its large fields, as `JSON.stringify` writes it, and these fields; see `parse_detached`."""
        ...


@dataclass(frozen=True)
class BytesBody:
    """A Body and a Buffer in Python's own memory."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def to_bytes(self) -> bytes:
        """Give the bytes themselves."""
        return self.data

    def head(self, size: int) -> bytes:
        """Give the first bytes."""
        return self.data[:size]

    def tail(self, start: int) -> BytesBody:
        """Give the rest, here as a copy."""
        return BytesBody(self.data[start:])

    def json(self, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """Give the text without large fields; see Buffer."""
        document, bodies = parse_detached(self.data, detach)
        return json_text(document), bodies


# Brackets, and strings as a whole: what is in them nests nothing.
_BRACKETS = r'[\[{\]}]|"(?:[^"\\]|\\.)*"'

EMPTY_BODY = BytesBody(b"")


def text_body(text: str) -> BytesBody:
    """Wrap the UTF-8 of `text`; a lone surrogate becomes U+FFFD."""
    if not isinstance(text, str):
        raise InvalidArgumentError("text", text, "a string")
    return BytesBody(to_utf8(text))


def body_text(body: Body) -> str:
    """Decode a body as UTF-8; bytes that are none become U+FFFD, as `TextDecoder` has it."""
    return body.to_bytes().decode("utf-8", "replace")


MAX_BODY_BYTES = 25 * 1024 * 1024
"""The largest value in KV, and the largest file among the assets."""

MAX_DEPTH = 500
"""How deep a JSON text may be nested. Python parses each level on the stack, and where that ends inside a Worker, so
does the whole isolate."""


def parse_json(data: bytes | str) -> object:
    """Parse JSON as `JSON.parse` does; raises CorruptValueError, also beyond MAX_DEPTH."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        _require_shallow(text)
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise CorruptValueError(message) from error


def parse_detached(data: bytes, detach: Detach) -> tuple[object, Mapping[str, Body]]:
    """Parse as JSON and take large fields out of the document.

    For the fields that `detach` names for `document["value"]["kind"]`, each one that is a string in
    `document["value"]` is removed from the document and returned as a Body: `text` as its UTF-8 with lone
    surrogates as U+FFFD, `base64` decoded, strictly. Raises CorruptValueError for bytes that are not UTF-8, text
    that is not JSON (NaN and Infinity are not), and for bad base64.
    """
    document = parse_json(data)
    bodies: dict[str, Body] = {}
    value = document.get("value") if isinstance(document, dict) else None
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(kind, str):
        for name, encoding in detach.get(kind, {}).items():
            text = value.get(name)
            if isinstance(text, str):
                del value[name]
                bodies[name] = BytesBody(to_utf8(text) if encoding == "text" else decode_base64(text))
    return document, bodies


def decode_base64(text: str) -> bytes:
    """Decode standard, padded base64 and nothing else (RFC 4648, section 4); raises CorruptValueError."""
    try:
        if len(text) % 4 == 0:
            return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        message = f"not base64: {error}"
        raise CorruptValueError(message) from error
    message = f"not base64: {len(text)} characters are no multiple of 4"
    raise CorruptValueError(message)


def _require_shallow(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in re.findall(_BRACKETS, text, re.DOTALL):
        if bracket in "[{":
            depth += 1
        elif bracket in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _refuse_constant(name: str) -> object:
    message = f"{name} is no JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
