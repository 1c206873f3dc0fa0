"""The markers that a Durable Object writes to KV in place of an isolate, on a real SQLite."""

from __future__ import annotations

import itertools
import sqlite3

import pytest
from tests.fakes.ports import START_MS, FakeClock
from tests.fakes.tag_objects import rows_of

from cache.invalidation import Invalidation
from cache.marker_queue import LONGEST_PAUSE_MS, MarkerQueue, queue_text


class Queue:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.database = sqlite3.connect(":memory:")
        self.queue = MarkerQueue(rows_of(self.database), self.clock)
        self.refuses = False
        self.written: dict[str, str] = {}

    def add(self, key: str, invalidation: Invalidation) -> None:
        self.queue.add(queue_text({key: invalidation}, {}))

    async def put(self, key: str, text: str) -> None:
        if self.refuses:
            raise OSError("429 Too Many Requests")
        self.written[key] = text

    async def wake(self) -> dict[str, str]:
        """Go on when the object's alarm would go off."""
        assert self.queue.due_ms is not None
        self.clock.now_ms = max(self.clock.now_ms, self.queue.due_ms)
        return dict(await self.queue.write_some(self.put))


@pytest.fixture
def queue() -> Queue:
    return Queue()


async def test_a_marker_is_written_with_the_time_of_its_writing(queue: Queue) -> None:
    queue.add("a", Invalidation.gone(START_MS))
    queue.add("b", Invalidation(START_MS, START_MS + 60_000))
    assert await queue.wake() == {}
    written_ms = queue.clock.now_ms
    assert written_ms == START_MS + 1000
    assert queue.written == {"a": f"{written_ms}", "b": f"{written_ms} {START_MS + 60_000}"}
    assert queue.queue.due_ms is None


async def test_what_kv_refuses_is_tried_less_and_less_often(queue: Queue) -> None:
    queue.add("a", Invalidation.gone(START_MS))
    queue.refuses = True
    times = []
    for _ in range(12):
        assert await queue.wake() == {"a": "OSError: 429 Too Many Requests"}
        times.append(queue.clock.now_ms)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[:3] == [1000, 2000, 4000]
    assert pauses[-1] == LONGEST_PAUSE_MS
    queue.refuses = False
    assert await queue.wake() == {}
    assert list(queue.written) == ["a"]


async def test_a_newer_marker_of_the_key_takes_its_place_and_is_not_lost_while_it_is_written(queue: Queue) -> None:
    queue.add("a", Invalidation.gone(START_MS + 9000))
    queue.add("a", Invalidation.gone(START_MS + 5000))
    put = queue.put

    async def invalidated_meanwhile(key: str, text: str) -> None:
        await put(key, text)
        queue.add("a", Invalidation.gone(START_MS + 20_000))

    queue.put = invalidated_meanwhile  # type: ignore[method-assign]
    await queue.wake()
    assert queue.written == {"a": f"{START_MS + 9000}"}
    queue.put = put  # type: ignore[method-assign]
    await queue.wake()
    assert queue.written == {"a": f"{START_MS + 20_000}"}
    assert queue.queue.due_ms is None


async def test_markers_outlive_the_object(queue: Queue) -> None:
    queue.add("a", Invalidation.gone(START_MS))
    queue.queue = MarkerQueue(rows_of(queue.database), queue.clock)
    await queue.wake()
    assert list(queue.written) == ["a"]


async def test_many_are_written_by_one_alarm_after_another(queue: Queue) -> None:
    queue.queue.add(queue_text({f"key-{number}": Invalidation.gone(START_MS) for number in range(20)}, {}))
    alarms = 0
    while queue.queue.due_ms is not None:
        await queue.wake()
        alarms += 1
    assert (len(queue.written), alarms) == (20, 4)


async def test_a_queue_of_the_version_before_goes_on() -> None:
    queue = Queue()
    queue.add("a", Invalidation.gone(START_MS))
    queue.database.execute("ALTER TABLE unwritten DROP COLUMN tag")
    queue.queue = MarkerQueue(rows_of(queue.database), queue.clock)
    queue.add("b", Invalidation.gone(START_MS))
    await queue.wake()
    assert list(queue.written) == ["a", "b"]
