"""Lazy seeding: a build's page enters the cache with the first request for it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cache.entry import Freshness, freshness
from cache.invalidation import GONE, entry_after
from core.recent import Recent
from seed.build import SeedError
from seed.entries import entry_of
from seed.look import Seed, Unseedable, Unseeded

if TYPE_CHECKING:
    from cache.entry import CacheEntry
    from cache.handler import EntryCache
    from cache.invalidation import Invalidation
    from core.body import Body, Digest
    from core.runtime import Runtime
    from seed.build import Artifact, RouteRecord
    from seed.sources import Source

RETRY_MS = 1000

# A write that took longer was cut off with its request, or lost.
_ARRIVAL_MS = 30_000


class Seeder:
    """The lazy seeding of a cache with the artifacts of one build, each when a request wants it.

    After a passing failure, a later request tries again, a second later at the earliest. A lasting one is remembered: an
    artifact that is missing, a page that has expired. Without a build there is nothing to seed.
    """

    def __init__(self, source: Source | None, cache: EntryCache, digest: Digest, runtime: Runtime) -> None:
        self._source = source
        self._cache = cache
        self._digest = digest
        self._flight = runtime.flight
        self._background = runtime.background
        self._clock = runtime.clock
        self._log = runtime.log
        # Entries on their way into the handler: the next request need not fetch them again.
        self._arriving: dict[str, tuple[CacheEntry, int]] = {}

    @cached_property
    def _resting(self) -> Recent[str, Unseedable]:
        """Keys that are not seeded before the time that is stated, or never."""
        return Recent()

    async def record(self, path: str) -> RouteRecord | None:
        """Return the build's record of a path, None where there is none, or none that can be read."""
        source = self._source
        if source is None:
            return None
        try:
            return await source.record(path)
        except SeedError as error:
            self._log.event("error", "seed.failed", path=path, error=str(error))
            return None

    def lacks(self, path: str) -> bool:
        """Return whether it is known already that the build has nothing at a path."""
        return self._source is None or self._source.lacks(path)

    async def seed(self, key: str, path: str, artifact: Artifact) -> CacheEntry | None:
        """Return the build's entry for an artifact of a path, and keep it under `key`; None where the build has no valid one.

        Never raises: a failure is logged, and the page handler renders the page.
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
        seed = await self._take(source, self._cache, path, artifact)
        if isinstance(seed, Unseedable):
            if seed.error:
                self._log.event("error", "seed.failed", path=path, error=seed.error)
            if seed.is_lasting or seed.until_ms is not None:
                self._resting[key] = seed
            return None
        self._arriving[key] = (seed.entry, self._clock() + _ARRIVAL_MS)
        self._background.run(self._store(key, seed.entry), f"seeding {key}")
        return seed.served

    async def look(self, cache: EntryCache, key: str, path: str, artifact: Artifact) -> Seed | Unseedable:
        """Return what `seed` would give now. Nothing changes if `cache` is an observer of this seeder's."""
        source = self._source
        if source is None:
            return Unseedable(Unseeded.NO_BUILD)
        resting = self._resting.get(key)
        if resting is not None and self._is_resting(key):
            return resting
        arriving = self._arriving.get(key)
        if arriving is not None and self._clock() <= arriving[1]:
            entry = arriving[0]
            found = await self._invalidation(cache, entry.tags, entry.last_modified_ms)
            return Unseedable(Unseeded.INVALIDATED, tags=entry.tags) if found is GONE else Seed(entry, None, found)
        return await self._take(source.observer(), cache, path, artifact)

    async def _take(  # noqa: PLR0911 - a reason a line
        self, source: Source, cache: EntryCache, path: str, artifact: Artifact
    ) -> Seed | Unseedable:
        """Return the build's entry for an artifact of a path, or why there is none. Nothing is kept."""
        if source.lacks(path):
            return Unseedable(Unseeded.NOT_IN_BUILD)
        build = source.build
        try:
            record = await source.record(path)
            if record is None:
                return Unseedable(Unseeded.NOT_IN_BUILD)
            if artifact not in record.artifacts:
                return Unseedable(Unseeded.NO_ARTIFACT)
            found = await self._invalidation(cache, record.tags, build.built_at_ms)
            if found is GONE:
                # A cache handler answers True also while its store fails, so the answer does not hold for ever.
                return Unseedable(Unseeded.INVALIDATED, until_ms=self._clock() + RETRY_MS, tags=record.tags)
            body = await self._body(source, record, artifact)
        except SeedError as error:
            return Unseedable(Unseeded.FAILED, str(error), until_ms=self._clock() + RETRY_MS)
        if body is None:
            error_text = f"{record.file(artifact)} of its {artifact.value} is missing"
            return Unseedable(Unseeded.MISSING_FILE, error_text, is_lasting=True)
        try:
            entry = entry_of(record, build, artifact, body, source.etag(record.artifacts[artifact]))
        except SeedError as error:
            return Unseedable(Unseeded.FAILED, str(error), is_lasting=True)
        if freshness(entry, self._clock()) is Freshness.EXPIRED:
            return Unseedable(Unseeded.EXPIRED, is_lasting=True)
        return Seed(entry, record, found)

    async def _body(self, source: Source, record: RouteRecord, artifact: Artifact) -> Body | None:
        body = await source.body(record, artifact)
        if body is not None and source.names_by_content and not record.artifacts[artifact].startswith(await self._digest(body)):
            # Assets may answer with a page of their own where they do not have the file, or cut it off.
            raise SeedError(f"{record.file(artifact)} does not hold the {artifact.value} that was built")
        return body

    async def _still_valid(self, key: str, entry: CacheEntry, until_ms: int) -> CacheEntry | None:
        if self._clock() > until_ms:
            self._arriving.pop(key, None)
            return None
        return entry_after(entry, await self._invalidation(self._cache, entry.tags, entry.last_modified_ms))

    async def _invalidation(self, cache: EntryCache, tags: tuple[str, ...], since_ms: int) -> Invalidation | None:
        """Return what has become of content of that time; GONE also where the cache fails, which is logged."""
        try:
            return await cache.invalidation(tags, since_ms)
        except Exception as error:  # noqa: BLE001 - no error of a cache handler may fail a request
            self._log.event("error", "cache.read_failed", tags=tags, error=str(error))
            return GONE

    async def _store(self, key: str, entry: CacheEntry) -> None:
        try:
            await self._cache.write(key, entry)
        finally:
            self._arriving.pop(key, None)

    def _is_resting(self, key: str) -> bool:
        resting = self._resting.get(key)
        return resting is not None and (resting.until_ms is None or self._clock() < resting.until_ms)
