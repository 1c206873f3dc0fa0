"""Installing a project's npm packages with the package manager that it uses."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from vinext_worker.errors import UserError
from vinext_worker.sites.npm_build import run_with_node
from vinext_worker.sites.package_manager import package_manager

if TYPE_CHECKING:
    from pathlib import Path

_OPTIONS = {
    "npm": ("--no-audit", "--no-fund"),
    # pnpm fails where nobody has decided whether packages may run their scripts. Here, none has to.
    "pnpm": ("--config.strict-dep-builds=false",),
}
_SHOWN_LINES = 20


def install_packages(folder: Path, node: Path) -> None:
    """Install what package.json asks for; raise UserError if that fails."""
    manager = package_manager(folder)
    program = shutil.which(manager)
    advice = f"the files are changed; run `{manager} install` in {folder}"
    if program is None:
        raise UserError(f"{manager} was not found on PATH, so the npm packages are not installed: {advice}")
    command = [program, "install", *_OPTIONS.get(manager, ())]
    try:
        done = run_with_node(command, folder, node, os.environ)
    except KeyboardInterrupt:
        raise UserError(f"it was interrupted, so the npm packages are not installed: {advice}") from None
    if done.returncode != 0:
        last = "\n".join(done.stdout.rstrip().splitlines()[-_SHOWN_LINES:])
        raise UserError(f"{last}\n`{manager} install` failed (see above): {advice} when that is fixed")
