"""Checks of what callers pass; each raises InvalidArgumentError."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from cache.errors import InvalidArgumentError
from cache.values import CACHE_VALUES, AppPageValue, AppRouteValue, FetchValue, ImageValue, PagesValue

if TYPE_CHECKING:
    from cache.values import CacheValue

T = TypeVar("T")


def require_key(key: object) -> None:
    """Check the key of an entry."""
    if not isinstance(key, str) or not key:
        raise InvalidArgumentError("key", key, "a string that is not empty")


def require_context(context: T | None, kind: type[T]) -> T:
    """Give the context, or the default one for None."""
    if context is None:
        return kind()
    if not isinstance(context, kind):
        raise InvalidArgumentError("context", context, f"a {kind.__name__} or None")
    return context


def require_tags(argument: str, tags: object) -> tuple[str, ...]:
    """Give the tags as a tuple; one string is one tag."""
    if isinstance(tags, str):
        return (tags,)
    found = tuple(tags) if isinstance(tags, Iterable) and not isinstance(tags, bytes) else None
    if found is None or not all(isinstance(tag, str) for tag in found):
        raise InvalidArgumentError(argument, tags if found is None else found, "strings")
    return found


def require_period(argument: str, seconds: object, *, may_be_false: bool = False) -> None:
    """Check a period: seconds from 0 on, infinity for none."""
    if seconds is None or (may_be_false and seconds is False):
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        allowed = "seconds from 0 on, or None"
        raise InvalidArgumentError(argument, seconds, f"{allowed}, or False" if may_be_false else allowed)


def require_milliseconds(argument: str, milliseconds: object) -> None:
    """Check a time."""
    if (
        isinstance(milliseconds, bool)
        or not isinstance(milliseconds, (int, float))
        or not math.isfinite(milliseconds)
        or milliseconds < 0
    ):
        raise InvalidArgumentError(argument, milliseconds, "epoch milliseconds")


def require_flag(argument: str, flag: object) -> None:
    """Check that an argument is True or False."""
    if not isinstance(flag, bool):
        raise InvalidArgumentError(argument, flag, "True or False")


def require_count(argument: str, count: object, *, least: int = 0) -> None:
    """Check a size or a number of milliseconds."""
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise InvalidArgumentError(argument, count, f"a whole number from {least} on")


def require_value(value: CacheValue | None) -> None:
    """Check a value: one of the six kinds whose fields can be stored."""
    if value is None:
        return
    if not isinstance(value, CACHE_VALUES):
        raise InvalidArgumentError("value", value, "one of vinext's six kinds of value, or None")
    match value:
        case AppPageValue():
            _require_body("value.html", value.html)
            if value.rsc_data is not None:
                _require_body("value.rsc_data", value.rsc_data)
        case PagesValue():
            _require_body("value.html", value.html)
        case AppRouteValue():
            _require_body("value.body", value.body)
        case ImageValue():
            _require_body("value.buffer", value.buffer)
            _require_text("value.etag", value.etag)
            _require_text("value.extension", value.extension)
        case FetchValue():
            _require_text("value.body", value.body)
            _require_text("value.url", value.url)
    if isinstance(value, AppPageValue | PagesValue | AppRouteValue | FetchValue):
        _require_headers(value.headers, optional=isinstance(value, AppPageValue | PagesValue))
        _require_status(value.status, optional=not isinstance(value, AppRouteValue))


def _require_body(argument: str, body: object) -> None:
    if not hasattr(body, "to_bytes") or not isinstance(getattr(body, "size_bytes", None), int):
        raise InvalidArgumentError(argument, body, "a Body, such as BytesBody(b'…')")


def _require_text(argument: str, text: object) -> None:
    if not isinstance(text, str):
        raise InvalidArgumentError(argument, text, "a string")


def _require_headers(headers: object, *, optional: bool) -> None:
    if headers is None and optional:
        return
    if not isinstance(headers, Mapping):
        raise InvalidArgumentError("value.headers", headers, "a mapping of names to strings")
    for name, item in headers.items():
        parts = item if isinstance(item, (list, tuple)) else (item,)
        if not isinstance(name, str) or not all(isinstance(part, str) for part in parts):
            raise InvalidArgumentError(f"value.headers[{name!r}]", item, "a string or a list of strings")


def _require_status(status: object, *, optional: bool) -> None:
    if status is None and optional:
        return
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:  # noqa: PLR2004 - HTTP
        raise InvalidArgumentError("value.status", status, "a whole number from 200 to 599")
