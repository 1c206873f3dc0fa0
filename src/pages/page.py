"""What a site's Python code says of its pages: `Page`, which a function returns, and the decorator `@revalidate`."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from core.errors import InvalidArgumentError
from core.http import require_sendable
from pages.policy import current_rendering, require_periods, require_valid_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pages.policy import Revalidate

_STATUSES = range(200, 600)


@dataclass(frozen=True)
class Page:
    """A whole answer, and how long it may be stored; periods are seconds.

    `revalidate` None leaves the period to `@revalidate`, and without that the page is rendered for each request; with
    False it never gets stale, with 0 it is not stored. A stale page expires `expire` seconds after it was rendered. A text
    is sent as UTF-8 HTML unless the headers say otherwise. Raises InvalidArgumentError that names the wrong field.
    """

    body: str | bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    revalidate: Revalidate = None
    expire: float | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # The authors of sites need not use a type checker.
        body: object = self.body
        status: object = self.status
        headers: object = self.headers
        if not isinstance(body, str | bytes):
            raise InvalidArgumentError("Page.body", body, "str or bytes")
        if isinstance(status, bool) or not isinstance(status, int) or status not in _STATUSES:
            raise InvalidArgumentError("Page.status", status, "a status from 200 to 599")
        if not isinstance(headers, Mapping) or not all(isinstance(text, str) for item in headers.items() for text in item):
            raise InvalidArgumentError("Page.headers", headers, "strings by name")
        try:
            require_sendable(status, headers.items())
        except ValueError as error:
            raise InvalidArgumentError("Page.headers", headers, f"those of HTTP: {error}") from error
        require_periods("Page", self.revalidate, self.expire)
        object.__setattr__(self, "tags", require_valid_tags("Page", self.tags))


P = ParamSpec("P")

R = TypeVar("R")


def revalidate(
    seconds: Revalidate, *, tags: Iterable[str] | str = (), expire: float | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let the answers of a function be stored for `seconds`, under `tags`; False is never stale, 0 is not stored.

    The function may be a page handler, or a route of an ASGI app; its signature stays as it is. If several periods hold
    for one answer, the shortest one counts, and all tags do. Raise InvalidArgumentError at once for a wrong value.
    """
    if seconds is None:
        raise InvalidArgumentError("revalidate.seconds", seconds, "seconds from 0 on, or False for never stale")
    require_periods("revalidate", seconds, expire)
    own_tags = require_valid_tags("revalidate", tags)

    def note() -> None:
        rendering = current_rendering()
        if rendering is None:
            return
        rendering.add_tags(own_tags)
        rendering.ask(math.inf if seconds is False else seconds, expire)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if not callable(function):
            raise InvalidArgumentError("revalidate", function, "a function")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def asynchronous(*args: P.args, **kwargs: P.kwargs) -> Any:
                note()
                return await function(*args, **kwargs)

            return cast("Callable[P, R]", asynchronous)

        @functools.wraps(function)
        def synchronous(*args: P.args, **kwargs: P.kwargs) -> R:
            note()
            return function(*args, **kwargs)

        return synchronous

    return decorate
