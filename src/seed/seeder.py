"""Lazy seeding: a build's page enters the cache when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.entry import Freshness, freshness
from core.recent import Recent
from seed.build import SeedError
from seed.entries import entry_of

if TYPE_CHECKING:
    from cache.entry import CacheEntry
    from cache.handler import EntryCache
    from core.runtime import Runtime
    from seed.build import Artifact, RouteRecord
    from seed.sources import Source

RETRY_MS = 1000

# A write that took longer was cut off with its request, or lost.
_ARRIVAL_MS = 30_000


class Seeder:
    """Brings the artifacts of one build into a cache handler, each when it is wanted.

    What fails for the moment is tried again by a later request, a second later at the
    earliest. What cannot succeed is remembered: an artifact that is missing, a page that has
    expired. Without a build there is nothing to bring.
    """

    def __init__(self, source: Source | None, cache: EntryCache, runtime: Runtime) -> None:
        self._source = source
        self._cache = cache
        self._flight = runtime.flight
        self._background = runtime.background
        self._clock = runtime.clock
        self._log = runtime.log
        # Entries on their way into the handler: the next request need not fetch them again.
        self._arriving: dict[str, tuple[CacheEntry, int]] = {}
        # Keys that are not seeded before this time; None is never.
        self._resting: Recent[str, int | None] = Recent()

    async def record(self, path: str) -> RouteRecord | None:
        """What the build says of a path, None where it says nothing or cannot be read."""
        source = self._source
        if source is None:
            return None
        try:
            return await source.record(path)
        except SeedError as error:
            self._log.event("error", "seed.failed", path=path, error=str(error))
            return None

    async def seed(self, key: str, path: str, artifact: Artifact) -> CacheEntry | None:
        """The build's entry for an artifact of a path, kept under `key`; None where the build has none to give.

        Never raises: what goes wrong is logged, and the page is made by its handler.
        """
        source = self._source
        if source is None:
            return None
        if source.lacks(path) or self._is_resting(key):
            return None
        arriving = self._arriving.get(key)
        if arriving is not None:
            return await self._still_valid(key, *arriving)
        return await self._flight.run(f"seed {key}", lambda: self._bring(source, key, path, artifact))

    async def _bring(self, source: Source, key: str, path: str, artifact: Artifact) -> CacheEntry | None:
        build = source.build
        try:
            record = await source.record(path)
            if record is None or artifact not in record.artifacts:
                return None
            if await self._is_invalidated(record.tags, build.built_at_ms) is not False:
                # A handler says so too while its store fails, so this is not believed for ever.
                self._resting[key] = self._clock() + RETRY_MS
                return None
            name = record.artifacts[artifact]
            body = await source.body(name)
        except SeedError as error:
            self._resting[key] = self._clock() + RETRY_MS
            self._log.event("error", "seed.failed", path=path, error=str(error))
            return None
        if body is None:
            self._resting[key] = None
            self._log.event("error", "seed.failed", path=path, error=f"no artifact {name}")
            return None
        entry = entry_of(record, build, artifact, body, source.etag(name))
        if freshness(entry, self._clock()) is Freshness.EXPIRED:
            self._resting[key] = None
            return None
        self._arriving[key] = (entry, self._clock() + _ARRIVAL_MS)
        self._background.run(self._store(key, entry), f"seeding {key}")
        return entry

    async def _still_valid(self, key: str, entry: CacheEntry, until_ms: int) -> CacheEntry | None:
        if self._clock() > until_ms:
            self._arriving.pop(key, None)
            return None
        is_invalidated = await self._is_invalidated(entry.tags, entry.last_modified_ms)
        return entry if is_invalidated is False else None

    async def _is_invalidated(self, tags: tuple[str, ...], since_ms: int) -> bool | None:
        """Whether one of the tags was invalidated since then; None where the handler cannot tell, which is logged."""
        try:
            return await self._cache.has_invalidated(tags, since_ms)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
            self._log.event("error", "cache.read_failed", tags=tags, error=str(error))
            return None

    async def _store(self, key: str, entry: CacheEntry) -> None:
        try:
            await self._cache.write(key, entry)
        finally:
            self._arriving.pop(key, None)

    def _is_resting(self, key: str) -> bool:
        if key not in self._resting:
            return False
        until_ms = self._resting[key]
        return until_ms is None or self._clock() < until_ms
