"""HTTP requests of Python code, by the runtime's `fetch`.

`Exchange` is for HTTP clients, `fetch` for `datacache.fetched`.
"""

from __future__ import annotations

import asyncio
import json
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar

import js
from js import AbortController, AbortSignal, Array, FixedLengthStream, IdentityTransformStream, Object, Promise, Uint8Array
from pyodide.ffi import JsException, can_run_sync, run_sync, to_js

from datacache.fetched import FetchedResponse, FetchError
from edge.http import header_pairs
from edge.promises import bind, results_of
from pages.http_client import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pages.http_client import RequestHead

T = TypeVar("T")

# A larger body is sent as a stream, and not kept as a whole in JavaScript's memory too.
_WHOLE_BYTES = 256 * 1024

_PART_BYTES = 256 * 1024

# Each wait costs as much as a copy of so many bytes.
_MAX_READ_BYTES = 1024 * 1024

_LOOK_MS = 50


class Exchange:
    """One request and its response, each part by part. Redirects are not followed, and nothing is begun twice.

    Each step is a generator of promises, each in an array: `in_place` waits for them by switching stacks, `awaited` as a
    coroutine. Time-outs are in seconds, None for no limit, and each is for one wait. A step raises TimeoutError after it, and
    ConnectionError where there is no answer, or no end of it.
    """

    def __init__(self, url: str, head: RequestHead) -> None:
        self.url = url
        self._request = head
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._writer: Any = None
        self._is_taken = True
        self._is_answered = False
        self._answer: Any = None
        self._abort: Any = None
        self._body: Any = None
        self._left_bytes: int | None = None
        self._reader: Any = None

    def send(self, part: bytes, timeout_seconds: float | None) -> Generator[Any, Any, None]:
        """Send a part of the request's body."""
        if part:
            self._unsent.append(part)
            self._unsent_bytes += len(part)
        if self._unsent_bytes > _WHOLE_BYTES:
            yield from self._write(timeout_seconds)

    def finish(self, timeout_seconds: float | None) -> Generator[Any, Any, None]:
        """Send what is left; the request's body ends here."""
        if self._writer is None:
            self._begin(to_js(b"".join(self._unsent)) if self._unsent else None)
            self._unsent.clear()
            return
        yield from self._write(timeout_seconds)
        if self._is_taken:
            results_of(bind(self._writer.close, self._writer))

    def head(self, timeout_seconds: float | None) -> Generator[Any, Any, ResponseHead]:
        """Return the response's head."""
        try:
            response = yield from self._settled(self._answer, timeout_seconds)
        except JsException as error:
            raise ConnectionError(f"{self.url} did not answer: {error}") from error
        has_body = bool(response.body) and self._request.method != "HEAD"
        self._is_answered = True
        headers = json.loads(js.JSON.stringify(Array.from_(response.headers)))
        head = ResponseHead.of(self._request.method, response.status, response.statusText, headers, has_body=has_body)
        self._left_bytes = head.size_bytes
        self._body = response.body if has_body and head.size_bytes != 0 else None
        return head

    def read(self, most_bytes: int, timeout_seconds: float | None) -> Generator[Any, Any, Any]:
        """Return what has come of the response's body, a `Uint8Array` of at most so many bytes; None is its end."""
        if self._body is None:
            return None
        if self._reader is None:
            self._reader = self._body.getReader(mode="byob")
        left_bytes = most_bytes if self._left_bytes is None else self._left_bytes
        buffer = Uint8Array.new(min(most_bytes, left_bytes, _MAX_READ_BYTES))
        try:
            step = yield from self._settled(results_of(bind(self._reader.read, self._reader, buffer)), timeout_seconds)
        except JsException as error:
            self._body = None
            raise ConnectionResetError(f"the body of {self.url} broke off: {error}") from error
        if step.done:
            self._body = None
            return None
        if self._left_bytes is not None:
            self._left_bytes -= step.value.length
            if not self._left_bytes:
                self._body = None
        return step.value

    def cancel(self) -> None:
        """Give up the response, or what is left of its body."""
        if not self._is_answered and self._abort is not None:
            self._abort()
        elif self._body is not None:
            results_of(bind(self._body.cancel, self._body) if self._reader is None else bind(self._reader.cancel, self._reader))
            self._body = None

    def _write(self, timeout_seconds: float | None) -> Generator[Any, Any, None]:
        if self._writer is None:
            size_bytes = self._request.size_bytes
            stream = IdentityTransformStream.new() if size_bytes is None else FixedLengthStream.new(size_bytes)
            self._writer = stream.writable.getWriter()
            self._begin(stream.readable)
        unsent = memoryview(b"".join(self._unsent))
        self._unsent.clear()
        self._unsent_bytes = 0
        for start in range(0, len(unsent), _PART_BYTES):
            if not self._is_taken:
                return
            written = results_of(bind(self._writer.write, self._writer, to_js(unsent[start : start + _PART_BYTES])))
            try:
                first = results_of(bind(Promise.race, Promise, written.concat(self._answer)))
                answer = yield from self._settled(first, timeout_seconds)
            except JsException:
                # Why it is not taken any more is said instead of an answer, or the answer has come.
                self._is_taken = False
            else:
                self._is_taken = answer is None

    def _begin(self, body: Any) -> None:
        controller = AbortController.new()
        self._abort = bind(controller.abort, controller)
        options = {
            "method": self._request.method,
            "headers": self._request.headers,
            "body": body,
            "redirect": "manual",
            "signal": controller.signal,
        }
        try:
            self._answer = results_of(bind(js.fetch, js.globalThis, self.url, to_js(options, dict_converter=Object.fromEntries)))
        except JsException as error:
            raise ConnectionError(f"{self.url} cannot be asked: {error}") from error

    def _settled(self, promise: Any, timeout_seconds: float | None) -> Generator[Any, Any, Any]:
        timer = None if timeout_seconds is None else js.setTimeout(self._abort, ceil(timeout_seconds * 1000))
        try:
            return (yield promise)
        except JsException as error:
            if error.name == "AbortError":
                raise TimeoutError(f"{self.url} took longer than {timeout_seconds} s") from error
            raise
        except asyncio.CancelledError:
            self._abort()
            raise
        finally:
            if timer is not None:
                js.clearTimeout(timer)


def in_place(steps: Generator[Any, Any, T]) -> T:
    """Take the steps, and wait for each where this is called. Other requests go on meanwhile.

    Raises CancelledError once nobody wants the task's result any more: after the page time-out, for instance.
    """
    try:
        promise = next(steps)
        while True:
            if not can_run_sync():
                promise = steps.throw(ConnectionError(_NO_SWITCHING))
            try:
                value = _wait(promise)
            except (JsException, asyncio.CancelledError) as error:
                promise = steps.throw(error)
            else:
                promise = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result


def _wait(promise: Any) -> Any:
    """Switch stacks until a promise is settled. To cancel a task wakes nothing that waits in place, so this looks for it."""
    values = results_of(bind(Promise.all, Promise, promise))
    task = asyncio.current_task()
    while (settled := run_sync(Promise.race(values.concat(results_of(bind(js.scheduler.wait, js.scheduler, _LOOK_MS)))))) is None:
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
    return settled[0]


_NO_SWITCHING = (
    "an HTTP client cannot wait here: stack switching is not available. Call it in a handler, not at module level nor in a "
    "JavaScript callback, or use an asynchronous client"
)


async def awaited(steps: Generator[Any, Any, T]) -> T:
    """Take the steps, and wait for each as a coroutine does."""
    try:
        promise = next(steps)
        while True:
            try:
                value = await promise[0]
            except BaseException as error:  # noqa: BLE001 - the step decides
                promise = steps.throw(error)
            else:
                promise = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result


_TIMEOUT_MS = 30_000


async def fetch(url: str, headers: Mapping[str, str]) -> FetchedResponse:
    """GET a URL and follow redirects. Raise FetchError where the server does not answer."""
    given = to_js(dict(headers), dict_converter=Object.fromEntries)
    try:
        response = await js.fetch(url, headers=given, signal=AbortSignal.timeout(_TIMEOUT_MS))
        body: bytes = Uint8Array.new(await response.arrayBuffer()).to_bytes()
    except JsException as error:
        raise FetchError(f"{url} did not answer: {error}") from error
    return FetchedResponse(response.url or url, response.status, dict(header_pairs(response.headers)), body)
