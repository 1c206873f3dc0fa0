"""The decorator that says how long the answers of a route live."""

from __future__ import annotations

import functools
import inspect
import math
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from cache.errors import InvalidArgumentError
from pages.periods import require_periods, require_valid_tags
from pages.rendering import current_rendering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pages.periods import Revalidate

P = ParamSpec("P")
R = TypeVar("R")


def revalidate(
    seconds: Revalidate, *, tags: Iterable[str] | str = (), expire: float | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let the answers of a function be kept for `seconds`, under `tags`; False is never stale, 0 is not at all.

    The function may be a handler, or a route of an ASGI app; its signature stays as it is. Where several hold for one
    answer, the shortest period and all tags count. Raises InvalidArgumentError at once for a wrong value.
    """
    if seconds is None:
        raise InvalidArgumentError("revalidate.seconds", seconds, "seconds from 0 on, or False for never stale")
    require_periods("revalidate", seconds, expire)
    found = require_valid_tags("revalidate", tags)

    def note() -> None:
        rendering = current_rendering()
        if rendering is None:
            return
        rendering.add_tags(found)
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
