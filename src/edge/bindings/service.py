"""Another Worker as the page handler, behind a service binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from js import Array, Headers, Object, Request
from pyodide.ffi import JsException, jsnull, to_js

from core.http import PAYLOAD_BYTES_HEADER
from edge.bodies import JsBuffer
from edge.http import ServiceResponse
from edge.promises import Deadline, bind, result_of
from pages.handler import PageError, WholeResponse
from pages.request import NOT_FOR_KEPT_ANSWERS, WANTS_PAYLOAD_HEADER

if TYPE_CHECKING:
    from pages.handler import PageResponse
    from pages.request import PageRequest, RenderRequest


class ServicePages:
    """A service binding, whose streams pass through unread. `timeout_ms` is for the beginning of an answer; 0 is none."""

    def __init__(self, name: str, binding: Any, timeout_ms: int) -> None:
        self._name = name
        self._binding = binding
        failure = f"the service {name} did not begin to answer"
        self._answer_of = Deadline(timeout_ms, failure).value if timeout_ms else result_of
        self._unwanted = bind(Array.prototype.filter, to_js(NOT_FOR_KEPT_ANSWERS), Headers.prototype.has)

    async def answer(self, request: PageRequest) -> PageResponse:
        raw = self._for_keeping(request.raw, wants_rsc_payload=request.wants_rsc_payload) if request.may_be_kept else request.raw
        return await self._fetch(raw, request.path)

    async def render(self, request: RenderRequest) -> PageResponse:
        headers = to_js(request.headers, dict_converter=Object.fromEntries)
        return await self._fetch(Request.new(request.url, headers=headers, redirect="manual"), request.path)

    async def _fetch(self, request: Any, path: str) -> PageResponse:
        try:
            raw = await self._answer_of(bind(self._binding.fetch, self._binding, request))
            rsc_payload_bytes = raw.headers.get(PAYLOAD_BYTES_HEADER)
            return ServiceResponse(raw) if rsc_payload_bytes is jsnull else await _with_rsc_payload(raw, rsc_payload_bytes)
        except TimeoutError as error:
            raise PageError(str(error)) from error
        except JsException as error:
            raise PageError(f"the service {self._name} failed for {path}: {error}") from error

    def _for_keeping(self, raw: Any, *, wants_rsc_payload: bool) -> Any:
        unwanted = self._unwanted(raw.headers)
        if not unwanted.length and not wants_rsc_payload:
            return raw
        cleaned = Request.new(raw)
        for name in unwanted:
            cleaned.headers.delete(name)
        if wants_rsc_payload:
            cleaned.headers.set(WANTS_PAYLOAD_HEADER, "1")
        return cleaned


async def _with_rsc_payload(raw: Any, rsc_payload_bytes: str) -> WholeResponse:
    """Return the page and its RSC payload, which follows it in one body. Raise JsException, PageError."""
    both = await result_of(bind(raw.arrayBuffer, raw))
    if not (rsc_payload_bytes.isascii() and rsc_payload_bytes.isdigit()) or int(rsc_payload_bytes) > both.byteLength:
        raise PageError(f"{PAYLOAD_BYTES_HEADER} is {rsc_payload_bytes!r}, for a body of {both.byteLength} bytes")
    start = both.byteLength - int(rsc_payload_bytes)
    headers = tuple(ServiceResponse(raw).header_items())
    return WholeResponse(raw.status, headers, JsBuffer.of(both.slice(0, start)), JsBuffer.of(both.slice(start)))
