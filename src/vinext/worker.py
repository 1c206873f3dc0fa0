"""The entrypoint, for the module that a site's wrangler.toml names as `main`."""

from __future__ import annotations

from edge.app import Default
from edge.tags import VinextTags

__all__ = ["Default", "VinextTags"]
