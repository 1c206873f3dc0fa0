"""The stored forms of a route, and where a build keeps them and its manifest."""

from __future__ import annotations

from enum import Enum

ARTIFACTS_FOLDER = "prerendered-routes"
MANIFEST_NAME = "vinext-prerender.json"


class Artifact(Enum):
    """One stored form of a route. The value is the suffix of its cache key."""

    HTML = "html"
    RSC = "rsc"
    ROUTE = "route"

    __hash__ = object.__hash__  # in C, where an enumeration's own is in Python
