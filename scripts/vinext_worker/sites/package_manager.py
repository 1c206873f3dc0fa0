"""The package manager of a JavaScript project: npm, pnpm, yarn or bun."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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


def lock_files(folder: Path) -> list[Path]:
    """Return the files of the folder, or of the nearest one above it that has any, that say which packages are installed."""
    for place in (folder, *folder.parents):
        found = [path for name in _LOCKS if (path := place / name).is_file()]
        if found or (place / ".git").exists():
            return found
    return []


def package_manager(folder: Path) -> str:
    """Return the package manager of the folder, or of the nearest one above it that tells; npm if none does.

    The lock file tells, or `packageManager` in package.json, as in `pnpm@10.0.0`.
    """
    for place in (folder, *folder.parents):
        for name, manager in _LOCKS.items():
            if (place / name).is_file():
                return manager
        named = _named(place / "package.json")
        if named in _LOCKS.values():
            return named
        if (place / ".git").exists():
            break
    return "npm"


def _named(package: Path) -> str:
    try:
        return str(json.loads(package.read_bytes())["packageManager"]).partition("@")[0]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
