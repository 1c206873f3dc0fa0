"""Single flight across the requests of an isolate.

A request must not await a task, future or lock of another request: the runtime ends it. A
JavaScript promise that both await is safe, and each resumes in its own request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from js import Promise

from edge.background import keep_alive_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# A request that was cancelled may never release its claim.
WAIT_SECONDS = 10.0

T = TypeVar("T")


class _Cell:
    """One piece of work under way; a result is plain data, never an object of a request's I/O."""

    def __init__(self, cells: dict[str, _Cell], key: str) -> None:
        resolvers = Promise.withResolvers()
        self.promise: Any = resolvers.promise
        self.result: object = None
        self.is_done = False
        self._resolve: Any = resolvers.resolve
        self._cells = cells
        self._key = key

    def release(self) -> None:
        if self._cells.get(self._key) is self:
            del self._cells[self._key]
        self._resolve(1)


class PromiseFlight:
    """Single flight by promises (the protocol of `cache.flight`)."""

    def __init__(self) -> None:
        self._cells: dict[str, _Cell] = {}

    def claim(self, key: str) -> _Cell | None:
        if key in self._cells:
            return None
        cell = self._cells[key] = _Cell(self._cells, key)
        keep_alive_until(cell.promise)
        return cell

    async def wait(self, key: str) -> None:
        cell = self._cells.get(key)
        if cell is not None:
            await self._settled(cell)

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        cell = self._cells.get(key)
        if cell is not None:
            await self._settled(cell)
            if cell.is_done:
                return cast("T", cell.result)
        cell = self.claim(key)
        if cell is None:
            return await work()
        try:
            result = await work()
            cell.result, cell.is_done = result, True
            return result
        finally:
            cell.release()

    async def _settled(self, cell: _Cell) -> None:
        try:
            await asyncio.wait_for(cell.promise, WAIT_SECONDS)
        except TimeoutError:
            cell.release()
