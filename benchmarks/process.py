"""What a process has cost, as Linux counts it in /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NANOSECONDS = 1e9
_PARENT_FIELD = 1


@dataclass(frozen=True)
class Meter:
    """One process."""

    pid: int

    @classmethod
    def of_child(cls, parent: int, name: str) -> Meter:
        """The child of a process whose program has that name."""
        for folder in _PROC.iterdir():
            if not folder.name.isdigit():
                continue
            with suppress(OSError):
                # The name stands in parentheses and may hold anything.
                before, _, after = (folder / "stat").read_text().rpartition(")")
                if int(after.split()[_PARENT_FIELD]) == parent and before.partition("(")[2] == name:
                    return cls(int(folder.name))
        raise RuntimeError(f"process {parent} has no child named {name}")

    def cpu_seconds(self) -> float:
        """Processor time since its start, of all its threads, to the nanosecond."""
        seconds = 0.0
        for thread in (_PROC / str(self.pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                seconds += _thread_seconds(thread)
        return seconds

    def main_thread_seconds(self) -> float:
        """Processor time of its first thread: the one that Workers run in, without V8's compilers."""
        return _thread_seconds(_PROC / str(self.pid) / "task" / str(self.pid))

    def memory_bytes(self) -> int:
        """What it has in memory (its resident set)."""
        return int((_PROC / str(self.pid) / "statm").read_text().split()[1]) * _PAGE_BYTES


def _thread_seconds(thread: Path) -> float:
    return int((thread / "schedstat").read_text().split()[0]) / _NANOSECONDS
