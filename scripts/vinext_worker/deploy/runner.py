"""Running programs, where tests put something else."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """How a program ended, and the last of what it said."""

    status: int
    output: str


class Runner(Protocol):
    """Runs a program to its end."""

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        """Run in a folder; `variables` are over this process's environment, None takes one away."""


class ProgramRunner:
    """Runs programs for real, and hands on each line they say."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        environment = {name: value for name, value in os.environ.items() if name not in variables}
        environment |= {name: value for name, value in variables.items() if value is not None}
        lines: list[str] = []
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
            for line in process.stdout:
                lines.append(line.rstrip())
                self._on_line(line.rstrip())
        return Finished(process.returncode, "\n".join(lines[-40:]))
