"""What a Worker has beside the cache where Python makes the pages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from datacache.cache import DataCache, enter_data_cache
from datacache.fetched import set_fetcher
from edge.fetching import fetch
from edge.python_pages import AsgiPages, FunctionPages
from edge.steps import enter_site_code
from edge.xml_http_request import provide_xml_http_request
from pages.python_choice import AsgiChoice, FunctionChoice, OwnChoice
from pages.timed import TimedPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.handler import CacheHandler
    from cache.keys import KeySchema
    from cache.runtime import Runtime
    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest, RenderRequest


def python_pages(choice: AsgiChoice | FunctionChoice | OwnChoice, env: Any, timeout_ms: int, runtime: Runtime) -> PageHandler:
    """The page handler, and what its code may use: HTTP requests, in whatever way it makes them. `timeout_ms` 0 is none."""
    set_fetcher(fetch)
    provide_xml_http_request()
    pages: PageHandler
    match choice:
        case AsgiChoice(_, name):
            pages = AsgiPages(choice, env, runtime)
        case FunctionChoice(_, name):
            pages = FunctionPages(choice, runtime)
        case OwnChoice(pages):
            name = type(pages).__name__
    return _SiteCode(TimedPages(pages, name, timeout_ms) if timeout_ms else pages)


def data_entrance(handler: CacheHandler, runtime: Runtime, schema: KeySchema) -> Callable[[], None]:
    """What lets a request keep its data in a cache handler."""
    return partial(enter_data_cache, DataCache(handler, runtime, schema))


class _SiteCode:
    """A page handler that runs in this Worker, and may switch stacks."""

    def __init__(self, pages: PageHandler) -> None:
        self._pages = pages

    async def answer(self, request: PageRequest) -> PageResponse:
        await enter_site_code()
        return await self._pages.answer(request)

    async def render(self, request: RenderRequest) -> PageResponse:
        await enter_site_code()
        return await self._pages.render(request)
