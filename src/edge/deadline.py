"""Promises that are not waited for without end."""

from __future__ import annotations

from typing import Any

import js
from js import Promise
from pyodide.ffi import to_js


class Deadline:
    """Gives up on a promise after a time, with a TimeoutError that begins with `failure`.

    The timer is JavaScript's and goes with the request; one of Pyodide's event loop would stay until its time has come,
    cancelled or not.
    """

    def __init__(self, timeout_ms: int, failure: str) -> None:
        self._timeout_ms = timeout_ms
        self._failure = failure
        # Looked up once: that takes longer than calling them.
        self._race = Promise.race
        self._wait = js.scheduler.wait

    async def value(self, promise: Any) -> Any:
        """What a promise gives; it must not be undefined, as the timer's value is."""
        found = await self._race(to_js([promise, self._wait(self._timeout_ms)]))
        if found is None:
            raise TimeoutError(f"{self._failure} within {self._timeout_ms} ms")
        return found
