"""Work that outlives the answer of the request that began it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from js import Promise

from edge.steps import begin, is_site_code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from cache.ports import Log

T = TypeVar("T")

# The execution context of the request that the running code belongs to.
_context: ContextVar[Any] = ContextVar("execution context")
_is_in_background: ContextVar[bool] = ContextVar("in the background", default=False)


def enter_request(context: Any) -> None:
    """Let the background work of the current request be kept alive by its execution context."""
    _context.set(context)


def keep_alive_until(promise: Any) -> None:
    """Keep the current request's context alive until a JavaScript promise is settled."""
    _context.get().waitUntil(promise)


class RequestBackground:
    """Background work by `waitUntil` (the protocol of `cache.ports`)."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def run(self, work: Awaitable[object], what: str) -> None:
        # What is begun here inherits the request's variables; by itself it would be dropped with the answer.
        if is_site_code():
            _context.get().waitUntil(asyncio.ensure_future(self._guarded(work, what)))
            return
        done = Promise.withResolvers()
        _context.get().waitUntil(done.promise)
        begin(self._until_done(work, what, done.resolve))

    async def finish(self, work: Coroutine[Any, Any, T], what: str) -> T:
        if _is_in_background.get():
            return await work
        task = asyncio.ensure_future(work)
        self.run(task, what)
        return await asyncio.shield(task)

    async def _until_done(self, work: Awaitable[object], what: str, done: Callable[[], object]) -> None:
        _is_in_background.set(True)
        try:
            await self._guarded(work, what)
        finally:
            done()

    async def _guarded(self, work: Awaitable[object], what: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            self._log.event("error", "background.failed", what=what, error=f"{type(error).__name__}: {error}")
