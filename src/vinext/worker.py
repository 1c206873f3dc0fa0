"""The entrypoint, for the module that a site's wrangler.toml names as `main`."""

from __future__ import annotations

from edge.app import Default

__all__ = ["Default"]
