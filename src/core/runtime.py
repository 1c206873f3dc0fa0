"""The ports of the Worker: the time, background work, a log, and single flight across the requests of an isolate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from core.log import Log

T = TypeVar("T")

Clock: TypeAlias = Callable[[], int]
"""Returns the time in epoch milliseconds."""


class Background(Protocol):
    """Background work, which outlives the answer."""

    def run(self, work: Awaitable[object], what: str) -> None:
        """Keep `work` alive until it is done and log its failure under the name `what`; never raises."""
        ...

    async def finish(self, work: Coroutine[object, object, T], what: str) -> T:
        """Wait for `work`, which continues after the answer, and after its caller was cancelled."""
        ...


class Claim(Protocol):
    """The right, and the duty, to do a piece of work."""

    def release(self) -> None:
        """Say that the work has ended, well or not. A second call does nothing."""


class SingleFlight(Protocol):
    """One run at a time of the same work, across all requests of an isolate."""

    def claim(self, key: str) -> Claim | None:
        """Claim the work under `key`; return None if another run has claimed it."""

    async def wait(self, key: str) -> None:
        """Wait until the claim on `key` is released, or has lasted too long."""

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, or of the run under `key` that is under way.

        If that run fails or takes too long, the caller does the work itself.
        """


class Cell(ABC):
    """A piece of work under way, and its result: plain data, never an object of a request's I/O."""

    def __init__(self, cells: dict[str, Cell], key: str) -> None:
        self.result: object = None
        self.is_done = False
        self._cells = cells
        self._key = key

    def release(self) -> None:
        """See Claim."""
        if self._cells.get(self._key) is self:
            del self._cells[self._key]
        self._wake()

    @abstractmethod
    def _wake(self) -> None:
        """Resume every waiter. A second call does nothing."""

    @abstractmethod
    async def released(self) -> None:
        """Wait for the release. Raise TimeoutError if that takes too long."""


class CellFlight(ABC):
    """Single flight by cells; a subclass says how to wait for one (see SingleFlight)."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}

    @abstractmethod
    def _make_cell(self, key: str) -> Cell: ...

    def claim(self, key: str) -> Cell | None:
        """See SingleFlight."""
        if key in self.cells:
            return None
        cell = self.cells[key] = self._make_cell(key)
        return cell

    async def wait(self, key: str) -> None:
        """See SingleFlight."""
        cell = self.cells.get(key)
        if cell is not None:
            await _settled(cell)

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """See SingleFlight."""
        cell = self.cells.get(key)
        if cell is not None:
            await _settled(cell)
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


async def _settled(cell: Cell) -> None:
    try:
        await cell.released()
    except TimeoutError:
        # A request that was cancelled never releases its claim.
        cell.release()


@dataclass(frozen=True)
class Runtime:
    """Single flight, background work, the time and a log, of workerd or of a test."""

    flight: SingleFlight
    background: Background
    clock: Clock
    log: Log

    def run_once(self, key: str, work: Callable[[], Awaitable[object]], what: str) -> None:
        """Run `work` in the background, named `what` in the log, unless a run under `key` is under way; never raises."""
        claim = self.flight.claim(key)
        if claim is not None:
            self.background.run(_released(claim, work), what)


async def _released(claim: Claim, work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    finally:
        claim.release()
