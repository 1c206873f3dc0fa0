"""The entrypoint, for the module that a site's wrangler.toml names as `main`."""

from __future__ import annotations

import edge.images
import edge.python_site  # noqa: F401 - imported here, they are part of the snapshot of a deploy, and free at each start
from edge.entrypoint import Default

__all__ = ["Default"]
