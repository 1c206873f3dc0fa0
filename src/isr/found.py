"""An entry that answers a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cache.values import AppPageValue, AppRouteValue
from seed.artifacts import Artifact

if TYPE_CHECKING:
    from cache.body import Body
    from cache.entry import CacheEntry, Freshness
    from cache.values import Headers

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE = re.compile(r"[\0\r\n]")


class Found(NamedTuple):
    """An entry that may be served, fresh or stale, and the body in it that was asked for."""

    entry: CacheEntry
    artifact: Artifact
    body: Body
    state: Freshness


def is_sendable(entry: CacheEntry) -> bool:
    """Whether HTTP allows the headers that an entry keeps (RFC 9110, 5.1 and 5.5). Looked at once for each entry."""
    known = entry.memo.get(is_sendable)
    if not isinstance(known, bool):
        known = entry.memo[is_sendable] = _are_sendable(getattr(entry.value, "headers", None) or {})
    return known


def _are_sendable(headers: Headers) -> bool:
    values = [text for texts in headers.values() for text in ([texts] if isinstance(texts, str) else texts)]
    return all(map(_NAME.fullmatch, headers)) and not _NO_VALUE.search("".join(values))


def body_of(entry: CacheEntry, artifact: Artifact) -> Body | None:
    """The body that an entry keeps for an artifact, None where it is of another kind."""
    value = entry.value
    if isinstance(value, AppPageValue) and artifact is Artifact.HTML:
        return value.html
    if isinstance(value, AppPageValue) and artifact is Artifact.RSC:
        return value.rsc_data
    if isinstance(value, AppRouteValue) and artifact is Artifact.ROUTE:
        return value.body
    return None
