"""Steps, each of which needs the ones before it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.errors import VinextWorkerError as WorkerError
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

State = Literal["done", "skipped", "failed", "not done"]


@dataclass(frozen=True)
class Step:
    """`run` performs the step and returns its result in a few words; `skip` is the reason to skip it, "" if there is none."""

    name: str
    run: Callable[[], str]
    skip: str = ""
    is_live: bool = False
    """Whether the step changes what visitors see."""


@dataclass
class StepResult:
    """The result of a step."""

    name: str
    state: State
    said: str
    seconds: float = 0.0
    is_live: bool = False

    def to_document(self) -> dict[str, object]:
        return {"step": self.name, "state": self.state, "said": self.said, "seconds": round(self.seconds, 2)}


def run_steps(steps: Sequence[Step], on_begin: Callable[[Step], None], on_end: Callable[[StepResult], None]) -> list[StepResult]:
    """Run steps until one fails, and return a result for every step; a failed step's result has the error's message."""
    results: list[StepResult] = []
    has_failed = False
    for step in steps:
        if has_failed:
            result = StepResult(step.name, "not done", "", is_live=step.is_live)
        elif step.skip:
            result = StepResult(step.name, "skipped", step.skip, is_live=step.is_live)
        else:
            on_begin(step)
            started = time.monotonic()
            try:
                result = StepResult(step.name, "done", step.run())
            except (UserError, WorkerError) as error:
                has_failed = True
                result = StepResult(step.name, "failed", str(error))
            result.seconds = time.monotonic() - started
            result.is_live = step.is_live
        results.append(result)
        on_end(result)
    return results


def what_now(failed: StepResult, results: Sequence[StepResult], *, dry_run: bool) -> str:
    """Return why a deploy has stopped, what is live, what was not done, and what to do."""
    live = [result.name for result in results if result.state == "done" and result.is_live]
    state = f"already live: {', '.join(live)}" if live else "the live app is unchanged"
    if dry_run:
        state = "a dry run deploys nothing"
    undone = [result.name for result in results if result.state == "not done"]
    rest = f"; not done: {', '.join(undone)}" if undone else ""
    advice = "" if dry_run else "; fix it, then deploy again"
    return f"{failed.name} failed: {failed.said}; {state}{rest}{advice}"
