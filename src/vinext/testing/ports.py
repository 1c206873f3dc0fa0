"""A clock to set, work in the background to wait for, and a log to read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from core.log import Level

T = TypeVar("T")

START_MS = 1_700_000_000_123


@dataclass
class FakeClock:
    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def pass_seconds(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has let the time pass."""
        end_ms = self.now_ms + seconds * 1000
        while self.now_ms < end_ms:  # noqa: ASYNC110 - the clock tells nobody
            await asyncio.sleep(0)


# The steps in which work that does not wait for the time to pass gets far enough.
_STEPS = 100


@dataclass
class FakeBackground:
    """With a `clock`, time passes while `done` waits for work that sleeps."""

    clock: FakeClock | None = None
    tasks: list[tuple[str, asyncio.Future[object]]] = field(default_factory=list)

    def run(self, work: Awaitable[object], what: str, limit_ms: int | None = None) -> None:
        del limit_ms  # nothing here takes real time
        self.tasks.append((what, asyncio.ensure_future(work)))

    async def finish(self, work: Coroutine[object, object, T], what: str) -> T:
        task = asyncio.ensure_future(work)
        self.run(task, what)
        return await asyncio.shield(task)

    async def done(self) -> list[object]:
        """Wait for everything, and give the failures back."""
        failures: list[object] = []
        while self.tasks:
            tasks, self.tasks = self.tasks, []
            await self._let_sleep(tasks)
            results = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
            failures.extend(result for result in results if isinstance(result, BaseException))
        return failures

    async def _let_sleep(self, tasks: list[tuple[str, asyncio.Future[object]]]) -> None:
        while self.clock is not None and not all(task.done() for _, task in tasks):
            for _ in range(_STEPS):
                await asyncio.sleep(0)
            if not all(task.done() for _, task in tasks):
                self.clock.pass_seconds(0.1)


@dataclass
class FakeLog:
    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def event(self, level: Level, event: str, **fields: object) -> None:
        self.lines.append((level, event, fields))

    def names(self) -> list[str]:
        return [event for level, event, _ in self.lines if level != "debug"]
