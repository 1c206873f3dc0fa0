"""The compatibility dates that the local workerd knows: it refuses later ones, which production may know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vinext_worker.errors import ConfigurationError, ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

_NODEJS_DATE = "2026-08-04"
_NODEJS_FLAGS = frozenset({"nodejs_compat", "nodejs_compat_v2"})
_RELEASE = re.compile(r"1\.(\d{4})(\d\d)(\d\d)\.")


def newest_date(workerd_version: str) -> str:
    """Return the newest compatibility date that a workerd knows: that of its release. Raises ToolError."""
    release = _RELEASE.match(workerd_version)
    if release is None:
        raise ToolError(f"workerd's version {workerd_version} has no date; install the npm packages again")
    return "-".join(release.groups())


def require_known_date(config: WranglerConfig, newest: str, source: Path | None = None) -> None:
    """Raise ConfigurationError, with the date to use, if a Worker has a later compatibility date than the local workerd knows.

    `source` is the file that the user edits, where the Worker's own configuration is generated.
    """
    if config.compatibility_date > newest:
        raise ConfigurationError(
            f"{source or config.path}: the local runtime knows compatibility dates up to {newest}; "
            f'write compatibility_date = "{newest}" instead of {config.compatibility_date}'
        )


def needed_flags(config: WranglerConfig) -> list[str]:
    """Return a Worker's compatibility flags without those for Node.js where its date has made them the default.

    workerd warns of them at each start. wrangler leaves them out, too.
    """
    redundant = _NODEJS_FLAGS if config.compatibility_date >= _NODEJS_DATE else frozenset[str]()
    return [flag for flag in config.compatibility_flags if flag not in redundant]
