"""Bytes in JavaScript's memory: a page passes through without ever entering Python's."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import js
from js import Array, Function, RegExp, String, TextDecoder, TextEncoder, Uint8Array
from pyodide.ffi import JsException, to_js

from cache.codec import size_bytes
from cache.errors import CorruptValueError
from edge.functions import bind, binder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.body import Body, Detach, Encoding


class JsBuffer:
    """A `Uint8Array` as a body and as a stored value (the protocols of `cache.body`).

    To get hold of a JavaScript object costs Python more than what is done with it here: none is made before it is needed.
    `was_sent` tells that an answer had it as its body.
    """

    __slots__ = ("_array", "_whole", "size_bytes", "was_sent")

    def __init__(self, array: Any, size_bytes: int | None = None) -> None:
        self._array = array
        self._whole: Any = None
        self.size_bytes: int = array.byteLength if size_bytes is None else size_bytes
        self.was_sent = False

    @classmethod
    def of(cls, array_buffer: Any) -> JsBuffer:
        """Wrap a whole `ArrayBuffer`; nothing is copied."""
        made = cls(None, array_buffer.byteLength)
        made._whole = array_buffer
        return made

    @classmethod
    def copy_of(cls, data: bytes) -> JsBuffer:
        """Copy bytes out of Python's memory."""
        return cls(to_js(data), len(data))

    @property
    def js(self) -> Any:
        """The array."""
        if self._array is None:
            self._array = Uint8Array.new(self._whole)
        return self._array

    def to_bytes(self) -> bytes:
        data: bytes = self.js.to_bytes()
        return data

    def head(self, size: int) -> bytes:
        if self._whole is None:
            first = self._array.subarray(0, size)
        else:
            first = Uint8Array.new(self._whole, 0, min(size, self.size_bytes))
        data: bytes = first.to_bytes()
        return data

    def tail(self, start: int) -> JsBuffer:
        rest = self.js.subarray(start) if self._whole is None else Uint8Array.new(self._whole, start)
        return JsBuffer(rest, self.size_bytes - start)

    def json(self, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """Parse in JavaScript, so that only what is left of the document enters Python.

        A string that a JavaScript function returns is copied into Python, so the large ones are
        handed from function to function inside JavaScript arrays.
        """
        try:
            return _json().read(self._array if self._whole is None else self._whole, detach)
        except JsException as error:
            raise CorruptValueError(f"not what a cache entry looks like: {error}") from error


class JsStream:
    """A `ReadableStream` as a body that can only be sent, once, and that is gone with the request it was read in."""

    __slots__ = ("js", "size_bytes")

    def __init__(self, stream: Any, size_bytes: int) -> None:
        self.js = stream
        self.size_bytes = size_bytes

    def to_bytes(self) -> bytes:
        raise TypeError("this body is a stream, which can only be sent")


def body_to_js(body: Body) -> Any:
    """A body as JavaScript takes it: itself where it is JavaScript's, else a copy."""
    return body.js if isinstance(body, JsBuffer) else to_js(body.to_bytes())


def joined(parts: Sequence[bytes | Body]) -> Any:
    """One `Uint8Array` of parts, joined in JavaScript; a single one is not copied."""
    arrays = [to_js(part) if isinstance(part, bytes) else body_to_js(part) for part in parts]
    if len(arrays) == 1:
        return arrays[0]
    whole = Uint8Array.new(size_bytes(parts))
    position = 0
    for data in arrays:
        whole.set(data, position)
        position += data.byteLength
    return whole


class _Json:
    """Reads JSON texts without their large fields. Its tools are made once: that takes as long as reading a page."""

    def __init__(self) -> None:
        self._array_from = Array.from_
        self._once = Array.of(0)
        # A byte order mark is no JSON; without `ignoreBOM` it would be dropped.
        decoder = TextDecoder.new("utf-8", fatal=True, ignoreBOM=True)
        self._bind_decode = binder(decoder.decode, decoder)
        self._parse = js.JSON.parse
        self._stringify = js.JSON.stringify
        self._array_of = Array.of
        self._has = js.Reflect.has
        self._bind_get = binder(js.Reflect.get, js.Reflect)
        self._delete = js.Reflect.deleteProperty
        # Raises a TypeError for anything but a string.
        self._require_string = bind(Function.prototype.call, String.prototype.valueOf)
        encoder = TextEncoder.new()
        # An array of strings is the list of arguments: whatever came after a string would be taken for options.
        self._encode = bind(js.Reflect.apply, js.Reflect, encoder.encode, encoder)
        self._from_base64 = bind(js.Reflect.apply, js.Reflect, Uint8Array.fromBase64, Uint8Array)
        space = RegExp.new("\\s")
        self._has_space = bind(js.Reflect.apply, js.Reflect, space.test, space)
        self._wrapped = bind(js.Reflect.construct, js.Reflect, String)

    def read(self, data: Any, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """The text without the fields that `detach` names, and these; raises JsException, too."""
        texts = self._array_from(self._once, self._bind_decode(data, None))
        document = self._array_from(texts, self._parse)[0]
        value = getattr(document, "value", None)
        kind = getattr(value, "kind", None)
        encodings = detach.get(kind, {}) if isinstance(kind, str) else {}
        bodies: dict[str, Body] = {}
        for name, encoding in encodings.items():
            if self._has(value, name):
                field = self._array_from(self._array_of(name), self._bind_get(value))
                if self._is_string(field):
                    bodies[name] = JsBuffer(self._converted(field, encoding))
                    self._delete(value, name)
        return self._stringify(document), bodies

    def _is_string(self, field: Any) -> bool:
        try:
            self._array_from(field, self._require_string)
        except JsException:
            return False
        return True

    def _converted(self, field: Any, encoding: Encoding) -> Any:
        if encoding == "text":
            return self._encode(field)
        # `fromBase64` also takes white space, and does without padding; `cache.body.decode_base64` does not.
        length = self._wrapped(field).length
        if length % 4 or self._has_space(field):
            raise CorruptValueError(f"not base64: {length} characters, with white space or not a multiple of 4")
        return self._from_base64(field)


_json = cache(_Json)
