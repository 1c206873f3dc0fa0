"""The package manager of a JavaScript project: npm, pnpm, yarn or bun."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    return next(filter(None, map(_locks_in, _places(folder))), [])


def package_manager(folder: Path) -> str:
    """Return the package manager of the folder, or of the nearest one above it that tells; npm if none does.

    The lock file tells, or `packageManager` in package.json, as in `pnpm@10.0.0`.
    """
    for place in _places(folder):
        for lock in _locks_in(place):
            return _LOCKS[lock.name]
        named = _named(place / "package.json")
        if named in _LOCKS.values():
            return named
    return "npm"


def _places(folder: Path) -> Iterator[Path]:
    """Yield a folder and those above it, as far as its repository goes."""
    for place in (folder, *folder.parents):
        yield place
        if (place / ".git").exists():
            return


def _locks_in(folder: Path) -> list[Path]:
    return [path for name in _LOCKS if (path := folder / name).is_file()]


def _named(package: Path) -> str:
    try:
        return str(json.loads(package.read_bytes())["packageManager"]).partition("@")[0]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
