"""The ports of the Worker: the time, background work, a log, and single flight across the requests of an isolate."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from core.log import Log

T = TypeVar("T")

Clock: TypeAlias = Callable[[], int]
"""Returns the time in epoch milliseconds."""

MAX_WAIT_MS = 10_000
"""How long a request waits for another's work, and keeps others from doing the work for which it makes its visitor wait."""

BACKGROUND_MS = 30_000
"""How long after the answer Cloudflare ends background work. Its timers and its `finally` do not run then."""

WORK_MS = 25_000
"""How long background work may take that is given up with a log line, before the platform ends it without one."""


# One that fails, or takes too long, is followed by another for those who wait.
_MAX_RUNS = 2


class Background(Protocol):
    """Background work, which outlives the answer."""

    def run(self, work: Awaitable[object], what: str, limit_ms: int | None = None) -> None:
        """Keep `work` alive until it is done and log its failure under the name `what`; never raises.

        After `limit_ms` it is given up, and that is logged; None waits as long as the platform does.
        """
        ...

    async def finish(self, work: Coroutine[object, object, T], what: str) -> T:
        """Wait for `work`, which continues after the answer, and after its caller was cancelled."""
        ...


class Claim(Protocol):
    """The right, and the duty, to do a piece of work, which ends by itself: whoever holds it may be ended without a word."""

    @property
    def is_awaited(self) -> bool:
        """Whether somebody has waited for the work."""

    def go_on(self) -> None:
        """Say that the work goes on after the answer: the claim now lasts as long as the platform lets it."""

    def release(self) -> None:
        """Say that the work has ended, well or not. A second call does nothing."""


class SingleFlight(Protocol):
    """One run at a time of the same work, across all requests of an isolate."""

    def claim(self, key: str) -> Claim | None:
        """Claim the work under `key`; return None if another run has claimed it, and its claim has not ended."""

    def is_claimed(self, key: str) -> bool:
        """Return whether a run has claimed the work under `key`, and its claim has not ended; nothing changes."""

    async def wait(self, key: str) -> bool:
        """Wait until the claim on `key` is released or ends, at most MAX_WAIT_MS; return whether it has."""

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, or of the run under `key` that is under way.

        If that run fails or takes too long, one of its waiters does the work for the others, because the request that had begun
        it may have been the reason. They raise what that second run raises; if it takes too long, too, each does the work itself.
        """


class Cell(ABC):
    """A piece of work under way, and its result: plain data, never an object of a request's I/O.

    `ends_at_ms` is when its claim ends. A timer would not do: it would be gone with the request that is doing the work.
    """

    def __init__(self, flight: CellFlight, key: str) -> None:
        self.result: object = None
        self.failure: Exception | None = None
        self.is_done = False
        self.is_awaited = False
        self.ends_at_ms = flight.clock() + MAX_WAIT_MS
        self._flight = flight
        self._key = key

    def go_on(self) -> None:
        """See Claim."""
        self.ends_at_ms = self._flight.clock() + BACKGROUND_MS

    def release(self) -> None:
        """See Claim."""
        if self._flight.cells.get(self._key) is self:
            del self._flight.cells[self._key]
        self._wake()

    @abstractmethod
    def _wake(self) -> None:
        """Resume every waiter. A second call does nothing."""

    @abstractmethod
    async def released(self, timeout_ms: int) -> None:
        """Wait for the release. Raise TimeoutError if that takes longer than `timeout_ms`."""


class CellFlight(ABC):
    """Single flight by cells; a subclass says how to wait for one (see SingleFlight)."""

    _MANY = 256

    def __init__(self, clock: Clock, log: Log) -> None:
        self.cells: dict[str, Cell] = {}
        self.clock = clock
        self._log = log

    @abstractmethod
    def _make_cell(self, key: str) -> Cell: ...

    def claim(self, key: str) -> Cell | None:
        """See SingleFlight."""
        if self._running(key) is not None:
            return None
        if len(self.cells) % self._MANY == self._MANY - 1:
            # Nobody may ask again for what visitors who broke off have left behind.
            for other in tuple(self.cells):
                self._running(other)
        cell = self.cells[key] = self._make_cell(key)
        return cell

    def is_claimed(self, key: str) -> bool:
        """See SingleFlight."""
        cell = self.cells.get(key)
        return cell is not None and self.clock() < cell.ends_at_ms

    async def wait(self, key: str) -> bool:
        """See SingleFlight."""
        cell = self._running(key)
        if cell is None:
            return True
        await self._settled(cell)
        return self._running(key) is not cell

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """See SingleFlight."""
        failure: Exception | None = None
        for _ in range(_MAX_RUNS):
            own = self.claim(key)
            if own is not None:
                return await _led(own, work)
            cell = self.cells[key]
            await self._settled(cell)
            if cell.is_done:
                return cast("T", cell.result)
            failure = cell.failure
        if failure is None:
            return await work()
        try:
            # Each waiter would add its own frames to those of the others.
            raise failure.with_traceback(None)
        finally:
            # The frame of this call is in the traceback: a cycle, which would keep the request's objects.
            del failure, cell

    def _running(self, key: str) -> Cell | None:
        """Return the cell under a key whose claim has not ended."""
        cell = self.cells.get(key)
        if cell is not None and self.clock() >= cell.ends_at_ms:
            self._log.event("warning", "claim.ended", work=key)
            cell.release()
            return None
        return cell

    async def _settled(self, cell: Cell) -> None:
        cell.is_awaited = True
        with suppress(TimeoutError):
            await cell.released(min(MAX_WAIT_MS, cell.ends_at_ms - self.clock()))


async def _led(cell: Cell, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work for all who wait for the cell."""
    try:
        cell.result = result = await work()
    except Exception as error:
        cell.failure = error
        raise
    else:
        cell.is_done = True
        return result
    finally:
        cell.release()
        del cell


@dataclass(frozen=True)
class Runtime:
    """Single flight, background work, the time and a log, of workerd or of a test; `sleep` takes seconds."""

    flight: SingleFlight
    background: Background
    clock: Clock
    log: Log
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def run_once(self, key: str, work: Callable[[], Awaitable[object]], what: str) -> bool:
        """Run `work` in the background, named `what` in the log; return False if a run under `key` is under way. Never raises."""
        claim = self.flight.claim(key)
        if claim is None:
            return False
        claim.go_on()
        self.background.run(_released(claim, work), what, WORK_MS)
        return True


async def _released(claim: Claim, work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    finally:
        claim.release()
