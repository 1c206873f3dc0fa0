"""What the Durable Object of tags keeps, on a real SQLite."""

from __future__ import annotations

import sqlite3

import pytest
from tests.fakes.ports import START_MS, FakeClock
from tests.fakes.tag_objects import rows_of

from cache.invalidation import Invalidation
from cache.marker_log import KEPT_MS, MAX_TOLD, MarkerLog, News, note_text, read_news
from cache.marker_queue import MarkerQueue, queue_text

GONE_NOW = Invalidation.gone(START_MS)


class Log:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.connect(sqlite3.connect(":memory:"))

    def connect(self, database: sqlite3.Connection) -> None:
        """Begin as an object does, with what the database has."""
        self.database = database
        self.log = MarkerLog(rows_of(database), self.clock)
        self.queue = MarkerQueue(rows_of(database), self.clock, self.log.keep)

    def note(self, *tags: str, at: Invalidation = GONE_NOW) -> None:
        self.log.note(note_text(tags, at))

    def since(self, news: News | None = None) -> News:
        return read_news(self.log.since(news.place.epoch, news.place.position) if news else self.log.since(0, 0))


@pytest.fixture
def log() -> Log:
    return Log()


def test_tells_what_came_since(log: Log) -> None:
    stale = Invalidation.stale(START_MS + 5, 60)
    log.note("a", "b")
    first = log.since()
    assert first.told == (("a", GONE_NOW), ("b", GONE_NOW))
    log.note("c", at=stale)
    second = log.since(first)
    assert (second.told, second.is_complete) == ((("c", stale),), True)
    assert log.since(second) == News(second.place, (), is_complete=True)


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        pytest.param([Invalidation.gone(5), Invalidation.gone(7)], [Invalidation.gone(7)], id="the later one holds"),
        pytest.param([Invalidation.gone(7), Invalidation.gone(5)], [Invalidation.gone(8)], id="also by a clock that is behind"),
        pytest.param([Invalidation.gone(5), Invalidation.gone(5)], [Invalidation.gone(6)], id="at the same time"),
        pytest.param([Invalidation.stale(5, 60), Invalidation.stale(7, 1)], [Invalidation.stale(7, 1)], id="the later stale one"),
        pytest.param(
            [Invalidation.stale(7, 60), Invalidation.gone(5)],
            [Invalidation.stale(7, 60), Invalidation.gone(5)],
            id="neither kind takes the place of the other",
        ),
    ],
)
def test_keeps_one_invalidation_of_a_kind_for_a_tag(log: Log, noted: list[Invalidation], told: list[Invalidation]) -> None:
    for invalidation in noted:
        log.note("a", at=invalidation)
    assert [invalidation for _, invalidation in log.since().told] == told


def test_tells_very_many_one_part_after_another(log: Log) -> None:
    tags = [f"tag-{number}" for number in range(MAX_TOLD + 1)]
    log.note(*tags)
    first = log.since()
    second = log.since(first)
    assert [tag for news in (first, second) for tag, _ in news.told] == tags
    assert (first.is_complete, second.is_complete) == (False, True)


def test_forgets_what_every_location_has_from_kv_by_now(log: Log) -> None:
    log.note("old")
    seen = log.since()
    log.clock.pass_seconds(KEPT_MS / 1000 + 1)
    log.note("new")
    assert [tag for tag, _ in log.since().told] == ["new"]
    assert [tag for tag, _ in log.since(seen).told] == ["new"]


async def test_tells_of_what_kv_has_not_taken_however_old_and_of_the_rest_for_ten_minutes_more(log: Log) -> None:
    async def put(key: str, text: str) -> None:
        pass

    def told_later(seconds: float, word: str) -> list[str]:
        log.clock.pass_seconds(seconds)
        log.note(word)
        return [tag for tag, _ in log.since().told]

    log.note("taken", "refused")
    log.queue.add(queue_text({"__tag:refused": GONE_NOW}, {"__tag:refused": "refused"}))
    assert told_later(24 * 3600, "now") == ["refused", "now"]
    assert await log.queue.write_some(put) == {}
    assert told_later(KEPT_MS / 1000, "then") == ["refused", "now", "then"]
    assert told_later(1, "later") == ["then", "later"]


def test_survives_a_restart_and_is_told_from_another_log(log: Log) -> None:
    log.note("a")
    seen = log.since()
    log.connect(log.database)
    assert log.since(seen) == News(seen.place, (), is_complete=True)
    log.clock.pass_seconds(1)
    log.connect(sqlite3.connect(":memory:"))
    log.note("b")
    assert [tag for tag, _ in log.since(seen).told] == ["b"]
