"""A build, the records of its routes, and the layout that `vinext-worker copy` writes below `/__prerender/`.

    build.json                  the build: its ID, its time, the folder of its index
    index/<build>/<shard>.json  records of the routes whose path falls into this shard
    packs/<digest>              bodies of routes of one shard, one after the other, named by their content
    artifacts/<sha256>          a body too large for a pack, named by its content

A record says where in which pack a body lies. In a copy of version 1 every body has a file of its own.

Names do not depend on a URL's characters, so no path is too long, differs only in case or overwrites another file.
Looking one route up reads one shard, however large the site is.
"""

from __future__ import annotations

import json
import re
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from cache.keys import KeySchema, page_key, pages_router_key
from core.errors import VinextWorkerError
from seed.i18n import I18n
from seed.rules import Rule

MANIFEST_NAME = "vinext-prerender.json"
ARTIFACTS_FOLDER = "prerendered-routes"

BUILD_FILE = "build.json"
LAYOUT_VERSION = 2
_READ_VERSIONS = (1, 2)
MAX_ROUTES_PER_SHARD = 32
MAX_DYNAMIC_PATHS = 1000
MAX_STATIC_FILES = 1000

_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")


class SeedError(VinextWorkerError):
    """A failure to bring a build's pages into a cache."""


class ManifestError(SeedError):
    """A manifest or index in a form that neither vinext nor `vinext-worker copy` writes."""


class AssetsError(SeedError):
    """A failure of the assets: no answer, or one that is neither a file nor a 404."""


class Artifact(StrEnum):
    """One form of a route. The value is the suffix of its cache key, except for the Pages Router, whose keys have none.

    PAGES is the HTML of a page of the Pages Router. DATA, by which a client navigates to that page, is in the same entry.
    """

    HTML = "html"
    RSC = "rsc"
    ROUTE = "route"
    PAGES = "pages"
    DATA = "data"

    @property
    def stored(self) -> Artifact:
        """The artifact whose entry this one is in."""
        return Artifact.PAGES if self is Artifact.DATA else self


APP_ARTIFACTS = (Artifact.HTML, Artifact.RSC, Artifact.ROUTE)
"""The artifacts of a route of the App Router."""

PAGES_ARTIFACTS = frozenset({Artifact.PAGES, Artifact.DATA})
"""The artifacts of a page of the Pages Router."""


def artifact_key(schema: KeySchema, build_id: str | None, path: str, part: str, i18n: I18n | None = None) -> str:
    """Return the cache key of an artifact; `path` is one of `normalize_path`.

    A variant may follow the artifact in `part`, after a colon; of a page of the Pages Router it is the domain that i18n has for
    the request. Raise InvalidArgumentError for a part that no artifact has.
    """
    artifact, _, variant = part.partition(":")
    if artifact not in PAGES_ARTIFACTS:
        return page_key(schema, build_id, path, part)
    path, locale = (path, None) if i18n is None else i18n.identity(path, variant)
    return pages_router_key(schema, build_id, path, None if schema is KeySchema.V1 else locale)


@dataclass(frozen=True)
class Skipped:
    """A page that is left out, and the reason in a few words for a person. `path` is "" where the row has none."""

    path: str
    reason: str


@dataclass(frozen=True)
class Build:
    """The facts that hold for every page of one build.

    `built_at_ms` is the time of the build, from which a seeded page's age counts. `base_path` is the prefix of every URL
    of the site, "" for none. `rsc_headers` are those without which vinext's client rejects an RSC payload. `index` is the
    folder of the shards, "" where the build has no pages. `rules` are the app's that come before its page cache. `stages` is
    the version of the exchange by which the app answers a request in two stages with the cache between them, 0 for none.
    `static_folders` are the URL paths, with a slash at each end, below which are the build's own scripts, styles and images.
    `static_files` are the URL paths of the first MAX_STATIC_FILES files of a Python site that are served as they are.
    `header_sets` are those of next.config to which records refer. `dynamic_paths`, from `normalize_path`, are the first
    MAX_DYNAMIC_PATHS of the pages that the build left out as dynamic; they are here and not in the shards, because a shard is
    read only for pages that are not in the cache. `draft_digest` is the SHA-256 of the secret in the cookie of draft mode, in
    hexadecimal digits, "" if it is not known.
    `routers` are those that the app has pages of: "app", "pages" or both. `i18n` is that of the Pages Router. `images` are those
    of next.config, as they stand there.
    """

    build_id: str
    schema: KeySchema
    built_at_ms: int
    trailing_slash: bool
    base_path: str
    rsc_headers: Mapping[str, str]
    index: str
    shards: int
    rules: tuple[Rule, ...] = ()
    stages: int = 0
    static_folders: tuple[str, ...] = ()
    static_files: tuple[str, ...] = ()
    header_sets: tuple[Mapping[str, str], ...] = ()
    dynamic_paths: tuple[str, ...] = ()
    draft_digest: str = ""
    routers: tuple[str, ...] = ("app",)
    i18n: I18n | None = None
    images: Mapping[str, Any] = field(default_factory=dict)

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
            "rules": [rule.to_document() for rule in self.rules],
            "stages": self.stages,
            "staticFolders": list(self.static_folders),
            "staticFiles": list(self.static_files),
            "headerSets": list(map(dict, self.header_sets)),
            "dynamicPaths": list(self.dynamic_paths),
            "draftDigest": self.draft_digest,
            "routers": list(self.routers),
            "i18n": None if self.i18n is None else self.i18n.to_document(),
            "images": dict(self.images),
        }
        return json.dumps(document, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Build:
        """Read `build.json`. Raises ManifestError, naming `where`, for anything else."""
        document: dict[str, Any] = _json_object(text, where)
        version = document.get("version")
        if version not in _READ_VERSIONS:
            raise ManifestError(f"{where} has version {version!r} instead of {LAYOUT_VERSION}; copy the build again")
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
                rules=tuple(map(Rule.from_document, document["rules"])),
                stages=document["stages"],
                static_folders=tuple(document["staticFolders"]),
                static_files=tuple(document.get("staticFiles", ())),
                header_sets=tuple(document["headerSets"]),
                dynamic_paths=tuple(document["dynamicPaths"]),
                draft_digest=document["draftDigest"],
                routers=tuple(document.get("routers", ("app",))),
                i18n=I18n.from_document(document.get("i18n")),
                images=document.get("images", {}),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"{where}: a field is missing or wrong ({error!r}); copy the build again") from error
        if not all(
            _is_text(text)
            for text in (
                build.build_id,
                build.base_path,
                build.index,
                *build.static_folders,
                *build.static_files,
                *build.dynamic_paths,
                *build.routers,
            )
        ):
            message = (
                f"{where}: buildId, basePath, index, a static folder or file, a dynamic path or a router is not a string;"
                " copy the build again"
            )
            raise ManifestError(message)
        if not all(_is_count(number) for number in (build.built_at_ms, build.shards, build.stages)):
            message = f"{where}: builtAt, shards or stages is not a whole number; copy the build again"
            raise ManifestError(message)
        if not _is_text(build.draft_digest) or not _DIGEST.fullmatch(build.draft_digest):
            message = f"{where}: draftDigest is neither empty nor a SHA-256 in hexadecimal digits; copy the build again"
            raise ManifestError(message)
        if not all(map(_is_string_map, (build.rsc_headers, *build.header_sets))):
            message = f"{where}: rscHeaders or a header set is not an object of strings; copy the build again"
            raise ManifestError(message)
        return build


@dataclass(frozen=True)
class Slice:
    """A run of bytes of a file."""

    start: int
    size_bytes: int


@dataclass(frozen=True)
class RouteRecord:
    """One route of the index: its entries without their bodies.

    `artifacts` maps the stored forms to the names of their bodies. Those that `slices` has are parts of the file `pack`, and the
    others have files of their own. `headers` go with the HTML or the route handler's body,
    `rsc_headers` with the RSC payload. `stale_seconds` is how long a client's router need not ask again. `header_set` is the
    number of the set of `Build.header_sets` that the app's request stage adds, None for none; nobody but `vinext-worker check`
    needs it. `is_unsure`: the page of the Pages Router may have a period that the build does not state.
    """

    revalidate_seconds: float | None
    expire_seconds: float | None
    tags: tuple[str, ...]
    status: int
    headers: Mapping[str, str]
    rsc_headers: Mapping[str, str]
    artifacts: Mapping[Artifact, str]
    header_set: int | None = None
    stale_seconds: float | None = None
    is_unsure: bool = False
    pack: str = ""
    slices: Mapping[Artifact, Slice] = field(default_factory=dict)

    def file(self, artifact: Artifact) -> str:
        """Return the name of the file with the body of an artifact, for a message."""
        return f"the pack {self.pack}" if artifact in self.slices else f"the file {self.artifacts[artifact]}"

    def to_document(self) -> dict[str, object]:
        """Return the record as JSON, without the usual values, so that a shard stays small."""
        fields: tuple[tuple[str, object, object], ...] = (
            ("revalidate", self.revalidate_seconds, None),
            ("expire", self.expire_seconds, None),
            ("stale", self.stale_seconds, None),
            ("unsure", self.is_unsure, False),
            ("tags", list(self.tags), []),
            ("status", self.status, HTTPStatus.OK),
            ("headers", dict(self.headers), {}),
            ("rscHeaders", dict(self.rsc_headers), {}),
            ("headerSet", self.header_set, None),
            ("pack", self.pack, ""),
            ("slices", {artifact.value: [part.start, part.size_bytes] for artifact, part in self.slices.items()}, {}),
        )
        artifacts = {artifact.value: name for artifact, name in self.artifacts.items()}
        return {"artifacts": artifacts} | {name: value for name, value, usual in fields if value != usual}

    @classmethod
    def from_document(cls, document: Any, where: str) -> RouteRecord:
        """Read one record. Raises ManifestError, naming `where`, for anything else."""
        try:
            record = cls(
                revalidate_seconds=document.get("revalidate"),
                expire_seconds=document.get("expire"),
                tags=tuple(document.get("tags", ())),
                status=document.get("status", 200),
                headers=document.get("headers", {}),
                rsc_headers=document.get("rscHeaders", {}),
                artifacts={Artifact(suffix): name for suffix, name in document["artifacts"].items()},
                header_set=document.get("headerSet"),
                stale_seconds=document.get("stale"),
                is_unsure=document.get("unsure") is True,
                pack=document.get("pack", ""),
                slices={Artifact(suffix): Slice(*place) for suffix, place in document.get("slices", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{where} is not a record of the index; copy the build again"
            raise ManifestError(message) from error
        if not (
            _is_period(record.revalidate_seconds)
            and _is_period(record.expire_seconds)
            and _is_period(record.stale_seconds)
            and all(isinstance(tag, str) for tag in record.tags)
            and _is_count(record.status)
            and _is_string_map(record.headers)
            and _is_string_map(record.rsc_headers)
            and all(isinstance(name, str) for name in record.artifacts.values())
            and (record.header_set is None or _is_count(record.header_set))
            and _is_text(record.pack)
            and all(_is_count(part.start) and _is_count(part.size_bytes) for part in record.slices.values())
        ):
            message = f"{where} has a field of the wrong type; copy the build again"
            raise ManifestError(message)
        return record


def shard_count(routes: int) -> int:
    """Return the number of shards in an index of so many routes: a power of two, 0 for none.

    So a site that grows keeps its shards, and the packs of its pages, until it has twice as many.
    """
    return 1 << (-(-routes // MAX_ROUTES_PER_SHARD) - 1).bit_length() if routes else 0


def shard_of(path: str, shards: int) -> int:
    """Return the number of the shard that holds a path from `normalize_path`."""
    return crc32(path.encode("utf-8", "surrogatepass")) % shards


def shard_file(index: str, shard: int) -> str:
    """Return the path of a shard, below the folder of the pages."""
    return f"index/{index}/{shard}.json"


def artifact_file(name: str) -> str:
    """Return the path of a body that has a file of its own, below the folder of the pages."""
    return f"artifacts/{name}"


def pack_file(name: str) -> str:
    """Return the path of a pack, below the folder of the pages."""
    return f"packs/{name}"


def shard_to_json(records: Mapping[str, RouteRecord]) -> str:
    """Return a shard of records by path (from `normalize_path`) as JSON."""
    document = {path: record.to_document() for path, record in records.items()}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def shard_from_json(text: bytes, where: str) -> dict[str, object]:
    """Return the documents of a shard by path; `RouteRecord.from_document` reads the one wanted."""
    return _json_object(text, where)


def _json_object(text: bytes, where: str) -> dict[str, object]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{where} is not JSON ({error}); copy the build again"
        raise ManifestError(message) from error
    if not isinstance(document, dict):
        message = f"{where} is not a JSON object; copy the build again"
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
