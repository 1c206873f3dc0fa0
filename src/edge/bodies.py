"""Bodies in JavaScript's memory: a page passes through without ever entering Python's."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import js
from js import Array, Blob, FixedLengthStream, Function, RegExp, String, TextDecoder, TextEncoder, Uint8Array
from pyodide.ffi import JsException, to_js

from cache.stored import size_bytes
from core.body import ArrivingBody
from core.errors import BrokenBodyError, CorruptValueError
from edge.promises import IdleLimit, bind, binder, result_of, results_of
from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.body import Body, Detach, Encoding


STREAMED_FROM_BYTES = 64 * 1024
"""A smaller body of a store is read whole before the answer begins, which costs no more than to send its stream on."""

# Of a page that was there as a whole, so many bytes come at a time. Small pages need no larger buffer than the first.
_FIRST_PART_BYTES = 16 * 1024
_PART_BYTES = 128 * 1024


class _PartReader:
    """Reads a stream as it arrives; the runtime's own streams fill buffers, others give parts as they were written.

    A read ends with what there is: to wait for a full buffer would hold the parts back from the visitor, who reads the other
    half of a `tee()`. With `idle_ms` a read that gets nothing for so long is given up with a TimeoutError.
    """

    def __init__(self, stream: Any, idle_ms: int) -> None:
        self._limit = IdleLimit(idle_ms) if idle_ms else None
        self._value_of = result_of if self._limit is None else self._limit.value
        try:
            self._reader = stream.getReader(mode="byob")
        except JsException:
            self._reader = stream.getReader()
            self._fills_buffers = False
        else:
            self._fills_buffers = True

    def read(self, most_bytes: int) -> Awaitable[Any]:
        buffers = (Uint8Array.new(most_bytes),) if self._fills_buffers else ()
        return self._value_of(bind(self._reader.read, self._reader, *buffers))

    def go_on(self) -> None:
        """Count the time in which nothing comes from now on."""
        if self._limit is not None:
            self._limit.go_on()

    async def cancel(self) -> None:
        await self._reader.cancel()

    def abandon(self) -> None:
        """Cancel without waiting: the promise may never settle, as that of one half of a body does."""
        results_of(bind(self._reader.cancel, self._reader))


class StreamCopy:
    """A stream that is read to its end (the protocol of `pages.handler`), and given up if for `idle_ms` nothing comes.

    `idle_ms` 0 waits for as long as it takes.
    """

    def __init__(self, stream: Any, idle_ms: int = 0) -> None:
        self._stream = stream
        self._idle_ms = idle_ms

    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> Body | None:
        chunks = Array.new()
        if self._stream:
            reader = _PartReader(self._stream, self._idle_ms)
            size_bytes = 0
            try:
                while not (step := await reader.read(_PART_BYTES if size_bytes else _FIRST_PART_BYTES)).done:
                    size_bytes += step.value.byteLength
                    if size_bytes > limit_bytes:
                        await reader.cancel()
                        return None
                    chunks.push(step.value)
                    if whole_bytes is not None and size_bytes > whole_bytes:
                        return JsArrivingBody(chunks, size_bytes, reader, limit_bytes, self._idle_ms)
            except JsException as error:
                raise PageError(f"the body broke off after {size_bytes} bytes: {error}") from error
            except TimeoutError as error:
                reader.abandon()
                raise PageError(f"the body stalled after {size_bytes} bytes: nothing came for {self._idle_ms} ms") from error
            if chunks.length == 1:
                return JsBuffer(chunks[0].slice())
        blob = Blob.new(chunks)
        return JsBuffer.of(await result_of(bind(blob.arrayBuffer, blob)))


class JsArrivingBody(ArrivingBody):
    """A body of which `chunks` have come, and the rest is read as it is stored. More than `limit_bytes` break it off."""

    def __init__(self, chunks: Any, size_bytes: int, reader: _PartReader, limit_bytes: int, idle_ms: int) -> None:
        self.size_bytes = size_bytes
        self.check_at_end: Callable[[], None] | None = None
        """Raises PageError if the body, which has come to its end, is not to be kept."""
        self._chunks = chunks
        self._reader = reader
        self._limit_bytes = limit_bytes
        self._idle_ms = idle_ms
        self._buffer: Any = None
        self._has_ended = False

    def begin_with(self, parts: Sequence[bytes]) -> None:
        """Have these bytes come first."""
        for part in reversed(parts):
            self._chunks.unshift(to_js(part))

    async def part(self, part_bytes: int) -> Any:
        if self._buffer is None:
            self._buffer = Uint8Array.new(part_bytes)
        self._reader.go_on()
        filled = 0
        while filled < part_bytes and (chunk := await self._next(part_bytes - filled)) is not None:
            fitting = chunk.subarray(0, part_bytes - filled)
            self._buffer.set(fitting, filled)
            filled += fitting.byteLength
            if fitting.byteLength < chunk.byteLength:
                self._chunks.unshift(chunk.subarray(fitting.byteLength))
        return self._buffer.subarray(0, filled) if filled else None

    async def drop(self) -> None:
        self._chunks.length = 0
        if not self._has_ended:
            self._has_ended = True
            self._reader.abandon()

    async def _next(self, most_bytes: int) -> Any:
        """Return the next bytes, None at the end."""
        if self._chunks.length:
            return self._chunks.shift()
        if self._has_ended:
            return None
        try:
            step = await self._reader.read(min(most_bytes, _PART_BYTES))
        except JsException as error:
            raise self._broken(f"the body broke off after {self.size_bytes} bytes: {error}") from error
        except TimeoutError as error:
            raise self._broken(f"the body stalled after {self.size_bytes} bytes: nothing came for {self._idle_ms} ms") from error
        if not step.done:
            self.size_bytes += step.value.byteLength
            if self.size_bytes > self._limit_bytes:
                raise self._broken(None)
            return step.value
        self._has_ended = True
        if self.expected_bytes is not None and self.size_bytes != self.expected_bytes:
            raise self._broken(f"a body of {self.size_bytes} bytes whose Content-Length is {self.expected_bytes}")
        if self.check_at_end is not None:
            try:
                self.check_at_end()
            except PageError as error:
                raise self._broken(str(error)) from error
        return None

    def _broken(self, failure: str | None) -> BrokenBodyError:
        self.failure = failure or f"a body of more than {self._limit_bytes} bytes (VINEXT_MAX_PAGE_BYTES)"
        return BrokenBodyError(self.failure)


class JsBuffer:
    """A `Uint8Array` as a body and as a stored value (the protocols of `core.body`).

    A JavaScript object costs Python more than the work with it, so none is made before it is needed. `was_sent`: an answer
    had it as its body.
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
        buffer = cls(None, array_buffer.byteLength)
        buffer._whole = array_buffer
        return buffer

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

    def json_string(self, encoding: Encoding) -> JsBuffer:
        return JsBuffer(_json().string(self.js, encoding))

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

    def part(self, start: int, size_bytes: int) -> JsBuffer:
        return JsBuffer(self.js.slice(start, start + size_bytes))

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

    __slots__ = ("_stream", "size_bytes")

    def __init__(self, stream: Any, size_bytes: int) -> None:
        self._stream = stream
        self.size_bytes = size_bytes

    def sent(self) -> Any:
        """Return the stream for a response. If it turns out to have another size, it breaks off: no part passes for the whole."""
        return self._stream.pipeThrough(FixedLengthStream.new(self.size_bytes))

    def split(self) -> tuple[JsStream, JsStream]:
        first, second = self._stream.tee()
        return JsStream(first, self.size_bytes), JsStream(second, self.size_bytes)

    def to_bytes(self) -> bytes:
        raise TypeError("this body is a stream, which can only be sent")

    def json_string(self, encoding: Encoding) -> Body:  # noqa: ARG002 - the protocol
        raise TypeError("this body is a stream, which can only be sent")


def body_to_js(body: Body) -> Any:
    """Return a body as JavaScript takes it: itself where it is JavaScript's, else a copy."""
    return body.js if isinstance(body, JsBuffer) else to_js(body.to_bytes())


def joined(parts: Sequence[bytes | Body]) -> Any:
    """Return one `Uint8Array` of parts, joined in JavaScript; a single part is not copied."""
    arrays = [to_js(part) if isinstance(part, bytes) else body_to_js(part) for part in parts]
    if len(arrays) == 1:
        return arrays[0]
    whole = Uint8Array.new(size_bytes(parts))
    position = 0
    for data in arrays:
        whole.set(data, position)
        position += data.byteLength
    return whole


def sent(parts: Sequence[bytes | Body]) -> Any:
    """Return parts for somebody who takes a stream whose length is known: one as it is, anything else joined."""
    only = parts[0] if len(parts) == 1 else None
    return only.sent() if isinstance(only, JsStream) else joined(parts)


class _Json:
    """A reader of JSON texts without their large fields, and a writer of these fields.

    Its tools are made once: that takes as long as reading a page.
    """

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
        lenient = TextDecoder.new("utf-8", ignoreBOM=True)
        self._bind_decode_leniently = binder(lenient.decode, lenient)
        self._to_base64 = Uint8Array.prototype.toBase64

    def read(self, data: Any, detach: Detach) -> tuple[str, Mapping[str, Body]]:
        """Return the text without the fields that `detach` names, and those fields. Raise JsException, CorruptValueError."""
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

    def string(self, array: Any, encoding: Encoding) -> Any:
        """Return the UTF-8 of the JSON string that stands for the bytes of an array."""
        make = bind(self._to_base64, array, None) if encoding == "base64" else self._bind_decode_leniently(array, None)
        text = self._array_from(self._once, make)
        return self._encode(self._array_from(text, self._stringify))

    def _is_string(self, field: Any) -> bool:
        try:
            self._array_from(field, self._require_string)
        except JsException:
            return False
        return True

    def _converted(self, field: Any, encoding: Encoding) -> Any:
        if encoding == "text":
            return self._encode(field)
        # `fromBase64` also takes white space, and does without padding; `core.body.decode_base64` does not.
        length = self._wrapped(field).length
        if length % 4 or self._has_space(field):
            raise CorruptValueError(f"not base64: {length} characters, with white space or not a multiple of 4")
        return self._from_base64(field)


_json = cache(_Json)


class BodyStreams:
    """Streams of bodies, each by way of a `Blob`, which is a copy.

    The copies stay until JavaScript collects its garbage, and each is memory that the system has to clear first. So the
    `Blob`s of bodies that are sent again are kept: those sent last, of at most `max_bytes` together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: dict[JsBuffer, Any] = {}
        self._kept_bytes = 0

    def stream(self, body: Body) -> Any:
        """Return a `ReadableStream` that knows its length."""
        if not isinstance(body, JsBuffer):
            return _blob(body).stream()
        kept = self._kept.pop(body, None)
        if kept is not None:
            self._kept[body] = kept  # the last one now
            return kept.stream()
        blob = _blob(body)
        if body.was_sent and body.size_bytes <= self._max_bytes:
            self._keep(body, blob)
        body.was_sent = True
        return blob.stream()

    def _keep(self, body: JsBuffer, blob: Any) -> None:
        self._kept[body] = blob
        self._kept_bytes += body.size_bytes
        while self._kept_bytes > self._max_bytes:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._kept_bytes -= oldest.size_bytes


def _blob(body: Body) -> Any:
    return Blob.new(Array.of(body_to_js(body)))


_DIGEST_CHARACTERS = 32


@cache
def _bind_digest() -> Any:
    subtle = js.crypto.subtle
    return binder(subtle.digest, subtle)


async def digest(body: Body) -> str:
    """Return the first half of the body's SHA-256, in hexadecimal."""
    sha256 = await result_of(_bind_digest()("SHA-256", body_to_js(body)))
    data: bytes = sha256.to_bytes()
    return data.hex()[:_DIGEST_CHARACTERS]
