"""The compatibility dates that the local workerd knows: it refuses later ones, which production may know."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from vinext_worker.errors import ConfigurationError, ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

_RELEASE = re.compile(r"1\.(\d{4})(\d\d)(\d\d)\.")


def newest_date(node_modules: Path) -> str:
    """Return the newest compatibility date that the workerd in a folder knows: that of its release. Raises ToolError."""
    package = node_modules / "workerd" / "package.json"
    try:
        version = str(json.loads(package.read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{package} cannot be read ({error}); install the npm packages again") from error
    release = _RELEASE.match(version)
    if release is None:
        raise ToolError(f"{package}: the version {version} has no date; install the npm packages again")
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
