"""HTTP requests of Python code, by the runtime's `fetch`.

`fetch` is for `datacache.fetched`. `XMLHttpRequest` is for pyodide-http, which makes `requests` and `urllib.request` run on
it: it is synchronous by switching stacks (`run_sync`), and other requests go on meanwhile. Its names are those of the standard
(https://xhr.spec.whatwg.org/).
"""

from __future__ import annotations

import importlib
import sys
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import js
from js import AbortSignal, Object, Uint8Array
from pyodide.ffi import JsException, can_run_sync, run_sync, to_js

from datacache.fetched import FetchedResponse, FetchError
from edge.http import header_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNSENT, _OPENED, _DONE = 0, 1, 4

_BODILESS = frozenset({"GET", "HEAD"})


class XMLHttpRequest:
    """One request. Its errors are those of `requests` and `urllib.request`, because pyodide-http passes them on."""

    def __init__(self) -> None:
        self.readyState = _UNSENT
        self.responseType = ""
        self.timeout = 0
        self.withCredentials = False
        self.status = 0
        self.statusText = ""
        self.responseURL = ""
        self._method = ""
        self._url = ""
        self._mime_type = ""
        self._request_headers: dict[str, str] = {}
        self._headers: tuple[tuple[str, str], ...] = ()
        self._buffer: Any = None

    @classmethod
    def new(cls) -> XMLHttpRequest:
        """Make one as Python code makes objects of JavaScript's classes."""
        return cls()

    def open(self, method: str, url: str, is_async: bool = True, *_credentials: str | None) -> None:  # noqa: FBT001, FBT002
        if is_async:
            raise NotImplementedError("XMLHttpRequest is synchronous here; use js.fetch for asynchronous requests")
        self._method, self._url = method.upper(), url
        self._request_headers = {}
        self.readyState = _OPENED

    def setRequestHeader(self, name: str, value: str) -> None:
        known = self._request_headers.get(name.lower())
        self._request_headers[name.lower()] = value if known is None else f"{known}, {value}"

    def overrideMimeType(self, mime_type: str) -> None:
        self._mime_type = mime_type

    def send(self, body: Any = None) -> None:
        """Raise an error of urllib, and of requests too, where the server does not answer."""
        if self.readyState != _OPENED:
            raise RuntimeError("XMLHttpRequest.send() before open()")
        failed, timed_out = _errors()
        if not can_run_sync():
            raise failed(
                f"{self._url} cannot be asked for synchronously: stack switching is not available here. Call it in a "
                "handler, not at module level nor in a JavaScript callback, or use an asynchronous client"
            )
        try:
            run_sync(self._fetch(body))
        except JsException as error:
            if error.name == "TimeoutError":
                raise timed_out(f"{self._url} did not answer within {self.timeout} ms") from error
            raise failed(f"{self._url} did not answer: {error}") from error
        self.readyState = _DONE

    def abort(self) -> None:
        self.readyState = _UNSENT

    def getAllResponseHeaders(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self._headers)

    def getResponseHeader(self, name: str) -> str | None:
        return next((value for given, value in self._headers if given == name.lower()), None)

    @property
    def response(self) -> Any:
        """An ArrayBuffer where that is the response type, else the text."""
        return self._buffer if self.responseType == "arraybuffer" else self.responseText

    @property
    def responseText(self) -> str:
        if self._buffer is None:
            return ""
        data: bytes = self._buffer.to_bytes()
        message = Message()
        message["content-type"] = self._mime_type or self.getResponseHeader("content-type") or "text/plain"
        try:
            return data.decode(message.get_content_charset("utf-8"), "replace")
        except LookupError:
            return data.decode("utf-8", "replace")

    async def _fetch(self, body: Any) -> None:
        options: dict[str, Any] = {"method": self._method, "headers": self._request_headers}
        if body is not None and self._method not in _BODILESS:
            options["body"] = body
        if self.timeout:
            options["signal"] = AbortSignal.timeout(self.timeout)
        response = await js.fetch(self._url, to_js(options, dict_converter=Object.fromEntries))
        self._buffer = await response.arrayBuffer()
        self.status, self.statusText, self.responseURL = response.status, response.statusText, response.url
        self._headers = header_pairs(response.headers)


def provide_xml_http_request() -> None:
    """Give JavaScript's global scope the names that pyodide-http looks for when it is imported, and import it again if it was.

    Not at module level: the global scope is not part of the snapshot.
    """
    scope: Any = js.globalThis
    scope.XMLHttpRequest = XMLHttpRequest
    # As in a web worker: there pyodide-http takes bytes and time-outs. Streaming would need another thread.
    scope.importScripts = XMLHttpRequest.new
    scope.crossOriginIsolated = False
    pyodide_http: Any = sys.modules.get("pyodide_http")
    if pyodide_http is not None:
        importlib.reload(pyodide_http).patch_all()


def _errors() -> tuple[type[Exception], type[Exception]]:
    """Return what to raise where a server cannot be reached, and where it takes too long.

    pyodide-http passes both on: they are errors of `urllib`, and of `requests` too where a site has imported that.
    """
    requests: Any = sys.modules.get("requests")
    failed, timed_out = ((), ()) if requests is None else ((requests.ConnectionError,), (requests.ConnectTimeout,))
    return (
        type("RequestFailedError", (*failed, URLError), {}),
        type("RequestTimedOutError", (*timed_out, URLError, TimeoutError), {}),
    )


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
