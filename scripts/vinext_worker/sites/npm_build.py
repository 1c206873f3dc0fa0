from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from vinext_worker.errors import UserError
from vinext_worker.sites.fingerprint import vinext_fingerprint, vinext_sources
from vinext_worker.sites.package_manager import package_manager

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.sites.vinext_project import VinextProject

_UNWANTED_VARIABLES = frozenset({"NODE_ENV", "VINEXT_PRERENDER", "FORCE_COLOR"})
_SHOWN_LINES = 40


class NodeToolchain(Protocol):
    """The tools that building a vinext app needs."""

    @property
    def node(self) -> Path:
        """A Node.js of version 22 or newer."""


def install_npm_packages(project: VinextProject, node: Path, console: Console) -> None:
    """Install the site's npm packages if they are missing, or older than package.json or npm's lock file; raise UserError.

    If another package manager or a workspace further up manages the packages, only look whether they are there.
    """
    if project.lock is None:
        if project.installed_version() is not None:
            return
        manager = package_manager(project.root)
        if manager != "npm":
            raise UserError(f"{project.root} has no packages in node_modules and uses {manager}; {_advice(project, manager)}")
    elif _modified(project.root / "node_modules" / ".package-lock.json") > max(
        _modified(project.lock), _modified(project.root / "package.json")
    ):
        return
    command = ("install", "--no-package-lock") if project.lock is None else ("ci",)
    arguments = (*command, "--no-audit", "--no-fund", "--include=dev")
    _run_npm(arguments, project, node, console, what="installing the npm packages")
    if project.installed_version() is None:
        raise UserError(f"npm installed no vinext in {project.root}; run `npm install` there and read its output")


def _advice(project: VinextProject, manager: str) -> str:
    if any((folder / ".pnp.cjs").is_file() for folder in (project.root, *project.root.parents)):
        return (
            "write `nodeLinker: node-modules` into .yarnrc.yml, because Vite's plugins need that folder, and run `yarn install`"
        )
    return f"run `{manager} install` there first"


def run_npm_build(project: VinextProject, node: Path, console: Console) -> None:
    """Build the site if its sources have changed since the last build; raise UserError.

    The fingerprint of the sources is kept in the output. It is written last, so that a build that failed or was interrupted is
    repeated. What the build itself has added to the sources belongs to them, or it would be made again for that.
    """
    stamp = project.root / "dist" / ".vinext-worker-build"
    sources = vinext_sources(project)
    if _read(stamp) == vinext_fingerprint(project, sources):
        return
    stamp.unlink(missing_ok=True)
    _run_npm(project.build_command(), project, node, console, what="building the site")
    if not stamp.parent.is_dir():
        raise UserError(f"the build of {project.root} left no folder dist; leave vinext's output in its default folder")
    stamp.write_text(vinext_fingerprint(project, {**vinext_sources(project), **sources}))


def _run_npm(arguments: tuple[str, ...], project: VinextProject, node: Path, console: Console, *, what: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("npm was not found on PATH; install Node.js with npm (https://nodejs.org), then run this again")
    start = time.monotonic()
    with console.status(f"{what} of {project.root} …"):
        finished = run_with_node([npm, *arguments], project.root, node, _environment())
    if finished.returncode != 0:
        console.print(Text("\n".join(_telling(finished.stdout.rstrip().splitlines()))))
        command = " ".join(("npm", *arguments))
        raise UserError(f"{what} failed in {project.root}; see the output of `{command}` above, fix that and run this again")
    console.print(Text(f"{what}: {project.root}, {time.monotonic() - start:.0f} s"))


def _telling(lines: list[str]) -> list[str]:
    """Return the lines that say why npm failed: its last ones, but with npm's own reason, which its help may follow."""
    reason = next((number for number, line in enumerate(lines) if line.startswith("npm error")), len(lines))
    start = max(min(reason, len(lines) - _SHOWN_LINES), 0)
    return lines[start : start + _SHOWN_LINES]


def run_with_node(
    command: Sequence[str], folder: Path, node: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program with our Node.js first on its PATH. `stdout` has all that it prints, without colors."""
    path = os.pathsep.join(part for part in (str(node.parent), environment.get("PATH")) if part)
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment, "PATH": path, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _environment() -> dict[str, str]:
    """Return the environment for npm and the build, with nothing that changes the kind of build."""
    return {name: value for name, value in os.environ.items() if name not in _UNWANTED_VARIABLES} | {"CI": "1"}


def _modified(file: Path) -> int:
    """Return a file's modification time in nanoseconds, 0 if there is no file.

    npm writes node_modules/.package-lock.json once it has installed everything, so an interrupted installation is repeated.
    """
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _read(stamp: Path) -> str | None:
    with suppress(OSError):
        return stamp.read_text()
    return None
