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
        nanoseconds = 0
        for thread in (_PROC / str(self.pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds += int((thread / "schedstat").read_text().split()[0])
        return nanoseconds / _NANOSECONDS

    def memory_bytes(self) -> int:
        """What it has in memory (its resident set)."""
        return int((_PROC / str(self.pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
