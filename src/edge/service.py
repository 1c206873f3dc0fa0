"""Another Worker as the page handler, behind a service binding."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from js import Array, Blob, Headers, Object, Request, Response
from pyodide.ffi import JsException, jsnull, to_js

from edge.buffer import JsBuffer
from edge.deadline import Deadline
from edge.functions import bind, result_of
from isr.admission import PAYLOAD_BYTES_HEADER
from pages.handler import PageError
from pages.request import NOT_FOR_KEPT_ANSWERS, WANTS_PAYLOAD_HEADER
from pages.whole import WholeResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.body import Body
    from pages.handler import BodyCopy, PageResponse
    from pages.request import PageRequest, RenderRequest


class ServicePages:
    """A service binding; its streams pass through unread. `timeout_ms` is for the beginning of an answer; 0 is none."""

    def __init__(self, name: str, binding: Any, timeout_ms: int) -> None:
        self._name = name
        self._binding = binding
        failure = f"the service {name} did not begin to answer"
        self._answer_of = Deadline(timeout_ms, failure).value if timeout_ms else result_of
        self._unwanted = bind(Array.prototype.filter, to_js(NOT_FOR_KEPT_ANSWERS), Headers.prototype.has)

    async def answer(self, request: PageRequest) -> PageResponse:
        raw = self._for_keeping(request.raw, wants_payload=request.wants_payload) if request.may_be_kept else request.raw
        return await self._fetch(raw, request.path)

    async def render(self, request: RenderRequest) -> PageResponse:
        headers = to_js(request.headers, dict_converter=Object.fromEntries)
        made = Request.new(request.url, headers=headers, redirect="manual")
        return await self._fetch(made, request.path)

    async def _fetch(self, request: Any, path: str) -> PageResponse:
        try:
            raw = await self._answer_of(bind(self._binding.fetch, self._binding, request))
            payload_bytes = raw.headers.get(PAYLOAD_BYTES_HEADER)
            return ServiceResponse(raw) if payload_bytes is jsnull else await _with_payload(raw, payload_bytes)
        except TimeoutError as error:
            raise PageError(str(error)) from error
        except JsException as error:
            raise PageError(f"the service {self._name} failed for {path}: {error}") from error

    def _for_keeping(self, raw: Any, *, wants_payload: bool) -> Any:
        unwanted = self._unwanted(raw.headers)
        if not unwanted.length and not wants_payload:
            return raw
        cleaned = Request.new(raw)
        for name in unwanted:
            cleaned.headers.delete(name)
        if wants_payload:
            cleaned.headers.set(WANTS_PAYLOAD_HEADER, "1")
        return cleaned


async def _with_payload(raw: Any, payload_bytes: str) -> WholeResponse:
    """The page and its RSC payload, which came behind it in one body. Raises JsException, PageError."""
    both = await result_of(bind(raw.arrayBuffer, raw))
    if not (payload_bytes.isascii() and payload_bytes.isdigit()) or int(payload_bytes) > both.byteLength:
        raise PageError(f"{PAYLOAD_BYTES_HEADER} is {payload_bytes!r}, for a body of {both.byteLength} bytes")
    start = both.byteLength - int(payload_bytes)
    headers = tuple(ServiceResponse(raw).header_items())
    return WholeResponse(raw.status, headers, JsBuffer.of(both.slice(0, start)), JsBuffer.of(both.slice(start)))


class MissingService:
    """What stands for a service that is named but not bound: every request fails, saying so."""

    def __init__(self, name: str) -> None:
        self._failure = f"no service is bound as {name}; add a [[services]] with that binding to wrangler.toml"

    async def answer(self, request: PageRequest) -> ServiceResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)

    async def render(self, request: RenderRequest) -> ServiceResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)


class ServiceResponse:
    """An answer of a service (the protocol of `pages.handler`)."""

    payload = None

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    @property
    def status(self) -> int:
        status: int = self.raw.status
        return status

    def header(self, name: str) -> str | None:
        value = self.raw.headers.get(name)
        return value if isinstance(value, str) else None

    def header_items(self) -> Iterable[tuple[str, str]]:
        items: dict[str, str] = Object.fromEntries(self.raw.headers).to_py()
        return items.items()

    def copy(self) -> BodyCopy:
        return StreamCopy(self.raw.body)

    def split(self) -> tuple[ServiceResponse, BodyCopy]:
        body = self.raw.body
        if not body:
            return self, StreamCopy(None)
        visitors, ours = body.tee()
        return ServiceResponse(Response.new(visitors, self.raw)), StreamCopy(ours)

    async def drop(self) -> None:
        if self.raw.body:
            # A body that has broken off already is as good as dropped.
            with suppress(JsException):
                await self.raw.body.cancel()


class StreamCopy:
    """A stream that is read to its end (the protocol of `pages.handler`)."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self, limit_bytes: int) -> Body | None:
        chunks = Array.new()
        if self._stream:
            # One that fills a large buffer would hold the parts back from the visitor, who reads the other half of a `tee()`.
            reader = self._stream.getReader()
            read = bind(reader.read, reader)
            size_bytes = 0
            try:
                while not (step := await result_of(read)).done:
                    size_bytes += step.value.byteLength
                    if size_bytes > limit_bytes:
                        await reader.cancel()
                        return None
                    chunks.push(step.value)
            except JsException as error:
                raise PageError(f"the body broke off after {size_bytes} bytes: {error}") from error
            if chunks.length == 1:
                return JsBuffer(chunks[0])
        blob = Blob.new(chunks)
        return JsBuffer.of(await result_of(bind(blob.arrayBuffer, blob)))
