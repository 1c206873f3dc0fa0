"""The pages that a Durable Object has regenerated until they are, on a real SQLite."""

from __future__ import annotations

import itertools
import json
import sqlite3

import pytest
from tests.fakes.ports import FakeClock
from tests.fakes.tag_objects import rows_of

from cache.due_pages import (
    HELD_BACK_MS,
    LONGEST_PAUSE_MS,
    LOST,
    MAX_PAGES,
    MAX_TRIES,
    TAKEN_UP_AT_ONCE,
    DuePage,
    DuePages,
    PageState,
    read_pages,
)
from core.runtime import BACKGROUND_MS

KEY = "app:v2:build:/blog:html"


def job(path: str = "/blog") -> str:
    return json.dumps({"url": f"https://example.com{path}"})


class Object:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.database = sqlite3.connect(":memory:")
        self.given_up: list[str] = []
        self.start()

    def start(self) -> None:
        """Begin as an object does, with what the database has."""
        self.pages = DuePages(rows_of(self.database), self.clock, lambda key, _error: self.given_up.append(key))

    def take(self, key: str = KEY, since_ms: int | None = None, own_ms: int = 0) -> int:
        """Take a lease as somebody new, or as one who has had one."""
        return self.pages.take(key, own_ms, self.clock() if since_ms is None else since_ms, job())

    def fail(self, error: str = "status 500") -> None:
        """Let what was begun last fail."""
        self.pages.ended(KEY, self.clock(), error)

    def wake(self) -> list[tuple[str, int]]:
        """Go on when the object's alarm would go off."""
        assert self.pages.due_ms is not None
        self.clock.now_ms = max(self.clock.now_ms, self.pages.due_ms)
        return [(page.key, page.tries) for page in self.pages.take_up()]

    def known(self, state: str = "") -> list[DuePage]:
        return read_pages(self.pages.told("", state))


@pytest.fixture
def due() -> Object:
    return Object()


def test_a_page_that_was_regenerated_is_forgotten(due: Object) -> None:
    assert due.take()
    assert due.known()[0].state is PageState.RUNNING
    due.pages.ended(KEY, due.clock(), "")
    assert (due.pages.due_ms, due.known()) == (None, [])


def test_one_that_failed_is_tried_less_and_less_often_and_then_given_up(due: Object) -> None:
    due.take()
    failed_ms = [due.clock()]
    due.fail()
    while due.pages.due_ms is not None:
        assert due.wake() == [(KEY, len(failed_ms))]
        failed_ms.append(due.clock())
        assert not due.given_up
        due.fail()
    pauses = [after - before for before, after in itertools.pairwise(failed_ms)]
    assert pauses[:4] == [2000, 4000, 8000, 16_000]
    assert pauses[-1] == LONGEST_PAUSE_MS
    assert len(failed_ms) == MAX_TRIES
    assert due.given_up == [KEY]
    (page,) = due.known("given-up")
    assert page == DuePage(KEY, "https://example.com/blog", PageState.GIVEN_UP, MAX_TRIES, due.clock(), None, "status 500")
    assert due.known("failed") == []


def test_one_whose_isolate_is_gone_is_taken_up_half_a_minute_later_by_any_object(due: Object) -> None:
    due.take()
    begun_ms = due.clock()
    due.start()
    assert due.pages.due_ms == begun_ms + BACKGROUND_MS
    assert due.wake() == [(KEY, 1)]
    assert due.known()[0].error == LOST
    assert not due.take(), "the object has the lease"


def test_one_that_is_lost_again_and_again_waits_as_after_a_failure_and_is_given_up(due: Object) -> None:
    due.take()
    taken = 0
    for _ in range(3 * MAX_TRIES):
        if due.pages.due_ms is None:
            break
        taken += len(due.wake())
        due.start()
    assert (due.known()[0].state, taken) == (PageState.GIVEN_UP, MAX_TRIES - 1)
    assert due.given_up == [KEY]


@pytest.mark.parametrize(
    ("failures", "held_back_ms"),
    [
        pytest.param(1, 2000, id="after one failure"),
        pytest.param(3, 8000, id="after three"),
        pytest.param(MAX_TRIES, HELD_BACK_MS, id="given up"),
    ],
)
def test_after_a_failure_visitors_wait_too_but_not_long(due: Object, failures: int, held_back_ms: int) -> None:
    since_ms = due.clock()
    for _ in range(failures):
        due.clock.pass_seconds(3600)
        assert due.take(since_ms=since_ms)
        due.fail()
    due.start()
    due.clock.now_ms += held_back_ms - 1
    assert not due.take(since_ms=since_ms)
    due.clock.now_ms += 1
    assert due.take(since_ms=since_ms)
    assert due.known()[0].tries == failures, "until it succeeds"
    due.fail()
    assert due.given_up == [KEY] * (failures == MAX_TRIES), "once"


def test_while_a_page_is_regenerated_nobody_else_does_so_and_whoever_begins_again_has_lost_it(due: Object) -> None:
    """A render that takes longer than the lease is not begun anew by every visitor."""
    since_ms = due.clock()
    own_ms = due.take()
    due.clock.pass_seconds(25)
    assert not due.take(since_ms=since_ms)
    assert due.pages.is_held(KEY, 0, since_ms)
    assert not due.take(since_ms=since_ms, own_ms=own_ms)
    (page,) = due.known("failed")
    assert (page.tries, page.error) == (1, LOST)
    due.clock.pass_seconds(1)
    assert due.take(), "it was invalidated meanwhile"


@pytest.mark.parametrize("failure", ["", "status 500"])
@pytest.mark.parametrize("has_failed", [False, True])
def test_what_was_begun_before_an_invalidation_says_nothing_of_what_came_after(
    due: Object, failure: str, *, has_failed: bool
) -> None:
    old_ms = due.take()
    due.clock.pass_seconds(1)
    new_ms = due.take()
    assert new_ms > old_ms
    if has_failed:
        due.fail("status 503")
    known = due.known()
    due.pages.ended(KEY, old_ms, failure)
    assert due.known() == known
    due.pages.ended(KEY, due.clock(), "")
    assert due.known() == []


def test_a_page_that_is_due_anew_does_not_wait(due: Object) -> None:
    due.take()
    due.fail()
    due.clock.pass_seconds(0.5)
    assert due.take()


def test_some_are_taken_up_at_a_time_and_a_lease_alone_is_no_page_to_take_up(due: Object) -> None:
    for number in range(TAKEN_UP_AT_ONCE + 1):
        due.take(f"key-{number}")
    assert due.pages.take(KEY, 0, due.clock())
    assert len(due.known()) == TAKEN_UP_AT_ONCE + 1
    assert [len(due.wake()), len(due.wake())] == [TAKEN_UP_AT_ONCE, 1]


def test_there_is_a_limit_and_what_is_given_up_goes_first_and_after_a_day(due: Object) -> None:
    due.take("oldest")
    due.take(KEY)
    for _ in range(MAX_TRIES):
        due.clock.pass_seconds(1)
        due.fail()
    for number in range(MAX_PAGES):
        due.take(f"key-{number}")
    keys = {str(row[0]) for row in due.database.execute("SELECT key FROM due_page")}
    assert len(keys) == MAX_PAGES
    assert not keys & {"oldest", KEY}
    for _ in range(MAX_TRIES):
        due.pages.ended("key-0", due.clock(), "status 500")
    due.clock.pass_seconds(24 * 3600 + 1)
    due.pages.ended("key-1", due.clock(), "")
    due.take("new")
    assert due.known("given-up") == []
