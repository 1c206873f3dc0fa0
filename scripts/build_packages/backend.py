"""What pip and uv call for this repository (PEP 517): its wheel is the Worker library, and an editable one is for developing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.build import build_editable, build_sdist, get_requires_for_build_editable, get_requires_for_build_sdist

from build_packages.wheels import build_library

__all__ = ["build_editable", "build_sdist", "build_wheel", "get_requires_for_build_editable", "get_requires_for_build_sdist"]


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,  # noqa: ARG001 - a front end passes them by name
    metadata_directory: str | None = None,  # noqa: ARG001 - likewise
) -> str:
    """Build the Worker library into a folder and return the wheel's name."""
    return build_library(Path(wheel_directory)).name
