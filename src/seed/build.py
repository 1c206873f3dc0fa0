"""What can be wrong with a build's output, or with where it is kept.

The stored forms of a route, and where a build keeps them and its manifest.

The copied layout: what `vinext-worker copy` writes below `/__prerender/`.

    build.json                  the build: its ID, its time, where its index is
    index/<build>/<shard>.json  records of the routes whose path falls into this shard
    artifacts/<sha256>          a body, named by its content

Names do not depend on a URL's characters, so no path is too long, differs only in case or
overwrites another file; looking one route up reads one shard, however large the site is.
"""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from cache.keys import KeySchema
from core.errors import VinextWorkerError


class SeedError(VinextWorkerError):
    """A build's pages cannot be brought into a cache."""


class ManifestError(SeedError):
    """A manifest or index is not what vinext or `vinext-worker copy` writes."""


class AssetsError(SeedError):
    """The assets did not answer, or answered with something other than a file or a 404."""


ARTIFACTS_FOLDER = "prerendered-routes"

MANIFEST_NAME = "vinext-prerender.json"


class Artifact(StrEnum):
    """One stored form of a route. The value is the suffix of its cache key."""

    HTML = "html"
    RSC = "rsc"
    ROUTE = "route"


@dataclass(frozen=True)
class Skipped:
    """A page that is left out, and why, in a few words for a person. `path` is "" where the row has none."""

    path: str
    reason: str


BUILD_FILE = "build.json"

LAYOUT_VERSION = 1

ROUTES_PER_SHARD = 32


@dataclass(frozen=True)
class Build:
    """What holds for every page of one build.

    `built_at_ms` is the time of the build: a seeded page's age counts from it.
    `base_path` is what every URL of the site begins with, "" where that is nothing. `rsc_headers`
    are those without which vinext's client rejects an RSC payload. `index` is the folder of the
    shards, "" where the build has no pages.
    """

    build_id: str
    schema: KeySchema
    built_at_ms: int
    trailing_slash: bool
    base_path: str
    rsc_headers: Mapping[str, str]
    index: str
    shards: int

    def to_json(self) -> str:
        document = {
            "version": LAYOUT_VERSION,
            "buildId": self.build_id,
            "keySchema": self.schema.value,
            "builtAt": self.built_at_ms,
            "trailingSlash": self.trailing_slash,
            "basePath": self.base_path,
            "rscHeaders": dict(self.rsc_headers),
            "index": self.index,
            "shards": self.shards,
        }
        return json.dumps(document, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Build:
        """Read `build.json`. Raises ManifestError, naming `where`, if it is anything else."""
        document: dict[str, Any] = _json_object(text, where)
        version = document.get("version")
        if version != LAYOUT_VERSION:
            raise ManifestError(f"{where} has version {version!r}, known is {LAYOUT_VERSION}; copy the build again")
        try:
            build = cls(
                build_id=document["buildId"],
                schema=KeySchema(document["keySchema"]),
                built_at_ms=document["builtAt"],
                trailing_slash=document["trailingSlash"] is True,
                base_path=document["basePath"],
                rsc_headers=document["rscHeaders"],
                index=document["index"],
                shards=document["shards"],
            )
        except (KeyError, ValueError) as error:
            raise ManifestError(f"{where}: {error!r} is missing or not as it should be; copy the build again") from error
        if not all(_is_text(text) for text in (build.build_id, build.base_path, build.index)):
            message = f"{where}: buildId, basePath or index is not a string; copy the build again"
            raise ManifestError(message)
        if not _is_count(build.built_at_ms) or not _is_count(build.shards):
            message = f"{where}: builtAt or shards is not a whole number; copy the build again"
            raise ManifestError(message)
        if not _is_string_map(build.rsc_headers):
            message = f"{where}: rscHeaders is not an object of strings; copy the build again"
            raise ManifestError(message)
        return build


@dataclass(frozen=True)
class RouteRecord:
    """One route of the index: everything of its entries but their bodies.

    `artifacts` maps the stored forms to the names of their files. `headers` go with the
    HTML or the route handler's body, `rsc_headers` with the RSC payload.
    """

    revalidate_seconds: float | None
    expire_seconds: float | None
    tags: tuple[str, ...]
    status: int
    headers: Mapping[str, str]
    rsc_headers: Mapping[str, str]
    artifacts: Mapping[Artifact, str]

    def to_document(self) -> dict[str, object]:
        """As JSON: what is usual is left out, so that a shard stays small."""
        document: dict[str, object] = {
            "artifacts": {artifact.value: name for artifact, name in self.artifacts.items()},
        }
        if self.revalidate_seconds is not None:
            document["revalidate"] = self.revalidate_seconds
        if self.expire_seconds is not None:
            document["expire"] = self.expire_seconds
        if self.tags:
            document["tags"] = list(self.tags)
        if self.status != HTTPStatus.OK:
            document["status"] = self.status
        if self.headers:
            document["headers"] = dict(self.headers)
        if self.rsc_headers:
            document["rscHeaders"] = dict(self.rsc_headers)
        return document

    @classmethod
    def from_document(cls, document: Any, where: str) -> RouteRecord:
        """Read one record. Raises ManifestError, naming `where`, if it is anything else."""
        try:
            record = cls(
                revalidate_seconds=document.get("revalidate"),
                expire_seconds=document.get("expire"),
                tags=tuple(document.get("tags", ())),
                status=document.get("status", 200),
                headers=document.get("headers", {}),
                rsc_headers=document.get("rscHeaders", {}),
                artifacts={Artifact(suffix): name for suffix, name in document["artifacts"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{where} is not a record of the index; copy the build again"
            raise ManifestError(message) from error
        if not (
            _is_period(record.revalidate_seconds)
            and _is_period(record.expire_seconds)
            and all(isinstance(tag, str) for tag in record.tags)
            and _is_count(record.status)
            and _is_string_map(record.headers)
            and _is_string_map(record.rsc_headers)
            and all(isinstance(name, str) for name in record.artifacts.values())
        ):
            message = f"{where} has a field of the wrong type; copy the build again"
            raise ManifestError(message)
        return record


def shard_count(routes: int) -> int:
    """How many shards an index of so many routes has."""
    return -(-routes // ROUTES_PER_SHARD)


def shard_of(path: str, shards: int) -> int:
    """The shard that holds a path (one of `cache.keys.normalize_path`)."""
    return crc32(path.encode("utf-8", "surrogatepass")) % shards


def shard_file(index: str, shard: int) -> str:
    """Where a shard lies, below the folder of the pages."""
    return f"index/{index}/{shard}.json"


def artifact_file(name: str) -> str:
    """Where a body lies, below the folder of the pages."""
    return f"artifacts/{name}"


def shard_to_json(records: Mapping[str, RouteRecord]) -> str:
    """The records of a shard by path (one of `normalize_path`)."""
    document = {path: record.to_document() for path, record in records.items()}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def shard_from_json(text: bytes, where: str) -> dict[str, object]:
    """The documents of a shard by path; `RouteRecord.from_document` reads the one wanted."""
    return _json_object(text, where)


def _json_object(text: bytes, where: str) -> dict[str, object]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{where} is not JSON ({error}); copy the build again"
        raise ManifestError(message) from error
    if not isinstance(document, dict):
        message = f"{where} holds no JSON object; copy the build again"
        raise ManifestError(message)
    return document


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_period(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_string_map(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
