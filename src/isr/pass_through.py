"""Answering without the cache: by the page handler alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isr.answer import NO_PAGE, NOT_FOUND, passed_answer
from isr.lookup import is_below
from pages.handler import PageError
from seed.index import PRERENDER_FOLDER

if TYPE_CHECKING:
    from cache.ports import Log
    from isr.answer import Answer
    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest


class PassThrough:
    """Stands in for the page cache while it cannot be told which pages there are."""

    def __init__(self, pages: PageHandler, log: Log) -> None:
        self._pages = pages
        self._log = log

    async def answer(self, request: PageRequest) -> Answer:
        """Answer a request. Never raises."""
        if is_below(request.path, PRERENDER_FOLDER):
            return NOT_FOUND
        response = await ask(self._pages, request, self._log)
        return NO_PAGE if response is None else passed_answer(response)


async def ask(pages: PageHandler, request: PageRequest, log: Log) -> PageResponse | None:
    """The page handler's answer to a visitor's request; None where it failed, which is logged."""
    try:
        return await pages.answer(request)
    except PageError as error:
        log.event("error", "page.failed", path=request.path, error=str(error))
        return None
