"""From a record of the index to an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.entry import CacheEntry
from cache.handler import SetContext
from cache.values import AppPageValue, AppRouteValue
from seed.artifacts import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.body import Body
    from cache.values import CacheValue
    from seed.index import Build, RouteRecord


def entry_of(record: RouteRecord, build: Build, artifact: Artifact, body: Body, etag: str | None) -> CacheEntry:
    """The entry of one artifact. It has the time of the build, whenever it is made.

    An entry that carried the time of its seeding would call old content fresh, and would
    outlive an invalidation made since the build.
    """
    headers = dict(record.rsc_headers if artifact is Artifact.RSC else record.headers)
    if artifact is Artifact.RSC:
        headers.update(build.rsc_headers)
    if etag is not None:
        headers.setdefault("etag", etag)
    return CacheEntry.make(
        page_value(artifact, body, headers, record.status),
        record.tags,
        build.built_at_ms,
        record.revalidate_seconds,
        record.expire_seconds,
    )


def page_value(artifact: Artifact, body: Body, headers: Mapping[str, str], status: int) -> CacheValue:
    """The value that keeps an artifact."""
    if artifact is Artifact.ROUTE:
        return AppRouteValue(body=body, status=status, headers=headers)
    if artifact is Artifact.RSC:
        return AppPageValue(rsc_data=body, headers=headers, status=status)
    return AppPageValue(html=body, headers=headers, status=status)


def set_context(entry: CacheEntry) -> SetContext:
    """The context with which a handler's `set` keeps `entry.value` as this very entry: its tags, periods and time."""
    return SetContext(
        tags=entry.tags,
        revalidate=False if entry.revalidate_seconds is None else entry.revalidate_seconds,
        expire=entry.expire_seconds,
        last_modified_ms=entry.last_modified_ms,
    )
