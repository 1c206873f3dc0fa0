"""What users do, with the command as it is published, in folders outside this repository."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.workerd.patience import eventually
from uv import find_uv_bin

from vinext_worker.project import Project
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "vinext"
NAMESPACE = "0123456789abcdef" * 2


class Command:
    """The installed command, and the environment that it runs in."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        environment = folder / "environment"
        uv = find_uv_bin()
        for arguments in (
            ["venv", "--quiet", environment],
            ["pip", "install", "--quiet", "--python", environment, "--find-links", wheels, "vinext-worker-cli"],
        ):
            subprocess.run([uv, *map(str, arguments)], check=True)
        self.installed = next((environment / "lib").glob("python*/site-packages"))
        self.program = environment / "bin" / "vinext-worker"
        self._variables = {"XDG_CACHE_HOME": str(folder / "cache"), "VINEXT_WORKER_TOOLS": str(ROOT), "NO_COLOR": "1"}

    def files(self) -> dict[str, int]:
        """Every file of the installation, but what Python itself compiles."""
        files = (path for path in self.installed.rglob("*") if "__pycache__" not in path.parts and path.is_file())
        return {str(path): path.stat().st_mtime_ns for path in files}

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            cwd=folder,
            env={**os.environ, **self._variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def dev(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Run `dev` on a free port; the values are its address and what it has printed until then."""
        output = folder.parent / "dev.log"
        with output.open("w") as log:
            process = subprocess.Popen(
                [self.program, "dev", "--port", "0"],
                cwd=folder,
                env={**os.environ, **self._variables, "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=log,
            )
        try:
            while "Ready on " not in output.read_text():
                assert process.poll() is None, output.read_text()
                time.sleep(0.1)
            said = output.read_text()
            yield said.partition("Ready on ")[2].split()[0], said
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


@pytest.fixture(scope="module")
def command(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The command in an environment of its own; nothing may write there."""
    installed = Command(tmp_path_factory.mktemp("installed"), command.parent)
    before = installed.files()
    yield installed
    assert installed.files() == before


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["dev", "copy", "deploy"])
def test_in_an_empty_folder_the_command_says_what_to_do(command: Command, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    done = command.run(folder, name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"vinext-worker: neither {folder} nor a folder above it has a wrangler.toml, .json or .jsonc with a "
        "Python module as main; run `vinext-worker init` in the project's folder, or name the configuration with --config\n"
    )
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def python_site(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new site, in a repository whose changes are not committed."""
    folder = tmp_path_factory.mktemp("repository") / "a site"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    succeeded(command.run(folder, "init", "--template", "python", "--yes"))
    configuration = folder / "wrangler.toml"
    configuration.write_text(configuration.read_text().replace("0" * 32, NAMESPACE))
    return folder


def test_a_new_python_site(command: Command, python_site: Path) -> None:
    with command.dev(python_site) as (url, said):
        assert said.startswith(f"the Python site in {python_site}, with {python_site / 'wrangler.toml'}\n")
        assert httpx.get(url, trust_env=False).headers["X-Vinext-Cache"] == "HIT"
        assert "all " in succeeded(command.run(python_site, "check", url))
        busy = command.run(python_site, "populate", "--into", "local")
        assert busy.returncode == 1
        assert "is using" in busy.stderr
        assert "stop it, then run this again" in busy.stderr
    assert "pages rendered" in succeeded(command.run(python_site, "prerender"))
    assert str(python_site / ".vinext" / "assets") in succeeded(command.run(python_site, "copy"))
    below = python_site / "src"
    assert str(python_site / ".vinext" / "state") in succeeded(command.run(below, "populate", "--into", "local"))
    assert "done     deploy the Worker: a dry run" in succeeded(command.run(below, "deploy", "--dry-run"))


def test_a_site_is_deployed_beside_dev_which_follows_its_sources(command: Command, python_site: Path) -> None:
    copied = python_site / ".vinext" / "assets" / "__prerender" / "build.json"
    with command.dev(python_site) as (url, _):
        succeeded(command.run(python_site, "deploy", "--dry-run"))
        deployed = copied.read_bytes()
        entry = python_site / "src" / "entry.py"
        entry.write_text(f"{entry.read_text()}\n")
        log = python_site.parent / "dev.log"
        assert "pages are rendered anew" in eventually(log.read_text, lambda text: "reloaded in" in text)
        assert httpx.get(url, trust_env=False).headers["X-Vinext-Cache"] == "MISS"
        assert copied.read_bytes() == deployed


@pytest.fixture(scope="module")
def workspace(command: Command, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose packages are all above the app."""
    root = tmp_path_factory.mktemp("mono repository")
    project = Project(ROOT / "wrangler.toml")
    from rich.console import Console  # noqa: PLC0415 - for this alone

    build_vinext_site(EXAMPLE, project.tools, Console(quiet=True))
    modules = root / "node_modules"
    modules.mkdir()
    for package in (EXAMPLE / "node_modules").iterdir():
        if package.name != "vinext-worker-adapter" and not package.name.startswith(".vite"):
            (modules / package.name).symlink_to(package)
    with tarfile.open(adapter) as archive:
        archive.extractall(modules, filter="data")
    (modules / "package").rename(modules / "vinext-worker-adapter")
    (root / "pnpm-workspace.yaml").write_text("packages: [apps/*]\n")
    (root / "pnpm-lock.yaml").write_text("lockfileVersion: '9.0'\n")
    app = root / "apps" / "web"
    left_out = shutil.ignore_patterns("node_modules", "dist", ".*", "package-lock.json", "next-env.d.ts")
    shutil.copytree(EXAMPLE, app, ignore=left_out)
    succeeded(command.run(app, "init", "--yes", "--no-install"))
    configuration = app / "vinext-worker" / "wrangler.toml"
    configuration.write_text(configuration.read_text().replace("0" * 32, NAMESPACE))
    return app


def test_a_vinext_app_in_a_workspace(command: Command, workspace: Path) -> None:
    worker = workspace / "vinext-worker"
    with command.dev(workspace) as (url, said):
        assert said.startswith(f"the vinext app in {workspace}, with {worker / 'wrangler.toml'}\n")
        assert httpx.get(f"{url}/about", trust_env=False).headers["X-Vinext-Cache"] == "HIT"
        assert "all " in succeeded(command.run(workspace, "check", url, "--sample", "5"))
    for folder in (workspace, worker):
        assert str(worker / ".vinext" / "assets") in succeeded(command.run(folder, "copy"))
    assert str(worker / ".vinext" / "state") in succeeded(command.run(workspace, "populate", "--into", "local"))
    assert "done     deploy the Worker: a dry run" in succeeded(command.run(workspace, "deploy", "--dry-run"))
