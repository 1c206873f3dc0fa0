"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path


def write_atomically(path: Path, content: bytes) -> bool:
    """Write a file in one step, unless it has that content already; whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
    # NamedTemporaryFile lets only its maker read the file; other programs serve this one.
    os.chmod(file.name, 0o644)  # noqa: PTH101 - the name is all that is left of it
    os.replace(file.name, path)  # noqa: PTH105 - likewise
    return True


def remove_others(folder: Path, kept: AbstractSet[Path], *, but: Path | None = None) -> int:
    """Remove every file below `folder` that is not in `kept` nor below `but`, and empty folders; how many files."""
    removed = 0
    for path in sorted(folder.rglob("*"), reverse=True):
        if but is not None and (path == but or but in path.parents):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()
            removed += 1
    return removed
