"""HTTP requests by the runtime's `fetch` (the protocol of `datacache.fetched`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import js
from js import AbortSignal, Object, Uint8Array
from pyodide.ffi import JsException, to_js

from datacache.fetched import FetchedResponse, FetchError
from edge.headers import header_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_MS = 30_000


async def fetch(url: str, headers: Mapping[str, str]) -> FetchedResponse:
    """GET a URL, redirects followed."""
    given = to_js(dict(headers), dict_converter=Object.fromEntries)
    try:
        response = await js.fetch(url, headers=given, signal=AbortSignal.timeout(_TIMEOUT_MS))
        body: bytes = Uint8Array.new(await response.arrayBuffer()).to_bytes()
    except JsException as error:
        raise FetchError(f"{url} did not answer: {error}") from error
    return FetchedResponse(response.url or url, response.status, dict(header_pairs(response.headers)), body)
