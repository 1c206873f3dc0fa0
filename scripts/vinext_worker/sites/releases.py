"""Whether a project's library and adapter go with this command: the three are released together, in one version."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from vinext_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_RELEASE = re.compile(r"\d+\.\d+\.\d+")


def release_in(text: str) -> str | None:
    """Return the version in a file's name or in a requirement that allows one version alone; None if there is none."""
    found = _RELEASE.search(text) if "==" in text or text.endswith((".whl", ".tgz")) else None
    return found and found[0]


def require_release(package: str, release: str | None, where: Path, cure: str, *, exactly: bool = False) -> None:
    """Raise ConfigurationError, with what to do, if a project has a package of a release that this command is not for.

    By semantic versioning, releases go together whose first number is the same (of 0.x, the first two). `cure` is for a package
    that is older than this command.
    """
    ours = version("vinext-worker")
    if release is None or release == ours or (not exactly and _series(release) == _series(ours)):
        return
    if _numbers(release) < _numbers(ours):
        raise ConfigurationError(f"{where}: {package} {release} is older than this command ({ours}); {cure}")
    raise ConfigurationError(
        f"{where}: {package} {release} is newer than this command ({ours}); install the command of that version"
    )


def _series(release: str) -> tuple[int, ...]:
    numbers = _numbers(release)
    return numbers[:2] if numbers[0] == 0 else numbers[:1]


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")[:3]))
