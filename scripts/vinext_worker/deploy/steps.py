"""Steps, each of which needs the ones before it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.errors import VinextWorkerError
from vinext_worker.deploy.live import LiveError
from vinext_worker.errors import reason_of

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
    """Whether the step changes what visitors see. If it fails it has not, or raises LiveError."""


@dataclass
class StepResult:
    """The result of a step; `is_live` if it has changed what visitors see, or may have."""

    name: str
    state: State
    said: str
    seconds: float = 0.0
    is_live: bool = False

    def to_document(self) -> dict[str, object]:
        return {"step": self.name, "state": self.state, "said": self.said, "seconds": round(self.seconds, 2)}


def run_steps(steps: Sequence[Step], on_begin: Callable[[Step], None], on_end: Callable[[StepResult], None]) -> list[StepResult]:
    """Run steps until one fails or is interrupted, and return a result for every step; a failed step's has the reason."""
    results: list[StepResult] = []
    has_failed = False
    for step in steps:
        if has_failed:
            result = StepResult(step.name, "not done", "")
        elif step.skip:
            result = StepResult(step.name, "skipped", step.skip)
        else:
            started = time.monotonic()
            try:
                on_begin(step)
                result = StepResult(step.name, "done", step.run(), is_live=step.is_live)
            except (VinextWorkerError, KeyboardInterrupt) as error:
                has_failed = True
                result = StepResult(step.name, "failed", reason_of(error), is_live=isinstance(error, LiveError))
            result.seconds = time.monotonic() - started
        results.append(result)
        on_end(result)
    return results


def what_now(failed: StepResult, results: Sequence[StepResult], *, dry_run: bool) -> str:
    """Return why a deploy has stopped, what is live, what was not done, and what to do."""
    live = [result.name for result in results if result.state == "done" and result.is_live]
    said = [f"{failed.name} failed: {failed.said}"]
    if dry_run:
        said.append("a dry run deploys nothing")
    elif live:
        said.append(f"already live: {', '.join(live)}")
    elif not failed.is_live:
        said.append("the live app is unchanged")
    if undone := [result.name for result in results if result.state == "not done"]:
        said.append(f"not done: {', '.join(undone)}")
    if not dry_run:
        said.append("fix it, then deploy again")
    return "; ".join(said)
