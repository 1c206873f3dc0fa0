"""Promises that are not waited for without end."""

from __future__ import annotations

from typing import Any

import js
from js import Array, Promise

from edge.functions import bind, call, results_of
from edge.steps import settled


class Deadline:
    """Gives up on a promise after a time, with a TimeoutError that begins with `failure`.

    The timer is JavaScript's and goes with the request; one of Pyodide's event loop would stay until its time has come,
    cancelled or not.
    """

    def __init__(self, timeout_ms: int, failure: str) -> None:
        self._timeout_ms = timeout_ms
        self._failure = failure
        self._wait = bind(js.scheduler.wait, js.scheduler, timeout_ms)
        self._race = bind(Promise.race, Promise)
        # Looked up once: that takes longer than calling them.
        self._array_of, self._array_from, self._call = Array.of, Array.from_, call()

    async def value(self, function: Any) -> Any:
        """What the promise gives that a bound function returns; it must not be undefined, as the timer's value is."""
        both = self._array_from(self._array_of(function, self._wait), self._call)
        found = await settled(self._array_from(self._array_of(both), self._race)[0])
        if found is None:
            raise TimeoutError(f"{self._failure} within {self._timeout_ms} ms")
        return found

    async def done(self, function: Any) -> None:
        """Wait for the promise that a bound function returns, whatever it gives."""
        await self.value(bind(Promise.all, Promise, results_of(function)))
