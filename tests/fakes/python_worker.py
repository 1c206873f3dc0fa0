"""The Worker in front of Python pages, in workerd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from vinext_worker.python_packages import install_packages
from vinext_worker.python_site import PythonSite
from vinext_worker.runtime import LocalRuntime, RuntimeOptions
from vinext_worker.toolchain import Project
from vinext_worker.wrangler_config import WranglerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FIXTURE = Path(__file__).parents[1] / "fixtures" / "python"
PROJECT = Project.find()


def fixture_packages() -> Path:
    """The fixture's packages, installed where they are not yet."""
    site = PythonSite.find(FIXTURE)
    assert site is not None
    install_packages(site, PROJECT, Console(quiet=True))
    return site.packages


def python_worker(variables: Mapping[str, str] | None = None, **options: Any) -> LocalRuntime:
    """The site in tests/fixtures/python, or in another `folder`, with its packages."""
    return LocalRuntime(
        RuntimeOptions(
            config=WranglerConfig.read(options.pop("folder", FIXTURE) / "wrangler.toml"),
            project=PROJECT,
            assets_directory=options.pop("assets_directory", FIXTURE / "assets"),
            vendored=fixture_packages(),
            variables=variables or {},
            **options,
        )
    )
