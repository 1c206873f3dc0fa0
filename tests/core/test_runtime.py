from __future__ import annotations

import asyncio

from tests.fakes.flight import FakeFlight
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog

from core.runtime import Runtime


async def test_work_runs_once_at_a_time_under_a_key_and_again_when_it_has_ended() -> None:
    background = FakeBackground()
    runtime = Runtime(FakeFlight(), background, FakeClock(), FakeLog())
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("done")

    for _ in range(3):
        runtime.run_once("a", work, "work")
    runtime.run_once("b", work, "other work")
    assert [what for what, _ in background.tasks] == ["work", "other work"]
    assert await background.done() == []
    assert len(done) == 2
    runtime.run_once("a", work, "work")
    assert await background.done() == []
    assert len(done) == 3


async def test_work_that_fails_releases_its_key() -> None:
    background = FakeBackground()
    flight = FakeFlight()
    runtime = Runtime(flight, background, FakeClock(), FakeLog())

    async def work() -> None:
        raise OSError("it failed")

    runtime.run_once("a", work, "work")
    failures = await background.done()
    assert [str(failure) for failure in failures] == ["it failed"]
    assert not flight.cells
