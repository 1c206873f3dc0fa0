"""The cache, with an app behind it."""

import apps  # noqa: F401 - imported here, the apps are part of the upload

from vinext.worker import Default  # noqa: F401
