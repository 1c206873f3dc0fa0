"""The protocol of a cache handler, and the form in which the Worker uses one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from cache.entry import require_entry, require_value
from cache.invalidation import GONE
from cache.look import Look, Unserved
from core.arguments import require_flag, require_key, require_milliseconds, require_period, require_tags
from core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, CacheValue
    from cache.invalidation import Invalidation
    from cache.look import Mark

T = TypeVar("T")

_METHODS = ("get", "set", "revalidate_tag", "revalidate_by_path_prefix", "is_invalidated", "reset_request_cache")


@dataclass(frozen=True)
class GetContext:
    """A reader's wishes beyond the key.

    An entry older than an invalidation of one of `soft_tags` is a miss, or stale, but is kept for other readers as it is.
    `revalidate_seconds` makes an entry stale that long after its `last_modified_ms`, if not sooner. `streamed`: the reader
    sends the bodies on unchanged, once, so a handler may return bodies that are still on their way, with only their size known.
    """

    soft_tags: tuple[str, ...] = ()
    revalidate_seconds: float | None = None
    streamed: bool = False


DEFAULT_GET = GetContext()


@dataclass(frozen=True)
class SetContext:
    """The tags, the periods in seconds and the time with which an entry is kept.

    `revalidate` False or None: never stale; 0: nothing is stored. A value's own period wins, and its own tags come
    first. `last_modified_ms` None: the content is new, made after every invalidation that this isolate has seen. With a
    given time (of a build, or of the start of a render), an invalidation then or later makes the entry invalid.
    """

    tags: tuple[str, ...] = ()
    revalidate: float | Literal[False] | None = None
    expire: float | None = None
    last_modified_ms: int | None = None
    stale: float | None = None

    @classmethod
    def of(cls, entry: CacheEntry) -> SetContext:
        """Return the context with which `set` keeps `entry.value` as this very entry: its tags, periods and time."""
        return cls(
            tags=entry.tags,
            revalidate=False if entry.revalidate_seconds is None else entry.revalidate_seconds,
            expire=entry.expire_seconds,
            last_modified_ms=entry.last_modified_ms,
            stale=entry.stale_seconds,
        )


class CacheHandler(Protocol):
    """A cache of entries. A failure of the store never reaches a reader or a writer: it is a miss, or a lost write.

    A wrong type or value raises InvalidArgumentError. Invalid tags are left out and logged once.
    """

    async def get(self, key: str, context: GetContext | None = None) -> CacheEntry | None:
        """Read an entry, fresh or stale.

        Return None where it is absent, expired, invalidated or corrupt, or where the store failed, which is logged. An
        entry with the value None is a tombstone.
        """
        ...

    async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
        """Write an entry, or a tombstone for None; a failure of the store loses the write with one log line."""
        ...

    async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None:
        """Invalidate every entry that carries one of `tags`.

        Without `expire_seconds`, or with 0, entries are misses at once. With it, they are stale at once, and misses that
        many seconds after this call (Next.js's `revalidateTag(tag, { expire })`); content that is made after the call is
        valid. A failed write to a store is tried again in the background, and logged as an error if it fails in the end.
        """
        ...

    async def revalidate_by_path_prefix(self, prefix: str) -> None:
        """Invalidate the page at `prefix` and those below it, stored or not: `/docs` and `/docs/…`, not `/docs-old`.

        Raises InvalidationError for a store that could not be listed.
        """
        ...

    async def is_invalidated(self, tags: Iterable[str], since_ms: int) -> bool:
        """Return whether content of `since_ms` with one of `tags` is invalid; True where the answer is unknown.

        While a stale invalidation leaves it stale, it is valid.
        """
        ...

    def reset_request_cache(self) -> None:
        """Forget all that was remembered of the store, so that the next read asks the store."""
        ...


class EntryCache(ABC):
    """A cache as the Worker uses it: it takes whole entries, and checks no argument again.

    A subclass implements the abstract methods. The methods of CacheHandler call them, and check once the arguments that
    a site's own code passes.
    """

    @abstractmethod
    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see `CacheHandler.get`."""

    @abstractmethod
    async def write(self, key: str, entry: CacheEntry) -> None:
        """Write an entry with the time it has; see `CacheHandler.set`. Invalid tags are left out."""

    @abstractmethod
    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate every entry that carries one of `tags`; see `CacheHandler.revalidate_tag`.

        Return the tags that other isolates will not learn of yet, because they are not written: that is tried again.
        """

    @abstractmethod
    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        """Invalidate the page at a path and those below it; see `CacheHandler.revalidate_by_path_prefix`.

        Return the tags that are not written yet, as `invalidate` does.
        """

    @abstractmethod
    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return what has become of content of `since_ms` with `tags`: None if it is valid, GONE if it is not, else stale.

        GONE also where the answer is unknown; see `CacheHandler.is_invalidated`.
        """

    @abstractmethod
    def forget_reads(self) -> None:
        """Forget all that was remembered of the store; see `CacheHandler.reset_request_cache`."""

    @abstractmethod
    async def set_new(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        """Date a value by `context` and write it; write nothing where its period is 0."""

    async def replaced(self, tags: Iterable[str]) -> None:
        """Let what stands in front of the Worker forget the pages with one of `tags`: this cache has newer ones. Never raises."""
        del tags

    def observer(self) -> EntryCache:
        """Return a view of this cache whose `look`, `marks` and `invalidation` change nothing, not even what is remembered."""
        return self

    async def look(self, key: str) -> tuple[Look, ...]:
        """Return what each layer has that a read of `key` would ask now, the last one that which decides."""
        del key
        return (Look("handler", reason=Unserved.OWN_HANDLER),)

    async def marks(self, tags: Iterable[str]) -> tuple[Mark, ...]:
        """Return the known invalidations of `tags`; ask the store for those that are not remembered."""
        del tags
        return ()

    async def get(self, key: str, context: GetContext | None = None) -> CacheEntry | None:
        """See CacheHandler."""
        require_key(key)
        return await self.read(key, require_get_context(context))

    async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
        """See CacheHandler."""
        require_key(key)
        require_value(value)
        await self.set_new(key, value, require_set_context(context))

    async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None:
        """See CacheHandler."""
        require_period("expire_seconds", expire_seconds)
        await self.invalidate(require_tags("tags", tags), expire_seconds)

    async def revalidate_by_path_prefix(self, prefix: str) -> None:
        """See CacheHandler."""
        await self.invalidate_below(prefix)

    async def is_invalidated(self, tags: Iterable[str], since_ms: int) -> bool:
        """See CacheHandler."""
        require_milliseconds("since_ms", since_ms)
        return await self.invalidation(require_tags("tags", tags), since_ms) is GONE

    def reset_request_cache(self) -> None:
        """See CacheHandler."""
        self.forget_reads()


class CacheInFront(EntryCache):
    """A cache in front of another one: what a subclass does not do itself, the one at the back does."""

    def __init__(self, back: EntryCache) -> None:
        self._back = back

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache."""
        return await self._back.read(key, asked)

    async def write(self, key: str, entry: CacheEntry) -> None:
        """Write an entry; see EntryCache."""
        await self._back.write(key, entry)

    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate by tags; see EntryCache."""
        return await self._back.invalidate(tags, expire_seconds)

    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        """Invalidate a page and those below it; see EntryCache."""
        return await self._back.invalidate_below(prefix)

    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return what has become of content; see EntryCache."""
        return await self._back.invalidation(tags, since_ms)

    def forget_reads(self) -> None:
        """Forget what was read; see EntryCache."""
        self._back.forget_reads()

    async def set_new(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        """Write a value; see EntryCache."""
        await self._back.set_new(key, value, context)

    async def replaced(self, tags: Iterable[str]) -> None:
        """Let what stands in front of the Worker forget pages; see EntryCache."""
        await self._back.replaced(tags)

    def observer(self) -> EntryCache:
        """Return a view that changes nothing; see EntryCache."""
        return self._back.observer()

    async def look(self, key: str) -> tuple[Look, ...]:
        """Return what each layer has; see EntryCache."""
        return await self._back.look(key)

    async def marks(self, tags: Iterable[str]) -> tuple[Mark, ...]:
        """Return the known invalidations; see EntryCache."""
        return await self._back.marks(tags)


class ForeignCache(EntryCache):
    """A site's own cache handler, used only through the methods of CacheHandler."""

    def __init__(self, handler: CacheHandler) -> None:
        self._handler = handler

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache. Raises InvalidArgumentError for a result that is none."""
        entry = await self._handler.get(key, None if asked is DEFAULT_GET else asked)
        require_entry(entry)
        return entry

    async def write(self, key: str, entry: CacheEntry) -> None:
        await self._handler.set(key, entry.value, SetContext.of(entry))

    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        if expire_seconds is None:
            await self._handler.revalidate_tag(tuple(tags))
        else:
            await self._handler.revalidate_tag(tuple(tags), expire_seconds=expire_seconds)
        return ()

    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        await self._handler.revalidate_by_path_prefix(prefix)
        return ()

    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """See EntryCache. Which content is only stale, a site's own handler says when it is read."""
        return GONE if await self._handler.is_invalidated(tags, since_ms) else None

    def forget_reads(self) -> None:
        self._handler.reset_request_cache()

    async def set_new(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        await self._handler.set(key, value, context)


def entry_cache(handler: CacheHandler) -> EntryCache:
    """Return the handler as the Worker uses it: one of this package unchanged, any other through its public methods."""
    return handler if isinstance(handler, EntryCache) and not _has_own_methods(handler) else ForeignCache(handler)


def require_handler(argument: str, handler: object) -> None:
    """Raise InvalidArgumentError unless `handler` has every method of a CacheHandler."""
    missing = [name for name in _METHODS if not callable(getattr(handler, name, None))]
    if missing:
        raise InvalidArgumentError(argument, handler, f"a CacheHandler; this one has no {', '.join(missing)}")


def require_get_context(context: GetContext | None) -> GetContext:
    """Return the context with its fields checked, or the default one for None; raises InvalidArgumentError."""
    if context is None:
        return DEFAULT_GET
    checked = require_context(context, GetContext)
    require_period("context.revalidate_seconds", checked.revalidate_seconds)
    require_flag("context.streamed", checked.streamed)
    return replace(checked, soft_tags=require_tags("context.soft_tags", checked.soft_tags))


def require_set_context(context: SetContext | None) -> SetContext:
    """Return the context with its fields checked, or the default one for None; raises InvalidArgumentError."""
    checked = require_context(context, SetContext)
    require_period("context.revalidate", checked.revalidate, may_be_false=True)
    require_period("context.expire", checked.expire)
    require_period("context.stale", checked.stale)
    if checked.last_modified_ms is not None:
        require_milliseconds("context.last_modified_ms", checked.last_modified_ms)
    return replace(checked, tags=require_tags("context.tags", checked.tags))


def require_context(context: T | None, kind: type[T]) -> T:
    """Return the context, or the default one for None."""
    if context is None:
        return kind()
    if not isinstance(context, kind):
        raise InvalidArgumentError("context", context, f"a {kind.__name__} or None")
    return context


def _has_own_methods(handler: EntryCache) -> bool:
    """Return whether a site has overridden public methods of a handler of this package, which then have to be called."""
    return any(getattr(getattr(handler, name), "__func__", None) is not getattr(EntryCache, name) for name in _METHODS)
