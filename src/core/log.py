"""Structured logging: one line an event, and a repeated fault logged once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

QUIET_MS = 10_000

_REMEMBERED = 1000


class Log(Protocol):
    """A writer of one structured line an event."""

    def event(self, level: Level, event: str, **fields: object) -> None:
        """Write the line of `event`, a name such as `cache.read_failed`."""
        ...


class SilentLog:
    """A log that drops every event."""

    def event(self, level: Level, event: str, **fields: object) -> None:
        """Drop the event."""


SILENT_LOG = SilentLog()


class QuietLog:
    """A log that passes events on, but repeats a warning or an error at most every ten seconds.

    When the store is down, every request finds that out, but the operator needs only one line. The next line says how
    many were left out since the last.
    """

    def __init__(self, log: Log, clock: Callable[[], int]) -> None:
        self._log = log
        self._clock = clock
        # By event and reason: the time until which lines are left out, and how many were.
        self._quiet: Recent[tuple[str, str], tuple[int, int]] = Recent(_REMEMBERED)

    def event(self, level: Level, event: str, **fields: object) -> None:
        if level not in {"warning", "error"}:
            self._log.event(level, event, **fields)
            return
        key = (event, str(fields.get("error") or fields.get("reason") or ""))
        until_ms, left_out = self._quiet.pop(key, (0, 0))
        now_ms = self._clock()
        if now_ms < until_ms:
            self._quiet[key] = (until_ms, left_out + 1)
            return
        self._quiet[key] = (now_ms + QUIET_MS, 0)
        if left_out:
            fields["repeated"] = left_out
        self._log.event(level, event, **fields)
