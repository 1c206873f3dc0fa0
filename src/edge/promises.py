"""JavaScript functions and promises, as Python calls them and waits for them."""

from __future__ import annotations

import time
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any

import js
from js import Array, Function, Object, Promise
from pyodide.ffi import to_js

from edge.loop import settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping


def bind(function: Any, this: Any, *arguments: Any) -> Any:
    """Return `function.bind(this, ...arguments)`; a Worker may not compile JavaScript."""
    return _bind()(function, this, *arguments)


@cache
def _bind() -> Any:
    """Return `(f, ...arguments) => f.bind(...arguments)`, kept because each look-up costs as much as a call."""
    return Function.prototype.bind.call(Function.prototype.call, Function.prototype.bind)


def js_object(fields: Mapping[str, object]) -> Any:
    """Return a plain JavaScript object, such as the options of a call."""
    return to_js(fields, dict_converter=Object.fromEntries)


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
    array_of, array_from, call_each = _mapping()
    return array_from(array_of(*functions), call_each)


@cache
def _mapping() -> tuple[Any, Any, Any]:
    return Array.of, Array.from_, call()


def result_of(function: Any) -> Awaitable[Any]:
    """Return the value of the promise that a bound function returns."""
    return settled(results_of(function)[0])


@cache
def call() -> Any:
    """Return `f => f()`."""
    return bind(Function.prototype.call, Function.prototype.call)


class IdleLimit:
    """A limit for promises that are waited for one after another: if for `idle_ms` none of them settles, the next is given up.

    One timer, begun anew with what is left when it ends, serves them all.
    """

    def __init__(self, idle_ms: int) -> None:
        self._idle_seconds = idle_ms / 1000
        self._race = bind(Promise.race, Promise)
        self._moved_at = time.monotonic()
        self._timer = self._begun(self._idle_seconds)

    async def value(self, function: Any) -> Any:
        """Return the value of the promise that a bound function returns, which is not undefined. Raise TimeoutError."""
        pending = results_of(function)
        while True:
            first = await settled(results_of(bind(self._race, None, pending.concat(self._timer)))[0])
            if first is not None:
                self._moved_at = time.monotonic()
                return first
            left = self._moved_at + self._idle_seconds - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._timer = self._begun(left)

    def go_on(self) -> None:
        """Count the time from now on: until now something else was waited for."""
        self._moved_at = time.monotonic()

    @staticmethod
    def _begun(seconds: float) -> Any:
        return results_of(bind(js.scheduler.wait, js.scheduler, ceil(seconds * 1000)))


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
        self._bind_all = binder(Promise.all, Promise)
        # Kept, because a look-up takes longer than a call.
        self._array_of, self._array_from, self._call = Array.of, Array.from_, call()

    async def value(self, function: Any) -> Any:
        """Return the value of the promise that a bound function returns; only the timer's may be undefined."""
        both = self._array_from(self._array_of(function, self._wait), self._call)
        first = await settled(self._array_from(self._array_of(both), self._race)[0])
        if first is None:
            raise TimeoutError(f"{self._failure} within {self._timeout_ms} ms")
        return first

    async def values(self, *functions: Any) -> Any:
        """Return the values of the promises that bound functions return, as a JavaScript array. They are waited for together."""
        return await self.value(self._bind_all(results_of(*functions)))

    async def done(self, function: Any) -> None:
        """Wait for the promise that a bound function returns, whatever its value is."""
        await self.values(function)
