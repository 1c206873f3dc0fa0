"""Code that waits in place, for another thread or for a time, in a Worker, which has one thread.

Python's own locks would hold it for ever, and no time-out could end that. Here code switches stacks while it waits (`run_sync`):
other requests go on, among them what it waits for, and the page handler's time-out. That ends the wait, too: a stack that nobody
resumes, because its request is over, may crash Python in a later request ("memory access out of bounds"). So Pyodide's own
`time.sleep`, which switches stacks once for the whole time, is replaced.

Two names that the standard library keeps private are in use: `threading._allocate_lock`, from which `Condition.wait` takes its
lock, and `queue._PySimpleQueue`. Without one of them, what uses it waits as before.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import Any, NoReturn

from pyodide.ffi import can_run_sync, run_sync

_PAUSES_SECONDS = (0.005, 0.01, 0.02, 0.05)
"""The time between two looks; the last one is repeated. A shorter one would let no I/O progress."""

_block = time.sleep


class SwitchingLock:
    """A lock in the place of `threading.Lock`, whose waiters switch stacks."""

    def __init__(self) -> None:
        self._is_locked = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - the names of `threading.Lock`
        if self._is_locked and blocking:
            self._wait(timeout)
        if self._is_locked:
            return False
        self._is_locked = True
        return True

    def release(self) -> None:
        if not self._is_locked:
            raise RuntimeError("release unlocked lock")
        self._is_locked = False

    def locked(self) -> bool:
        return self._is_locked

    def _at_fork_reinit(self) -> None:
        """Be free again; `concurrent.futures` hands this to `os.register_at_fork`."""
        self._is_locked = False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()

    def _wait(self, timeout: float) -> None:
        """Wait until the lock is free or the time is over."""
        if not can_run_sync():
            if timeout < 0:
                raise RuntimeError("this lock is held, and no other thread can release it: it would be waited for forever")
            return
        deadline = None if timeout < 0 else time.monotonic() + timeout
        looks = 0
        while self._is_locked and (deadline is None or time.monotonic() < deadline):
            _pause(_PAUSES_SECONDS[min(looks, len(_PAUSES_SECONDS) - 1)])
            looks += 1


def _sleep(seconds: float, /) -> None:
    """Wait as `time.sleep` does."""
    if not seconds > 0 or not can_run_sync():
        _block(seconds)
        return
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _pause(min(left, _PAUSES_SECONDS[-1]))


def _pause(seconds: float) -> None:
    """Let others go on for a moment. Raise CancelledError once nobody wants the task's result any more."""
    run_sync(asyncio.sleep(seconds))
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _cannot_start(thread: threading.Thread) -> NoReturn:
    raise RuntimeError(
        f"{thread.name} cannot be started: a Worker has one thread; call the function in place, or give a coroutine to waitUntil"
    )


def switch_instead_of_blocking() -> None:
    """Make what waits in place switch stacks: sleep, conditions, events, queues, futures, and locks made from now on."""
    names: Any = threading
    names._allocate_lock = names.Lock = SwitchingLock  # noqa: SLF001 - see above
    names.Thread.start = _cannot_start
    time.sleep = _sleep  # type: ignore[assignment]  # an index is for it a number, too
    # The other one waits in C.
    queue.SimpleQueue = getattr(queue, "_PySimpleQueue", queue.SimpleQueue)  # type: ignore[misc]
