"""One command at a time may replace the pages of a project and use its key-value store."""

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
    """Hold the folder, which ends with the process at the latest; raise UserError if another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "dev.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise UserError(
                f"another vinext-worker (process {lock.read()}) is using {folder}; stop it, then run this again"
            ) from error
        os.set_inheritable(lock.fileno(), True)  # noqa: FBT003 - wrangler takes the place of this process
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
