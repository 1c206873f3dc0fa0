"""Bodies, whose bytes need not be in Python's memory, and the JSON that carries them."""

from __future__ import annotations

import binascii
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias, runtime_checkable

from core.errors import CorruptValueError, InvalidArgumentError
from core.javascript import json_text, string_text, to_utf8

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

Encoding: TypeAlias = Literal["text", "base64"]
Detach: TypeAlias = "Mapping[str, Mapping[str, Encoding]]"

# Python parses each level of a JSON text on the stack, and a stack overflow inside a Worker ends the whole isolate.
MAX_BODY_BYTES = 25 * 1024 * 1024  # of a value in KV, and of a file among the assets
MAX_DEPTH = 500

# Strings match as a whole, because the brackets inside them do not nest.
_BRACKETS = r'[\[{\]}]|"(?:[^"\\]|\\.)*"'


class Body(Protocol):
    """A run of bytes that can be measured and passed on without being copied."""

    @property
    def size_bytes(self) -> int:
        """The number of bytes."""
        ...

    def to_bytes(self) -> bytes:
        """Copy the bytes into Python's memory; raises TypeError for a body that can only be sent (`GetContext.streamed`)."""
        ...

    def json_string(self, encoding: Encoding) -> Body:
        """Return the body as a string of JSON: its text (`body_text`) or its base64, in the same memory as the bytes."""
        ...


Digest: TypeAlias = "Callable[[Body], Awaitable[str]]"
"""Returns the first half of a body's SHA-256, in hexadecimal."""


@runtime_checkable
class Divisible(Protocol):
    """A body that can only be sent, once, and that can be divided to be sent twice."""

    def split(self) -> tuple[Self, Self]:
        """Return two bodies with the same bytes in the place of this one."""
        ...


class ArrivingBody(ABC):
    """A body of which only the beginning has come: it can be stored in parts, once, and nothing else (`cache.r2`).

    `size_bytes` counts what has come so far. `expected_bytes` is what has to come in all, None if that is not known. `failure`
    says why the body did not come to its end.
    """

    size_bytes: int
    expected_bytes: int | None = None
    failure: str | None = None

    @abstractmethod
    async def part(self, part_bytes: int) -> Any:
        """Return the next `part_bytes` bytes, fewer at the end, then None. The next call may overwrite them.

        Raises BrokenBodyError, with the reason in `failure` too.
        """

    @abstractmethod
    async def drop(self) -> None:
        """Give up what has not come yet."""

    def to_bytes(self) -> bytes:
        raise TypeError("this body is still arriving, and can only be stored")

    def json_string(self, encoding: Encoding) -> Body:  # noqa: ARG002 - the protocol
        raise TypeError("this body is still arriving, and can only be stored")


class Buffer(Body, Protocol):
    """A whole stored value, as read from a store."""

    def head(self, size: int) -> bytes:
        """Copy the first `size` bytes, or fewer where the value is shorter."""
        ...

    def tail(self, start: int) -> Body:
        """Return everything from byte `start` on, without copying."""
        ...

    def part(self, start: int, size_bytes: int) -> Body:
        """Copy some bytes, in the same memory, so that the others need not stay; fewer where the value ends before."""
        ...

    def json(self, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """Return the JSON text without its large fields, as `JSON.stringify` writes it, and these fields (`parse_detached`)."""
        ...


@dataclass(frozen=True)
class BytesBody:
    """A Body and a Buffer in Python's own memory."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def to_bytes(self) -> bytes:
        """Return the bytes themselves."""
        return self.data

    def json_string(self, encoding: Encoding) -> BytesBody:
        """Return the string, quoted; see Body."""
        if encoding == "text":
            return BytesBody(string_text(body_text(self)).encode())
        return BytesBody(b'"%b"' % binascii.b2a_base64(self.data, newline=False))

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        return self.data[:size]

    def tail(self, start: int) -> BytesBody:
        """Return the rest, here as a copy."""
        return BytesBody(self.data[start:])

    def part(self, start: int, size_bytes: int) -> BytesBody:
        """Return some bytes."""
        return BytesBody(self.data[start : start + size_bytes])

    def json(self, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """Return the text without large fields, and those fields; see Buffer."""
        document, bodies = parse_detached(self.data, detach)
        return json_text(document), bodies


EMPTY_BODY = BytesBody(b"")


def text_body(text: str) -> BytesBody:
    """Return `text` as a body of UTF-8; a lone surrogate becomes U+FFFD."""
    if not isinstance(text, str):
        raise InvalidArgumentError("text", text, "a string")
    return BytesBody(to_utf8(text))


def body_text(body: Body) -> str:
    """Decode a body as UTF-8; invalid bytes become U+FFFD, as with `TextDecoder`."""
    return body.to_bytes().decode("utf-8", "replace")


def parse_json(data: bytes | str) -> object:
    """Parse JSON as `JSON.parse` does; raises CorruptValueError for anything else, and beyond MAX_DEPTH."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        _require_shallow(text)
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise CorruptValueError(message) from error


def parse_detached(data: bytes, detach: Detach) -> tuple[object, Mapping[str, Body]]:
    """Parse JSON and take large fields out of the document.

    `detach` names the fields for each `document["value"]["kind"]`. Those that are strings in `document["value"]`
    are removed and returned as Bodies: `text` as its UTF-8 with lone surrogates as U+FFFD, `base64` decoded
    strictly. Raises CorruptValueError for bytes that are not UTF-8, for text that is not JSON (NaN and Infinity
    are not), and for bad base64.
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
    message = f"not base64: {len(text)} characters are not a multiple of 4"
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
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
