"""An entry that answers a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cache.values import AppPageValue, AppRouteValue
from seed.artifacts import Artifact

if TYPE_CHECKING:
    from cache.body import Body
    from cache.entry import CacheEntry, Freshness


class Found(NamedTuple):
    """An entry that may be served, fresh or stale, and the body in it that was asked for."""

    entry: CacheEntry
    artifact: Artifact
    body: Body
    state: Freshness


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
