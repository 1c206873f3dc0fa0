"""A row of the manifest: the files it may have, and the record of the index that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.keys import KeySchema, normalize_path
from cache.tags import is_valid_tag, merge_tags, path_tags
from seed.artifacts import Artifact
from seed.client_headers import client_headers
from seed.errors import ManifestError
from seed.index import RouteRecord
from seed.manifest import NOT_FOUND_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.manifest import Route


def artifact_files(route: Route, *, trailing_slash: bool) -> dict[Artifact, str]:
    """The files a route may have below `prerendered-routes/`, the one it cannot do without first.

    The rules of vinext's `utils/prerender-output-paths.js`. Raises ManifestError where the path leaves the artifacts' folder.
    """
    path = _safe(route.path)
    if route.router == "metadata":
        return {Artifact.ROUTE: f"{path}.route"}
    if path == "":
        return {Artifact.HTML: "index.html", Artifact.RSC: "index.rsc"}
    is_folder = trailing_slash and route.path != NOT_FOUND_PATH
    html = f"{path}/index.html" if is_folder else f"{path}.html"
    return {Artifact.HTML: html, Artifact.RSC: f"{path}.rsc"}


def record_of(route: Route, schema: KeySchema, artifacts: Mapping[Artifact, str]) -> RouteRecord:
    """The record of a seedable route whose bodies are kept under the given names."""
    path = normalize_path(route.path)
    rsc_headers = client_headers(route.pattern, route.path) if schema is KeySchema.V2 else {}
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


def _safe(path: str) -> str:
    """The path without its leading slash, refused where it could name a file elsewhere."""
    segments = path.strip("/").split("/")
    if "\\" in path or "\0" in path or any(part in {".", ".."} for part in segments):
        message = f"the path {path!r} leaves the folder of the artifacts"
        raise ManifestError(message)
    # `/index` and what is below it move down a folder, to leave `/` its own files.
    if segments[0] == "index":
        segments.insert(0, "index")
    return "/".join(segments)
