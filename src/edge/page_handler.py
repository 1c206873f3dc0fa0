"""The page handler that the site's code or the setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from pyodide.ffi import JsProxy

from edge.python_pages import AsgiPages, FunctionPages
from edge.service import MissingService, ServicePages
from isr.settings import ImagesSwitch
from pages.choice import AsgiChoice, FunctionChoice, OwnChoice, PageHandlerError, ServiceChoice, chosen_pages
from pages.failed import FailedPages
from pages.timed import TimedPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.runtime import Runtime
    from isr.settings import Settings
    from pages.choice import PageChoice
    from pages.handler import PageHandler


def page_handler(env: Any, settings: Settings, runtime: Runtime) -> PageHandler:
    """Never raises: where the handler cannot be used, every request says why."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError as error:
        return FailedPages(str(error))
    pages = _made(choice, env, runtime)
    return TimedPages(pages, _name(choice), settings.page_timeout_ms) if settings.page_timeout_ms else pages


def _name(choice: PageChoice) -> str:
    match choice:
        case ServiceChoice(name):
            return f"the service {name}"
        case AsgiChoice() | FunctionChoice():
            return choice.name
        case OwnChoice(handler):
            return type(handler).__name__
        case _:
            assert_never(choice)


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


def _made(choice: PageChoice, env: Any, runtime: Runtime) -> PageHandler:
    match choice:
        case ServiceChoice(name):
            binding = getattr(env, name, None)
            return ServicePages(name, binding) if isinstance(binding, JsProxy) else MissingService(name)
        case AsgiChoice():
            return AsgiPages(choice, env, runtime)
        case FunctionChoice():
            return FunctionPages(choice, runtime)
        case OwnChoice(handler):
            return handler
        case _:
            assert_never(choice)
