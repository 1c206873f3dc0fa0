"""Work that outlives the answer of the request that began it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from cache.ports import Log

# The execution context of the request that the running code belongs to.
_context: ContextVar[Any] = ContextVar("execution context")


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
        # A task, begun here, inherits the request's variables; by itself it would be dropped with the answer.
        _context.get().waitUntil(asyncio.ensure_future(self._guarded(work, what)))

    async def _guarded(self, work: Awaitable[object], what: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            self._log.event("error", "background.failed", what=what, error=f"{type(error).__name__}: {error}")
