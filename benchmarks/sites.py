"""The sites: the same pages, built with each version of vinext, and one that Python renders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.sites.python_packages import install_python_packages
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from rich.console import Console

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

VINEXT_0 = "0.0.38"
VINEXT_1 = "1.4.0"
BEHIND = "behind"
"""vinext 1.4.0 with the adapter, as the page handler of this Worker."""

SIZES = {"1 KB": 1024, "8 KB": 8192, "100 KB": 102_400, "470 KB": 481_280, "2 MB": 2_097_152}
"""Of a page's HTML in bytes. What vinext 1.4.0 writes around a page is 8 KB by itself, vinext 0.0.38 writes 1.2 KB."""

MIX_PAGES = 5000

_SOURCES = Path(__file__).with_name("sites")


def build(version: str, project: Project, console: Console) -> SiteBuild:
    """Put the site together, install it from npm and build it, each where that is needed. Raises UserError."""
    folder = project.local / "benchmarks" / version
    (folder / "app").mkdir(parents=True, exist_ok=True)
    # Times of change are copied too: they tell whether a build is older than its sources.
    shutil.copytree(_SOURCES / "app", folder / "app", dirs_exist_ok=True)
    for source in (_SOURCES / version).iterdir():
        shutil.copy2(source, folder / "app" / source.name if source.name == "measured.js" else folder / source.name)
    return build_vinext_site(folder, project.tools, console)


def build_python(project: Project, console: Console) -> PythonProject:
    """Put the Python site together and install its packages, where that is needed. Raises UserError."""
    folder = project.local / "benchmarks" / "python"
    shutil.copytree(_SOURCES / "python", folder, dirs_exist_ok=True)
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("ROOT", project.root.as_posix()))
    site = PythonProject(folder, WranglerConfig.read(folder / "wrangler.toml"))
    install_python_packages(site, project.tools, console)
    return site
