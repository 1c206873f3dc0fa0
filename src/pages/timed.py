"""A page handler that must begin its answer within a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest, RenderRequest

T = TypeVar("T")


class TimedPages:
    """Gives up on a handler that has not begun to answer after `timeout_ms`; its body may take longer."""

    def __init__(self, pages: PageHandler, name: str, timeout_ms: int) -> None:
        self._pages = pages
        self._name = name
        self._timeout_ms = timeout_ms

    async def answer(self, request: PageRequest) -> PageResponse:
        return await self._within(self._pages.answer(request))

    async def render(self, request: RenderRequest) -> PageResponse:
        return await self._within(self._pages.render(request))

    async def _within(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await asyncio.wait_for(work, self._timeout_ms / 1000)
        except TimeoutError as error:
            raise PageError(f"{self._name} did not begin to answer within {self._timeout_ms} ms") from error
