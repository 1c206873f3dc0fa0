"""What the cache needs from whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

T = TypeVar("T")

Clock: TypeAlias = Callable[[], int]
"""Gives the time in epoch milliseconds."""

Level: TypeAlias = Literal["debug", "info", "warning", "error"]


class Background(Protocol):
    """Runs work that outlives the answer."""

    def run(self, work: Awaitable[object], what: str) -> None:
        """Keep `work` alive until it is done and log its failure under the name `what`; never raises."""
        ...

    async def finish(self, work: Coroutine[object, object, T], what: str) -> T:
        """Wait for `work`, which goes on after the answer, and after its caller was cancelled."""
        ...


class Log(Protocol):
    """Writes one structured line an event."""

    def event(self, level: Level, event: str, **fields: object) -> None:
        """Write the line of `event`, which is a name such as `cache.read_failed`."""
        ...


class SilentLog:
    """Drops every event."""

    def event(self, level: Level, event: str, **fields: object) -> None:
        """Drop it."""


SILENT_LOG = SilentLog()
