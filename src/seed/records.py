"""From a row of the manifest to a record of the index, and from a record to an entry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cache.entry import CacheEntry
from cache.handler import SetContext
from cache.keys import KeySchema, encode_uri_component, normalize_path
from cache.tags import is_valid_tag, merge_tags, path_tags
from cache.values import AppPageValue, AppRouteValue
from seed.artifacts import Artifact
from seed.index import RouteRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.body import Body
    from cache.values import CacheValue
    from seed.index import Build
    from seed.manifest import Route


def record_of(route: Route, schema: KeySchema, artifacts: Mapping[Artifact, str]) -> RouteRecord:
    """The record of a seedable route whose bodies are kept under the given names."""
    path = normalize_path(route.path)
    rsc_headers = dict(client_headers(route.pattern, route.path)) if schema is KeySchema.V2 else {}
    location = route.headers.get("location")
    if location is not None:
        rsc_headers["location"] = location
    return RouteRecord(
        revalidate_seconds=route.revalidate_seconds,
        expire_seconds=route.expire_seconds,
        tags=merge_tags(filter(is_valid_tag, (*path_tags(schema, path), *route.tags))),
        status=route.response_status,
        headers=route.headers,
        rsc_headers=rsc_headers if Artifact.RSC in artifacts else {},
        artifacts=artifacts,
    )


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


def client_headers(pattern: str, path: str) -> Mapping[str, str]:
    """What vinext 1.4.0 sends with an RSC payload about the path that it is for."""
    headers = {"X-Vinext-Rendered-Path-And-Search": encode_uri_component(path)}
    parameters = route_parameters(pattern, path)
    if parameters:
        text = json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))
        headers["X-Vinext-Params"] = encode_uri_component(text)
    return headers


def route_parameters(pattern: str, path: str) -> dict[str, str | list[str]]:
    """The route's parameters, still percent-encoded as vinext keeps them.

    `:name` takes one segment, `:name+` one or more, `:name*` any number.
    """
    parameters: dict[str, str | list[str]] = {}
    segments = [part for part in path.split("/") if part]
    for position, part in enumerate(part for part in pattern.split("/") if part):
        if not part.startswith(":"):
            continue
        if part[-1] in "+*":
            rest = segments[position:]
            if rest:
                parameters[part[1:-1]] = rest
        elif position < len(segments):
            parameters[part[1:]] = segments[position]
    return parameters
