"""The entries of a build: one from a record of the index, or all in turn, to fill a cache before its first request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from cache.entry import AppPageValue, AppRouteValue, CacheEntry
from cache.handler import SetContext
from core.http import STALE_TIME_HEADER
from seed.build import Artifact, ManifestError, SeedError, Skipped, artifact_key
from seed.pages_router import FOR_EACH_VISITOR, has_static_props, is_for_each_visitor, pages_value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cache.entry import CacheValue
    from cache.keys import KeySchema
    from core.body import Body
    from seed.build import Build, RouteRecord
    from seed.sources import Source

_UNSURE_SECONDS = 1

SeedItem: TypeAlias = "SeedEntry | Skipped"


@dataclass(frozen=True)
class SeedEntry:
    """An entry and its cache key; `path` is from `normalize_path`."""

    path: str
    artifact: Artifact
    key: str
    entry: CacheEntry

    @property
    def context(self) -> SetContext:
        """The context with which a cache handler's `set` keeps the entry."""
        return SetContext.of(self.entry)


async def seed_entries(
    source: Source, *, build_id: str | None = None, schema: KeySchema | None = None
) -> AsyncIterator[SeedItem]:
    """Yield each entry of a build, and each page without one with the reason. At most one entry is in memory at a time.

    In the keys, `build_id` and `schema` win over the build's, as the Worker's settings do. Raises SeedError where the
    build as a whole cannot be read.
    """
    async for path, record in source.routes():
        if isinstance(record, Skipped):
            yield record
            continue
        for artifact in record.artifacts:
            build = source.build
            key = artifact_key(schema or build.schema, build_id or build.build_id, path, artifact.value, build.i18n)
            yield await _item(source, record, path, artifact, key)


def entry_of(record: RouteRecord, build: Build, artifact: Artifact, body: Body, etag: str | None) -> CacheEntry:
    """Return the entry of one artifact, with the time of the build, whenever it is seeded.

    An entry with the time of its seeding would make old content fresh, and would outlive an invalidation since the build.
    Raise ManifestError for a body that is not one of the artifact.
    """
    headers = dict(record.rsc_headers if artifact is Artifact.RSC else record.headers)
    if artifact is Artifact.RSC:
        headers.update(build.rsc_headers)
    if etag is not None:
        headers.setdefault("etag", etag)
    if record.stale_seconds is not None and artifact is not Artifact.ROUTE:
        headers.pop(STALE_TIME_HEADER, None)
        if record.revalidate_seconds is None:
            # Stored JSON states no periods of an entry that is never stale (`cache.document`).
            headers[STALE_TIME_HEADER] = str(int(record.stale_seconds))
    if artifact is Artifact.PAGES and is_for_each_visitor(body):
        raise ManifestError(FOR_EACH_VISITOR)
    value = page_value(artifact, body, headers, record.status, build.base_path)
    if value is None:
        raise ManifestError("a page of the Pages Router does not tell its data; build the site again")
    revalidate_seconds = record.revalidate_seconds
    if record.is_unsure and (record.status != HTTPStatus.OK or has_static_props(body)):
        # Rendered once more, the page states its period.
        revalidate_seconds = _UNSURE_SECONDS
    return CacheEntry.make(
        value,
        record.tags,
        build.built_at_ms,
        revalidate_seconds,
        record.expire_seconds,
        record.stale_seconds,
    )


def page_value(artifact: Artifact, body: Body, headers: Mapping[str, str], status: int, base_path: str) -> CacheValue | None:
    """Return the value that keeps an artifact, None for a body that is not one of it (`pages_value`)."""
    if artifact is Artifact.PAGES:
        return pages_value(body, headers, status, base_path)
    if artifact is Artifact.ROUTE:
        return AppRouteValue(body=body, status=status, headers=headers)
    if artifact is Artifact.RSC:
        return AppPageValue(rsc_data=body, headers=headers, status=status)
    return AppPageValue(html=body, headers=headers, status=status)


async def _item(source: Source, record: RouteRecord, path: str, artifact: Artifact, key: str) -> SeedItem:
    name = record.artifacts[artifact]
    try:
        body = await source.body(record, artifact)
    except SeedError as error:
        return Skipped(path, str(error))
    if body is None:
        return Skipped(path, f"{record.file(artifact)} of its {artifact.value} is missing")
    if source.names_by_content and not hashlib.sha256(body.to_bytes()).hexdigest().startswith(name):
        return Skipped(path, f"{record.file(artifact)} does not hold the {artifact.value} that was built; copy the build again")
    try:
        entry = entry_of(record, source.build, artifact, body, source.etag(name))
    except ManifestError as error:
        return Skipped(path, str(error))
    return SeedEntry(path, artifact, key, entry)
