"""Another Worker as the page handler, behind a service binding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from js import Request
from pyodide.ffi import JsException

from edge.bodies import JsBuffer
from edge.http import RequestsToKeep, ServiceResponse, new_request
from edge.promises import Deadline, bind, bind_remote, dispose, result_of
from pages.handler import PageError, WholeResponse
from pages.stages import Question, Resource, StagedAnswer
from seed.rules import STAGES_VERSION

if TYPE_CHECKING:
    from pages.handler import PageResponse
    from pages.request import PageRequest, RenderRequest
    from pages.stages import Step


# With one of these, vinext renders a page that is in the cache (`isr.lookup.CachedOnly`).
_NOT_FOR_PAGES = ("next-action", "upgrade")


class ServicePages:
    """A service binding, whose streams pass through unread.

    `timeout_ms` is for the beginning of an answer, `idle_ms` for the parts of its body where that is copied; 0 is none.
    """

    def __init__(self, name: str, binding: Any, timeout_ms: int, idle_ms: int) -> None:
        self._name = name
        self._binding = binding
        self._timeout_ms = timeout_ms
        self._idle_ms = idle_ms
        failure = f"the service {name} did not begin to answer"
        self._answer_of = Deadline(timeout_ms, failure).value if timeout_ms else result_of
        self._to_keep = RequestsToKeep()

    def staged(self) -> StagedServicePages:
        """Return the same service as an app in stages."""
        return StagedServicePages(self._name, self._binding, self._timeout_ms, self._idle_ms)

    async def answer(self, request: PageRequest) -> PageResponse:
        call = bind(self._binding.fetch, self._binding, self._to_keep.raw(request))
        return ServiceResponse(await self._result(call, request.path), self._idle_ms)

    async def render(self, request: RenderRequest) -> PageResponse:
        call = bind(self._binding.fetch, self._binding, _raw_request(request))
        return ServiceResponse(await self._result(call, request.path), self._idle_ms)

    async def _result(self, call: Any, path: str) -> Any:
        try:
            return await self._answer_of(call)
        except TimeoutError as error:
            raise PageError(str(error)) from error
        except JsException as error:
            raise PageError(f"the service {self._name} failed for {path}: {error}") from error


class StagedServicePages(ServicePages):
    """The service of an app in stages, by the methods of the adapter's Worker entry, which only bindings reach."""

    async def serve(self, request: PageRequest, offer: str) -> Step:
        raw = self._to_keep.raw(request)
        if any(request.headers.get(name) is not None for name in _NOT_FOR_PAGES):
            raw = Request.new(raw)
            for name in _NOT_FOR_PAGES:
                raw.headers.delete(name)
        return await self._step(bind_remote(self._binding.serve, raw, offer, STAGES_VERSION), request.path)

    async def render(self, request: RenderRequest) -> PageResponse:
        if request.replay is None:
            call = bind_remote(self._binding.render, _raw_request(request), request.is_stored, self._idle_ms)
        else:
            call = bind_remote(self._binding.replay, request.replay, self._idle_ms)
        kept = _whole(await self._result(call, request.path))
        if kept is None:
            raise PageError(f"the service {self._name} rendered nothing for {request.path}")
        return kept

    async def _resumed(self, question: Any, offer: str, path: str) -> Step:
        try:
            return await self._step(bind_remote(question.resume, offer), path)
        finally:
            dispose(question)

    async def _step(self, call: Any, path: str) -> Step:
        raw = await self._result(call, path)
        about = _about(getattr(raw, "about", None))
        if "asks" in about:
            if not hasattr(raw, "resume"):
                raise PageError(f"the app's request stage asks for {about['asks']!r}, and cannot resume")
            resource = Resource.of(about["asks"])
            is_storable = about["asks"].get("isStorable", True)
            return Question(resource, lambda offer: self._resumed(raw, offer, path), is_storable=is_storable)
        sent = getattr(raw, "response", None)
        if not sent:
            raise PageError(f"the app's request stage answered {path} without a response")
        response = ServiceResponse(sent)
        made, missed, dynamic = about.get("made"), about.get("missed"), about.get("dynamic")
        if made is None:
            dispose(raw)
        if not about:
            return StagedAnswer(response)
        if about.get("isHit"):
            return StagedAnswer(response, is_hit=True, replay=about.get("replay"))

        async def admitted() -> WholeResponse | None:
            try:
                return _whole(await self._result(bind_remote(raw.admitted, self._idle_ms), path))
            finally:
                dispose(raw)

        return StagedAnswer(
            response,
            made=None if made is None else Resource.of(made),
            missed=None if missed is None else Resource.of(missed),
            dynamic=None if dynamic is None else Resource.of(dynamic),
            replay=about.get("replay"),
            unknown=about.get("unknown"),
            admitted=None if made is None else admitted,
        )


def _raw_request(request: RenderRequest) -> Any:
    return new_request(request.url, request.headers)


def _about(text: Any) -> dict[str, Any]:
    if text == "{}":
        return {}
    try:
        about = json.loads(text)
    except (TypeError, ValueError) as error:
        raise PageError(f"the app's request stage answered {text!r:.200}, which does not parse") from error
    if not isinstance(about, dict):
        raise PageError(f"the app's request stage answered {text!r:.200}, which is no object")
    return about


def _whole(kept: Any) -> WholeResponse | None:
    """Return what the adapter gives to be kept (`Kept` in its `exchange.js`)."""
    if not kept:
        return None
    headers = tuple((name, value) for name, value in json.loads(kept.headers))
    counterpart = getattr(kept, "payload", None) or getattr(kept, "document", None)
    body = getattr(kept, "body", None)
    added = tuple((name, value) for name, value in json.loads(getattr(kept, "added", None) or "[]"))
    return WholeResponse(kept.status, headers, _buffer(body), _buffer(counterpart), added)


def _buffer(array_buffer: Any) -> JsBuffer | None:
    return JsBuffer.of(array_buffer) if array_buffer else None
