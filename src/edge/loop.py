"""The event loop, and the steps of a request that do without it.

Pyodide's loop runs each callback in a JavaScript task of its own, on a stack that can be switched (`run_sync`). A coroutine
that never waits takes three of these tasks, and each promise it waits for takes four more: most of the cost of an answer from
the cache. So a request begins as soon as the runtime calls it, resumes as soon as its promise settles, and answers as soon as
it ends.

Such a step must not switch stacks. So `enter_site_code` comes before a site's own code: from there on the request uses the
loop as usual.

Only this module knows names that Python, Pyodide and the SDK keep private (but for two of `threading` and `queue`, in
`edge.python.threads`), and production pins none of the three. The first request tries each name, and where one is not as it was,
the Worker goes on without it: ordinary `await`, ordinary tasks, the plain response. The names, as read off Python 3.14.2,
Pyodide 314.0.6 and workers-runtime-sdk 1.9.5:

- `asyncio._set_running_loop(loop)` sets the running loop of the current thread state. Pyodide's `WebLoop` calls it before
  each callback, and `_Settling` is in the place of one. Without it: ordinary `await`.
- `_asyncio_future_blocking`, an attribute, tells a task that an awaited object is a future (`asyncio.isfuture`,
  `Task.__step`). Without it: ordinary `await`.
- `asyncio.Task(…, eager_start=True)` runs a coroutine up to its first wait. Public since Python 3.12, but Pyodide's
  `WebLoop.create_task` drops the option. Without it: ordinary tasks.
- `loop.create_task`, replaced on Pyodide's loop. Pyodide passes every coroutine that JavaScript waits for to it, by way of
  `asyncio.ensure_future`, and then calls `add_done_callback` and `result` alone. A task factory would be the public way, but
  `WebLoop.create_task` then calls `asyncio.tasks._set_task_name`, which Python 3.14 has no more. Without it: ordinary tasks.
- The coroutine of the task that the first request runs in, whose second argument is the entrypoint. The runtime runs each request
  in a coroutine of the same code, and each call of a Durable Object or of another entrypoint, too: those are not for this module,
  because any code may be in them. Without it: ordinary tasks.
- `workers.rpc._BindingWrapper` holds a JavaScript object that `python_to_rpc` takes out as it is; it looks closely at
  everything else that leaves Python, which is a fifteenth of an answer from memory. Without it: the plain response.
- `_env`, an attribute of the SDK's wrapper of the bindings, holds the raw bindings. Without it: the bindings that
  `import_from_javascript` gives.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import workers
from js import Object, Promise
from pyodide.ffi import JsProxy, create_proxy

from core.errors import described

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from contextvars import Context
    from types import CodeType

_is_site_code: ContextVar[bool] = ContextVar("site code", default=False)


class _Shortcuts:
    """The private names in use: none of them before the first request has tried them."""

    is_direct = False
    wrap_response: Callable[[Any], Any] | None = None


def is_direct() -> bool:
    """Return whether the running code takes its steps without the loop."""
    return _Shortcuts.is_direct and not _is_site_code.get()


def settled(promise: Any) -> Awaitable[Any]:
    """Return the value of a JavaScript promise; raise its rejection.

    The promise is an attribute or an item of a JavaScript object: Pyodide makes a future of one that a function returns.
    """
    return _Settling(promise) if _Shortcuts.is_direct and not _is_site_code.get() else promise


def begin(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin work beside the running code, which must be direct. The work raises nothing, and nobody waits for its end."""
    return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)  # type: ignore[call-arg]  # since 3.12


async def enter_site_code() -> None:
    """Go on in a step of the loop, where stacks can be switched, and use the loop from here on."""
    if not _is_site_code.get():
        _is_site_code.set(True)
        await asyncio.sleep(0)


def as_it_is(response: Any) -> Any:
    """Return a raw response in the form that leaves Python soonest."""
    return response if _Shortcuts.wrap_response is None else _Shortcuts.wrap_response(response)


def raw_env(env: Any) -> Any:
    """Return the raw bindings out of the SDK's wrapper."""
    raw = getattr(env, "_env", None)
    return raw if isinstance(raw, JsProxy) else workers.import_from_javascript("cloudflare:workers").env


async def take_shortcuts(env: Any, *, begins_requests: bool) -> str | None:
    """Use every private name that passes its trial; return what is wrong with the others, None where all pass.

    Called in the first request. With `begins_requests`, later requests begin as soon as the runtime calls them.
    """
    reasons = [_try_env(env), _try_wrapper(), await _try_steps(begins_requests=begins_requests)]
    return "; ".join(filter(None, reasons)) or None


def _try_env(env: Any) -> str | None:
    return None if isinstance(getattr(env, "_env", None), JsProxy) else "the SDK's bindings have no _env"


def _try_wrapper() -> str | None:
    try:
        wrapper = workers.rpc._BindingWrapper  # noqa: SLF001 - this module's subject
        sample = Object.new()
        if workers.python_to_rpc(wrapper(sample)) is not sample:
            return "the SDK does not pass on what its _BindingWrapper holds"
    except Exception as error:  # noqa: BLE001 - whatever it is, the plain response works
        return described(error)
    _Shortcuts.wrap_response = wrapper
    return None


async def _try_steps(*, begins_requests: bool) -> str | None:
    requests: _Requests | None = None
    reason: str | None = None
    if begins_requests:
        try:
            requests = _Requests(asyncio.get_running_loop(), asyncio.current_task())
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop works
            reason = described(error)
    trial = _Trial()
    reason = await trial.reason(requests) or reason
    _Shortcuts.is_direct = trial.has_settled
    if requests is not None and reason is not None:
        requests.stop()
    return reason


class _Trial:
    """A run of steps without the loop, which may fail in any way, and may never end."""

    _MAX_TURNS = 50

    def __init__(self) -> None:
        self.has_settled = False
        self._is_begun = False
        self._is_over = False
        self._error: Exception | None = None

    async def reason(self, requests: _Requests | None) -> str | None:
        """Return why the trial failed, None where it passed."""
        run = self._run(requests)
        try:
            task = begin(run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop works
            run.close()
            return described(error)
        if self._is_begun:
            # A trial that passes takes microtasks alone, and they all run before the loop's next turn or two.
            for _ in range(self._MAX_TURNS):
                if self._is_over:
                    return None if self._error is None else described(self._error)
                await asyncio.sleep(0)
        self._is_over = True
        _abandoned.append(task)
        return "a task did not resume when its promise settled" if self._is_begun else "an eager task did not begin"

    async def _run(self, requests: _Requests | None) -> None:
        self._is_begun = True
        try:
            await self._settle()
            self.has_settled = True
            if requests is not None and not self._is_over:
                await requests.begin_sample()
        except Exception as error:  # noqa: BLE001 - the reason
            self._error = error
        self._is_over = True

    async def _settle(self) -> None:
        """Wait for a fulfilled promise and for a rejected one. Raises where a result is wrong."""
        task = asyncio.current_task()
        asyncio._set_running_loop(asyncio.get_running_loop())  # noqa: SLF001 - in a callback its error would not be seen
        _trial.set(self)
        fulfilled, rejected = Promise.withResolvers(), Promise.withResolvers()
        fulfilled.resolve(_SAMPLE)
        rejected.reject(_SAMPLE)
        _require_sample(await _Settling(fulfilled.promise))
        try:
            await _Settling(rejected.promise)
        except RuntimeError as error:
            if str(_SAMPLE) not in str(error):
                raise
        else:
            raise RuntimeError("a rejected promise raised nothing")
        if asyncio.current_task() is not task or _trial.get(None) is not self:
            raise RuntimeError("a task resumed outside itself")


_SAMPLE = 5_104_230

_trial: ContextVar[_Trial | None] = ContextVar("trial")

_abandoned: list[asyncio.Task[Any]] = []
"""Tasks that do not end, kept because asyncio complains of one that is collected."""


def _require_sample(value: object) -> None:
    if value != _SAMPLE:
        raise RuntimeError(f"a promise of {_SAMPLE} gave {value!r}")


async def _sample() -> int:
    """Stand for a request."""
    return _SAMPLE


class _Requests:
    """The loop's `create_task` that begins the coroutines of requests as soon as JavaScript calls them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, task: Any) -> None:
        """Take the task of a request: the runtime runs the others in coroutines of the same code."""
        self._loop = loop
        self._create_task = loop.create_task
        self._code: CodeType = task.get_coro().cr_code
        self._instance = self._code.co_varnames[1]
        self._kind: type | None = type(task.get_coro().cr_frame.f_locals[self._instance])
        self._has_begun = False

    async def begin_sample(self) -> None:
        """Begin now, and let JavaScript wait for a sample. Raises where that is not as it was."""
        code, kind, self._code, self._kind = self._code, self._kind, _sample.__code__, None
        self._loop.create_task = self._begin  # type: ignore[assignment, method-assign]
        waiting = Promise.withResolvers()
        sample = create_proxy(_sample())
        waiting.resolve(sample)
        _require_sample(await _Settling(waiting.promise))
        sample.destroy()
        if not self._has_begun:
            raise RuntimeError("the loop's create_task is not called")
        self._code, self._kind = code, kind

    def stop(self) -> None:
        """Leave all coroutines to the loop again."""
        with suppress(AttributeError):
            del self._loop.create_task  # the class has one, too

    def _begin(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
        is_call = getattr(coroutine, "cr_code", None) is self._code and asyncio.current_task(self._loop) is None
        if is_call and self._is_ours(coroutine):
            self._has_begun = True
            return _Begun(coroutine)
        return self._create_task(coroutine, **options)

    def _is_ours(self, coroutine: Any) -> bool:
        """Return whether a call is one of the entrypoint: of what the runtime calls, only its class is this module's affair."""
        return self._kind is None or type(coroutine.cr_frame.f_locals[self._instance]) is self._kind


class _Begun:
    """A coroutine that has begun, as a future for Pyodide: the step that ends the coroutine calls the callbacks."""

    __slots__ = ("_callbacks", "_error", "_is_done", "_result", "_task")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._callbacks: list[Callable[[_Begun], object]] = []
        self._is_done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._task = begin(self._run(coroutine))

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
    """A promise as a task waits for a future: the task resumes within the promise's own callback."""

    __slots__ = ("_asyncio_future_blocking", "_context", "_error", "_loop", "_promise", "_result", "_wake_up")

    def __init__(self, promise: Any) -> None:
        self._promise = promise
        self._loop = asyncio.get_running_loop()
        self._asyncio_future_blocking = False
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
        """Return False: the task is cancelled when the promise settles, not at once."""
        del msg
        return False

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    def _fulfilled(self, result: Any) -> None:
        self._result = result
        self._resume()

    def _rejected(self, error: object) -> None:
        self._error = error if isinstance(error, BaseException) else RuntimeError(f"rejected with {error}")
        self._resume()

    def _resume(self) -> None:
        # Stack switching gives each call a thread state of its own, which may not know the loop yet.
        asyncio._set_running_loop(self._loop)  # noqa: SLF001 - this module's subject
        self._context.run(self._wake_up, self)
