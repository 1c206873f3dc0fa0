"""Reading a build's output out of the assets, in either of its two layouts."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from seed.artifacts import MANIFEST_NAME
from seed.errors import ManifestError, SeedError
from seed.index import (
    BUILD_FILE,
    PRERENDER_FOLDER,
    Build,
    RouteRecord,
    artifact_file,
    shard_file,
    shard_from_json,
    shard_of,
)
from seed.skipped import Skipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cache.body import Body, Buffer
    from cache.flight import SingleFlight

_SHARDS_KEPT = 128


class Assets(Protocol):
    """The files that are deployed with the Worker."""

    async def get(self, path: str) -> Buffer | None:
        """The file at an absolute URL path, None for a 404. Raises AssetsError otherwise."""


class Source(Protocol):
    """One build's output. What the assets raise passes through."""

    build: Build

    async def record(self, path: str) -> RouteRecord | None:
        """The record of a path (one of `normalize_path`), None where the build has none."""

    def lacks(self, path: str) -> bool:
        """Whether it is known, without reading anything, that the build has no such path."""

    def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        """Every path with its record, or with the reason why it has none. At most one shard is in memory at a time."""

    async def body(self, name: str) -> Body | None:
        """An artifact by the name its record gives, None where the file is missing."""

    def etag(self, name: str) -> str | None:
        """The entity tag of an artifact, where its name tells one."""


async def open_source(assets: Assets, flight: SingleFlight | None = None) -> Source | None:
    """The build in the assets, None where there is none.

    Raises ManifestError where what is there cannot be read, AssetsError where it cannot be got.
    """
    where = f"/{PRERENDER_FOLDER}/{BUILD_FILE}"
    found = await assets.get(where)
    if found is not None:
        return CopiedSource(assets, Build.from_json(found.to_bytes(), where), flight)
    where = f"/{PRERENDER_FOLDER}/{MANIFEST_NAME}"
    found = await assets.get(where)
    if found is None:
        return None
    from seed.plain_source import PlainSource  # noqa: PLC0415 - a build that is deployed has been copied, as a rule

    return PlainSource.of(assets, found.to_bytes(), where)


class CopiedSource:
    """The layout of `vinext-worker copy` (`seed.index`)."""

    def __init__(self, assets: Assets, build: Build, flight: SingleFlight | None = None) -> None:
        self.build = build
        self._assets = assets
        self._flight = flight
        self._shards: OrderedDict[int, Mapping[str, object]] = OrderedDict()

    async def record(self, path: str) -> RouteRecord | None:
        if self.build.shards == 0:
            return None
        number = shard_of(path, self.build.shards)
        shard = self._shards.get(number)
        if shard is None:
            shard = await self._read_shard_once(number)
            self._shards[number] = shard
            if len(self._shards) > _SHARDS_KEPT:
                self._shards.popitem(last=False)
        else:
            self._shards.move_to_end(number)
        document = shard.get(path)
        if document is None:
            return None
        return RouteRecord.from_document(document, f"the record of {path} in shard {number}")

    def lacks(self, path: str) -> bool:
        shard = self._shards.get(shard_of(path, self.build.shards)) if self.build.shards else {}
        return shard is not None and path not in shard

    async def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        for number in range(self.build.shards):
            try:
                shard = await self._read_shard(number)
            except SeedError as error:
                yield "", Skipped("", f"all pages of shard {number}: {error}")
                continue
            for path, document in shard.items():
                try:
                    yield path, RouteRecord.from_document(document, f"the record of {path} in shard {number}")
                except ManifestError as error:
                    yield path, Skipped(path, str(error))

    async def body(self, name: str) -> Body | None:
        return await self._assets.get(f"/{PRERENDER_FOLDER}/{artifact_file(name)}")

    def etag(self, name: str) -> str | None:
        return f'"{name}"'

    async def _read_shard_once(self, number: int) -> Mapping[str, object]:
        if self._flight is None:
            return await self._read_shard(number)
        return await self._flight.run(f"shard {number}", lambda: self._read_shard(number))

    async def _read_shard(self, number: int) -> Mapping[str, object]:
        where = f"/{PRERENDER_FOLDER}/{shard_file(self.build.index, number)}"
        found = await self._assets.get(where)
        if found is None:
            message = f"{where} is missing; copy the build again"
            raise ManifestError(message)
        return shard_from_json(found.to_bytes(), where)
