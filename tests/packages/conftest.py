from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from build_packages.adapter import build_adapter
from build_packages.wheels import build_command, build_library

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the packages, built once for all tests."""
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="session")
def library(packages: Path) -> Path:
    """The Worker library's wheel."""
    return build_library(packages)


@pytest.fixture(scope="session")
def adapter(packages: Path) -> Path:
    """The adapter's tarball."""
    return build_adapter(packages)


@pytest.fixture(scope="session")
def command(packages: Path, library: Path, adapter: Path) -> Path:
    """The command's wheel, which carries the other two."""
    return build_command(packages, library, adapter)
