"""Cloudflare's own tool, from its own code, on this repository and on a site.

Three things stand in for what only the internet has: npm's Pyodide for the interpreter that uv downloads, this machine's Python
for the one of the environment beside the Worker, and an empty folder for Pyodide's index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from typing import TYPE_CHECKING, Protocol
from zipfile import ZipFile

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import PROJECT
from uv import find_uv_bin

from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.sites.pyodide_python import pyodide_python
from vinext_worker.sites.python_project import PythonProject

if TYPE_CHECKING:
    from pathlib import Path

LOCK = PROJECT.root / "requirements" / "pywrangler.txt"
EXAMPLE = PROJECT.root / "examples" / "starlette"
INTERPRETER = "cpython-3.14.2-emscripten-wasm32-musl"
PROGRAM = "import pywrangler.resolve as r; r.get_pyodide_index = lambda: {index!r}; import pywrangler.cli as c; c.app()"


class Pywrangler(Protocol):
    """Runs pywrangler in a folder and returns what it printed."""

    def __call__(self, folder: Path, *arguments: str) -> str: ...


@pytest.fixture(scope="module")
def modules() -> Path:
    """pywrangler, in a folder of its own: it brings modules that would replace the Worker's in other tests."""
    folder = PROJECT.local / "pywrangler"
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_bytes() != LOCK.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--target", str(folder)]
        subprocess.run([*command, "-r", str(LOCK)], check=True)
        shutil.copyfile(LOCK, stamp)
    return folder


@pytest.fixture(scope="module")
def pywrangler(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Pywrangler:
    pythons = tmp_path_factory.mktemp("pythons")
    pyodide_python(PROJECT.tools.node, PROJECT.tools.node_modules / "pyodide", pythons / INTERPRETER)
    program = PROGRAM.format(index=tmp_path_factory.mktemp("index").as_uri())
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(PROJECT.tools.node.parent), os.path.dirname(sys.executable), os.environ["PATH"])),  # noqa: PTH120
        "PYTHONPATH": str(modules),
        "UV_PYTHON_INSTALL_DIR": str(pythons),
        "WRANGLER_SEND_METRICS": "false",
        "CI": "1",
    }

    def run(folder: Path, *arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def prepared(folder: Path) -> Path:
    """A folder with the environment beside the Worker, which says that it has the Python of Python Workers."""
    environment = folder / ".venv-workers"
    venv.create(environment)
    configuration = environment / "pyvenv.cfg"
    configuration.write_text(configuration.read_text().replace("version =", "version_info = 3.14 #"))
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def site(pywrangler: Pywrangler, library: Path, tmp_path_factory: pytest.TempPathFactory) -> PythonProject:
    """The example in a folder of its own, after `pywrangler sync`."""
    folder = prepared(tmp_path_factory.mktemp("starlette"))
    for name in ("src", "public"):
        shutil.copytree(EXAMPLE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLE / "wrangler.toml", folder)
    shutil.copy(library, folder)
    # As in the repository of a user. From its own folder, the example takes the library's sources, which uv has to build first.
    (folder / "pyproject.toml").write_text((EXAMPLE / "pyproject.toml").read_text().replace("../..", library.name))
    (folder / ".vinext" / "assets").mkdir(parents=True)
    (folder / "node_modules").symlink_to(PROJECT.tools.node_modules)
    pywrangler(folder, "sync")
    site = PythonProject.find(folder)
    assert site is not None
    return site


def test_sync_installs_the_whole_library(site: PythonProject, library: Path) -> None:
    with ZipFile(library) as archive:
        modules = {name for name in archive.namelist() if name.endswith(".py")}
    assert modules <= files(site.packages)
    assert (site.packages / "workers" / "__init__.py").is_file()


def test_the_synced_site_serves_its_pages_from_the_cache(site: PythonProject) -> None:
    with LocalRuntime(RuntimeOptions(config=site.config, tools=PROJECT.tools, vendored=site.packages)) as runtime:
        states = [httpx.get(f"{runtime.url}/posts", trust_env=False).headers["X-Vinext-Cache"] for _ in range(2)]
    assert states == ["MISS", "HIT"]


def test_deploy_uploads_the_site_and_everything_that_was_synced(
    site: PythonProject, pywrangler: Pywrangler, tmp_path: Path
) -> None:
    pywrangler(site.root, "deploy", "--dry-run", "--outdir", str(tmp_path))
    expected = {f"python_modules/{name}" for name in files(site.packages) if name.endswith(".py")}
    assert expected | {"entry.py", "app.py", "layout.html"} <= files(tmp_path)


@pytest.mark.parametrize("pyproject", ["pyproject.toml", "examples/fastapi/pyproject.toml", "examples/starlette/pyproject.toml"])
def test_the_dependencies_resolve_from_wheels_alone(pyproject: str, tmp_path: Path) -> None:
    """As pywrangler asks uv, where the file lies: nothing has to be built before."""
    python = pyodide_python(PROJECT.tools.node, PROJECT.tools.node_modules / "pyodide", PROJECT.tools.cache / "python")
    command = [
        find_uv_bin(),
        "pip",
        "compile",
        pyproject,
        "--python",
        str(python),
        "--no-build",
        "-o",
        str(tmp_path / "pylock.toml"),
    ]
    done = subprocess.run(command, cwd=PROJECT.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'name = "workers-runtime-sdk"' in (tmp_path / "pylock.toml").read_text()


def test_sync_leaves_this_repositorys_worker_whole(pywrangler: Pywrangler, tmp_path: Path) -> None:
    prepared(tmp_path)
    for name in ("pyproject.toml", "wrangler.toml"):
        shutil.copy(PROJECT.root / name, tmp_path)
    pywrangler(tmp_path, "sync")
    locked = (tmp_path / "pylock.toml").read_text()
    assert locked.count("[[packages]]") == 2
    for package in ("pyodide_http", "workers"):
        synced = {name for name in files(tmp_path / "python_modules" / package) if name.endswith(".py")}
        assert synced == {name for name in files(PROJECT.root / "python_modules" / package) if name.endswith(".py")}
