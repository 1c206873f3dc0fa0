from __future__ import annotations

import asyncio

import pytest
from tests.fakes.flight import FakeFlight
from tests.fakes.ports import START_MS, FakeBackground, FakeClock, FakeLog

from core.runtime import BACKGROUND_MS, MAX_WAIT_MS, Runtime


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


async def test_who_waits_for_a_run_gets_its_result_and_after_a_failure_one_of_them_does_the_work() -> None:
    flight = FakeFlight()
    runs: list[str] = []

    async def work() -> str:
        runs.append("run")
        await asyncio.sleep(0)
        if len(runs) == 1:
            raise OSError("the first one fails")
        return f"result of run {len(runs)}"

    results = await asyncio.gather(*(flight.run("a", work) for _ in range(300)), return_exceptions=True)
    assert isinstance(results[0], OSError)
    assert set(results[1:]) == {"result of run 2"}
    assert not flight.cells


async def test_work_that_fails_is_done_twice_for_all_who_wait() -> None:
    flight = FakeFlight()
    runs: list[str] = []

    async def work() -> None:
        runs.append("run")
        await asyncio.sleep(0)
        raise OSError(f"run {len(runs)}")

    results = await asyncio.gather(*(flight.run("a", work) for _ in range(300)), return_exceptions=True)
    assert list(map(str, results)) == ["run 1", *["run 2"] * 299]
    assert all(isinstance(result, OSError) for result in results)
    assert not flight.cells
    with pytest.raises(OSError, match="run 3"):
        await flight.run("a", work)


async def test_who_waits_for_a_request_that_is_ended_has_the_work_done_once_more() -> None:
    flight = FakeFlight()
    runs: list[str] = []

    async def work() -> str:
        runs.append("run")
        await asyncio.sleep(0.01)
        return f"run {len(runs)}"

    tasks = [asyncio.ensure_future(flight.run("a", work)) for _ in range(300)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert set(results[1:]) == {"run 2"}


async def test_a_claim_that_is_never_released_is_not_waited_for_for_ever() -> None:
    flight = FakeFlight(wait_seconds=0.01)
    claim = flight.claim("a")
    assert claim is not None
    assert not claim.is_awaited
    await flight.wait("a")
    assert claim.is_awaited
    assert flight.claim("a") is None, "it has not ended"


@pytest.mark.parametrize(("goes_on", "lasts_ms"), [(False, MAX_WAIT_MS), (True, BACKGROUND_MS)], ids=["before", "after"])
async def test_whoever_finds_a_claim_ended_takes_it(goes_on: bool, lasts_ms: int) -> None:  # noqa: FBT001
    clock, log = FakeClock(), FakeLog()
    flight = FakeFlight(clock, log)
    claim = flight.claim("a")
    assert claim is not None
    if goes_on:
        claim.go_on()
    clock.now_ms += lasts_ms - 1
    assert flight.claim("a") is None
    clock.now_ms += 1
    await flight.wait("a")
    next_claim = flight.claim("a")
    assert next_claim is not None
    assert log.lines == [("warning", "claim.ended", {"work": "a"})]
    claim.release()
    claim.go_on()
    assert flight.claim("a") is None, "the claim that has ended is not the next one's"
    next_claim.release()
    assert not flight.cells


async def test_work_that_its_request_did_not_live_to_end_is_done_again() -> None:
    clock, background = FakeClock(), FakeBackground()
    runtime = Runtime(FakeFlight(clock), background, clock, FakeLog())
    runs: list[int] = []

    async def work() -> None:
        runs.append(clock.now_ms)
        await asyncio.get_running_loop().create_future()

    for _ in range(100):
        runtime.run_once("a", work, "work")
        await asyncio.sleep(0)
        clock.pass_seconds(1)
    assert [(run - START_MS) / 1000 for run in runs] == [0, 30, 60, 90]
    for _, task in background.tasks:
        task.cancel()


async def test_a_run_whose_request_has_ended_is_done_by_who_asks_next() -> None:
    clock = FakeClock()
    flight = FakeFlight(clock)
    assert flight.claim("a") is not None
    clock.pass_seconds(10)

    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await flight.run("a", work) == "done"
    assert not flight.cells


async def test_claims_that_nobody_asks_for_again_are_forgotten() -> None:
    clock = FakeClock()
    flight = FakeFlight(clock)
    for number in range(10_000):
        flight.claim(f"path {number}")
        clock.pass_seconds(1)
    assert len(flight.cells) < 300
