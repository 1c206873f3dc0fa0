"""The page handler that the site's code or the setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy

from edge.service import MissingService, ServicePages
from isr.settings import ImagesSwitch
from pages.choice import PageHandlerError, ServiceChoice, chosen_pages
from pages.failed import FailedPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.runtime import Runtime
    from isr.settings import Settings
    from pages.handler import PageHandler


def page_handler(env: Any, settings: Settings, runtime: Runtime) -> PageHandler:
    """Never raises: where the handler cannot be used, every request says why."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError as error:
        return FailedPages(str(error))
    if isinstance(choice, ServiceChoice):
        binding = getattr(env, choice.name, None)
        if not isinstance(binding, JsProxy):
            return MissingService(choice.name)
        return ServicePages(choice.name, binding, settings.page_timeout_ms)
    from edge.python_site import python_pages  # noqa: PLC0415 - a third of the Worker, and of no use to a service

    return python_pages(choice, env, settings.page_timeout_ms, runtime)


def is_python(settings: Settings) -> bool:
    """Whether code in this Worker makes the pages."""
    return chosen_pages() is not None or settings.page_handler.kind != "service"


def static_paths(settings: Settings) -> Callable[[], Any] | None:
    """The site's function that lists the paths to pre-render, None where it has none."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError:
        return None
    return getattr(choice, "static_paths", None)  # an app or a function may have one


def has_images(settings: Settings, *, has_binding: bool) -> bool:
    """Whether the image endpoint is this Worker's; a vinext Worker behind a service has one of its own."""
    if settings.images is not ImagesSwitch.AUTO:
        return settings.images is ImagesSwitch.ON
    return has_binding or is_python(settings)
