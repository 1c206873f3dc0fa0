"""A build's output as vinext wrote it, read out of the assets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cache.keys import normalize_path
from seed.errors import ManifestError
from seed.index import PRERENDER_FOLDER, Build
from seed.manifest import parse_manifest, skip_reason
from seed.routes import artifact_files, record_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cache.body import Body
    from seed.artifacts import Artifact
    from seed.index import RouteRecord
    from seed.manifest import Manifest
    from seed.skipped import Skipped
    from seed.source import Assets


class PlainSource:
    """The manifest with the files beside it, as they are in a build's `dist/server`.

    Nothing in it tells the time of the build, so its pages count as made at the epoch: those
    with a period are stale from the start, though never expired, and any invalidation holds
    against them. It has no RSC headers either; vinext's client answers an RSC payload without them with a page load.
    """

    def __init__(self, assets: Assets, manifest: Manifest) -> None:
        self.build = Build(
            build_id=manifest.build_id,
            schema=manifest.schema,
            built_at_ms=0,
            trailing_slash=manifest.trailing_slash,
            base_path="",
            rsc_headers={},
            index="",
            shards=0,
        )
        self._assets = assets
        self._records = _records(manifest)

    @classmethod
    def of(cls, assets: Assets, manifest: bytes, where: str) -> PlainSource:
        """Read the manifest; raises ManifestError, naming `where`."""
        return cls(assets, parse_manifest(manifest, where))

    async def record(self, path: str) -> RouteRecord | None:
        return self._records.get(path)

    def lacks(self, path: str) -> bool:
        return path not in self._records

    async def routes(self) -> AsyncIterator[tuple[str, RouteRecord | Skipped]]:
        for item in self._records.items():
            yield item

    async def body(self, name: str) -> Body | None:
        # The names are percent-encoded on disk, so a URL encodes the percent signs.
        return await self._assets.get(f"/{PRERENDER_FOLDER}/{name.replace('%', '%25')}")

    def etag(self, name: str) -> str | None:
        del name
        return None


def _records(manifest: Manifest) -> dict[str, RouteRecord]:
    records = {}
    for route in manifest.routes:
        if skip_reason(route, manifest.schema) is not None:
            continue
        try:
            files: dict[Artifact, str] = artifact_files(route, trailing_slash=manifest.trailing_slash)
        except ManifestError:
            continue
        record = record_of(route, manifest.schema, files)
        records[normalize_path(route.path)] = replace(record, expire_seconds=None)
    return records
