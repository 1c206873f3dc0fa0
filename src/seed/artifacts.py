"""Where a build keeps its manifest, and the artifacts of a route, below `prerendered-routes/`.

The rules of vinext's `utils/prerender-output-paths.js`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from seed.errors import ManifestError

if TYPE_CHECKING:
    from seed.manifest import Route

ARTIFACTS_FOLDER = "prerendered-routes"
MANIFEST_NAME = "vinext-prerender.json"
NOT_FOUND_PATH = "/404"


class Artifact(Enum):
    """One stored form of a route. The value is the suffix of its cache key."""

    HTML = "html"
    RSC = "rsc"
    ROUTE = "route"

    __hash__ = object.__hash__  # in C, where an enumeration's own is in Python


def artifact_files(route: Route, *, trailing_slash: bool) -> dict[Artifact, str]:
    """The files a route may have, the one it cannot do without first.

    Raises ManifestError where the path leaves the artifacts' folder.
    """
    path = _safe(route.path)
    if route.router == "metadata":
        return {Artifact.ROUTE: f"{path}.route"}
    if path == "":
        return {Artifact.HTML: "index.html", Artifact.RSC: "index.rsc"}
    is_folder = trailing_slash and route.path != NOT_FOUND_PATH
    html = f"{path}/index.html" if is_folder else f"{path}.html"
    return {Artifact.HTML: html, Artifact.RSC: f"{path}.rsc"}


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
