"""Bodies on their way between Python and the runtime."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from js import Error, Response, TransformStream
from pyodide.ffi import JsException, create_once_callable, to_js

from edge.bodies import JsArrivingBody
from edge.http import AS_IT_IS, ServiceResponse, js_headers
from pages.handler import PageError
from pages.policy import NO_STORE, given_cache_control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.body import Body
    from pages.handler import BodyCopy
    from pages.policy import Rendering
    from pages.request import HeaderItems


class RequestBody:
    """The body of a raw request, part by part (the protocol of `pages.asgi`); None is no body."""

    def __init__(self, stream: Any) -> None:
        self._reader = stream.getReader() if stream else None

    async def read(self) -> bytes | None:
        if self._reader is None:
            return None
        try:
            step = await self._reader.read()
        except JsException as error:
            raise PageError(f"the request's body broke off: {error}") from error
        if step.done:
            return None
        part: bytes = step.value.to_bytes()
        return part


class StreamSink:
    """The writing end of a stream; a write waits until its part has been taken."""

    def __init__(self, writable: Any) -> None:
        self._writer = writable.getWriter()

    def on_gone(self, call: Callable[[], None]) -> None:
        """Call `call` when nobody reads any more."""
        self._writer.closed.catch(create_once_callable(lambda _error: call()))

    async def write(self, part: bytes) -> None:
        try:
            await self._writer.write(to_js(part))
        except JsException as error:
            raise OSError("the visitor has gone") from error

    async def close(self) -> None:
        # It settles when the end has been read, which may be never.
        self._writer.close().catch(create_once_callable(_ignore))

    async def abort(self, reason: str) -> None:
        with suppress(JsException):
            await self._writer.abort(Error.new(reason))


class PythonResponse(ServiceResponse):
    """An answer of Python code with a JavaScript body. A policy that changes once it has begun keeps it out of the cache.

    `cache_control` holds in place of the raw answer's: what the page cache goes by, and nobody else on the way.
    """

    def __init__(self, raw: Any, rendering: Rendering, idle_ms: int, cache_control: str | None = None) -> None:
        super().__init__(raw, idle_ms)
        self._rendering = rendering
        self._policy = rendering.policy()
        self._cache_control = cache_control

    def header(self, name: str) -> str | None:
        is_known = name.lower() == "cache-control" and self._cache_control is not None
        return self._cache_control if is_known else super().header(name)

    def header_items(self) -> Iterable[tuple[str, str]]:
        for name, value in super().header_items():
            yield name, value if name != "cache-control" or self._cache_control is None else self._cache_control

    def copy(self) -> WatchedCopy:
        return WatchedCopy(super().copy(), self._rendering, self._policy)

    def split(self) -> tuple[ServiceResponse, WatchedCopy]:
        visitors, ours = super().split()
        return visitors, WatchedCopy(ours, self._rendering, self._policy)


class WatchedCopy:
    """A copy of a body that cannot be kept where the policy changed while the body was made."""

    def __init__(self, copy: BodyCopy, rendering: Rendering, policy: tuple[object, ...]) -> None:
        self._copy = copy
        self._rendering = rendering
        self._policy = policy

    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> Body | None:
        body = await self._copy.read(limit_bytes, whole_bytes)
        if isinstance(body, JsArrivingBody):
            body.check_at_end = self._require_same_policy
        else:
            self._require_same_policy()
        return body

    def _require_same_policy(self) -> None:
        if self._rendering.policy() != self._policy:
            raise PageError("no_store(), a tag, a period or stale data came after the answer had begun")


def stream_opener(rendering: Rendering, idle_ms: int) -> Callable[..., tuple[PythonResponse, StreamSink]]:
    """Return the function that begins an answer whose body follows (the protocol of `pages.asgi`)."""

    def open_stream(status: int, headers: HeaderItems, on_gone: Callable[[], None]) -> tuple[PythonResponse, StreamSink]:
        stream = TransformStream.new()
        sink = StreamSink(stream.writable)
        sink.on_gone(on_gone)
        # As long as the body is made, no_store() may come, so no other cache may keep what has a period of the rendering.
        given = ("cache-control", given_cache_control(rendering))
        shown = [("cache-control", NO_STORE) if item == given else item for item in headers]
        raw = Response.new(stream.readable, status=status, headers=js_headers(shown), encodeBody=AS_IT_IS)
        return PythonResponse(raw, rendering, idle_ms, given[1] if given in headers else None), sink

    return open_stream


def _ignore(_value: Any) -> None:
    """Take the result of a promise that nobody waits for."""
