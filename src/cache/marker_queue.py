"""Markers that KV did not take: a Durable Object writes them again until it does, however the isolate ended that invalidated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cache.invalidation import Invalidation
from cache.marker_writer import marker_text
from core.errors import described

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cache.marker_log import Rows
    from core.runtime import Clock

FIRST_PAUSE_MS = 1_000

LONGEST_PAUSE_MS = 300_000

# A Worker may make so many calls at a time, and an alarm takes several times.
_AT_A_TIME = 6

_TABLE = """CREATE TABLE IF NOT EXISTS unwritten (
    key TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, expire_at_ms INTEGER NOT NULL,
    pause_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, tag TEXT NOT NULL DEFAULT ''
)"""

# Of an object of an earlier version.
_LACKS_TAG = "SELECT name FROM sqlite_master WHERE name = 'unwritten' AND sql NOT LIKE '%tag TEXT%'"

_ADD_TAG = "ALTER TABLE unwritten ADD COLUMN tag TEXT NOT NULL DEFAULT ''"

# `WHERE true`: else SQLite takes ON for a join's.
_ADD = """INSERT INTO unwritten (key, at_ms, expire_at_ms, tag, pause_ms, due_ms)
SELECT json_extract(given.value, '$[0]'), json_extract(given.value, '$[1]'), json_extract(given.value, '$[2]'),
coalesce(json_extract(given.value, '$[3]'), ''), ?1, ?2
FROM json_each(?3) AS given WHERE true
ON CONFLICT (key) DO UPDATE SET at_ms = excluded.at_ms, expire_at_ms = excluded.expire_at_ms WHERE excluded.at_ms > at_ms"""

_FAILED = "UPDATE unwritten SET due_ms = ? + pause_ms, pause_ms = min(2 * pause_ms, ?) WHERE key = ?"


class MarkerQueue:
    """The markers that wait, in an SQLite database: of several for a key the newest.

    `on_written` is told the tag of each marker that KV has taken.
    """

    def __init__(self, rows: Rows, clock: Clock, on_written: Callable[[str], None] = lambda _tag: None) -> None:
        self._rows = rows
        self._clock = clock
        self._on_written = on_written
        rows(_TABLE)
        if rows(_LACKS_TAG):
            rows(_ADD_TAG)

    def add(self, text: str) -> None:
        """Keep markers (`queue_text`) to write from a second on: KV takes one write a second for a key."""
        self._rows(_ADD, FIRST_PAUSE_MS, self._clock() + FIRST_PAUSE_MS, text)

    @property
    def due_ms(self) -> int | None:
        """The time at which the next marker is to be written, None if none waits."""
        due_ms = self._rows("SELECT min(due_ms) AS due_ms FROM unwritten")[0]["due_ms"]
        return None if due_ms is None else int(str(due_ms))

    async def write_some(self, put: Callable[[str, str], Awaitable[None]]) -> Mapping[str, str]:
        """Write some of the markers that are due, and return what was raised for those that were not taken.

        A marker that is written late states the time of its writing (`cache.marker_writer`).
        """
        failed: dict[str, str] = {}
        now_ms = self._clock()
        due = self._rows("SELECT key, at_ms, expire_at_ms, tag FROM unwritten WHERE due_ms <= ? LIMIT ?", now_ms, _AT_A_TIME)
        for row in due:
            key, at_ms, expire_at_ms = str(row["key"]), int(str(row["at_ms"])), int(str(row["expire_at_ms"]))
            written_ms = max(at_ms, self._clock())
            marker = Invalidation(written_ms, expire_at_ms) if expire_at_ms else Invalidation.gone(written_ms)
            try:
                await put(key, marker_text(marker))
            except Exception as error:  # noqa: BLE001 - whatever KV raises, it is tried again
                failed[key] = described(error)
                self._rows(_FAILED, self._clock(), LONGEST_PAUSE_MS, key)
            else:
                # Unless it was invalidated again meanwhile.
                self._rows("DELETE FROM unwritten WHERE key = ? AND at_ms = ?", key, at_ms)
                self._on_written(str(row["tag"]))
        return failed


def queue_text(invalidations: Mapping[str, Invalidation], tags: Mapping[str, str]) -> str:
    """Return markers by their keys as they are sent to the queue. `tags` has the tag of a key that is a tag's marker."""
    return json.dumps(
        [
            [key, int(one.at_ms), 0 if one.is_gone else int(one.expire_at_ms), tags.get(key, "")]
            for key, one in invalidations.items()
        ]
    )
