"""The protocol of a cache, and the one that the Worker uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from core.arguments import require_flag, require_milliseconds, require_period, require_tags
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, CacheValue

T = TypeVar("T")


def require_context(context: T | None, kind: type[T]) -> T:
    """Give the context, or the default one for None."""
    if context is None:
        return kind()
    if not isinstance(context, kind):
        raise InvalidArgumentError("context", context, f"a {kind.__name__} or None")
    return context


@dataclass(frozen=True)
class GetContext:
    """What a reader asks for beyond the key.

    An entry older than an invalidation of one of `soft_tags` is a miss, but is kept for others. `revalidate_seconds`
    makes an entry stale that long after it was made, if it would not be stale before. `streamed`: the bodies are sent on as
    they are, once, so a handler may give such as are still on their way, of which nothing but the size is known.
    """

    soft_tags: tuple[str, ...] = ()
    revalidate_seconds: float | None = None
    streamed: bool = False


_NOTHING_ASKED = GetContext()


@dataclass(frozen=True)
class SetContext:
    """How an entry is kept; periods are seconds.

    `revalidate` False or None: never stale; 0: nothing is stored. A value's own period wins, and its own tags come
    first. `last_modified_ms` None: the content is new, made after every invalidation that this isolate has seen. Given
    (the time of a build, the start of a render): an invalidation at that time or later makes the entry invalid.
    """

    tags: tuple[str, ...] = ()
    revalidate: float | Literal[False] | None = None
    expire: float | None = None
    last_modified_ms: int | None = None
    stale: float | None = None


def require_set_context(context: SetContext | None) -> SetContext:
    """Give the context with its fields checked, or the default one for None; raises InvalidArgumentError."""
    checked = require_context(context, SetContext)
    require_period("context.revalidate", checked.revalidate, may_be_false=True)
    require_period("context.expire", checked.expire)
    require_period("context.stale", checked.stale)
    require_tags("context.tags", checked.tags)
    if checked.last_modified_ms is not None:
        require_milliseconds("context.last_modified_ms", checked.last_modified_ms)
    return checked


def require_get_context(context: GetContext | None) -> GetContext:
    """Give the context with its fields checked, or the default one for None; raises InvalidArgumentError."""
    if context is None:
        return _NOTHING_ASKED
    checked = require_context(context, GetContext)
    require_period("context.revalidate_seconds", checked.revalidate_seconds)
    require_tags("context.soft_tags", checked.soft_tags)
    require_flag("context.streamed", checked.streamed)
    return checked


class CacheHandler(Protocol):
    """Keeps entries. A failure of the store never reaches a reader or a writer: it is a miss, or a lost write.

    Wrong types and values are an InvalidArgumentError. Tags that are not valid are left out and logged once.
    """

    async def get(self, key: str, context: GetContext | None = None) -> CacheEntry | None:
        """Read an entry, fresh or stale.

        None: absent, expired, invalidated, corrupt, or the store failed, which is logged. An entry with the value None
        is a tombstone.
        """
        ...

    async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
        """Write an entry, or a tombstone for None; a failure of the store loses the write with one log line."""
        ...

    async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None:
        """Invalidate every entry that carries one of `tags`.

        Entries are misses at once: `expire_seconds` is taken for Next.js's sake and shortens nothing, as in vinext's
        handler for KV. Raises InvalidationError with the tags that could not be written.
        """
        ...

    async def revalidate_by_path_prefix(self, prefix: str) -> None:
        """Invalidate the page at `prefix` and those below it, stored or not: `/docs` and `/docs/…`, not `/docs-old`.

        Raises InvalidationError with the tags that could not be written, or for a store that could not be listed.
        """
        ...

    async def is_invalidated(self, tags: Iterable[str], since_ms: int) -> bool:
        """Tell whether one of `tags` was invalidated at `since_ms` or later; True where that cannot be known."""
        ...

    def reset_request_cache(self) -> None:
        """Forget what was remembered of the store, so that the next read asks it."""
        ...


class _Current:
    handler: CacheHandler | None = None


def set_cache_handler(handler: CacheHandler | None) -> None:
    """Make the Worker use `handler` from now on; None gives the choice back to the Worker's settings."""
    if handler is not None:
        require_handler("handler", handler)
    _Current.handler = handler


def get_cache_handler() -> CacheHandler | None:
    """Give the handler that was set, or None."""
    return _Current.handler


def require_handler(argument: str, handler: object) -> None:
    """Raise InvalidArgumentError unless `handler` has every method of a CacheHandler."""
    missing = [name for name in _METHODS if not callable(getattr(handler, name, None))]
    if missing:
        raise InvalidArgumentError(argument, handler, f"a CacheHandler; this one has no {', '.join(missing)}")


_METHODS = ("get", "set", "revalidate_tag", "revalidate_by_path_prefix", "is_invalidated", "reset_request_cache")
