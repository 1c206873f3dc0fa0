"""The runtime's `Request`, as a page request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import js
from js import Array, Headers
from pyodide.ffi import to_js

from edge.functions import bind
from isr.lookup import ALWAYS_READ
from pages.request import PageRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


class RequestReader:
    """Describes requests. The headers that every answer depends on come into Python together, as one text."""

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


class RequestHeaders:
    """The headers of a request; those that are not known yet are looked up one by one, because few are wanted."""

    __slots__ = ("_headers", "_known")

    def __init__(self, headers: Any, known: Mapping[str, str]) -> None:
        self._headers = headers
        self._known = known

    def get(self, name: str) -> str | None:
        if name in ALWAYS_READ:
            return self._known.get(name)
        value = self._headers.get(name)
        return value if isinstance(value, str) else None
