"""`asyncio.Lock` and `asyncio.Semaphore` in requests that share them, as those of a module.

A task that waits for a lock waits for a future, which the release settles within the request that has had the lock. There the
task would go on, where it may not use its own connections, and would end with that request, so that nobody could have the lock
any more. So a task looks again and again until no other request has the lock, or waits for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge.runtime import request_context

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSES_SECONDS = (0.005, 0.01, 0.02, 0.05)
"""The time between two looks; the last one is repeated. A shorter one would let no I/O progress."""


def share_locks() -> None:
    """Let requests share the locks and semaphores that there are and will be."""
    if not hasattr(asyncio.Lock, _REQUESTS):
        _share(asyncio.Lock, lambda _lock: True)
        _share(asyncio.Semaphore, asyncio.Semaphore.locked)


_REQUESTS = "_requests"


def _share(kind: Any, is_taken: Callable[[Any], bool]) -> None:
    """Adapt a class. With `is_taken` False, `acquire` does not wait, whoever else has been let in."""
    acquire, release = kind.acquire, kind.release

    async def acquire_in_turn(self: Any) -> Any:
        request, looks = request_context(), 0
        while is_taken(self) and any(other is not request for other in self._requests):
            await asyncio.sleep(_PAUSES_SECONDS[min(looks, len(_PAUSES_SECONDS) - 1)])
            looks += 1
        # A tuple of its own: that of the class stays empty.
        self._requests = (*self._requests, request)
        try:
            return await acquire(self)
        except BaseException:
            leave(self)
            raise

    def release_and_leave(self: Any) -> None:
        release(self)
        leave(self)

    def leave(self: Any) -> None:
        others = list(self._requests)
        if others:
            request = request_context()
            others.remove(request if request in others else others[0])
        self._requests = tuple(others)

    kind.acquire, kind.release = acquire_in_turn, release_and_leave
    setattr(kind, _REQUESTS, ())
