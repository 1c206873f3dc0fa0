"""The Worker's entry: the cache, with the app behind it (VINEXT_PAGE_HANDLER in wrangler.toml)."""

import app  # noqa: F401 - imported here, the app is part of the upload

from vinext.worker import Default

__all__ = ["Default"]
