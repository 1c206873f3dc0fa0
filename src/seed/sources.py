"""The build in the assets: opened once for all requests, and read in either of its two layouts."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from core.paths import PRERENDER_FOLDER, normalize_path
from core.recent import Recent
from seed.build import (
    BUILD_FILE,
    MANIFEST_NAME,
    MAX_DYNAMIC_PATHS,
    Build,
    ManifestError,
    RouteRecord,
    SeedError,
    Skipped,
    artifact_file,
    pack_file,
    shard_file,
    shard_from_json,
    shard_of,
)
from seed.manifest import is_dynamic, parse_manifest, skip_reason
from seed.routes import artifact_files, record_of, routers_of
from seed.routing import ROUTING_NAME, UNKNOWN_ROUTING, Routing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from core.body import Body, Buffer
    from core.runtime import Runtime, SingleFlight
    from seed.build import Artifact
    from seed.manifest import Manifest

RETRY_MS = 1000

_SHARDS_KEPT = 128

# Parsed JSON takes some times the bytes of its text.
_PARSED_TIMES = 3


class Assets(Protocol):
    """The files that are deployed with the Worker."""

    async def get(self, path: str) -> Buffer | None:
        """Return the file at an absolute URL path, None for a 404. Raises AssetsError for any other answer."""


class Source(Protocol):
    """The output of one build. Errors of the assets pass through."""

    build: Build
    names_by_content: bool
    """Whether the name of an artifact begins with the SHA-256 of its content, in hexadecimal."""

    async def record(self, path: str) -> RouteRecord | None:
        """Return the record of a path from `normalize_path`, None where the build has none."""

    def lacks(self, path: str) -> bool:
        """Return whether it is known, without reading anything, that the build has no such path."""

    def observer(self) -> Source:
        """Return a view of the same build; of what it reads, nothing is remembered here."""

    def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        """Yield every path with its record, or with the reason why it has none. At most one shard is in memory at a time."""

    async def body(self, record: RouteRecord, artifact: Artifact) -> Body | None:
        """Return an artifact that the record has, None where the file is missing."""

    def etag(self, name: str) -> str | None:
        """Return the entity tag of an artifact, None where its name gives none."""


class BuildOpener:
    """The build in the assets, opened with the first request for it.

    The absence of a build is remembered. Where the assets fail or the manifest is unreadable, a later call tries again, a
    second later at the earliest.
    """

    def __init__(self, assets: Assets, runtime: Runtime) -> None:
        self._assets = assets
        self._flight = runtime.flight
        self._clock = runtime.clock
        self._log = runtime.log
        self._is_open = False
        self._source: Source | None = None
        self._again_at_ms = 0
        self._failure = ""

    async def open(self) -> Source | None:
        """Return the build, None where there is none. Raises SeedError, whose reason was logged."""
        if not self._is_open:
            await self._flight.run("open build", self._try)
        if not self._is_open:
            raise SeedError(self._failure)
        return self._source

    async def _try(self) -> None:
        now_ms = self._clock()
        if self._is_open or now_ms < self._again_at_ms:
            return
        try:
            self._source = await open_source(self._assets, self._flight)
        except SeedError as error:
            self._again_at_ms = now_ms + RETRY_MS
            self._failure = str(error)
            self._log.event("error", "seed.failed", error=self._failure)
            return
        self._is_open = True
        if self._source is None:
            self._log.event("info", "seed.nothing", reason="no build below /__prerender/")


async def open_source(assets: Assets, flight: SingleFlight | None = None) -> Source | None:
    """Return the build in the assets, None where there is none.

    Raises ManifestError for a build that cannot be read, and AssetsError where the assets fail.
    """
    where = f"/{PRERENDER_FOLDER}/{BUILD_FILE}"
    file = await assets.get(where)
    if file is not None:
        return CopiedSource(assets, Build.from_json(file.to_bytes(), where), flight)
    where = f"/{PRERENDER_FOLDER}/{MANIFEST_NAME}"
    file = await assets.get(where)
    if file is None:
        return None
    manifest = parse_manifest(file.to_bytes(), where)
    where = f"/{PRERENDER_FOLDER}/{ROUTING_NAME}"
    file = await assets.get(where)
    routing = UNKNOWN_ROUTING if file is None else Routing.from_json(file.to_bytes(), manifest.build_id, where)
    return PlainSource(assets, manifest, routing)


class CopiedSource:
    """A build in the layout of `vinext-worker copy` (`seed.build`)."""

    names_by_content = True

    def __init__(self, assets: Assets, build: Build, flight: SingleFlight | None = None) -> None:
        self.build = build
        self._assets = assets
        self._flight = flight
        self._last_pack: tuple[str, Buffer | None] = "", None
        self._shards: dict[int, _Shard] = Recent(_SHARDS_KEPT, lambda _, shard: shard.size_bytes)

    async def record(self, path: str) -> RouteRecord | None:
        if self.build.shards == 0:
            return None
        number = shard_of(path, self.build.shards)
        shard = self._shards.get(number)
        if shard is None:
            shard = await self._read_shard_once(number)
        self._shards[number] = shard  # the last one now
        document = shard.documents.get(path)
        if document is None:
            return None
        return RouteRecord.from_document(document, f"the record of {path} in shard {number}")

    def lacks(self, path: str) -> bool:
        if not self.build.shards:
            return True
        shard = self._shards.get(shard_of(path, self.build.shards))
        return shard is not None and path not in shard.documents

    def observer(self) -> Source:
        observer = copy.copy(self)
        observer._flight, observer._shards = None, dict(self._shards)  # noqa: SLF001 - a copy of this very object
        return observer

    async def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        for number in range(self.build.shards):
            try:
                shard = await self._read_shard(number)
            except SeedError as error:
                yield "", Skipped("", f"all pages of shard {number}: {error}")
                continue
            for path, document in shard.documents.items():
                try:
                    yield path, RouteRecord.from_document(document, f"the record of {path} in shard {number}")
                except ManifestError as error:
                    yield path, Skipped(path, str(error))

    async def body(self, record: RouteRecord, artifact: Artifact) -> Body | None:
        part = record.slices.get(artifact)
        if part is None:
            return await self._assets.get(f"/{PRERENDER_FOLDER}/{artifact_file(record.artifacts[artifact])}")
        pack = await self._read_pack(f"/{PRERENDER_FOLDER}/{pack_file(record.pack)}")
        return None if pack is None else pack.part(part.start, part.size_bytes)

    def etag(self, name: str) -> str | None:
        return f'"{name}"'

    async def _read_pack(self, where: str) -> Buffer | None:
        """Read a pack whole: a Worker's assets ignore `Range`.

        A Worker reads a pack once for all who want it at that moment. A command reads all bodies of a pack one after the other.
        """
        if self._flight is not None:
            return await self._flight.run(where, lambda: self._assets.get(where))
        if self._last_pack[0] != where:
            self._last_pack = where, await self._assets.get(where)
        return self._last_pack[1]

    async def _read_shard_once(self, number: int) -> _Shard:
        if self._flight is None:
            return await self._read_shard(number)
        return await self._flight.run(f"shard {number}", lambda: self._read_shard(number))

    async def _read_shard(self, number: int) -> _Shard:
        where = f"/{PRERENDER_FOLDER}/{shard_file(self.build.index, number)}"
        file = await self._assets.get(where)
        if file is None:
            message = f"{where} is missing; copy the build again"
            raise ManifestError(message)
        return _Shard(shard_from_json(file.to_bytes(), where), file.size_bytes * _PARSED_TIMES)


@dataclass(frozen=True)
class _Shard:
    """The documents of some paths, and about the memory that they take."""

    documents: Mapping[str, object]
    size_bytes: int


class PlainSource:
    """A build as vinext leaves it in `dist/server`: the manifest with the files beside it.

    Nothing there states the time of the build, so its pages are dated at the epoch: those with a period are stale from the
    start, though never expired, and any invalidation makes them invalid. There are no RSC headers either; vinext's client
    answers an RSC payload without them with a page load. Without the adapter's file of rules, any path may be touched by one.
    """

    names_by_content = False

    def __init__(self, assets: Assets, manifest: Manifest, routing: Routing) -> None:
        self.build = Build(
            build_id=manifest.build_id,
            schema=manifest.schema,
            built_at_ms=0,
            trailing_slash=manifest.trailing_slash,
            base_path="",
            rsc_headers={},
            index="",
            shards=0,
            rules=routing.rules,
            stages=routing.stages,
            header_sets=routing.header_sets,
            dynamic_paths=tuple(normalize_path(route.path) for route in manifest.routes if is_dynamic(route))[:MAX_DYNAMIC_PATHS],
            routers=routers_of(routing, manifest.routes),
            i18n=routing.i18n,
            images=routing.images,
        )
        self._assets = assets
        self._records = _records(manifest, routing)

    async def record(self, path: str) -> RouteRecord | None:
        return self._records.get(path)

    def lacks(self, path: str) -> bool:
        return path not in self._records

    def observer(self) -> Source:
        return self

    async def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        for item in self._records.items():
            yield item

    async def body(self, record: RouteRecord, artifact: Artifact) -> Body | None:
        # The names are percent-encoded on disk, so a URL encodes the percent signs.
        return await self._assets.get(f"/{PRERENDER_FOLDER}/{record.artifacts[artifact].replace('%', '%25')}")

    def etag(self, name: str) -> str | None:
        del name
        return None


def _records(manifest: Manifest, routing: Routing) -> dict[str, RouteRecord]:
    records = {}
    for route in manifest.routes:
        if skip_reason(route, manifest.schema) is not None:
            continue
        try:
            files: dict[Artifact, str] = artifact_files(route, trailing_slash=manifest.trailing_slash)
        except ManifestError:
            continue
        record = record_of(route, manifest.schema, files, routing, trailing_slash=manifest.trailing_slash)
        records[normalize_path(route.path)] = replace(record, expire_seconds=None)
    return records
