"""The cache handler that a site brings itself: given in code (`set_cache_handler`), or named by `VINEXT_CACHE_HANDLER`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from cache.handler import CacheHandler, require_handler
from core.errors import CacheHandlerError, InvalidArgumentError, described

if TYPE_CHECKING:
    from cache.keys import KeySchema
    from core.log import Log
    from core.runtime import Background, Clock


@dataclass(frozen=True)
class HandlerContext:
    """What a cache handler is made with, for one site of a Worker.

    `env` has the Worker's bindings and variables. `prefix` keeps the site's entries and tags apart from those of others in the
    same store; it is "" where there are no others. `schema` says how the site's tags are written. `default` returns the cache
    that the Worker would use without a handler of the site's own, the same one each time.
    """

    env: Any
    prefix: str
    schema: KeySchema
    clock: Clock
    background: Background
    log: Log
    default: Callable[[], CacheHandler]


HandlerFactory: TypeAlias = Callable[[HandlerContext], CacheHandler]
"""Makes the cache handler of one site: a class, or a function."""


@dataclass(frozen=True)
class HandlerName:
    """A HandlerFactory by its name, which is imported when it is called: `module:Class`."""

    module: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> HandlerName:
        """Read the setting. Raise ValueError that says what is allowed."""
        module, _, attribute = text.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
            raise ValueError("module:Class, or module:function, of a module beside the entry")
        return cls(module, attribute)

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    def __call__(self, context: HandlerContext) -> CacheHandler:
        """Make the handler. Raise CacheHandlerError if there is no such class."""
        try:
            factory = attrgetter(self.attribute)(import_module(self.module))
        except Exception as error:
            raise CacheHandlerError(f"the cache handler {self} cannot be imported: {described(error)}") from error
        return _made(factory, str(self), context)


def set_cache_handler(handler: CacheHandler | HandlerFactory | None) -> None:
    """Make the Worker keep pages and data in `handler`; None returns the choice to the settings. Call it at the top level.

    A class, or a function, makes a handler for each site. A handler itself is for a Worker of one site. Raise
    InvalidArgumentError for anything else.
    """
    if handler is not None and not _is_factory(handler):
        require_handler("handler", handler)
    _Current.handler = handler


def get_cache_handler() -> CacheHandler | HandlerFactory | None:
    """Return what was set, or None."""
    return _Current.handler


def made_handler(handler: CacheHandler | HandlerFactory, context: HandlerContext, *, is_shared: bool) -> CacheHandler:
    """Return the handler of one site; `is_shared`: the Worker has several. Raise CacheHandlerError if it cannot be used."""
    if isinstance(handler, HandlerName):
        return handler(context)
    if _is_factory(handler):
        return _made(handler, getattr(handler, "__qualname__", repr(handler)), context)
    if is_shared:
        raise CacheHandlerError(
            f"the cache handler {type(handler).__name__} cannot keep the sites of VINEXT_TENANTS apart; "
            "give set_cache_handler the class, which then makes one for each site"
        )
    return handler  # type: ignore[return-value]  # `set_cache_handler` has looked


def _is_factory(handler: object) -> bool:
    return isinstance(handler, type) or (callable(handler) and not callable(getattr(handler, "get", None)))


def _made(factory: Any, name: str, context: HandlerContext) -> CacheHandler:
    try:
        handler: CacheHandler = factory(context)
    except Exception as error:
        raise CacheHandlerError(f"the cache handler {name} raised {described(error)}") from error
    try:
        require_handler(name, handler)
    except InvalidArgumentError as error:
        raise CacheHandlerError(f"the cache handler {error}") from error
    return handler


class _Current:
    handler: CacheHandler | HandlerFactory | None = None
