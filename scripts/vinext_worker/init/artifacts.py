from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

VENDOR = "vendor"
"""The folder of a project that keeps the packages which no registry has."""


@dataclass(frozen=True)
class Artifacts:
    """The packages that this installation carries, for projects that use them: no registry has them yet."""

    version: str
    library: Path
    """The wheel of the Worker's library."""
    adapter: Path
    """The tarball of the adapter for vinext apps."""
