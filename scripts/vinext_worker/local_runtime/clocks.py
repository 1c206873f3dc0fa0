"""Who asks for the time while modules are imported: runs inside Pyodide, around the import of the upload.

In production it is 1970 then. `sys.monitoring` shows each call, by whatever name the module has the function.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

_TIMES = {"time", "time_ns"}
# Without an argument they are for now.
_OF_NOW = {"ctime", "gmtime", "localtime"}
_DATES = {"now", "today", "utcnow"}

_found: dict[tuple[str, int], str] = {}


def watch(code_folder: str) -> None:
    """Note the calls that begin from now on in modules below a folder."""
    monitoring = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # since 3.12

    def note(_code: CodeType, _offset: int, called: Any, argument: Any) -> object:
        name = _name(called, is_alone=argument is monitoring.MISSING)
        if name is None:
            return monitoring.DISABLE
        frame = _frame_below(code_folder, sys._getframe(1))  # noqa: SLF001 - the caller's
        if frame is not None:
            _found.setdefault((frame.f_code.co_filename, frame.f_lineno), name)
        return None

    monitoring.use_tool_id(monitoring.PROFILER_ID, "vinext-worker")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.CALL, note)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.CALL)


def end() -> list[str]:
    """Return a line for each place where the time was asked for. The calls are watched no longer."""
    monitoring = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # since 3.12
    monitoring.set_events(monitoring.PROFILER_ID, 0)
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.CALL, None)
    monitoring.free_tool_id(monitoring.PROFILER_ID)
    return [
        f"{file}, line {line}: {name}() at module level, where it is 1970 in production" for (file, line), name in _found.items()
    ]


def _name(called: Any, *, is_alone: bool) -> str | None:
    """Return the name of a function that tells the time, None if another one is called."""
    if type(called) is not BuiltinFunctionType:
        return None
    owner, name = called.__self__, called.__name__
    if getattr(owner, "__name__", None) == "time" and (name in _TIMES or (name in _OF_NOW and is_alone)):
        return f"time.{name}"
    if name in _DATES and isinstance(owner, type) and owner.__module__ == "datetime":
        return f"{owner.__name__}.{name}"
    return None


def _frame_below(code_folder: str, frame: FrameType | None) -> FrameType | None:
    """Return the nearest frame of the project, None if it has only imported a module that asks for the time itself."""
    while frame is not None and not frame.f_code.co_filename.startswith(code_folder):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return None
        frame = frame.f_back
    return frame
