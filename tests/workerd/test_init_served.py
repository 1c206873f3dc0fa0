"""What `init` has set up, served: the first request is a hit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.projects import FLASK, PYTHON_WORKER, STARLETTE, VINEXT_APP, write_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

_SECONDS = 300


def vinext_worker(folder: Path, *arguments: str) -> str:
    """Run the command in a folder, and return what it printed."""
    command = [sys.executable, "-m", "vinext_worker", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`vinext-worker dev` in a folder, without any argument but the port; its address."""
    output = folder.parent / "output"
    with output.open("wb") as file:
        command = [sys.executable, "-m", "vinext_worker", "dev", "--port", "0"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        deadline = time.monotonic() + _SECONDS
        while (ready := re.search(r"Ready on (\S+)", output.read_text())) is None:
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        yield ready[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_SECONDS)


def test_an_app_that_vinext_init_has_made(tmp_path: Path, project: Project, example_build: SiteBuild) -> None:
    folder = write_project(
        tmp_path / "an app",
        {
            "package.json": json.dumps(
                {"name": "my-next-app", "dependencies": dict.fromkeys(("next", "react", "react-dom"), "*")}
            ),
            **{name: text for name, text in VINEXT_APP.items() if name.startswith("app/")},
        },
    )
    modules = example_build.root / "node_modules"
    choices = ("--platform=cloudflare", "--cdn-cache=none", "--image-optimization=none", "--no-install", "--skip-check")
    command = [project.tools.node, modules / "vinext" / "dist" / "cli.js", "init", *choices]
    subprocess.run([str(word) for word in command], cwd=folder, check=True, capture_output=True, timeout=_SECONDS)
    assert (folder / "cloudflare.config.ts").is_file()
    vinext_worker(folder, "init", "--yes", "--no-install")
    _link_packages(folder, modules)
    with served(folder) as url:
        answers_of_pages = [httpx.get(f"{url}{path}", trust_env=False) for path in ("/", "/news")]
    assert [answer.headers["X-Vinext-Cache"] for answer in answers_of_pages] == ["HIT", "HIT"]
    assert "<h1>Hello</h1>" in answers_of_pages[0].text
    assert "s-maxage=60" in answers_of_pages[1].headers["Cache-Control"]


def _link_packages(folder: Path, modules: Path) -> None:
    """Stand in for `npm install`: the example's packages, and the adapter from the tarball that `init` has put there."""
    (folder / "node_modules").mkdir()
    for package in modules.iterdir():
        if package.name not in {"vinext-worker-adapter", ".vite-temp", ".package-lock.json"}:
            (folder / "node_modules" / package.name).symlink_to(package)
    (tarball,) = (folder / "vinext-worker" / "vendor").glob("*.tgz")
    with tarfile.open(tarball) as archive:
        archive.extractall(folder.parent, filter="data")
    shutil.move(folder.parent / "package", folder / "node_modules" / "vinext-worker-adapter")


@pytest.mark.parametrize(
    ("files", "text"),
    [(PYTHON_WORKER, "Hello World!"), (STARLETTE, "Hello"), (FLASK, "Hello")],
    ids=["worker", "starlette", "flask"],
)
def test_a_python_site(tmp_path: Path, files: Mapping[str, str], text: str) -> None:
    folder = write_project(tmp_path / "a site", files)
    vinext_worker(folder, "init", "--yes")
    with served(folder) as url:
        first = httpx.get(url, trust_env=False)
        other = httpx.get(f"{url}/elsewhere", trust_env=False)
    assert (first.headers["X-Vinext-Cache"], first.text) == ("HIT", text)
    assert "X-Vinext-Cache" not in other.headers


def test_a_new_site(tmp_path: Path) -> None:
    vinext_worker(tmp_path, "init", "my site", "--template", "python", "--yes")
    with served(tmp_path / "my site") as url:
        answers = {
            path: httpx.get(f"{url}{path}", trust_env=False)
            for path in ("/", "/time", "/greeting?name=<you>", "/static/site.css")
        }
    assert [answers[path].headers.get("X-Vinext-Cache") for path in ("/", "/greeting?name=<you>")] == ["HIT", None]
    assert answers["/time"].headers["X-Vinext-Cache"] in {"HIT", "STALE"}  # its period is a minute
    assert "Hello, &lt;you>." in answers["/greeting?name=<you>"].text
    assert answers["/static/site.css"].text.startswith("body")
