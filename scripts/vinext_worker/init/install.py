"""Installing a project's npm packages with the package manager that it uses."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_LOCKS = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "pnpm-workspace.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
_SHOWN_LINES = 20


def package_manager(folder: Path) -> str:
    """Return the package manager whose lock file is in the folder, or in the nearest one above it; npm if there is none."""
    for place in (folder, *folder.parents):
        for name, manager in _LOCKS.items():
            if (place / name).is_file():
                return manager
        if (place / ".git").exists():
            break
    return "npm"


def install_packages(folder: Path, node: Path) -> None:
    """Install what package.json asks for; raise UserError if that fails."""
    manager = package_manager(folder)
    program = shutil.which(manager)
    advice = f"the files are changed; run `{manager} install` in {folder}"
    if program is None:
        raise UserError(f"{manager} was not found on PATH, so the npm packages are not installed: {advice}")
    command = [program, "install", *(("--no-audit", "--no-fund") if manager == "npm" else ())]
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stdout.rstrip().splitlines()[-_SHOWN_LINES:])
        raise UserError(f"{last}\n`{manager} install` failed (see above): {advice} when that is fixed")
