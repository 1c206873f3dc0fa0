"""The entrypoint of the Worker. Wiring only: a site with Python code of its own has such a file too."""

from __future__ import annotations

from edge.app import Default
from edge.tags import VinextTags

__all__ = ["Default", "VinextTags"]
