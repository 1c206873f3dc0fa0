"""Page handlers in Python, as they are chosen: what is named or given is there, and can be one."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cache.errors import InvalidArgumentError
from cache.frozen import frozen
from pages.choice import PageHandlerError, choose_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from pages.choice import HandlerName
    from pages.handler import PageHandler


@frozen
class AsgiChoice:
    """An ASGI app; `static_paths` gives the paths to pre-render."""

    app: Callable[..., Any]
    name: str
    static_paths: Callable[[], Any] | None = None


@frozen
class FunctionChoice:
    """A function of the request; `static_paths` gives the paths to pre-render."""

    function: Callable[[Any], Any]
    name: str
    static_paths: Callable[[], Any] | None = None


@frozen
class OwnChoice:
    """A PageHandler that the site's code made itself."""

    handler: PageHandler


def load_python(name: HandlerName) -> AsgiChoice | FunctionChoice:
    """Import what the setting names; raises PageHandlerError, naming it."""
    try:
        module = import_module(name.module)
    except Exception as error:
        raise PageHandlerError(f"the page handler {name} cannot be imported: {type(error).__name__}: {error}") from error
    found: Any = module
    for part in name.attribute.split("."):
        if not hasattr(found, part):
            raise PageHandlerError(f"the page handler {name} does not exist: {name.module} has no {name.attribute}")
        found = getattr(found, part)
    static_paths = getattr(module, "static_paths", None)
    if name.kind == "asgi":
        return _asgi(found, str(name), static_paths)
    return _function(found, str(name), static_paths)


def use_asgi(app: Callable[..., Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let an ASGI app make the pages; raises PageHandlerError where it is none."""
    choose_pages(_asgi(app, _name(app), static_paths))


def use_function(function: Callable[[Any], Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let a function make the pages; raises PageHandlerError where it does not take one request."""
    choose_pages(_function(function, _name(function), static_paths))


def use_pages(handler: PageHandler | None) -> None:
    """Let a handler of the site's own make the pages; None gives the choice back to the setting."""
    if handler is not None and not all(callable(getattr(handler, name, None)) for name in ("answer", "render")):
        raise InvalidArgumentError("handler", handler, "a PageHandler, which has answer and render")
    choose_pages(None if handler is None else OwnChoice(handler))


def _asgi(app: Any, name: str, static_paths: Any) -> AsgiChoice:
    if not callable(app):
        raise PageHandlerError(f"the page handler {name} is not callable: it is a {type(app).__name__}, not an ASGI app")
    return AsgiChoice(app, name, _checked_paths(static_paths, name))


def _function(function: Any, name: str, static_paths: Any) -> FunctionChoice:
    if not callable(function):
        raise PageHandlerError(f"the page handler {name} is not callable: it is a {type(function).__name__}")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise PageHandlerError(
            f"the page handler {name} does not take a request as its only argument ({error}); "
            "an ASGI app is named asgi:module:app"
        ) from error
    except ValueError:
        pass  # a callable of C, whose signature is not known
    return FunctionChoice(function, name, _checked_paths(static_paths, name))


def _checked_paths(static_paths: Any, name: str) -> Callable[[], Any] | None:
    if static_paths is None:
        return None
    if not callable(static_paths):
        raise PageHandlerError(f"static_paths beside the page handler {name} is not callable: a {type(static_paths).__name__}")
    found: Callable[[], Any] = static_paths
    return found


def _name(thing: Any) -> str:
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return f"{module}:{getattr(thing, '__qualname__', type(thing).__name__)}"
