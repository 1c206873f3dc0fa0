"""The packages of a Python site, in its folder `python_modules`: the Worker, its SDK, and the site's requirements.

The folder is uploaded as it is, and the local runtime runs from it, so both run the same code.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from rich.text import Text

from vinext_worker.errors import UserError
from vinext_worker.sites.files import remove_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.checkout import Checkout
    from vinext_worker.sites.python_project import PythonProject

_ENTRY = "entry.py"
_LEFT_OUT = frozenset({"__pycache__", "bin", "tests"})
_METADATA_SUFFIXES = (".dist-info", ".data")
_NATIVE_SUFFIXES = (".so", ".pyd", ".dylib")
_SHOWN_LINES = 20


def install_python_packages(project: PythonProject, checkout: Checkout, console: Console) -> None:
    """Fill the site's `python_modules`; quick if nothing has changed.

    Raises UserError if pip fails, and if the site or one of its packages has a top-level name that the Worker uses itself. In
    that case `python_modules` is left as it was.
    """
    names = worker_names(checkout)
    project.require_own_names(names)
    required = _install_required(project, console)
    _require_no_clash(project, required, checkout, names)
    wanted: dict[str, Path] = {}
    for folder in (required, *_worker_folders(checkout)):
        for relative, path in _files(folder):
            if folder.name != "src" or relative.as_posix() != _ENTRY:
                wanted[relative.as_posix()] = path
    for name, source in wanted.items():
        _mirror(source, project.packages / name)
    remove_others(project.packages, wanted.__contains__)


def worker_names(checkout: Checkout) -> frozenset[str]:
    """Return the top-level names of the Worker's own code and of its SDK."""
    items = (path.name for folder in _worker_folders(checkout) for path in folder.iterdir())
    return frozenset(name for item in items if item != _ENTRY and (name := _top_level_name(item)) is not None)


def _worker_folders(checkout: Checkout) -> tuple[Path, Path]:
    return checkout.root / "python_modules", checkout.root / "src"


def _top_level_name(item: str) -> str | None:
    """Return the name that a file or folder of `python_modules` takes, `cache` for `cache.py`; None for one that takes none."""
    if item in _LEFT_OUT or item.endswith(_METADATA_SUFFIXES):
        return None
    return item.partition(".")[0] or None


def _require_no_clash(project: PythonProject, required: Path, checkout: Checkout, names: frozenset[str]) -> None:
    """Raise UserError if a required package has a name of the Worker's: both would end up in one folder, mixed."""
    for distribution in sorted(distributions(path=[str(required)]), key=lambda distribution: distribution.name):
        clashes = sorted(_top_level_names(distribution) & names)
        if clashes and not _is_workers_own(distribution, checkout):
            named = " and ".join(f"`{name}`" for name in clashes)
            raise UserError(
                f"{project.requirements}: the package {distribution.name} has {named} at its top level, and so has the Worker "
                "itself; remove the package from that file, or replace it with one that uses other names"
            )


def _top_level_names(distribution: Distribution) -> frozenset[str]:
    """Return the names that a distribution takes. Native modules count, although they are not uploaded."""
    items = (file.parts[0] for file in distribution.files or ())
    return frozenset(name for item in items if (name := _top_level_name(item)) is not None)


def _is_workers_own(distribution: Distribution, checkout: Checkout) -> bool:
    """Return whether the Worker has the same release of the distribution, so that every file is the same."""
    own = distributions(name=distribution.name, path=[str(checkout.root / "python_modules")])
    return any(one.version == distribution.version for one in own)


def _install_required(project: PythonProject, console: Console) -> Path:
    """Let pip install the requirements into a folder of their own, so that changes of the Worker do not need pip again."""
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
        _run_pip(project, folder, console)
        for relative, path in _files(folder):
            if relative.suffix in _NATIVE_SUFFIXES:
                # Built for this machine. A package that has such a file as an accelerator runs without it.
                path.unlink()
    stamp.write_text(digest)
    return folder


def _run_pip(project: PythonProject, folder: Path, console: Console) -> None:
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    command = [sys.executable, "-m", "pip", *arguments, "--target", str(folder), "-r", str(project.requirements)]
    with console.status(f"installing the Python packages of {project.root} …"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        console.print(Text("\n".join((done.stdout + done.stderr).rstrip().splitlines()[-_SHOWN_LINES:])))
        raise UserError(f"pip failed for {project.requirements} (see above); fix that, then run this again")


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and path.suffix != ".pyc" and not _LEFT_OUT.intersection(relative.parts):
            yield relative, path


def _mirror(source: Path, target: Path) -> None:
    status = source.stat()
    if target.is_file():
        present = target.stat()
        if (present.st_size, present.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
