"""How long the page handler takes for one request that is debugged (`edge.app`)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pages.stages import Question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest, RenderRequest
    from pages.stages import StagedPages, Step

T = TypeVar("T")

DEBUG_HEADER = "x-vinext-debug"
"""The header of a request that is debugged: the token of the endpoints of operators."""

REASON_HEADER = "X-Vinext-Cache-Reason"


class Stopwatch:
    """Measures the page handler, whose answer has begun when its headers are there."""

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self._timer = timer
        self._handler_ms: float | None = None

    async def time(self, work: Awaitable[T]) -> T:
        """Wait for work of the page handler."""
        started = self._timer()
        try:
            return await work
        finally:
            self._handler_ms = (self._handler_ms or 0) + (self._timer() - started) * 1000

    def server_timing(self, took_ms: Mapping[str, float]) -> str:
        """Return the value of `Server-Timing`, with some phases before the page handler's."""
        handler = {} if self._handler_ms is None else {"handler": self._handler_ms}
        return ", ".join(f"{name};dur={ms:.1f}" for name, ms in ({**took_ms, **handler}).items())


class TimedHandler:
    """A page handler under a stopwatch. Renders for the cache go on after the answer, and are not measured."""

    def __init__(self, pages: PageHandler, watch: Stopwatch) -> None:
        self._pages = pages
        self._watch = watch

    async def answer(self, request: PageRequest) -> PageResponse:
        """See PageHandler."""
        return await self._watch.time(self._pages.answer(request))

    async def render(self, request: RenderRequest) -> PageResponse:
        """See PageHandler."""
        return await self._pages.render(request)


class TimedStages(TimedHandler):
    """A page handler in stages under a stopwatch."""

    def __init__(self, pages: StagedPages, watch: Stopwatch) -> None:
        super().__init__(pages, watch)
        self._stages = pages

    async def serve(self, request: PageRequest, offer: str) -> Step:
        """See StagedPages."""
        return self._step(await self._watch.time(self._stages.serve(request, offer)))

    def _step(self, step: Step) -> Step:
        if not isinstance(step, Question):
            return step
        resume = step.resume

        async def resumed(offer: str) -> Step:
            return self._step(await self._watch.time(resume(offer)))

        return replace(step, resume=resumed)
