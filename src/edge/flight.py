"""Single flight across the requests of an isolate.

A request must not await a task, future or lock of another request: the runtime ends it. A
JavaScript promise that both await is safe, and each resumes in its own request.
"""

from __future__ import annotations

from typing import Any

from js import Promise

from cache.flight import Cell, CellFlight
from edge.background import keep_alive_until
from edge.deadline import Deadline
from edge.functions import bind

# A request that was cancelled may never release its claim.
WAIT_MS = 10_000


class _PromiseCell(Cell):
    def __init__(self, cells: dict[str, Cell], key: str) -> None:
        super().__init__(cells, key)
        resolvers = Promise.withResolvers()
        self._promise: Any = resolvers.promise
        self._resolve: Any = resolvers.resolve
        keep_alive_until(self._promise)

    def _wake(self) -> None:
        self._resolve(1)

    async def released(self) -> None:
        await Deadline(WAIT_MS, "nobody released the work").value(bind(Promise.resolve, Promise, self._promise))


class PromiseFlight(CellFlight):
    """Single flight by promises."""

    def _make_cell(self, key: str) -> Cell:
        return _PromiseCell(self.cells, key)
