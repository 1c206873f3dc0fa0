"""HTTP between the runtime and the Worker: requests, answers and their headers."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

import js
from js import Array, Headers, Object, Request, Response
from pyodide.ffi import JsException, to_js

from core.recent import Recent, text_bytes
from edge.bodies import BodyStreams, JsStream, StreamCopy, body_to_js
from edge.promises import bind
from isr.answer import CachedAnswer, RuledAnswer
from isr.lookup import ALWAYS_READ
from pages.handler import WholeResponse
from pages.request import NOT_FOR_KEPT_ANSWERS, PageRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from core.body import Body
    from isr.answer import Answer, PassedAnswer
    from pages.handler import BodyCopy


class ServiceResponse:
    """An answer of a service (the protocol of `pages.handler`). `idle_ms` is for the copies of its body (`StreamCopy`)."""

    def __init__(self, raw: Any, idle_ms: int = 0) -> None:
        self.raw = raw
        self._idle_ms = idle_ms

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
        return StreamCopy(self.raw.body, self._idle_ms)

    def split(self) -> tuple[ServiceResponse, BodyCopy]:
        body = self.raw.body
        if not body:
            return self, StreamCopy(None)
        visitors, ours = body.tee()
        return ServiceResponse(Response.new(visitors, self.raw)), StreamCopy(ours, self._idle_ms)

    async def drop(self) -> None:
        if self.raw.body:
            # A body that has broken off already is as good as dropped.
            with suppress(JsException):
                await self.raw.body.cancel()


AS_IT_IS = "manual"
"""The option `encodeBody` of a `Response` whose body is already in its `Content-Encoding`; otherwise the runtime encodes it."""


def js_headers(items: Iterable[tuple[str, str]]) -> Any:
    """Return `Headers` of pairs; a name may come more than once, as `Set-Cookie` does."""
    return Headers.new(to_js(list(items)))


def response_options(status: int, items: Sequence[tuple[str, str]]) -> Any:
    """Return `{status, headers}` for `new Response()`, which copies them. Use them at once: the next call may change them.

    The answers of a site have headers of the same names, and mostly the same values. To set the values that differ takes a
    tenth of the time of making all headers.
    """
    names, values = zip(*items, strict=True) if items else ((), ())
    shared = _shared.get((status, names))
    if shared is None:
        is_large = any(len(value) > _MAX_SHARED_CHARACTERS for value in values)
        if is_large or len({name.lower() for name in names}) != len(names):
            return _options(status, js_headers(items))
        # One text crosses into JavaScript faster than many pairs.
        headers = Headers.new(js.JSON.parse(json.dumps(dict(items))))
        shared = _shared[status, names] = _Shared(_options(status, headers), headers.set, values)
    elif shared.values != values:
        try:
            for name, value in compress(items, map(ne, values, shared.values)):
                if len(value) > _MAX_SHARED_CHARACTERS:
                    del _shared[status, names]
                    return _options(status, js_headers(items))
                shared.set(name, value)
        except JsException:
            del _shared[status, names]  # what is set in there by now is nobody's
            raise
        shared.values = values
    return shared.options


class _Shared:
    """The options of the last answer with a status and these names of headers: the values, and the function that sets one."""

    __slots__ = ("options", "set", "values")

    def __init__(self, options: Any, set_header: Callable[[str, str], None], values: tuple[str, ...]) -> None:
        self.options = options
        self.set = set_header
        self.values = values


# Nobody remembers a header that is larger.
_MAX_SHARED_CHARACTERS = 1024

# The objects, and values that may get longer.
_SHARED_BYTES = 4096


def _shared_bytes(key: tuple[int, tuple[str, ...]], shared: _Shared) -> int:
    return text_bytes(key, shared.values) + _SHARED_BYTES


_shared: Recent[tuple[int, tuple[str, ...]], _Shared] = Recent(100, _shared_bytes)


def _options(status: int, headers: Any) -> Any:
    return Object.fromEntries(to_js([("status", status), ("headers", headers)]))


def header_pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of `Headers`, names in lower case; of several cookies that are set, the last."""
    values: dict[str, str] = Object.fromEntries(headers).to_py()
    return tuple(values.items())


def without_header(raw: Any, name: str) -> Any:
    """Return a request without one of its headers."""
    cleaned = Request.new(raw)
    cleaned.headers.delete(name)
    return cleaned


def new_request(url: str, headers: Mapping[str, str]) -> Any:
    """Return a GET of a whole URL."""
    return Request.new(url, headers=to_js(headers, dict_converter=Object.fromEntries), redirect="manual")


class RequestReader:
    """A reader of requests. The headers that every answer depends on come into Python together, as one text."""

    def __init__(self) -> None:
        self._get_each = bind(Array.prototype.map, to_js(ALWAYS_READ))
        self._get = Headers.prototype.get
        self._text_of = js.JSON.stringify
        self._none_of_them = json.dumps([None] * len(ALWAYS_READ), separators=(",", ":"))

    def read(self, raw: Any) -> PageRequest:
        """Describe a request. Its URL is already as the URL standard normalizes it."""
        url: str = raw.url
        start = url.index("/", url.index("//") + 2)
        path, _, query = url[start:].partition("?")
        headers = raw.headers
        known = RequestHeaders(headers, self._known(headers))
        return PageRequest(raw.method, url[:start], path, query.partition("#")[0], known, raw)

    def _known(self, headers: Any) -> Mapping[str, str]:
        text = self._text_of(self._get_each(self._get, headers))
        return {} if text == self._none_of_them else dict(zip(ALWAYS_READ, json.loads(text), strict=True))


class RequestsToKeep:
    """Makes the requests whose answers may be kept (`PageRequest.kept_as`)."""

    def __init__(self) -> None:
        self._unwanted = bind(Array.prototype.filter, to_js(NOT_FOR_KEPT_ANSWERS), Headers.prototype.has)

    def raw(self, request: PageRequest) -> Any:
        """Return the request for the page handler: the visitor's own if it has nothing that the answer must not depend on."""
        raw: Any = request.raw
        kept = request.kept_as
        if kept is None:
            return raw
        unwanted = self._unwanted(raw.headers)
        if not unwanted.length and raw.url == kept.url and not kept.selected:
            return raw
        cleaned = Request.new(kept.url, raw)
        for name in unwanted:
            cleaned.headers.delete(name)
        for name, value in kept.selectors.items():
            cleaned.headers.set(name, value)
        for name, value in kept.selected:
            if value:
                cleaned.headers.set(name, value)
            else:
                cleaned.headers.delete(name)
        return cleaned


class RequestHeaders:
    """The headers of a request. Those that are not known yet are looked up one by one, because few are wanted."""

    __slots__ = ("_headers", "_known")

    def __init__(self, headers: Any, known: Mapping[str, str]) -> None:
        self._headers = headers
        self._known = known

    def get(self, name: str) -> str | None:
        if name in ALWAYS_READ:
            return self._known.get(name)
        value = self._headers.get(name)
        return value if isinstance(value, str) else None


_SWITCHING_PROTOCOLS = 101

# From this size on a stream costs less than copies.
_MIN_STREAMED_BYTES = 64 * 1024

# Beside the cache in memory; an isolate has 128 MB.
_streams = BodyStreams(4 * 1024 * 1024)


def js_response(answer: Answer) -> Any:
    """Return the raw `Response`: the SDK's own costs more and gives nothing here."""
    if isinstance(answer, CachedAnswer):
        return Response.new(None if answer.body is None else _sent(answer.body), response_options(answer.status, answer.headers))
    return _ruled(answer) if isinstance(answer, RuledAnswer) else _passed(answer)


def _ruled(answer: RuledAnswer) -> Any:
    response = answer.response
    if not isinstance(response, ServiceResponse):
        raise TypeError(f"no answer of a service: {response!r}")
    raw = response.raw
    if answer.is_not_modified:
        visible = Response.new(None, _options(HTTPStatus.NOT_MODIFIED, raw.headers))
    else:
        visible = Response.new(None if answer.body is None else _sent(answer.body), raw)
    for name in answer.removed:
        visible.headers.delete(name)
    for name, value in (("Age", str(answer.age_seconds)), *answer.added):
        visible.headers.set(name, value)
    return visible


def _sent(body: Body) -> Any:
    """Return a body as a `Response` takes it: bytes, which it copies, or a stream that knows its length."""
    if isinstance(body, JsStream):
        return body.sent()
    return body_to_js(body) if body.size_bytes < _MIN_STREAMED_BYTES else _streams.stream(body)


def _passed(answer: PassedAnswer) -> Any:
    response = answer.response
    if isinstance(response, WholeResponse):
        return _whole(response, answer)
    if not isinstance(response, ServiceResponse):
        raise TypeError(f"no answer of a page handler: {response!r}")
    raw = response.raw
    if raw.status == _SWITCHING_PROTOCOLS:
        return raw
    # A copy, because the headers of an answer that was fetched cannot be changed. Only a copy of `raw` itself knows whether the
    # body is encoded already.
    is_plain = not raw.statusText and not raw.headers.has("content-encoding")
    visible = Response.new(raw.body, _options(raw.status, raw.headers) if is_plain else raw)
    for name in answer.removed:
        visible.headers.delete(name)
    for name, value in answer.added:
        visible.headers.set(name, value)
    return visible


def _whole(response: WholeResponse, answer: PassedAnswer) -> Any:
    replaced = answer.removed | {name.lower() for name, _ in answer.added}
    kept = [(name, value) for name, value in response.headers if name.lower() not in replaced]
    body = None if response.body is None else _sent(response.body)
    return Response.new(body, status=response.status, headers=js_headers([*kept, *answer.added]), encodeBody=AS_IT_IS)
