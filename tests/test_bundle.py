"""What `wrangler deploy` would upload: the Worker, its packages, and nothing else."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from vinext_worker.project import Project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = Project.find()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a dry run, which needs neither network nor account."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "assets").mkdir()
    wrangler = PROJECT.tools.node_modules / "wrangler" / "bin" / "wrangler.js"
    command: list[str | Path] = [
        PROJECT.tools.node,
        wrangler,
        "deploy",
        "--dry-run",
        "--outdir",
        folder / "out",
        "--assets",
        folder / "assets",
    ]
    environment = {**os.environ, "WRANGLER_SEND_METRICS": "false", "CI": "1", "WRANGLER_LOG_PATH": str(folder / "logs")}
    done = subprocess.run(command, cwd=PROJECT.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return files(folder / "out")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_module_of_the_worker_is_uploaded(bundle: set[str]) -> None:
    modules = {name for name in files(PROJECT.root / "src") if name.endswith(".py")}
    assert "entry.py" in modules
    assert modules <= bundle


def test_every_vendored_module_is_uploaded(bundle: set[str]) -> None:
    vendored = {
        f"python_modules/{name}" for name in files(PROJECT.root / "python_modules") if name.endswith((".py", ".pth", ".js"))
    }
    assert "python_modules/workers/__init__.py" in vendored
    assert vendored <= bundle


def test_nothing_else_is_uploaded(bundle: set[str]) -> None:
    # wrangler writes a README.md beside its output, which is no part of the upload.
    own = {name for name in bundle if not name.startswith("python_modules/")} - {"README.md"}
    assert own <= {name for name in files(PROJECT.root / "src") if name.endswith(".py")}
    others = {name for name in bundle if not name.startswith("vinext/testing/")}  # for sites with a cache handler of their own
    assert not [name for name in others if "__pycache__" in name or name.endswith(".pyc") or "test" in name]
