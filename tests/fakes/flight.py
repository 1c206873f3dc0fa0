"""Single flight by asyncio futures, as the Worker has it by JavaScript promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.fakes.ports import FakeClock, FakeLog

from core.runtime import Cell, CellFlight

if TYPE_CHECKING:
    from core.log import Log
    from core.runtime import Clock


class FutureCell(Cell):
    def __init__(self, flight: CellFlight, key: str, wait_seconds: float | None) -> None:
        super().__init__(flight, key)
        self._wait_seconds = wait_seconds
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def released(self, timeout_ms: int) -> None:
        seconds = timeout_ms / 1000 if self._wait_seconds is None else self._wait_seconds
        await asyncio.wait_for(asyncio.shield(self._future), seconds)


class FakeFlight(CellFlight):
    """`wait_seconds` is how long a test wants to wait where the clock would say more."""

    def __init__(self, clock: Clock | None = None, log: Log | None = None, wait_seconds: float | None = None) -> None:
        super().__init__(clock or FakeClock(), log or FakeLog())
        self.wait_seconds = wait_seconds

    def _make_cell(self, key: str) -> Cell:
        return FutureCell(self, key, self.wait_seconds)
