"""Headers, into JavaScript and out of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import js
from js import Headers, Object
from pyodide.ffi import to_js

if TYPE_CHECKING:
    from collections.abc import Iterable


def js_headers(items: Iterable[tuple[str, str]]) -> Any:
    """`Headers` of pairs; a name may come more than once, as `Set-Cookie` does."""
    return Headers.new(to_js(list(items)))


def response_options(status: int, items: tuple[tuple[str, str], ...]) -> Any:
    """`{status, headers}` as `new Response()` takes them."""
    named = dict(items)
    if len(named) != len(items):
        return Object.fromEntries(to_js([("status", status), ("headers", js_headers(items))]))
    # One text crosses into JavaScript faster than many pairs.
    return js.JSON.parse(json.dumps({"status": status, "headers": named}))


def header_pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    """The pairs of `Headers`, names in lower case; of several cookies that are set, the last."""
    found: dict[str, str] = Object.fromEntries(headers).to_py()
    return tuple(found.items())
