"""Pages that are being regenerated, or could not be: a Durable Object keeps them, so that each is, whatever its isolate does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cache.lease_table import LeaseTable
from core.runtime import BACKGROUND_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.marker_log import Rows
    from core.runtime import Clock

LONGEST_PAUSE_MS = 300_000

HELD_BACK_MS = 30_000
"""For at most so long after a failure no visitor's request has a page rendered again, as in Next.js; nor while it is rendered."""

MAX_TRIES = 12
"""After so many failures, half an hour or so, a page is left to its visitors."""

MAX_PAGES = 1_000

TAKEN_UP_AT_ONCE = 4

TAKEN_UP_MS = 60_000
"""How long one that the object takes up may take: no visitor waits, and nothing ends an object's work sooner."""

_KEPT_MS = 24 * 3600 * 1000

_MAX_ERROR_CHARACTERS = 300

_MAX_TOLD = 200

LOST = "whoever regenerated it was gone before it ended"


class PageState(StrEnum):
    """What becomes of a page: it is being regenerated, will be again, or will not be unless a visitor asks for it."""

    RUNNING = "running"
    FAILED = "failed"
    GIVEN_UP = "given-up"


@dataclass(frozen=True)
class DuePage:
    """A page that was not regenerated yet. `tries` have failed, the last one by `error`; `at_ms` is the time of `state`.

    `due_ms` is when it is tried again, or, while it is running, taken for lost; None if it is given up.
    """

    key: str
    url: str
    state: PageState
    tries: int
    at_ms: int
    due_ms: int | None
    error: str


@dataclass(frozen=True)
class TakenUp:
    """A page to regenerate now, by the text that says how; `tries` have failed, the last one by `error`.

    `own_ms` is the time of its lease.
    """

    key: str
    own_ms: int
    job: str
    tries: int
    error: str


_TABLE = """CREATE TABLE IF NOT EXISTS due_page (
    key TEXT PRIMARY KEY, job TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, due_ms INTEGER, error TEXT NOT NULL
) WITHOUT ROWID"""

_BEGIN = """INSERT INTO due_page (key, job, state, tries, at_ms, due_ms, error) VALUES (?, ?, ?, 0, ?, ?, '')
ON CONFLICT (key) DO UPDATE SET job = excluded.job, state = excluded.state, at_ms = excluded.at_ms, due_ms = excluded.due_ms"""

_FAIL = "UPDATE due_page SET state = ?, tries = ?, at_ms = ?, error = ?, due_ms = nullif(?, 0) WHERE key = ?"

# Room for a new one: what is given up goes first, then the oldest.
_FORGET = """DELETE FROM due_page WHERE (due_ms IS NULL AND at_ms < ?) OR key IN (
    SELECT key FROM due_page ORDER BY due_ms IS NULL DESC, at_ms LIMIT max(0, (SELECT count(*) FROM due_page) - ?)
)"""

_DUE = "SELECT key, job, state, tries, error FROM due_page WHERE due_ms <= ? ORDER BY due_ms LIMIT ?"

_TOLD = """SELECT json_group_array(json_array(key, url, state, tries, at_ms, due_ms, error)) AS told FROM (
    SELECT *, json_extract(job, '$.url') AS url FROM due_page
    WHERE ?1 IN ('', key) AND ?2 IN ('', state) ORDER BY at_ms DESC LIMIT ?3
)"""


@dataclass(frozen=True)
class _Known:
    """What decides whether a page may be regenerated now."""

    state: PageState
    tries: int
    at_ms: int

    def holds_back(self, since_ms: int, now_ms: int) -> bool:
        """Return whether a page that has been due since a time is being regenerated, or waits after a failure."""
        pause_ms = HELD_BACK_MS if self.state is PageState.RUNNING else min(_pause_ms(self.tries), HELD_BACK_MS)
        return since_ms <= self.at_ms and now_ms < self.at_ms + pause_ms


class DuePages:
    """The pages of an object in its SQLite database, and their leases in its memory.

    Whoever takes a lease says how the page is regenerated, and at the end what came of it. Until then nobody else regenerates it.
    Without a word in 30 seconds it is lost: Cloudflare ends background work then. `on_given_up` is told a page that is given up,
    and why.
    """

    def __init__(self, rows: Rows, clock: Clock, on_given_up: Callable[[str, str], None]) -> None:
        self._rows = rows
        self._clock = clock
        self._on_given_up = on_given_up
        self._leases = LeaseTable(clock)
        rows(_TABLE)

    def take(self, key: str, own_ms: int, since_ms: int, job: str = "") -> int:
        """Give a lease as `LeaseTable.take` does, but not shortly after a failure. `job` "": nobody sees to it that it ends.

        Whoever asks for a lease that they have has lost what they did with it, which counts as a failure.
        """
        known = self._known(key)
        if known is not None and known.holds_back(since_ms, self._clock()):
            if known.state is PageState.RUNNING and own_ms == known.at_ms:
                self._fail(key, known.tries + 1, LOST)
            return 0
        taken_ms = self._leases.take(key, own_ms, since_ms)
        if taken_ms and job:
            self._rows(_FORGET, self._clock() - _KEPT_MS, MAX_PAGES - 1)
            self._rows(_BEGIN, key, job, PageState.RUNNING, taken_ms, taken_ms + BACKGROUND_MS)
        return taken_ms

    def is_held(self, key: str, own_ms: int, since_ms: int) -> bool:
        """Return whether `take` would give no lease; nothing changes."""
        known = self._known(key)
        is_held_back = known is not None and known.holds_back(since_ms, self._clock())
        return is_held_back or self._leases.is_held(key, own_ms, since_ms)

    def ended(self, key: str, own_ms: int, failure: str) -> None:
        """Note the end of what was done by the lease of a time, "" without a failure.

        If somebody has begun or failed since that lease was given, the page may have changed meanwhile: that is what counts.
        """
        known = self._known(key)
        if known is None or own_ms < known.at_ms:
            return
        if failure:
            self._fail(key, known.tries + 1, failure)
        else:
            self._rows("DELETE FROM due_page WHERE key = ?", key)

    @property
    def due_ms(self) -> int | None:
        """The time at which the next page is to be taken up, None if there is none."""
        due_ms = self._rows("SELECT min(due_ms) AS due_ms FROM due_page")[0]["due_ms"]
        return None if due_ms is None else int(str(due_ms))

    def take_up(self) -> list[TakenUp]:
        """Return some of the pages that are due, which are running from now on.

        A page that is lost for the second time waits as after any failure: perhaps its rendering is what ends isolates.
        """
        taken: list[TakenUp] = []
        now_ms = self._clock()
        for row in self._rows(_DUE, now_ms, TAKEN_UP_AT_ONCE):
            key, tries, error = str(row["key"]), int(str(row["tries"])), str(row["error"])
            if row["state"] == PageState.RUNNING:
                tries, error = tries + 1, LOST
                if not self._fail(key, tries, error) or tries > 1:
                    continue
            job = str(row["job"])
            own_ms = self._leases.take(key, 0, now_ms) or now_ms
            self._rows(_BEGIN, key, job, PageState.RUNNING, own_ms, own_ms + TAKEN_UP_MS + BACKGROUND_MS)
            taken.append(TakenUp(key, own_ms, job, tries, error))
        return taken

    def told(self, key: str = "", state: str = "") -> str:
        """Return the page of a key, or all in a state, the newest first (`read_pages`)."""
        return str(self._rows(_TOLD, key, state, _MAX_TOLD)[0]["told"])

    def _known(self, key: str) -> _Known | None:
        found = self._rows("SELECT state, tries, at_ms FROM due_page WHERE key = ?", key)
        if not found:
            return None
        return _Known(PageState(str(found[0]["state"])), int(str(found[0]["tries"])), int(str(found[0]["at_ms"])))

    def _fail(self, key: str, tries: int, error: str) -> bool:
        """Note a failure, and return whether the page is tried again."""
        now_ms = self._clock()
        is_due = tries < MAX_TRIES
        state = PageState.FAILED if is_due else PageState.GIVEN_UP
        due_ms = now_ms + _pause_ms(tries) if is_due else 0
        self._rows(_FAIL, state, tries, now_ms, error[:_MAX_ERROR_CHARACTERS], due_ms, key)
        if tries == MAX_TRIES:
            self._on_given_up(key, error)
        return is_due


def _pause_ms(tries: int) -> int:
    return min(1000 << min(tries, MAX_TRIES), LONGEST_PAUSE_MS)


def read_pages(text: str) -> list[DuePage]:
    """Return the pages that an object tells of. Raises ValueError or TypeError for an answer of another version."""
    return [
        DuePage(str(key), str(url), PageState(state), int(tries), int(at_ms), None if due_ms is None else int(due_ms), str(error))
        for key, url, state, tries, at_ms, due_ms, error in json.loads(text)
    ]
