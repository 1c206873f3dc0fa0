"""The recent invalidations of a site, in the order in which they came: what the Durable Object of tags keeps.

Whoever has asked once asks for what came since. So one small answer serves all pages of an isolate, and is nearly always empty.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cache.invalidation import Invalidation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.runtime import Clock

# KV has had the same marker for long enough then that every location reads it: four times `cache.kv_markers.SETTLING_MS`.
KEPT_MS = 600_000

MAX_TOLD = 1_000
"""An answer has at most so many invalidations; then it says that there are more."""


@dataclass(frozen=True)
class Place:
    """A place in a log. `epoch` tells the log from one that was there before, whose places mean nothing here."""

    epoch: int = 0
    position: int = 0


@dataclass(frozen=True)
class News:
    """The invalidations after a place: tags with what happened to them, and the place from which to ask on."""

    place: Place
    told: tuple[tuple[str, Invalidation], ...]
    is_complete: bool


class Rows(Protocol):
    """The SQLite database of an object."""

    def __call__(self, statement: str, *values: str | int) -> Sequence[Mapping[str, object]]:
        """Run one statement, and return its rows."""
        ...


# A tag may be gone and stale at once, so it may be there twice. What is written again gets a new position.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS epoch (created_ms INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS marker (
        position INTEGER PRIMARY KEY AUTOINCREMENT, tag TEXT NOT NULL, is_gone INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, expire_at_ms INTEGER NOT NULL, noted_ms INTEGER NOT NULL, UNIQUE (tag, is_gone)
    )""",
)

# Clocks differ, so what comes second holds, and gets a later time than the first: whoever has learned of the first, and made
# content since, learns that it is invalid again.
_NOTE = """INSERT OR REPLACE INTO marker (tag, is_gone, at_ms, expire_at_ms, noted_ms)
SELECT given.value, ?1, max(?2, coalesce(known.at_ms + 1, 0)), ?3, ?4 FROM json_each(?5) AS given
LEFT JOIN marker AS known ON known.tag = given.value AND known.is_gone = ?1"""

# The oldest come first, so a look at some of them is enough.
_FORGET = """DELETE FROM marker WHERE noted_ms < ?1 AND position IN (SELECT position FROM marker ORDER BY position LIMIT ?2)
AND tag NOT IN (SELECT tag FROM unwritten)"""

_SINCE = """SELECT json_group_array(json_array(tag, is_gone, at_ms, expire_at_ms)) AS told,
max(position) AS position, count(*) AS rows
FROM (SELECT * FROM marker WHERE position > ? ORDER BY position LIMIT ?)"""


class MarkerLog:
    """A log in an SQLite database, which is also that of the `MarkerQueue` of the same object.

    An invalidation is told for ten minutes from when KV has taken its marker, however long that takes.
    """

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        for table in _TABLES:
            rows(table)
        created = rows("SELECT created_ms FROM epoch")
        if not created:
            rows("INSERT INTO epoch (created_ms) VALUES (?)", clock())
            created = rows("SELECT created_ms FROM epoch")
        self._epoch = int(str(created[0]["created_ms"]))

    def note(self, text: str) -> None:
        """Keep an invalidation (`note_text`), and forget those of long ago."""
        tags, is_gone, at_ms, expire_at_ms = json.loads(text)
        now_ms = self._clock()
        self._rows(_FORGET, now_ms - KEPT_MS, MAX_TOLD)
        self._rows(_NOTE, is_gone, at_ms, expire_at_ms, now_ms, json.dumps(tags))

    def keep(self, tag: str) -> None:
        """Tell of a tag's invalidations as long as if they had come now: KV has only now taken the marker."""
        self._rows("UPDATE marker SET noted_ms = ? WHERE tag = ?", self._clock(), tag)

    def since(self, epoch: int, position: int) -> str:
        """Return the invalidations after a place (`read_news`): all that are kept, if the place is another log's."""
        after = position if epoch == self._epoch else 0
        found = self._rows(_SINCE, after, MAX_TOLD)[0]
        reached = after if found["position"] is None else found["position"]
        is_complete = "true" if int(str(found["rows"])) < MAX_TOLD else "false"
        return f"[{self._epoch}, {reached}, {is_complete}, {found['told']}]"


def note_text(tags: Iterable[str], invalidation: Invalidation) -> str:
    """Return an invalidation of tags as it is sent to the log."""
    expire_at_ms = 0 if invalidation.is_gone else int(invalidation.expire_at_ms)
    return json.dumps([list(tags), int(invalidation.is_gone), int(invalidation.at_ms), expire_at_ms])


def read_news(text: str) -> News:
    """Return what an answer of the log says. Raises ValueError or TypeError for one of another version."""
    epoch, position, is_complete, told = json.loads(text)
    return News(
        Place(int(epoch), int(position)),
        tuple(
            (str(tag), Invalidation.gone(at_ms) if is_gone else Invalidation(at_ms, expire_at_ms))
            for tag, is_gone, at_ms, expire_at_ms in told
        ),
        bool(is_complete),
    )
