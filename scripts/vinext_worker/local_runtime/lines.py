"""The lines of code that ran: runs inside Pyodide, where coverage.py cannot.

`sys.monitoring` reports each line once and then leaves it alone, so a request costs next to nothing more.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

_lines: dict[str, set[int]] = {}


def count_lines(code_folder: str) -> None:
    """Note the lines that run from now on in files below a folder."""
    monitoring = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # since 3.12

    def note(code: CodeType, line: int) -> object:
        if code.co_filename.startswith(code_folder):
            _lines.setdefault(code.co_filename.removeprefix(code_folder).lstrip("/"), set()).add(line)
        return monitoring.DISABLE

    monitoring.use_tool_id(monitoring.COVERAGE_ID, "vinext-worker")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, note)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)


def lines_that_ran() -> str:
    """Return the lines as JSON, by the file's path below the folder."""
    return json.dumps({name: sorted(lines) for name, lines in _lines.items()})
