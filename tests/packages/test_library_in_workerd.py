"""The wheel in workerd: a site outside this repository, whose modules and packages have the names of the Worker's folders."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING
from zipfile import ZipFile

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.python_worker import PROJECT
from tests.workerd.patience import eventually

from build_packages.wheels import build_wheel
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.prerender.run import PrerenderRun
from vinext_worker.sites.python_packages import install_python_packages
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import python_build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIXTURE = PROJECT.root / "tests" / "fixtures" / "namesakes"
REQUIRED = ("edge", "isr", "settings")


def package(output: Path, name: str) -> Path:
    """A package of the site's, with one module of its name."""
    files = {f"{name}/__init__.py": f'NAME = "the package {name}"\n'.encode()}
    return build_wheel(output, {"name": f"a-{name}", "version": "1.0"}, files, package=name)


@pytest.fixture(scope="module")
def site(library: Path, tmp_path_factory: pytest.TempPathFactory) -> PythonProject:
    folder = tmp_path_factory.mktemp("folder with blanks") / "the site"
    shutil.copytree(FIXTURE, folder)
    wheels = folder / "wheels"
    for name in REQUIRED:
        package(wheels, name)
    shutil.copy(library, wheels)
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("LIBRARY", library.name))
    site = PythonProject.find(folder)
    assert site is not None
    install_python_packages(site, PROJECT.tools, Console(stderr=True))
    return site


def options(site: PythonProject, **others: str) -> RuntimeOptions:
    return RuntimeOptions(config=site.config, tools=PROJECT.tools, vendored=site.packages, variables=others)


@pytest.fixture(scope="module")
def client(site: PythonProject) -> Iterator[httpx.Client]:
    with LocalRuntime(options(site, VINEXT_PRERENDER="on")) as making:
        asyncio.run(PrerenderRun(site, making.direct_url, 4, lambda _: None, may_be_empty=False).run(None))
    assert site.config.assets is not None
    copy_build(python_build(site), site.config.assets.directory)
    with LocalRuntime(options(site)) as runtime, httpx.Client(base_url=runtime.url, trust_env=False, timeout=20) as connected:
        yield connected


def state(client: httpx.Client, path: str) -> tuple[str, str]:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.headers.get("X-Vinext-Cache", "none"), answer.text


def test_the_site_has_its_own_modules_and_packages_of_these_names(client: httpx.Client) -> None:
    own = {name: f"the site's {name}" for name in ("cache", "core", "seed")}
    assert json.loads(client.get("/names").text) == own | {name: f"the package {name}" for name in REQUIRED}


def test_every_module_of_the_wheel_imports_in_the_worker(client: httpx.Client, library: Path) -> None:
    with ZipFile(library) as archive:
        names = {name.removesuffix(".py").removesuffix("/__init__") for name in archive.namelist() if name.endswith(".py")}
    assert set(json.loads(client.get("/modules").text)) == {name.replace("/", ".") for name in names - {"vinext"}}


def test_a_page_of_the_build_is_a_hit_from_the_first_request_on(client: httpx.Client) -> None:
    assert state(client, "/seeded") == ("HIT", "seeded")


def test_a_page_is_missed_kept_made_stale_and_invalidated(client: httpx.Client) -> None:
    assert state(client, "/page") == ("MISS", "page 1")
    assert state(client, "/page") == ("HIT", "page 1")
    assert state(client, "/make-stale/posts") == ("none", "done")
    assert state(client, "/page") == ("STALE", "page 1")
    assert eventually(lambda: state(client, "/page"), lambda now: now[0] == "HIT") == ("HIT", "page 2")
    assert state(client, "/invalidate/posts") == ("none", "done")
    assert state(client, "/page") == ("MISS", "page 3")


def test_cached_data_is_kept_until_its_tag_is_invalidated(client: httpx.Client) -> None:
    assert [state(client, "/data") for _ in range(2)] == [("none", "data 1")] * 2
    client.get("/invalidate/data")
    assert state(client, "/data") == ("none", "data 2")
