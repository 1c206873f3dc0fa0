"""The Worker in front of Python pages, in workerd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.project import Project
from vinext_worker.sites.python_packages import install_python_packages
from vinext_worker.sites.python_project import PythonProject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FIXTURE = Path(__file__).parents[1] / "fixtures" / "python"
PROJECT = Project.find()


def fixture_packages(folder: Path = FIXTURE) -> Path:
    """The packages of a fixture, installed where they are not yet."""
    site = PythonProject.find(folder)
    assert site is not None
    install_python_packages(site, PROJECT.tools, Console(quiet=True))
    return site.packages


def python_worker(variables: Mapping[str, str] | None = None, **options: Any) -> LocalRuntime:
    """The site in tests/fixtures/python, or in another `folder`, with its packages."""
    return LocalRuntime(
        RuntimeOptions(
            config=WranglerConfig.read(options.pop("folder", FIXTURE) / "wrangler.toml"),
            tools=PROJECT.tools,
            assets_directory=options.pop("assets_directory", FIXTURE / "assets"),
            vendored=options.pop("vendored", None) or fixture_packages(),
            variables=variables or {},
            **options,
        )
    )
