"""The Durable Objects of tags, in memory: the real log on a real SQLite."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cache.due_pages import DuePages, read_pages
from cache.marker_log import MarkerLog, read_news
from cache.marker_queue import MarkerQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.due_pages import DuePage
    from cache.marker_log import News, Place
    from core.runtime import Clock


def rows_of(database: sqlite3.Connection) -> Any:
    database.row_factory = sqlite3.Row

    def rows(statement: str, *values: str | int) -> Sequence[dict[str, object]]:
        return [dict(row) for row in database.execute(statement, values)]

    return rows


@dataclass
class FakeTagObjects:
    """Shared by the isolates of a test. While `fault` is set, every call raises it."""

    clock: Clock
    fault: Exception | None = None
    has_kv: bool = False
    calls: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._databases: dict[int, sqlite3.Connection] = {}
        self.pages_due = DuePages(rows_of(sqlite3.connect(":memory:")), self.clock, self._given_up)

    async def note(self, shard: int, text: str) -> None:
        self._log("note", shard).note(text)

    async def since(self, shard: int, place: Place) -> News:
        return read_news(self._log("since", shard).since(place.epoch, place.position))

    async def queue(self, shard: int, text: str) -> bool:
        self._called("queue")
        if not self.has_kv:
            return False
        self.parts(shard)[1].add(text)
        return True

    async def take(self, key: str, own_ms: int, since_ms: int, job: str) -> int:
        self._called("take")
        return self.pages_due.take(key, own_ms, since_ms, job)

    async def ended(self, key: str, own_ms: int, failure: str) -> None:
        self._called("ended")
        self.pages_due.ended(key, own_ms, failure)

    async def pages(self, key: str, state: str) -> list[DuePage]:
        self._called("pages")
        return read_pages(self.pages_due.told(key, state))

    async def is_held(self, key: str, own_ms: int, since_ms: int) -> bool:
        self._called("is_held")
        return self.pages_due.is_held(key, own_ms, since_ms)

    def _given_up(self, key: str, _error: str) -> None:
        self.given_up.append(key)

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault

    def _log(self, call: str, shard: int) -> MarkerLog:
        self._called(call)
        return self.parts(shard)[0]

    def parts(self, shard: int = 0) -> tuple[MarkerLog, MarkerQueue]:
        """Make what an object keeps anew, as for one that has slept."""
        rows = rows_of(self._databases.setdefault(shard, sqlite3.connect(":memory:")))
        log = MarkerLog(rows, self.clock)
        return log, MarkerQueue(rows, self.clock, log.keep)
