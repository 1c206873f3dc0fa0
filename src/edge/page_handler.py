"""The page handler that the site's code or the setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from pyodide.ffi import JsProxy

from edge.python_pages import AsgiPages, FunctionPages
from edge.service import MissingService, ServicePages
from edge.steps import enter_site_code
from isr.settings import ImagesSwitch
from pages.choice import AsgiChoice, FunctionChoice, OwnChoice, PageHandlerError, ServiceChoice, chosen_pages
from pages.failed import FailedPages
from pages.timed import TimedPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.runtime import Runtime
    from isr.settings import Settings
    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest, RenderRequest


def page_handler(env: Any, settings: Settings, runtime: Runtime) -> PageHandler:
    """Never raises: where the handler cannot be used, every request says why."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError as error:
        return FailedPages(str(error))
    timeout_ms = settings.page_timeout_ms
    match choice:
        case ServiceChoice(name):
            binding = getattr(env, name, None)
            return ServicePages(name, binding, timeout_ms) if isinstance(binding, JsProxy) else MissingService(name)
        case AsgiChoice():
            return _site_code(AsgiPages(choice, env, runtime), choice.name, timeout_ms)
        case FunctionChoice():
            return _site_code(FunctionPages(choice, runtime), choice.name, timeout_ms)
        case OwnChoice(handler):
            return _site_code(handler, type(handler).__name__, timeout_ms)
        case _:
            assert_never(choice)


def _site_code(pages: PageHandler, name: str, timeout_ms: int) -> PageHandler:
    return _SiteCode(TimedPages(pages, name, timeout_ms) if timeout_ms else pages)


def static_paths(settings: Settings) -> Callable[[], Any] | None:
    """The site's function that lists the paths to pre-render, None where it has none."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError:
        return None
    return choice.static_paths if isinstance(choice, AsgiChoice | FunctionChoice) else None


def has_images(settings: Settings, *, has_binding: bool) -> bool:
    """Whether the image endpoint is this Worker's; a vinext Worker behind a service has one of its own."""
    if settings.images is not ImagesSwitch.AUTO:
        return settings.images is ImagesSwitch.ON
    return has_binding or chosen_pages() is not None or settings.page_handler.kind != "service"


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
