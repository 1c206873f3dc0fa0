"""What an entry holds: one class for each of vinext's six kinds, with the fields that vinext gives them.

`extra` keeps fields that this version does not know, so that reading an entry and writing it again loses nothing.
None stands for a field that JavaScript leaves undefined and that is absent from stored JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from cache.body import EMPTY_BODY
from cache.frozen import frozen

if TYPE_CHECKING:
    from cache.body import Body

Headers: TypeAlias = Mapping[str, "str | list[str]"]
Revalidate: TypeAlias = "float | Literal[False] | None"
Extra: TypeAlias = Mapping[str, object]


@frozen
class FetchValue:
    """A result of the data cache (`fetch` and `unstable_cache`)."""

    kind: ClassVar[Literal["FETCH"]] = "FETCH"
    headers: Mapping[str, str]
    body: str
    url: str
    status: int | None = None
    tags: tuple[str, ...] | None = None
    revalidate: Revalidate = None
    data_extra: Extra = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)


@frozen
class AppPageValue:
    """One artifact of an App Router page: `html`, or `rsc_data` with an empty `html`."""

    kind: ClassVar[Literal["APP_PAGE"]] = "APP_PAGE"
    html: Body = EMPTY_BODY
    rsc_data: Body | None = None
    headers: Headers | None = None
    postponed: str | None = None
    status: int | None = None
    extra: Extra = field(default_factory=dict)


@frozen
class PagesValue:
    """A page of the Pages Router and the data it was made from."""

    kind: ClassVar[Literal["PAGES"]] = "PAGES"
    html: Body
    page_data: object
    headers: Headers | None = None
    status: int | None = None
    generated_from_data_request: bool | None = None
    extra: Extra = field(default_factory=dict)


@frozen
class AppRouteValue:
    """The answer of a route handler."""

    kind: ClassVar[Literal["APP_ROUTE"]] = "APP_ROUTE"
    body: Body
    status: int
    headers: Headers
    extra: Extra = field(default_factory=dict)


@frozen
class RedirectValue:
    """A redirect of the Pages Router."""

    kind: ClassVar[Literal["REDIRECT"]] = "REDIRECT"
    props: Mapping[str, object]
    extra: Extra = field(default_factory=dict)


@frozen
class ImageValue:
    """An optimised image."""

    kind: ClassVar[Literal["IMAGE"]] = "IMAGE"
    etag: str
    buffer: Body
    extension: str
    revalidate: float | None = None
    extra: Extra = field(default_factory=dict)


CacheValue: TypeAlias = FetchValue | AppPageValue | PagesValue | AppRouteValue | RedirectValue | ImageValue
CACHE_VALUES = (FetchValue, AppPageValue, PagesValue, AppRouteValue, RedirectValue, ImageValue)


def own_revalidate(value: CacheValue | None) -> float | None:
    """Give the revalidation period in seconds that a value brings itself; it wins over the one of a `set`."""
    if value is None:
        return None
    seconds = value.revalidate if isinstance(value, FetchValue | ImageValue) else value.extra.get("revalidate")
    return seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None


def own_tags(value: CacheValue | None) -> tuple[str, ...]:
    """Give the tags that a value brings itself; they come before those of a `set`."""
    if isinstance(value, FetchValue):
        return value.tags or ()
    tags = value.extra.get("tags") if value is not None else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else ()


_PLAIN = (str, int, type(None))


def size_bytes(value: CacheValue | None) -> int:
    """About how much memory a value takes; bodies count with their size wherever they are."""
    total = 0
    parts: list[object] = [] if value is None else list(vars(value).values())
    while parts:
        part = parts.pop()
        if isinstance(part, _PLAIN):
            total += sys.getsizeof(part)
        elif isinstance(body_size := getattr(part, "size_bytes", None), int):
            total += body_size
        elif isinstance(part, (dict, Mapping)):  # a dict is faster told
            parts.extend(part)
            parts.extend(part.values())
        elif isinstance(part, (list, tuple)):
            parts.extend(part)
        else:
            total += sys.getsizeof(part)
    return total
