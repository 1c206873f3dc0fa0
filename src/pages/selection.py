"""Which page handler the Worker uses: the one that the setting names, or one that the site's own code has given."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from core.errors import InvalidArgumentError, VinextWorkerError, described

if TYPE_CHECKING:
    from collections.abc import Callable

    from pages.handler import PageHandler

SETTING_FORMS = "service:NAME with the name of a service binding, asgi:module:app, wsgi:module:app or module:function"


_GATEWAYS = ("asgi", "wsgi")


class PageHandlerError(VinextWorkerError):
    """The page handler cannot be used; the message names it and says why."""


@dataclass(frozen=True)
class ServiceChoice:
    """Another Worker, by the name of its binding."""

    name: str


PageChoice: TypeAlias = "ServiceChoice | AsgiChoice | WsgiChoice | FunctionChoice | WorkerChoice | OwnChoice"


@dataclass(frozen=True)
class HandlerName:
    """The setting `VINEXT_PAGE_HANDLER`, not yet looked up; `module` "" for a service."""

    kind: str
    module: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> HandlerName:
        """Read the setting. Raise ValueError that says what is allowed."""
        kind, _, rest = text.partition(":")
        module, colon, attribute = rest.partition(":")
        if kind == "service" and rest and not colon:
            return cls("service", "", rest)
        if kind in _GATEWAYS and _is_dotted(module) and _is_dotted(attribute):
            return cls(kind, module, attribute)
        if kind not in {"service", *_GATEWAYS} and not colon and _is_dotted(kind) and _is_dotted(rest):
            return cls("function", kind, rest)
        raise ValueError(SETTING_FORMS)

    def __str__(self) -> str:
        if self.kind == "service":
            return f"service:{self.attribute}"
        prefix = f"{self.kind}:" if self.kind in _GATEWAYS else ""
        return f"{prefix}{self.module}:{self.attribute}"

    def load(self) -> PageChoice:
        """Import the page handler. Raise PageHandlerError, which names it, if it cannot be used."""
        if self.kind == "service":
            return ServiceChoice(self.attribute)
        return load_python(self)


class _Chosen:
    choice: PageChoice | None = None


def choose_pages(choice: PageChoice | None) -> None:
    """Use a page handler, whatever the setting says; None leaves the choice to the setting."""
    _Chosen.choice = choice


def chosen_pages() -> PageChoice | None:
    """Return the page handler that the site's code has given, None if it has given none."""
    return _Chosen.choice


def _is_dotted(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))


@dataclass(frozen=True)
class AsgiChoice:
    """An ASGI app; `static_paths` returns the paths to pre-render."""

    app: Callable[..., Any]
    name: str
    static_paths: Callable[[], Any] | None = None


@dataclass(frozen=True)
class WsgiChoice:
    """A WSGI app; `static_paths` returns the paths to pre-render."""

    app: Callable[..., Any]
    name: str
    static_paths: Callable[[], Any] | None = None


@dataclass(frozen=True)
class FunctionChoice:
    """A function of the request; `static_paths` returns the paths to pre-render."""

    function: Callable[[Any], Any]
    name: str
    static_paths: Callable[[], Any] | None = None


@dataclass(frozen=True)
class WorkerChoice:
    """The entrypoint of a Worker, whose `fetch` answers; `static_paths` returns the paths to pre-render."""

    entrypoint: type[Any]
    name: str
    static_paths: Callable[[], Any] | None = None


@dataclass(frozen=True)
class OwnChoice:
    """A PageHandler of the site's own."""

    handler: PageHandler


def load_python(name: HandlerName) -> AsgiChoice | WsgiChoice | FunctionChoice:
    """Import the app or function that the setting names. Raise PageHandlerError, which names it, if it cannot be used."""
    try:
        module = import_module(name.module)
    except Exception as error:
        raise PageHandlerError(f"the page handler {name} cannot be imported: {described(error)}") from error
    target: Any = module
    for part in name.attribute.split("."):
        if not hasattr(target, part):
            raise PageHandlerError(f"the page handler {name} does not exist: {name.module} has no {name.attribute}")
        target = getattr(target, part)
    static_paths = getattr(module, "static_paths", None)
    if name.kind == "asgi":
        return _asgi(target, str(name), static_paths)
    if name.kind == "wsgi":
        return _wsgi(target, str(name), static_paths)
    return _function(target, str(name), static_paths)


def use_asgi(app: Callable[..., Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let an ASGI app render the pages. Raise PageHandlerError if it is not callable."""
    choose_pages(_asgi(app, _name(app), static_paths))


def use_wsgi(app: Callable[..., Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let a WSGI app, such as one of Flask or Django, render the pages. Raise PageHandlerError if it is not callable."""
    choose_pages(_wsgi(app, _name(app), static_paths))


def use_function(function: Callable[[Any], Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let a function render the pages. Raise PageHandlerError if it does not take a request as its only argument."""
    choose_pages(_function(function, _name(function), static_paths))


def use_worker(entrypoint: type[Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let the entrypoint of a Worker, a class with `fetch`, render the pages. Raise PageHandlerError if it is none."""
    name = _name(entrypoint)
    if not callable(getattr(entrypoint, "fetch", None)):
        raise PageHandlerError(f"the page handler {name} is no entrypoint of a Worker: it must be a class with a method fetch")
    choose_pages(WorkerChoice(entrypoint, name, _checked_paths(static_paths, name)))


def use_pages(handler: PageHandler | None) -> None:
    """Let a page handler of the site's own render the pages; None leaves the choice to the setting."""
    if handler is not None and not all(callable(getattr(handler, name, None)) for name in ("answer", "render")):
        raise InvalidArgumentError("handler", handler, "a PageHandler, which has answer and render")
    choose_pages(None if handler is None else OwnChoice(handler))


def _asgi(app: Any, name: str, static_paths: Any) -> AsgiChoice:
    if not callable(app):
        raise PageHandlerError(f"the page handler {name} is not callable: it is a {type(app).__name__}, not an ASGI app")
    return AsgiChoice(app, name, _checked_paths(static_paths, name))


def _wsgi(app: Any, name: str, static_paths: Any) -> WsgiChoice:
    if not callable(app):
        raise PageHandlerError(f"the page handler {name} is not callable: it is a {type(app).__name__}, not a WSGI app")
    return WsgiChoice(app, name, _checked_paths(static_paths, name))


def _function(function: Any, name: str, static_paths: Any) -> FunctionChoice:
    if not callable(function):
        raise PageHandlerError(f"the page handler {name} is not callable: it is a {type(function).__name__}")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise PageHandlerError(
            f"the page handler {name} does not take a request as its only argument ({error}); "
            "an ASGI app is named asgi:module:app, a WSGI app wsgi:module:app"
        ) from error
    except ValueError:
        pass  # a callable of C, whose signature is not known
    return FunctionChoice(function, name, _checked_paths(static_paths, name))


def _checked_paths(static_paths: Any, name: str) -> Callable[[], Any] | None:
    if static_paths is None:
        return None
    if not callable(static_paths):
        raise PageHandlerError(f"static_paths beside the page handler {name} is not callable: a {type(static_paths).__name__}")
    checked: Callable[[], Any] = static_paths
    return checked


def _name(thing: Any) -> str:
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return f"{module}:{getattr(thing, '__qualname__', type(thing).__name__)}"
