from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from vinext_worker.local_runtime.logs import RequestLine

if TYPE_CHECKING:
    from rich.console import Console

    from vinext_worker.local_runtime.logs import LogLine

_CACHE_STYLES = {"HIT": "green", "STALE": "yellow", "MISS": "cyan"}
_LEVEL_STYLES = {"error": "red", "warn": "yellow", "debug": "dim"}
_SERVER_ERROR = 500


def show_line(line: LogLine | RequestLine, console: Console) -> None:
    """Print a request, or a message that the Worker logged, in one line; a traceback takes several."""
    console.print(_request(line) if isinstance(line, RequestLine) else _log(line), soft_wrap=True)


def _request(line: RequestLine) -> Text:
    status_style = "red" if line.status >= _SERVER_ERROR else ""
    return Text.assemble(
        f"{line.method:<5}{line.path}  ",
        (str(line.status), status_style),
        "  ",
        (f"{line.cache or '-':<5}", _CACHE_STYLES.get(line.cache or "", "dim")),
        f"  {line.milliseconds} ms",
    )


def _log(line: LogLine) -> Text:
    style = _LEVEL_STYLES.get(line.level, "")
    event = line.event
    if event is None:
        return Text(line.message, style=style)
    # The Worker logs each event as a JSON object. A person reads the event's name first, then the other fields.
    name = event.pop("event", None) or event.pop("message", "")
    rest = " ".join(f"{key}={value}" for key, value in event.items())
    return Text(f"{line.level:<6}{name}  {rest}", style=style)
