"""How long a Python page may be stored, and under which tags: collected while it renders, then written as headers."""

from __future__ import annotations

import math
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, TypeAlias

from cache.tags import ALLOWED_TAG, is_valid_tag, merge_tags
from core.arguments import require_period, require_tags
from core.context import holding
from core.errors import InvalidArgumentError
from core.http import NEVER_STALE_SECONDS, SHARED_POLICY_HEADER, STALE_DATA_HEADER, STORABLE_STATUSES, TAGS_HEADER
from core.javascript import encode_uri_component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextvars import Context

    from pages.request import HeaderItems

Revalidate: TypeAlias = "float | Literal[False] | None"


def require_periods(where: str, revalidate: Revalidate, expire: float | None) -> None:
    """Raise InvalidArgumentError, naming `where`, for a value that is not a period."""
    require_period(f"{where}.revalidate", revalidate, may_be_false=True)
    require_period(f"{where}.expire", expire)
    if expire is not None and revalidate is not None and revalidate is not False and expire < revalidate:
        raise InvalidArgumentError(f"{where}.expire", expire, f"no less than revalidate, which is {revalidate}")


def require_valid_tags(where: str, tags: object) -> tuple[str, ...]:
    """Return the tags as a tuple. Raise InvalidArgumentError, naming `where`, for one that no cache takes."""
    checked = require_tags(f"{where}.tags", tags)
    for tag in checked:
        if not is_valid_tag(tag):
            raise InvalidArgumentError(f"{where}.tags", tag, ALLOWED_TAG)
    return checked


_current: ContextVar[Rendering | None] = ContextVar("rendering", default=None)


class Rendering:
    """Collects the periods and tags that handlers, decorators and cached data give one answer, however deep they are called.

    `revalidate_seconds` and `expire_seconds` are those that a handler gave its page: None is none, and infinity in the first
    is never stale. In the second, data that expires sooner counts too. `longest_seconds` is the shortest period of the data
    used. `path` is the page's, percent-encoded. With `is_for_cache` no visitor waits for the answer; without, some of its data
    may be stale, which `is_of_stale_data` says.
    """

    def __init__(self, path: str | None = None, *, is_for_cache: bool = False) -> None:
        self.path = path
        self.is_for_cache = is_for_cache
        self.is_no_store = False
        self.is_of_stale_data = False
        self.tags: tuple[str, ...] = ()
        self.revalidate_seconds: float | None = None
        self.expire_seconds: float | None = None
        self.longest_seconds: float | None = None

    @property
    def effective_seconds(self) -> float | None:
        """The page's period: no longer than that of any data on it, nor than until it expires; None if nobody gave one."""
        if self.revalidate_seconds is None:
            return None
        return _shortest(_shortest(self.revalidate_seconds, self.longest_seconds), self.expire_seconds)

    def add_tags(self, tags: Iterable[str]) -> None:
        self.tags = merge_tags(self.tags, tags)

    def ask(self, revalidate_seconds: float | None, expire_seconds: float | None) -> None:
        """Give the page a period; the shortest of several holds."""
        self.revalidate_seconds = _shortest(self.revalidate_seconds, revalidate_seconds)
        self.expire_seconds = _shortest(self.expire_seconds, expire_seconds)

    def limit(self, seconds: float | None, expire: float | None = None) -> None:
        """Limit the page's periods to those of data on it; None is data that never gets stale, or never expires."""
        self.longest_seconds = _shortest(self.longest_seconds, seconds)
        self.expire_seconds = _shortest(self.expire_seconds, expire)

    def policy(self) -> tuple[object, ...]:
        """Return everything that the answer's headers depend on, to see later whether a change came too late for them."""
        return (self.is_no_store, self.is_of_stale_data, frozenset(self.tags), self.effective_seconds, self.expire_seconds)


def current_rendering() -> Rendering | None:
    """Return the rendering of the current request, None outside of a request."""
    return _current.get()


def rendering_of(context: Context) -> Rendering | None:
    """Return the rendering that a context belongs to, such as a task's; None outside of a request."""
    return context.get(_current)


@contextmanager
def rendering_as(rendering: Rendering | None) -> Iterator[None]:
    """Collect the periods and tags given in this context, and in tasks begun in it, in `rendering`."""
    with holding(_current, rendering):
        yield


def no_store() -> None:
    """Keep the current answer out of every cache. Do nothing outside of a request."""
    rendering = _current.get()
    if rendering is not None:
        rendering.is_no_store = True


def _shortest(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


NO_STORE = "private, no-store"

_NEVER_STALE = f"s-maxage={NEVER_STALE_SECONDS}"

_CONTROLS = frozenset({"cache-control", "cdn-cache-control", "cloudflare-cdn-cache-control", SHARED_POLICY_HEADER})

_TAGS = frozenset({TAGS_HEADER, "cache-tag"})

_SAFE_METHODS = frozenset({"GET", "HEAD"})


def with_policy(rendering: Rendering, method: str, status: int, headers: HeaderItems, *, is_personal: bool) -> HeaderItems:
    """Return the headers of an answer with those that its rendering adds.

    A Cache-Control that the handler wrote itself holds, and is kept with the page, unless `no_store()` was called. With
    `is_personal` the request has a visitor's cookies or credentials: a period given by a decorator or a Page is then for the page
    that everybody gets, which is rendered beside this answer. An answer that sets a cookie is one visitor's, too.
    """
    if rendering.is_no_store:
        kept = tuple(item for item in headers if item[0].lower() not in _CONTROLS)
        return (*kept, ("cache-control", NO_STORE))
    if rendering.tags:
        # The page cache goes by TAGS_HEADER alone if there is one.
        own = ",".join(value for name, value in headers if name.lower() in _TAGS)
        added = ",".join(encode_uri_component(tag) for tag in rendering.tags)
        headers = tuple(item for item in headers if item[0].lower() != TAGS_HEADER)
        headers = (*headers, (TAGS_HEADER, f"{own},{added}" if own else added))
    if rendering.is_of_stale_data:
        headers = (*headers, (STALE_DATA_HEADER, "1"))
    given = given_cache_control(rendering)
    controls = {name.lower() for name, _ in headers} & _CONTROLS
    if "cache-control" in controls and SHARED_POLICY_HEADER not in controls:
        # By that header the page cache knows it from one that the page's period has made.
        own = ", ".join(value for name, value in headers if name.lower() == "cache-control")
        others = (item for item in headers if item[0].lower() != "cache-control")
        return (*others, ("cache-control", own), (SHARED_POLICY_HEADER, own))
    if given is None or controls:
        return headers
    if method not in _SAFE_METHODS or status not in STORABLE_STATUSES:
        return headers
    is_ones_own = is_personal or any(name.lower() == "set-cookie" for name, _ in headers)
    return (*headers, ("cache-control", NO_STORE if is_ones_own else given))


def given_cache_control(rendering: Rendering) -> str | None:
    """Return what the period of a rendering is for caches, None if nobody gave one."""
    seconds = rendering.effective_seconds
    if seconds is None or seconds <= 0:
        return None if seconds is None else NO_STORE
    return _cache_control(seconds, rendering.expire_seconds)


def _cache_control(seconds: float, expire: float | None) -> str:
    # The header has whole seconds only, and a page must not live longer than its author says.
    if math.isinf(seconds):
        return _NEVER_STALE
    whole = max(1, math.floor(seconds))
    if expire is None or math.isinf(expire):
        return f"s-maxage={whole}, stale-while-revalidate"
    return f"s-maxage={whole}, stale-while-revalidate={max(0, math.floor(expire) - whole)}"
