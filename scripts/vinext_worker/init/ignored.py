"""A project's .gitignore: what is generated is not in git, and what it needs is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.init.plan import Plan


def ignore(plan: Plan, folder: Path, names: Sequence[str]) -> None:
    """Add the lines to .gitignore that it does not have yet in one spelling or another; a folder's ends with a slash."""
    path = folder / ".gitignore"
    text = plan.read(path) or ""
    lines = {line.strip().strip("/") for line in text.splitlines()}
    missing = [name for name in names if not lines & {name.strip("/"), f"**/{name.strip('/')}", f"{name.strip('/')}*"}]
    if missing:
        plan.write(path, _ending(text) + "".join(f"{name}\n" for name in missing))


def keep(plan: Plan, folder: Path, paths: Sequence[Path]) -> None:
    """Take files out of what .gitignore excludes, such as `*.tgz`, if it does."""
    wanted = [path.relative_to(folder).as_posix() for path in paths]
    command = ["git", "-C", str(folder), "check-ignore", "--no-index", *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return  # there is no git
    path = folder / ".gitignore"
    text = plan.read(path) or ""
    hidden = [name for name in done.stdout.splitlines() if f"!/{name}" not in text.splitlines()]
    if hidden:
        folders = dict.fromkeys(f"!/{name.rpartition('/')[0]}/" for name in hidden)
        plan.write(path, _ending(text) + "".join(f"{line}\n" for line in (*folders, *(f"!/{name}" for name in hidden))))


def _ending(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
