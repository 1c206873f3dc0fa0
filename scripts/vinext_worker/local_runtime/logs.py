from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

# Folders inside the Worker, and their names in the project.
_PLACES = (("/session/metadata/python_modules/", "python_modules/"), ("/session/metadata/", "src/"))
# workerd repeats an error that the Worker has logged with its traceback.
_SAID_TWICE = re.compile(r"^(Uncaught exception: .*PythonError: Traceback|Uncaught \(in promise\) PythonError: Traceback)")
# workerd on the cache of its own scripts, which does not fit every processor; it starts without.
_NOISE = re.compile(r"^NOSENTRY per-isolate bootstrap compile cache")
# Frames of the runtime's own modules and of the import system say nothing about the project.
_OWN_FRAMES = re.compile(r'^  File "(?:host\.py|<frozen importlib\.\w+>)", line \d+, in .*\n(?:    .*\n)*', re.MULTILINE)


@dataclass(frozen=True)
class LogLine:
    """A message that the Worker logged. It may have several lines; the message of an event is JSON."""

    level: str
    message: str

    @property
    def event(self) -> dict[str, Any] | None:
        """The event, if the message is a JSON object."""
        try:
            parsed = json.loads(self.message)
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None


@dataclass(frozen=True)
class RequestLine:
    """A request to the Worker at `host`; `cache` is the answer's X-Vinext-Cache, if it has one, and `type` its Content-Type."""

    method: str
    path: str
    status: int
    cache: str | None
    milliseconds: int
    type: str = ""
    host: str = ""


def parse_log(level: str, message: str) -> LogLine | RequestLine | None:
    """Return the message or request in a line of the runtime; None if it only repeats another one, or is on workerd itself."""
    if _SAID_TWICE.match(message) or _NOISE.match(message):
        return None
    if message.startswith('{"vinextRequest":'):
        return RequestLine(**json.loads(message)["vinextRequest"])
    return LogLine(level, readable(message).rstrip("\n"))


def readable(text: str) -> str:
    """Name files as in the project, and remove the runtime's own frames from a traceback."""
    for inside, outside in _PLACES:
        text = text.replace(inside, outside)
    return _OWN_FRAMES.sub("", text)
