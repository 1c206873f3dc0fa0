"""Every entry of a build, one after the other: the core of whatever fills a cache before its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from cache.frozen import frozen
from cache.keys import page_key
from seed.errors import SeedError
from seed.records import entry_of, set_context
from seed.skipped import Skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cache.entry import CacheEntry
    from cache.handler import SetContext
    from cache.keys import KeySchema
    from seed.artifacts import Artifact
    from seed.index import RouteRecord
    from seed.source import Source


@frozen
class SeedEntry:
    """An entry and the cache key it belongs under; `path` is one of `normalize_path`."""

    path: str
    artifact: Artifact
    key: str
    entry: CacheEntry

    @property
    def context(self) -> SetContext:
        """How the entry is given to a cache handler's `set`."""
        return set_context(self.entry)


SeedItem: TypeAlias = "SeedEntry | Skipped"


async def seed_entries(
    source: Source, *, build_id: str | None = None, schema: KeySchema | None = None
) -> AsyncIterator[SeedItem]:
    """Each entry of a build, and each page that has none with the reason. At no time are there two of them in memory.

    `build_id` and `schema` win over the build's in the keys, as the Worker's settings do. Raises SeedError where the
    build as a whole cannot be read.
    """
    async for path, record in source.routes():
        if isinstance(record, Skipped):
            yield record
            continue
        for artifact, name in record.artifacts.items():
            key = page_key(schema or source.build.schema, build_id or source.build.build_id, path, artifact.value)
            yield await _item(source, record, path, artifact, name, key)


async def _item(  # noqa: PLR0913, PLR0917 - what a page consists of
    source: Source, record: RouteRecord, path: str, artifact: Artifact, name: str, key: str
) -> SeedItem:
    try:
        body = await source.body(name)
    except SeedError as error:
        return Skipped(path, str(error))
    if body is None:
        return Skipped(path, f"the file of its {artifact.value} is missing ({name})")
    return SeedEntry(path, artifact, key, entry_of(record, source.build, artifact, body, source.etag(name)))
