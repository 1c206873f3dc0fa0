"""The Worker's entry: the cache, with the app behind it (VINEXT_PAGE_HANDLER in wrangler.toml)."""

import app  # noqa: F401 - imported here, the app is part of the snapshot and costs no time at start

from vinext.worker import Default

__all__ = ["Default"]
