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


@dataclass
class FakeBackground:
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
            results = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
            failures.extend(result for result in results if isinstance(result, BaseException))
        return failures


@dataclass
class FakeLog:
    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def event(self, level: Level, event: str, **fields: object) -> None:
        self.lines.append((level, event, fields))

    def names(self) -> list[str]:
        return [event for level, event, _ in self.lines if level != "debug"]
