"""One command at a time may serve a project on this machine, and one may build it, copy it or deploy it.

Both go on side by side: the pages that `dev` serves are its own, and it builds before it serves.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a project's folder for its key-value store and the pages of `dev`; raise UserError if another process holds it."""
    with _held(folder / "dev.lock", f"is using {folder}; stop it, then run this again"):
        yield


@contextmanager
def builds_alone(folder: Path) -> Iterator[None]:
    """Hold a project, by its folder, for its build and the copy that is deployed; raise UserError if another process does."""
    with _held(folder / "build.lock", f"is building or deploying {folder.parent}; let it end, then run this again"):
        yield


@contextmanager
def _held(file: Path, refusal: str) -> Iterator[None]:
    """Hold a lock, which ends with the process at the latest."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise UserError(f"another vinext-worker (process {lock.read()}) {refusal}") from error
        os.set_inheritable(lock.fileno(), True)  # noqa: FBT003 - wrangler takes the place of this process
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
