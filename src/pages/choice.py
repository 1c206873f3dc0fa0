"""Which page handler the Worker uses: by the setting, or by a call in the site's own code."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from cache.errors import InvalidArgumentError, VinextWorkerError
from cache.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from pages.handler import PageHandler

SETTING_FORMS = "service:NAME with the name of a service binding, asgi:module:app or module:function"


class PageHandlerError(VinextWorkerError):
    """The page handler cannot be used; the message names it and says what is wrong with it."""


@frozen
class ServiceChoice:
    """Another Worker, by the name of its binding."""

    name: str


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


PageChoice: TypeAlias = "ServiceChoice | AsgiChoice | FunctionChoice | OwnChoice"


@frozen
class HandlerName:
    """The setting `VINEXT_PAGE_HANDLER`, not yet looked up; `module` "" for a service."""

    kind: str
    module: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> HandlerName:
        """Read the setting; raises ValueError saying what is allowed."""
        kind, _, rest = text.partition(":")
        module, colon, attribute = rest.partition(":")
        if kind == "service" and rest and not colon:
            return cls("service", "", rest)
        if kind == "asgi" and _is_dotted(module) and _is_dotted(attribute):
            return cls("asgi", module, attribute)
        if kind not in {"service", "asgi"} and not colon and _is_dotted(kind) and _is_dotted(rest):
            return cls("function", kind, rest)
        raise ValueError(SETTING_FORMS)

    def __str__(self) -> str:
        if self.kind == "service":
            return f"service:{self.attribute}"
        return f"asgi:{self.module}:{self.attribute}" if self.kind == "asgi" else f"{self.module}:{self.attribute}"

    def load(self) -> PageChoice:
        """Import what is named; raises PageHandlerError, naming it."""
        if self.kind == "service":
            return ServiceChoice(self.attribute)
        try:
            module = import_module(self.module)
        except Exception as error:
            raise PageHandlerError(f"the page handler {self} cannot be imported: {type(error).__name__}: {error}") from error
        found: Any = module
        for name in self.attribute.split("."):
            if not hasattr(found, name):
                raise PageHandlerError(f"the page handler {self} does not exist: {self.module} has no {self.attribute}")
            found = getattr(found, name)
        static_paths = getattr(module, "static_paths", None)
        if self.kind == "asgi":
            return _asgi(found, str(self), static_paths)
        return _function(found, str(self), static_paths)


class _Chosen:
    choice: PageChoice | None = None


def use_asgi(app: Callable[..., Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let an ASGI app make the pages; raises PageHandlerError where it is none."""
    _Chosen.choice = _asgi(app, _name(app), static_paths)


def use_function(function: Callable[[Any], Any], *, static_paths: Callable[[], Any] | None = None) -> None:
    """Let a function make the pages; raises PageHandlerError where it does not take one request."""
    _Chosen.choice = _function(function, _name(function), static_paths)


def use_pages(handler: PageHandler | None) -> None:
    """Let a handler of the site's own make the pages; None gives the choice back to the setting."""
    if handler is not None and not all(callable(getattr(handler, name, None)) for name in ("answer", "render")):
        raise InvalidArgumentError("handler", handler, "a PageHandler, which has answer and render")
    _Chosen.choice = None if handler is None else OwnChoice(handler)


def chosen_pages() -> PageChoice | None:
    """What was chosen in code, None where nothing was."""
    return _Chosen.choice


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


def _is_dotted(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))
