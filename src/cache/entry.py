"""A cached value with its tags and times.

There is one class for each of vinext's six kinds of value, with vinext's fields. `extra` keeps fields that this version does
not know, so that reading an entry and writing it again loses nothing. None stands for a field that JavaScript leaves
undefined and that is absent from stored JSON.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from core.body import EMPTY_BODY
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from core.body import Body

Headers: TypeAlias = Mapping[str, "str | list[str]"]
Revalidate: TypeAlias = "float | Literal[False] | None"
Extra: TypeAlias = Mapping[str, object]

_PLAIN = (str, int, type(None))

# An invalidation may be dated a little after the present (`cache.markers`), by another isolate's clock too. What it makes
# stale must be stale at once.
_STALE_AT_ONCE_MS = 100


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class AppPageValue:
    """One artifact of an App Router page: `html`, or `rsc_data` with an empty `html`."""

    kind: ClassVar[Literal["APP_PAGE"]] = "APP_PAGE"
    html: Body = EMPTY_BODY
    rsc_data: Body | None = None
    headers: Headers | None = None
    postponed: str | None = None
    status: int | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True)
class PagesValue:
    """A page of the Pages Router and the data that it was rendered from."""

    kind: ClassVar[Literal["PAGES"]] = "PAGES"
    html: Body
    page_data: object
    headers: Headers | None = None
    status: int | None = None
    generated_from_data_request: bool | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True)
class AppRouteValue:
    """The answer of a route handler."""

    kind: ClassVar[Literal["APP_ROUTE"]] = "APP_ROUTE"
    body: Body
    status: int
    headers: Headers
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True)
class RedirectValue:
    """A redirect of the Pages Router."""

    kind: ClassVar[Literal["REDIRECT"]] = "REDIRECT"
    props: Mapping[str, object]
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True)
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


class Freshness(StrEnum):
    """The state of an entry: served as it is, served while it is regenerated, or not served."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class EntryIdentity:
    """The identity of an entry, which distinguishes it from another of the same content.

    Readers that derive a value from an entry again and again keep the value under this identity, so it must not depend on
    the bytes of a body, nor on the times at which the entry becomes stale and expires. `tag_keys` are the KV keys of the
    entry's tags with the app prefix `tag_keys_prefix`.
    """

    __slots__ = ("__weakref__", "tag_keys", "tag_keys_prefix")

    def __init__(self) -> None:
        self.tag_keys: tuple[str, ...] = ()
        self.tag_keys_prefix: str | None = None


@dataclass(frozen=True)
class CacheEntry:
    """A value in a cache, with tags, times in epoch milliseconds and periods in seconds.

    `value` None is a tombstone: known not to be cached. `revalidate_at_ms` None is never stale, `expire_at_ms` None
    is never expired. `extra` keeps the fields of a stored entry that this version does not know. Copies that differ
    only in the bytes of their bodies, or because a tag made one of them stale, share one `identity`.
    """

    value: CacheValue | None
    tags: tuple[str, ...]
    last_modified_ms: int
    revalidate_at_ms: int | None = None
    expire_at_ms: int | None = None
    revalidate_seconds: float | None = None
    expire_seconds: float | None = None
    stale_seconds: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    identity: EntryIdentity = field(default_factory=EntryIdentity, init=False, repr=False, compare=False)

    @classmethod
    def make(  # noqa: PLR0913, PLR0917 - the parts of an entry
        cls,
        value: CacheValue | None,
        tags: tuple[str, ...],
        last_modified_ms: int,
        revalidate: float | Literal[False] | None = None,
        expire: float | None = None,
        stale: float | None = None,
    ) -> CacheEntry:
        """Return an entry with times computed from its periods; a period that is not above zero, or infinite, is none."""
        revalidate_seconds = _period(revalidate)
        expire_seconds = _period(expire)
        return cls(
            value=value,
            tags=tags,
            last_modified_ms=last_modified_ms,
            revalidate_at_ms=_after(last_modified_ms, revalidate_seconds),
            expire_at_ms=_after(last_modified_ms, expire_seconds),
            revalidate_seconds=revalidate_seconds,
            expire_seconds=expire_seconds,
            stale_seconds=stale,
        )

    def with_value(self, value: CacheValue) -> CacheEntry:
        """Return this very entry, its identity too, with a value that differs only in its bodies."""
        return self._same(replace(self, value=value))

    def stale_since(self, at_ms: float, expire_at_ms: float) -> CacheEntry:
        """Return this very entry, its identity too, as one that is stale at `at_ms` and expires at `expire_at_ms`, if not sooner.

        Its periods stay, because they are those of the content.
        """
        stale_ms = math.floor(at_ms) - _STALE_AT_ONCE_MS
        if self.revalidate_at_ms is not None:
            stale_ms = min(stale_ms, self.revalidate_at_ms)
        end_ms = math.floor(expire_at_ms)
        if self.expire_at_ms is not None:
            end_ms = min(end_ms, self.expire_at_ms)
        return self._same(replace(self, revalidate_at_ms=stale_ms, expire_at_ms=end_ms))

    def _same(self, copied: CacheEntry) -> CacheEntry:
        object.__setattr__(copied, "identity", self.identity)
        return copied


def freshness(entry: CacheEntry, now_ms: float) -> Freshness:
    """Return the state of an entry, which has not changed yet at `revalidate_at_ms` and `expire_at_ms` themselves."""
    if entry.expire_at_ms is not None and now_ms > entry.expire_at_ms:
        return Freshness.EXPIRED
    if entry.revalidate_at_ms is not None and now_ms > entry.revalidate_at_ms:
        return Freshness.STALE
    return Freshness.FRESH


def stale_after(entry: CacheEntry, seconds: float | None) -> CacheEntry:
    """Return the entry for a reader to whom it is stale `seconds` after its `last_modified_ms`, if not sooner."""
    at_ms = _after(entry.last_modified_ms, _period(seconds))
    if at_ms is None or (entry.revalidate_at_ms is not None and entry.revalidate_at_ms <= at_ms):
        return entry
    return replace(entry, revalidate_at_ms=at_ms)


def own_revalidate(value: CacheValue | None) -> float | None:
    """Return a value's own revalidation period in seconds, which wins over that of a `set`."""
    if value is None:
        return None
    seconds = value.revalidate if isinstance(value, FetchValue | ImageValue) else value.extra.get("revalidate")
    return seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None


def own_tags(value: CacheValue | None) -> tuple[str, ...]:
    """Return a value's own tags, which come before those of a `set`."""
    if isinstance(value, FetchValue):
        return value.tags or ()
    tags = value.extra.get("tags") if value is not None else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else ()


def size_bytes(value: CacheValue | None) -> int:
    """Return about how much memory a value takes; bodies count with their size, wherever they are."""
    total = 0
    parts: list[object] = [] if value is None else list(vars(value).values())
    while parts:
        part = parts.pop()
        if isinstance(part, _PLAIN):
            total += sys.getsizeof(part)
        elif isinstance(body_size := getattr(part, "size_bytes", None), int):
            total += body_size
        else:
            total += sys.getsizeof(part)
            if isinstance(part, (dict, Mapping)):  # the check for a dict is the faster one
                parts.extend(part)
                parts.extend(part.values())
            elif isinstance(part, (list, tuple)):
                parts.extend(part)
    return total


def require_value(value: CacheValue | None) -> None:
    """Check a value: one of the six kinds, with fields that can be stored."""
    if value is None:
        return
    if not isinstance(value, CACHE_VALUES):
        raise InvalidArgumentError("value", value, "one of vinext's six kinds of value, or None")
    match value:
        case AppPageValue():
            _require_body("value.html", value.html)
            if value.rsc_data is not None:
                _require_body("value.rsc_data", value.rsc_data)
        case PagesValue():
            _require_body("value.html", value.html)
        case AppRouteValue():
            _require_body("value.body", value.body)
        case ImageValue():
            _require_body("value.buffer", value.buffer)
            _require_text("value.etag", value.etag)
            _require_text("value.extension", value.extension)
        case FetchValue():
            _require_text("value.body", value.body)
            _require_text("value.url", value.url)
    if isinstance(value, AppPageValue | PagesValue | AppRouteValue | FetchValue):
        _require_headers(value.headers, optional=isinstance(value, AppPageValue | PagesValue))
        _require_status(value.status, optional=not isinstance(value, AppRouteValue))


def require_entry(entry: object) -> None:
    """Check what a cache handler returned: an entry whose fields can be served and compared with times and tags, or None."""
    if entry is None:
        return
    if not isinstance(entry, CacheEntry):
        raise InvalidArgumentError("the result of get", entry, "a CacheEntry or None")
    require_value(entry.value)
    for name in ("last_modified_ms", "revalidate_at_ms", "expire_at_ms", "revalidate_seconds", "expire_seconds", "stale_seconds"):
        value = getattr(entry, name)
        if not isinstance(value, int | float) and not (value is None and name != "last_modified_ms"):
            raise InvalidArgumentError(f"entry.{name}", value, "a number")
    tags: object = entry.tags
    if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidArgumentError("entry.tags", tags, "a tuple of strings")


def _period(seconds: float | Literal[False] | None) -> float | None:
    return seconds if seconds and 0 < seconds < math.inf else None


def _after(start_ms: int, seconds: float | None) -> int | None:
    return None if seconds is None else math.floor(start_ms + seconds * 1000)


def _require_body(argument: str, body: object) -> None:
    if not hasattr(body, "to_bytes") or not isinstance(getattr(body, "size_bytes", None), int):
        raise InvalidArgumentError(argument, body, "a Body, such as BytesBody(b'…')")


def _require_text(argument: str, text: object) -> None:
    if not isinstance(text, str):
        raise InvalidArgumentError(argument, text, "a string")


def _require_headers(headers: object, *, optional: bool) -> None:
    if headers is None and optional:
        return
    if not isinstance(headers, Mapping):
        raise InvalidArgumentError("value.headers", headers, "a mapping of names to strings")
    for name, item in headers.items():
        parts = item if isinstance(item, (list, tuple)) else (item,)
        if not isinstance(name, str) or not all(isinstance(part, str) for part in parts):
            raise InvalidArgumentError(f"value.headers[{name!r}]", item, "a string or a list of strings")


def _require_status(status: object, *, optional: bool) -> None:
    if status is None and optional:
        return
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:  # noqa: PLR2004 - HTTP
        raise InvalidArgumentError("value.status", status, "a whole number from 200 to 599")
