"""The steps of a request, taken at once instead of through Pyodide's event loop.

The loop runs each callback in a JavaScript task of its own, on a stack that can be switched (`run_sync`). A coroutine that
never waits goes through three of them, and a promise it waits for costs four more: that is most of what an answer from the
cache would cost. So a request begins as soon as it is there, goes on in the very moment its promise is settled, and hands out
its answer likewise.

Nothing in such a step may switch stacks. That is why a site's own code is entered by `enter_site_code`: from there on
everything goes through the loop as usual.


JavaScript functions made of others: a Worker may not compile JavaScript, and what stays there need not cross into Python.

Promises that are not waited for without end.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

import js
from js import Array, Function, Promise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from contextvars import Context
    from types import CodeType

_is_site_code: ContextVar[bool] = ContextVar("site code", default=False)


def begin_at_once(code: CodeType) -> None:
    """Begin every coroutine of `code` that JavaScript calls as soon as it is called, and answer JavaScript as soon as it ends."""
    loop = asyncio.get_running_loop()
    create_task = loop.create_task

    def begin(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
        if getattr(coroutine, "cr_code", None) is code and asyncio.current_task(loop) is None:
            return _Begun(coroutine, loop)
        return create_task(coroutine, **options)

    # A task factory would be the way, but Pyodide 314 calls a function for it that Python 3.14 has no more.
    loop.create_task = begin  # type: ignore[assignment, method-assign]


def settled(promise: Any) -> Awaitable[Any]:
    """What a JavaScript promise gives; raises what it is rejected with.

    The promise is an attribute or an item of a JavaScript object: of one that a function returns, Pyodide makes a future.
    """
    if _is_site_code.get():
        ordinary: Awaitable[Any] = promise
        return ordinary
    return _Settling(promise)


def begin(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Begin work beside what runs now. Nothing is raised in here, and nobody waits for its end."""
    asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)  # type: ignore[call-arg]  # since 3.12


def is_site_code() -> bool:
    """Whether a site's own code has been entered."""
    return _is_site_code.get()


async def enter_site_code() -> None:
    """Go on in a step of the event loop, where stacks can be switched, and stay with the loop from here on."""
    if not _is_site_code.get():
        _is_site_code.set(True)
        await asyncio.sleep(0)


class _Begun:
    """A coroutine that has begun, as a future for Pyodide: its callbacks are called by the step that ends it."""

    __slots__ = ("_callbacks", "_error", "_is_done", "_result", "_task")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
        self._callbacks: list[Callable[[_Begun], object]] = []
        self._is_done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._task = asyncio.Task(self._run(coroutine), loop=loop, eager_start=True)  # type: ignore[call-arg]  # since 3.12

    def add_done_callback(self, callback: Callable[[_Begun], object]) -> None:
        if self._is_done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    async def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self._result = await coroutine
        except BaseException as error:  # noqa: BLE001 - JavaScript is told
            self._error = error
        self._is_done = True
        for callback in self._callbacks:
            callback(self)
        self._callbacks.clear()


class _Settling:
    """A promise as a task waits for a future: the task goes on within the promise's own callback."""

    __slots__ = ("_asyncio_future_blocking", "_context", "_error", "_loop", "_promise", "_result", "_wake_up")

    def __init__(self, promise: Any) -> None:
        self._promise = promise
        self._loop = asyncio.get_running_loop()
        self._asyncio_future_blocking = False  # how a task tells a future from anything else
        self._result: Any = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[_Settling, None, Any]:
        self._asyncio_future_blocking = True
        yield self
        return self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, wake_up: Callable[[_Settling], object], *, context: Context) -> None:
        self._wake_up = wake_up
        self._context = context
        self._promise.then(self._fulfilled, self._rejected)

    def cancel(self, msg: object = None) -> bool:
        """Not at once: the task is cancelled when the promise is settled."""
        del msg
        return False

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    def _fulfilled(self, result: Any) -> None:
        self._result = result
        self._go_on()

    def _rejected(self, error: object) -> None:
        self._error = error if isinstance(error, BaseException) else RuntimeError(f"rejected with {error}")
        self._go_on()

    def _go_on(self) -> None:
        # Stack switching gives each call a thread state of its own, which may not know the loop yet.
        asyncio._set_running_loop(self._loop)  # noqa: SLF001 - for event loops, and this is in the place of one
        self._context.run(self._wake_up, self)


def bind(function: Any, this: Any, *arguments: Any) -> Any:
    """`function.bind(this, ...arguments)`."""
    return Function.prototype.bind.call(function, this, *arguments)


def binder(function: Any, this: Any) -> Any:
    """`(...arguments) => function.bind(this, ...arguments)`."""
    return bind(Function.prototype.bind, function, this)


def results_of(*functions: Any) -> Any:
    """`functions.map(f => f())`: what they return stays in a JavaScript array, where promises are not made futures of."""
    return Array.from_(Array.of(*functions), call())


def result_of(function: Any) -> Awaitable[Any]:
    """What the promise gives that a bound function returns."""
    return settled(results_of(function)[0])


@cache
def call() -> Any:
    """`f => f()`."""
    return bind(Function.prototype.call, Function.prototype.call)


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
