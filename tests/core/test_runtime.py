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


async def test_who_waits_for_a_run_gets_its_result_and_after_a_failure_does_the_work() -> None:
    flight = FakeFlight()
    runs: list[str] = []

    async def work() -> str:
        runs.append("run")
        await asyncio.sleep(0)
        if len(runs) == 1:
            raise OSError("the first one fails")
        return f"result of run {len(runs)}"

    results = await asyncio.gather(*(flight.run("a", work) for _ in range(3)), return_exceptions=True)
    assert isinstance(results[0], OSError)
    assert {str(result) for result in results[1:]} <= {"result of run 2", "result of run 3"}
    assert not flight.cells


async def test_a_claim_that_is_never_released_is_not_waited_for_for_ever() -> None:
    flight = FakeFlight(wait_seconds=0.01)
    claim = flight.claim("a")
    assert claim is not None
    await flight.wait("a")
    next_claim = flight.claim("a")
    assert next_claim is not None
    claim.release()
    assert flight.claim("a") is None, "the claim that took too long is not the next one's"
    next_claim.release()
    await flight.wait("a")
    assert not flight.cells
