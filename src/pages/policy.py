"""What a Python handler said about keeping its answer, as the headers that the page cache reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cache.keys import encode_uri_component

if TYPE_CHECKING:
    from pages.rendering import Rendering

HeaderItems = tuple[tuple[str, str], ...]

NO_STORE = "private, no-store"
_NEVER_STALE = "s-maxage=31536000"
_TAGS_HEADER = "x-vinext-cache-tags"
_CONTROLS = frozenset({"cache-control", "cdn-cache-control", "cloudflare-cdn-cache-control"})
_KEPT_STATUSES = frozenset({200, 301, 302, 303, 307, 308, 404, 410})
_SAFE_METHODS = frozenset({"GET", "HEAD"})


def with_policy(rendering: Rendering, method: str, status: int, headers: HeaderItems, *, is_personal: bool) -> HeaderItems:
    """The headers of an answer with those that its rendering amounts to.

    A Cache-Control that the handler wrote itself holds, unless `no_store()` was called. `is_personal` tells that the
    request brought a visitor's cookies or credentials: a period asked for by decorator or Page then holds for the page
    as everybody gets it, which is made beside this answer.
    """
    if rendering.is_no_store:
        kept = tuple(item for item in headers if item[0].lower() not in _CONTROLS)
        return (*kept, ("cache-control", NO_STORE))
    if rendering.tags:
        own = ",".join(value for name, value in headers if name.lower() == _TAGS_HEADER)
        added = ",".join(encode_uri_component(tag) for tag in rendering.tags)
        headers = tuple(item for item in headers if item[0].lower() != _TAGS_HEADER)
        headers = (*headers, (_TAGS_HEADER, f"{own},{added}" if own else added))
    seconds = rendering.effective_seconds
    if seconds is None or any(name.lower() in _CONTROLS for name, _ in headers):
        return headers
    if method not in _SAFE_METHODS or status not in _KEPT_STATUSES:
        return headers
    if is_personal or seconds <= 0:
        return (*headers, ("cache-control", NO_STORE))
    return (*headers, ("cache-control", _cache_control(seconds, rendering.expire_seconds)))


def _cache_control(seconds: float, expire: float | None) -> str:
    # The header knows whole seconds only; a page must not live longer than it was told.
    if math.isinf(seconds):
        return _NEVER_STALE
    whole = max(1, math.floor(seconds))
    if expire is None or math.isinf(expire):
        return f"s-maxage={whole}, stale-while-revalidate"
    return f"s-maxage={whole}, stale-while-revalidate={max(0, math.floor(expire) - whole)}"
