"""A runtime whose time only passes where everybody waits, and whose requests end as the platform ends them.

A request that has ended, because its visitor has gone or its background time is over, runs no further step: no timer of it, no
`finally`.
"""

from __future__ import annotations

import asyncio
import selectors
import types
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from core.log import Level

START_MS = 1_700_000_000_000
BACKGROUND_SECONDS = 30
"""How long the platform lets a request go on after its answer."""

T = TypeVar("T")


class StuckError(Exception):
    """Everybody waits for what nobody will do."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait for a time to come: it goes there."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_NoWaiting(self._advance))
        self.set_task_factory(_task)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._now

    def _advance(self, seconds: float | None) -> None:
        if seconds is None:
            raise StuckError("nothing is going to happen any more")
        self._now += seconds


class _NoWaiting(selectors.SelectSelector):
    def __init__(self, advance: Callable[[float | None], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._advance(timeout)
        return []


def now() -> float:
    """Seconds since the run began."""
    return asyncio.get_running_loop().time()


_context: ContextVar[RequestContext | None] = ContextVar("request context", default=None)


@dataclass
class RequestContext:
    """What one request may do, until it is over."""

    is_over: bool = False
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def end(self) -> None:
        self.is_over = True

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a request's work. The tasks that it makes belong to its context as well."""
        token = _context.set(self)
        try:
            return asyncio.ensure_future(work)
        finally:
            _context.reset(token)

    @types.coroutine
    def until_over(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Do the work step by step; once the context is over, no further one."""
        steps: Any = work.__await__()
        step, value = steps.send, None
        while True:
            if self.is_over:
                _graveyard.append(steps)
                yield from asyncio.get_running_loop().create_future()
            try:
                waited_for = step(value)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                step, value = steps.send, (yield waited_for)
            except GeneratorExit:
                # Nobody can wake it any more.
                _graveyard.append(steps)
                raise
            except BaseException as error:  # noqa: BLE001 - it is the work's to handle
                step, value = steps.throw, error


_graveyard: list[object] = []
"""Work that was not finished: closing it would run its `finally`."""


def _task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:
    context = _context.get()
    task = asyncio.Task(work if context is None else _driven(context, work), loop=loop, **options)
    if context is not None:
        context._tasks.add(task)
        task.add_done_callback(context._tasks.discard)
    return task


async def _driven(context: RequestContext, work: Coroutine[Any, Any, T]) -> T:
    return await context.until_over(work)


class Background:
    """Background work of whichever request is running (the protocol of `core.runtime`)."""

    def __init__(self, log: CountingLog) -> None:
        self._log = log

    def run(self, work: Awaitable[object], what: str, limit_ms: int | None = None) -> None:
        asyncio.ensure_future(self._guarded(work, what, limit_ms))  # noqa: RUF006 - the context keeps it

    async def finish(self, work: Coroutine[object, object, T], what: str) -> T:
        task = asyncio.ensure_future(work)
        self.run(task, what)
        return await asyncio.shield(task)

    async def _guarded(self, work: Awaitable[object], what: str, limit_ms: int | None) -> None:
        try:
            await asyncio.wait_for(work, None if limit_ms is None else limit_ms / 1000)
        except TimeoutError:
            self._log.event("warning", "background.given_up", what=what)
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            self._log.event("error", "background.failed", what=what, error=f"{type(error).__name__}: {error}")


@dataclass
class IsolateClock:
    """The clock of an isolate, which may be wrong."""

    offset_ms: int = 0

    def __call__(self) -> int:
        return START_MS + int(now() * 1000) + self.offset_ms


@dataclass
class CountingLog:
    """Counts events, and keeps the last of each kind. `lost` are the keys of invalidations that nobody goes on writing."""

    counts: dict[str, int] = field(default_factory=dict)
    last: dict[str, dict[str, object]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def event(self, level: Level, event: str, **fields: object) -> None:
        name = f"{level} {event}"
        self.counts[name] = self.counts.get(name, 0) + 1
        self.last[name] = fields
        if event == "cache.invalidation_lost":
            self.lost += cast("list[str]", fields["keys"])


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, however long that takes in there."""
    loop = VirtualTimeLoop()
    loop.set_exception_handler(_raise)
    try:
        return loop.run_until_complete(main)
    finally:
        _graveyard.clear()
        loop.close()


def _raise(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is not None and not isinstance(error, asyncio.CancelledError):
        raise error
