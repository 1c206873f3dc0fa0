"""JavaScript functions and promises, as Python calls them and waits for them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import js
from js import Array, Function, Promise

from edge.loop import settled

if TYPE_CHECKING:
    from collections.abc import Awaitable


def bind(function: Any, this: Any, *arguments: Any) -> Any:
    """Return `function.bind(this, ...arguments)`; a Worker may not compile JavaScript."""
    return Function.prototype.bind.call(function, this, *arguments)


def bind_remote(function: Any, *arguments: Any) -> Any:
    """Return `() => function(...arguments)` for a function of another Worker, which is a promise at the same time.

    What `function.bind` gives is one too, and Pyodide would wait for it.
    """
    return bind(Function.prototype.call, function, None, *arguments)


def dispose(result: Any) -> None:
    """Give up what another Worker has returned, as the runtime wants it. The functions in it cannot be called any more."""
    js.Reflect.apply(js.Reflect.get(result, js.Symbol.dispose), result, Array.new())


def binder(function: Any, this: Any) -> Any:
    """Return `(...arguments) => function.bind(this, ...arguments)`."""
    return bind(Function.prototype.bind, function, this)


def results_of(*functions: Any) -> Any:
    """Return `functions.map(f => f())`; results in a JavaScript array stay there, and promises do not become futures."""
    return Array.from_(Array.of(*functions), call())


def result_of(function: Any) -> Awaitable[Any]:
    """Return the value of the promise that a bound function returns."""
    return settled(results_of(function)[0])


@cache
def call() -> Any:
    """Return `f => f()`."""
    return bind(Function.prototype.call, Function.prototype.call)


class Deadline:
    """A time after which a promise is given up, with a TimeoutError whose message begins with `failure`.

    The timer is JavaScript's and ends with the request. A timer of Pyodide's event loop would stay until its time has come,
    cancelled or not.
    """

    def __init__(self, timeout_ms: int, failure: str) -> None:
        self._timeout_ms = timeout_ms
        self._failure = failure
        self._wait = bind(js.scheduler.wait, js.scheduler, timeout_ms)
        self._race = bind(Promise.race, Promise)
        # Kept, because a look-up takes longer than a call.
        self._array_of, self._array_from, self._call = Array.of, Array.from_, call()

    async def value(self, function: Any) -> Any:
        """Return the value of the promise that a bound function returns; only the timer's may be undefined."""
        both = self._array_from(self._array_of(function, self._wait), self._call)
        first = await settled(self._array_from(self._array_of(both), self._race)[0])
        if first is None:
            raise TimeoutError(f"{self._failure} within {self._timeout_ms} ms")
        return first

    async def done(self, function: Any) -> None:
        """Wait for the promise that a bound function returns, whatever its value is."""
        await self.value(bind(Promise.all, Promise, results_of(function)))
