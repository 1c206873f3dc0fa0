"""Single flight by asyncio futures, as the Worker has it by JavaScript promises."""

from __future__ import annotations

import asyncio

from core.runtime import Cell, CellFlight


class FutureCell(Cell):
    def __init__(self, cells: dict[str, Cell], key: str, wait_seconds: float) -> None:
        super().__init__(cells, key)
        self._wait_seconds = wait_seconds
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def released(self) -> None:
        await asyncio.wait_for(asyncio.shield(self._future), self._wait_seconds)


class FakeFlight(CellFlight):
    def __init__(self, wait_seconds: float = 10.0) -> None:
        super().__init__()
        self._wait_seconds = wait_seconds

    def _make_cell(self, key: str) -> Cell:
        return FutureCell(self.cells, key, self._wait_seconds)
