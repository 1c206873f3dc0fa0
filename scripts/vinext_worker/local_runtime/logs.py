from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

# Where the code lies inside the Worker, and what a person knows it as.
_PLACES = (("/session/metadata/python_modules/", "python_modules/"), ("/session/metadata/", "src/"))
# workerd says once more what the Worker has logged as a traceback.
_SAID_TWICE = re.compile(r"^(Uncaught exception: .*PythonError: Traceback|Uncaught \(in promise\) PythonError: Traceback)")
# The frames of the runtime's own modules tell nothing about the project, nor do those of the import system, which Python shows
# where a module of the runtime stands between them.
_OWN_FRAMES = re.compile(r'^  File "(?:host\.py|<frozen importlib\.\w+>)", line \d+, in .*\n(?:    .*\n)*', re.MULTILINE)


@dataclass(frozen=True)
class LogLine:
    """What the Worker logged at once; `message` may have several lines, and is JSON where the Worker logs an event."""

    level: str
    message: str

    @property
    def event(self) -> dict[str, Any] | None:
        """The structured event, where the message is a JSON object."""
        try:
            parsed = json.loads(self.message)
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None


@dataclass(frozen=True)
class RequestLine:
    """One request as the Worker in front saw it; `cache` is its X-Vinext-Cache state, None where it has none."""

    method: str
    path: str
    status: int
    cache: str | None
    milliseconds: int


def parse_log(level: str, message: str) -> LogLine | RequestLine | None:
    """Return what a line of the runtime says; None where it only repeats another."""
    if _SAID_TWICE.match(message):
        return None
    if message.startswith('{"vinextRequest":'):
        return RequestLine(**json.loads(message)["vinextRequest"])
    return LogLine(level, readable(message).rstrip("\n"))


def readable(text: str) -> str:
    """Name files as they are named in the project, and leave out the runtime's own frames of a traceback."""
    for inside, outside in _PLACES:
        text = text.replace(inside, outside)
    return _OWN_FRAMES.sub("", text)
