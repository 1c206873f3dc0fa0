"""Answers, as the runtime's `Response`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from js import Response

from edge.buffer import body_to_js
from edge.headers import js_headers
from edge.service import ServiceResponse
from isr.answer import CachedAnswer
from pages.whole import WholeResponse

if TYPE_CHECKING:
    from isr.answer import Answer, PassedAnswer

_SWITCHING_PROTOCOLS = 101


def js_response(answer: Answer) -> Any:
    """The raw `Response`: the SDK's own costs more and gives nothing here."""
    if isinstance(answer, CachedAnswer):
        body = None if answer.body is None else body_to_js(answer.body)
        return Response.new(body, status=answer.status, headers=js_headers(answer.headers))
    return _passed(answer)


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
    body = None if response.body is None else body_to_js(response.body)
    return Response.new(body, status=response.status, headers=js_headers([*kept, *answer.added]))
