from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.ports import FakeClock, FakeLog

from core.log import QuietLog

if TYPE_CHECKING:
    from core.log import Level


@pytest.mark.parametrize("level", ["warning", "error"])
def test_the_same_failure_is_said_once_in_ten_seconds(level: Level) -> None:
    log, clock = FakeLog(), FakeClock()
    quiet = QuietLog(log, clock)
    for _ in range(50):
        quiet.event(level, "cache.read_failed", key="a", error="down")
    assert log.lines == [(level, "cache.read_failed", {"key": "a", "error": "down"})]
    clock.pass_seconds(9.9)
    quiet.event("error", "cache.read_failed", key="b", error="down")
    assert len(log.lines) == 1
    clock.pass_seconds(0.2)
    quiet.event("error", "cache.read_failed", key="c", error="down")
    assert log.lines[1] == ("error", "cache.read_failed", {"key": "c", "error": "down", "repeated": 50})


def test_a_failure_that_comes_back_counts_anew() -> None:
    log, clock = FakeLog(), FakeClock()
    quiet = QuietLog(log, clock)
    for _ in range(3):
        quiet.event("error", "seed.failed", error="down")
        clock.pass_seconds(11)
    assert [fields for _, _, fields in log.lines] == [{"error": "down"}] * 3


def test_other_failures_are_said() -> None:
    log = FakeLog()
    quiet = QuietLog(log, FakeClock())
    quiet.event("error", "cache.read_failed", error="down")
    quiet.event("error", "cache.read_failed", error="slow")
    quiet.event("error", "cache.write_failed", error="down")
    quiet.event("warning", "page.not_made", reason="status 500")
    quiet.event("warning", "page.not_made", reason="status 503")
    assert len(log.lines) == 5


@pytest.mark.parametrize("level", ["debug", "info"])
def test_news_are_said_each_time(level: Level) -> None:
    log = FakeLog()
    quiet = QuietLog(log, FakeClock())
    for _ in range(3):
        quiet.event(level, "page.stored", path="/")
    assert len(log.lines) == 3


def test_endless_different_failures_take_limited_memory() -> None:
    quiet = QuietLog(FakeLog(), FakeClock())
    for number in range(5000):
        quiet.event("error", "cache.read_failed", error=str(number))
    assert len(quiet._quiet) <= 1000
