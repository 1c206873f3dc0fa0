"""What is missing on a machine is said in one line by scripts/setup."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM_TOOLS = ("bash", "env", "cat", "cksum", "dirname", "mkdir", "mv", "rm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout, with nothing installed."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("scripts/setup", "requirements", "pyproject.toml", "package.json", "package-lock.json"):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return folder


def setup(checkout: Path, *programs: str, **scripts: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/setup with nothing on PATH but the named programs, and small scripts in place of others."""
    bin_directory = checkout / "bin"
    bin_directory.mkdir(exist_ok=True)
    for name in (*SYSTEM_TOOLS, *programs):
        found = shutil.which(name)
        assert found, name
        (bin_directory / name).unlink(missing_ok=True)
        (bin_directory / name).symlink_to(found)
    for name, text in scripts.items():
        (bin_directory / name).write_text(f"#!{bin_directory}/bash\n{text}\n")
        (bin_directory / name).chmod(0o755)
    environment = {"PATH": str(bin_directory), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run([checkout / "scripts" / "setup"], env=environment, capture_output=True, text=True, check=False)


def pretend_installed(checkout: Path, *steps: str) -> None:
    """Leave behind what the steps of setup leave behind."""
    marks = {
        "python": (".venv/bin/python", ["requirements/dev.txt", "pyproject.toml"]),
        "worker": ("python_modules/workers/x", ["requirements/worker.txt"]),
        "npm": ("node_modules/miniflare/x", ["package-lock.json", "package.json"]),
    }
    (checkout / ".vinext" / "stamps").mkdir(parents=True, exist_ok=True)
    for step in steps:
        made, inputs = marks[step]
        (checkout / made).parent.mkdir(parents=True, exist_ok=True)
        (checkout / made).write_text("#!/bin/sh\nexit 0\n")
        (checkout / made).chmod(0o755)
        content = b"".join((checkout / name).read_bytes() for name in inputs)
        stamp = subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout
        (checkout / ".vinext" / "stamps" / step).write_bytes(stamp)


def test_without_python_setup_says_which_is_needed(checkout: Path) -> None:
    done = setup(checkout, python3="exit 1")
    assert done.returncode == 1
    assert done.stderr.startswith("vinext-worker: no Python 3.11 or newer was found on PATH; install one")


def test_without_npm_setup_says_what_to_install(checkout: Path) -> None:
    pretend_installed(checkout, "python", "worker")
    done = setup(checkout)
    assert (done.returncode, done.stderr) == (
        1,
        "vinext-worker: npm was not found on PATH; install Node.js with npm (https://nodejs.org), then run this again\n",
    )


def test_a_failing_installation_shows_its_output_and_is_tried_again(checkout: Path) -> None:
    pretend_installed(checkout, "python", "worker")
    done = setup(checkout, npm="echo 'the registry is away'; exit 7")
    assert done.returncode == 1
    assert "the registry is away" in done.stderr
    assert done.stderr.endswith("check the network and the package registries' settings, then run this again\n")
    done = setup(checkout, npm="mkdir -p node_modules/miniflare; echo noise")
    assert (done.returncode, done.stderr) == (0, "setting up: npm packages …\n")
    done = setup(checkout, npm="exit 7")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_lock_file_is_installed_anew(checkout: Path) -> None:
    pretend_installed(checkout, "python", "worker", "npm")
    assert setup(checkout, npm="exit 7").stderr == ""
    (checkout / "package-lock.json").write_text("{}")
    assert setup(checkout, npm="exit 7").returncode == 1


def test_lock_files_name_no_index_of_a_machine() -> None:
    npm = (ROOT / "package-lock.json").read_text()
    assert '"resolved"' not in npm
    for name in ("dev.txt", "worker.txt"):
        requirements = (ROOT / "requirements" / name).read_text()
        assert "--hash=sha256:" in requirements
        assert not [line for line in requirements.splitlines() if line.startswith(("--index", "--extra-index", "--find-links"))]


def test_this_python_is_one_that_setup_takes() -> None:
    assert sys.version_info >= (3, 11)
