"""Headers, into JavaScript and out of it."""

from __future__ import annotations

import json
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

import js
from js import Headers, Object
from pyodide.ffi import JsException, to_js

from cache.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def js_headers(items: Iterable[tuple[str, str]]) -> Any:
    """`Headers` of pairs; a name may come more than once, as `Set-Cookie` does."""
    return Headers.new(to_js(list(items)))


def response_options(status: int, items: Sequence[tuple[str, str]]) -> Any:
    """`{status, headers}` as `new Response()` takes them, to be used at once: it copies them, and the next call may change them.

    Answers of a site have headers of the same names, and most have the same values: to set those that differ takes a tenth of
    the time that making all of them does.
    """
    names, values = zip(*items, strict=True) if items else ((), ())
    shared = _shared.get((status, names))
    if shared is None:
        if len({name.lower() for name in names}) != len(names):
            return _options(status, js_headers(items))
        # One text crosses into JavaScript faster than many pairs.
        headers = Headers.new(js.JSON.parse(json.dumps(dict(items))))
        shared = _shared[status, names] = _Shared(_options(status, headers), headers.set, values)
    elif shared.values != values:
        try:
            for name, value in compress(items, map(ne, values, shared.values)):
                shared.set(name, value)
        except JsException:
            del _shared[status, names]  # what is set in there by now is nobody's
            raise
        shared.values = values
    return shared.options


class _Shared:
    """The options of the last answer with a status and headers of some names: their values, and what sets another."""

    __slots__ = ("options", "set", "values")

    def __init__(self, options: Any, set_header: Callable[[str, str], None], values: tuple[str, ...]) -> None:
        self.options = options
        self.set = set_header
        self.values = values


_shared: Recent[tuple[int, tuple[str, ...]], _Shared] = Recent(100)


def _options(status: int, headers: Any) -> Any:
    return Object.fromEntries(to_js([("status", status), ("headers", headers)]))


def header_pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    """The pairs of `Headers`, names in lower case; of several cookies that are set, the last."""
    found: dict[str, str] = Object.fromEntries(headers).to_py()
    return tuple(found.items())
