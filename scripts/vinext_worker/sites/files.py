"""Writing files atomically, removing files that are no longer wanted, and who may use a folder."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def is_readable(folder: Path | str) -> bool:
    """Return whether a folder may be looked into. One of somebody else, such as a database's, is no part of a project."""
    return os.access(folder, os.R_OK | os.X_OK)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself, so that no lock file is left behind; wait for whoever holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> bool:
    """Write a file so that it is never seen half-written, unless it has that content already; return whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp makes the file readable for its owner only, but other programs serve it.
        os.chmod(name, 0o644)  # noqa: PTH101 - mkstemp gives a name
        os.replace(name, path)  # noqa: PTH105 - likewise
    except BaseException:
        os.unlink(name)  # noqa: PTH108 - likewise
        raise
    return True


def remove_others(folder: Path, is_kept: Callable[[str], bool]) -> int:
    """Remove each file below `folder` whose relative path is not kept, and empty folders; return the number of files removed."""
    return _remove(str(folder), "", is_kept)[0] if folder.is_dir() else 0


def _remove(folder: str, prefix: str, is_kept: Callable[[str], bool]) -> tuple[int, bool]:
    """Return the number of files removed, and whether anything is left."""
    removed = 0
    is_left = False
    with os.scandir(folder) as items:
        for item in items:
            name = f"{prefix}{item.name}"
            if is_kept(name):
                is_left = True
            elif item.is_dir(follow_symlinks=False):
                below, is_below_left = _remove(item.path, f"{name}/", is_kept)
                removed += below
                if is_below_left:
                    is_left = True
                else:
                    os.rmdir(item.path)  # noqa: PTH106 - this avoids a Path for each of a hundred thousand files
            else:
                os.unlink(item.path)  # noqa: PTH108 - likewise
                removed += 1
    return removed, is_left
