"""The packages of a Python site: the Worker's own, its SDK, and what the site requires, in `python_modules`.

That folder is uploaded as it is, and the local runtime runs from it, so both run the same code.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from rich.text import Text

from vinext_worker.errors import UserError
from vinext_worker.sites.files import remove_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.checkout import Checkout
    from vinext_worker.sites.python_project import PythonProject

_ENTRY = "entry.py"
_LEFT_OUT = frozenset({"__pycache__", "bin", "tests"})
_NATIVE = (".so", ".pyd", ".dylib")
_SHOWN_LINES = 20


def worker_names(checkout: Checkout) -> frozenset[str]:
    """The top-level names that the Worker's own code takes."""
    items = (checkout.root / "src").iterdir()
    return frozenset(path.stem for path in items if path.name not in _LEFT_OUT and path.name != _ENTRY)


def install_python_packages(project: PythonProject, checkout: Checkout, console: Console) -> None:
    """Fill the site's `python_modules`; quick where nothing changed. Raises UserError where pip fails."""
    project.require_own_names(worker_names(checkout))
    required = _install_required(project, console)
    wanted: dict[str, Path] = {}
    for folder in (required, checkout.root / "python_modules", checkout.root / "src"):
        for relative, path in _files(folder):
            if folder.name != "src" or relative.name != _ENTRY or len(relative.parts) > 1:
                wanted[relative.as_posix()] = path
    for name, source in wanted.items():
        _mirror(source, project.packages / name)
    remove_others(project.packages, wanted.__contains__)


def _install_required(project: PythonProject, console: Console) -> Path:
    """What pip installs, in a folder of its own, so that changed sources of the Worker do not ask for pip."""
    folder = project.root / ".vinext" / "packages"
    stamp = project.root / ".vinext" / "packages.stamp"
    text = project.requirements.read_bytes() if project.requirements.is_file() else b""
    digest = hashlib.sha256(text).hexdigest()
    if folder.is_dir() and stamp.is_file() and stamp.read_text() == digest:
        return folder
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if text:
        _pip(project, folder, console)
        for relative, path in _files(folder):
            if relative.suffix in _NATIVE:
                # Built for this machine. Packages that have such files as an accelerator run without them.
                path.unlink()
    stamp.write_text(digest)
    return folder


def _pip(project: PythonProject, folder: Path, console: Console) -> None:
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    command = [sys.executable, "-m", "pip", *arguments, "--target", str(folder), "-r", str(project.requirements)]
    with console.status(f"installing the Python packages of {project.root} …"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        console.print(Text("\n".join((done.stdout + done.stderr).rstrip().splitlines()[-_SHOWN_LINES:])))
        raise UserError(f"pip failed for {project.requirements} (see above); mend that, then run this again")


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and path.suffix != ".pyc" and not _LEFT_OUT.intersection(relative.parts):
            yield relative, path


def _mirror(source: Path, target: Path) -> None:
    status = source.stat()
    if target.is_file():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
