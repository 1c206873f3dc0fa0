"""Single flight by asyncio futures, as the Worker has it by JavaScript promises."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@dataclass
class FakeClaim:
    cells: dict[str, FakeClaim]
    key: str
    released: asyncio.Future[None]
    result: object = None
    is_done: bool = False

    def release(self) -> None:
        if self.cells.get(self.key) is self:
            del self.cells[self.key]
        if not self.released.done():
            self.released.set_result(None)


@dataclass
class FakeFlight:
    wait_seconds: float = 10.0
    cells: dict[str, FakeClaim] = field(default_factory=dict)

    def claim(self, key: str) -> FakeClaim | None:
        if key in self.cells:
            return None
        cell = self.cells[key] = FakeClaim(self.cells, key, asyncio.get_running_loop().create_future())
        return cell

    async def wait(self, key: str) -> None:
        cell = self.cells.get(key)
        if cell is not None:
            await self._settled(cell)

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        cell = self.cells.get(key)
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

    async def _settled(self, cell: FakeClaim) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(cell.released), self.wait_seconds)
        except TimeoutError:
            cell.release()
