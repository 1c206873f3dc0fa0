"""Bytes in JavaScript's memory: a page passes through without ever entering Python's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import js
from js import Array, Blob, Function, Object, RegExp, String, TextDecoder, TextEncoder, Uint8Array
from pyodide.ffi import JsException, to_js

from cache.body import parse_json
from cache.errors import CorruptValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.body import Body, Detach


class JsBuffer:
    """A `Uint8Array` as a body and as a stored value (the protocols of `cache.body`)."""

    __slots__ = ("js", "size_bytes")

    def __init__(self, array: Any) -> None:
        self.js = array
        self.size_bytes: int = array.byteLength

    @classmethod
    def of(cls, array_buffer: Any) -> JsBuffer:
        """Wrap a whole `ArrayBuffer`; nothing is copied."""
        return cls(Uint8Array.new(array_buffer))

    def to_bytes(self) -> bytes:
        data: bytes = self.js.to_bytes()
        return data

    def head(self, size: int) -> bytes:
        data: bytes = self.js.subarray(0, size).to_bytes()
        return data

    def tail(self, start: int) -> JsBuffer:
        return JsBuffer(self.js.subarray(start))

    def json(self, detach: Detach) -> tuple[object, Mapping[str, Body]]:
        """Parse in JavaScript, so that only what is left of the document enters Python.

        A string that a JavaScript function returns is copied into Python, so the large ones are
        handed from function to function inside JavaScript arrays.
        """
        # A byte order mark is no JSON; without `ignoreBOM` it would be dropped.
        decoder = TextDecoder.new("utf-8", fatal=True, ignoreBOM=True)
        try:
            text = _in_array(decoder.decode, decoder, self.js, None)
            document = Array.from_(text, js.JSON.parse)[0]
            bodies = _detach_fields(document, detach)
            rest = js.JSON.stringify(document)
        except JsException as error:
            raise CorruptValueError(f"not what a cache entry looks like: {error}") from error
        return parse_json(rest), bodies


def body_to_js(body: Body) -> Any:
    """A body as JavaScript takes it: itself where it is JavaScript's, else a copy."""
    return body.js if isinstance(body, JsBuffer) else to_js(body.to_bytes())


async def joined(parts: Sequence[bytes | Body]) -> Any:
    """One `ArrayBuffer` of several parts, joined in JavaScript."""
    blobs = to_js([to_js(part) if isinstance(part, bytes) else body_to_js(part) for part in parts])
    return await Blob.new(blobs).arrayBuffer()


def _detach_fields(document: Any, detach: Detach) -> Mapping[str, Body]:
    value = getattr(document, "value", None)
    kind = getattr(value, "kind", None)
    bodies: dict[str, Body] = {}
    if not isinstance(kind, str):
        return bodies
    names = Object.keys(value).to_py()
    fields = Object.values(value)
    for name, encoding in detach.get(kind, {}).items():
        if name not in names:
            continue
        position = names.index(name)
        field = fields.slice(position, position + 1)
        # Only a string is the same thing as what String makes of it.
        if not js.Reflect.apply(Object.is_, None, field.concat(Array.from_(field, String))):
            continue
        js.Reflect.deleteProperty(value, name)
        # The array is the list of arguments: whatever comes after the string would be taken for options.
        if encoding == "text":
            encoder = TextEncoder.new()
            converted = js.Reflect.apply(encoder.encode, encoder, field)
        else:
            converted = _from_base64(field)
        bodies[name] = JsBuffer(converted)
    return bodies


def _from_base64(field: Any) -> Any:
    """Decode as `cache.body.decode_base64` does: `fromBase64` also takes white space, and does without padding."""
    length = js.Reflect.construct(String, field).length
    space = RegExp.new("\\s")
    if length % 4 or js.Reflect.apply(space.test, space, field):
        raise CorruptValueError(f"not base64: {length} characters, with white space or not a multiple of 4")
    return js.Reflect.apply(Uint8Array.fromBase64, Uint8Array, field)


def _in_array(function: Any, this: Any, *arguments: Any) -> Any:
    """`[function.call(this, ...arguments)]`, the result never leaving JavaScript."""
    bound = Function.prototype.bind.call(function, this, *arguments)
    return Array.from_(to_js([0]), bound)
