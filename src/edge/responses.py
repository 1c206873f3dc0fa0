"""Answers, as the runtime's `Response`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from js import Response

from edge.blobs import BodyStreams
from edge.buffer import JsStream, body_to_js
from edge.headers import js_headers, response_options
from edge.service import ServiceResponse
from isr.answer import CachedAnswer
from pages.whole import WholeResponse

if TYPE_CHECKING:
    from cache.body import Body
    from isr.answer import Answer, PassedAnswer

_SWITCHING_PROTOCOLS = 101
# From here on a stream costs less than copies.
_STREAMED_BYTES = 64 * 1024
# Beside what memory holds, of 128 MB that an isolate has.
_streams = BodyStreams(4 * 1024 * 1024)


def js_response(answer: Answer) -> Any:
    """The raw `Response`: the SDK's own costs more and gives nothing here."""
    if isinstance(answer, CachedAnswer):
        return Response.new(None if answer.body is None else _sent(answer.body), response_options(answer.status, answer.headers))
    return _passed(answer)


def _sent(body: Body) -> Any:
    """A body as a `Response` takes it: bytes, of which it makes a copy, or a stream that knows its length."""
    if isinstance(body, JsStream):
        return body.js
    return body_to_js(body) if body.size_bytes < _STREAMED_BYTES else _streams.stream(body)


def _passed(answer: PassedAnswer) -> Any:
    response = answer.response
    if isinstance(response, WholeResponse):
        return _whole(response, answer)
    if not isinstance(response, ServiceResponse):
        raise TypeError(f"no answer of a page handler: {response!r}")
    raw = response.raw
    if raw.status == _SWITCHING_PROTOCOLS:
        return raw
    # A copy, because the headers of an answer that was fetched cannot be changed.
    visible = Response.new(raw.body, raw)
    for name in answer.removed:
        visible.headers.delete(name)
    for name, value in answer.added:
        visible.headers.set(name, value)
    return visible


def _whole(response: WholeResponse, answer: PassedAnswer) -> Any:
    replaced = answer.removed | {name.lower() for name, _ in answer.added}
    kept = [(name, value) for name, value in response.headers if name.lower() not in replaced]
    body = None if response.body is None else _sent(response.body)
    return Response.new(body, status=response.status, headers=js_headers([*kept, *answer.added]))
