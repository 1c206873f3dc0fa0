"""The Worker's clock, log, background work and single flight (the protocols of `core.log` and `core.runtime`).

A request must not await a task, future or lock of another request: the runtime ends it. A
JavaScript promise that both await is safe, and each resumes in its own request.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import js
from js import Array, Promise

from core.errors import described
from core.runtime import BACKGROUND_MS, Cell, CellFlight
from edge.loop import begin, is_direct
from edge.promises import Deadline, bind, results_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from core.log import Level, Log


def now_ms() -> int:
    """Return epoch milliseconds."""
    return int(time.time() * 1000)


class ConsoleLog:
    """The log of the Worker: one structured line an event, on the console's level for it (the protocol of `core.log`)."""

    def event(self, level: Level, event: str, **fields: object) -> None:
        line = json.dumps({"event": event, **fields}, ensure_ascii=False, default=str)
        match level:
            case "debug":
                js.console.debug(line)
            case "info":
                js.console.info(line)
            case "warning":
                js.console.warn(line)
            case "error":
                js.console.error(line)


T = TypeVar("T")

# The execution context of the request that the running code belongs to.
_context: ContextVar[Any] = ContextVar("execution context")

_is_in_background: ContextVar[bool] = ContextVar("in the background", default=False)


def enter_request(context: Any) -> None:
    """Let the background work of the current request be kept alive by its execution context."""
    _context.set(context)


def request_context() -> Any:
    """Return the execution context of the current request; None outside of one."""
    return _context.get(None)


def keep_alive_until(promise: Any) -> None:
    """Keep the current request's context alive until a JavaScript promise is settled."""
    _context.get().waitUntil(promise)


class RequestBackground:
    """Background work by `waitUntil` (the protocol of `core.runtime`)."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def run(self, work: Awaitable[object], what: str, limit_ms: int | None = None) -> None:
        # The work inherits the request's variables; without `waitUntil` it would be dropped with the answer.
        done = Promise.withResolvers()
        _context.get().waitUntil(done.promise)
        start = begin if is_direct() else asyncio.ensure_future
        task = start(self._until_done(work, what, done.resolve))
        if limit_ms is not None and not task.done():
            start(self._give_up(task, what, Deadline(limit_ms, f"{what} did not end"), done))

    async def finish(self, work: Coroutine[Any, Any, T], what: str) -> T:
        if _is_in_background.get():
            return await work
        task = asyncio.ensure_future(work)
        self.run(task, what)
        return await asyncio.shield(task)

    async def _until_done(self, work: Awaitable[object], what: str, done: Callable[[int], object]) -> None:
        _is_in_background.set(True)
        try:
            await work
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            self._log.event("error", "background.failed", what=what, error=described(error))
        finally:
            done(_DONE)

    async def _give_up(self, task: asyncio.Future[None], what: str, deadline: Deadline, done: Any) -> None:
        """Let work go that does not end. What waits for a promise that never settles stays behind, as with an ended request."""
        try:
            await deadline.value(bind(Promise.resolve, Promise, done.promise))
        except TimeoutError as error:
            self._log.event("warning", "background.given_up", what=what, reason=str(error))
            task.cancel()
            done.resolve(_DONE)


_DONE = 1


class _PromiseCell(Cell):
    def __init__(self, flight: CellFlight, key: str) -> None:
        super().__init__(flight, key)
        resolvers = Promise.withResolvers()
        self._promise: Any = resolvers.promise
        self._resolve: Any = resolvers.resolve
        self._request = _context.get()
        keep_alive_until(self._promise)

    def _wake(self) -> None:
        # Only its own request may settle it. One that was cancelled leaves the release to others: to whoever finds the claim
        # ended, or whose step collects the garbage. Its waiters go on when their time is over.
        if _context.get() is self._request:
            self._resolve(_DONE)

    async def released(self, timeout_ms: int) -> None:
        # The release settles promises of this request, too, whose time may be over first: it must not have ended by then.
        limit = results_of(bind(js.scheduler.wait, js.scheduler, BACKGROUND_MS))
        keep_alive_until(results_of(bind(Promise.race, Promise, Array.of(self._promise).concat(limit)))[0])
        await Deadline(timeout_ms, "nobody released the work").value(bind(Promise.resolve, Promise, self._promise))


class PromiseFlight(CellFlight):
    """Single flight by promises (the protocol of `core.runtime`)."""

    def _make_cell(self, key: str) -> Cell:
        return _PromiseCell(self, key)
