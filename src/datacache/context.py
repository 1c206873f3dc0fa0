"""The data cache of the current request, and the invalidation of pages and data from a page handler."""

from __future__ import annotations

import asyncio
import math
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from cache.entry import Freshness, freshness, size_bytes, stale_after
from cache.invalidation import entry_after
from cache.keys import KeySchema, data_cache_key, data_cache_key_v2, fnv1a64_base36
from cache.tags import encode_tag, merge_tags, path_tags, revalidate_path_tag
from core.errors import InvalidArgumentError
from core.paths import normalize_path
from core.recent import Recent, text_bytes
from datacache.life import cache_life_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cache.entry import CacheEntry
    from cache.handler import EntryCache
    from core.runtime import Runtime
    from datacache.life import CacheLife

_current: ContextVar[DataCache | None] = ContextVar("data cache", default=None)


@dataclass(frozen=True)
class DataCache:
    """A site's data in the cache that keeps its pages too."""

    entries: EntryCache
    runtime: Runtime
    schema: KeySchema
    unwritten: dict[str, CacheEntry] = field(default_factory=lambda: Recent(fact_bytes=_entry_bytes), compare=False)
    """The entries whose writes have not ended. Those of a request that was ended stay, until newer ones take their place."""

    def key(self, source: str, key_parts: Sequence[str] | None, arguments: Sequence[object]) -> str:
        """Return the key of a call, as `unstable_cache` of the schema's vinext builds it."""
        if self.schema is KeySchema.V2:
            return data_cache_key_v2(source, key_parts, arguments)
        return data_cache_key((fnv1a64_base36(source),) if key_parts is None else key_parts, arguments)

    def stored_tags(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        """Return tags as the schema's vinext writes them in a value."""
        return merge_tags(map(encode_tag, tags)) if self.schema is KeySchema.V2 else tags

    def soft_tags(self, path: str | None) -> tuple[str, ...]:
        """Return the tags of the page that uses the data: an invalidation of the page asks for new data too."""
        return () if path is None else _tags_of_page(self.schema, path)

    async def write(self, key: str, entry: CacheEntry, what: str) -> None:
        """Write an entry in the background: whoever has made it does not wait for the store. A failure is logged."""
        self.unwritten[key] = entry
        self.runtime.background.run(self._write(key, entry), what)
        # The write begins, and from here on memory in front of the store has the entry.
        await asyncio.sleep(0)

    async def _write(self, key: str, entry: CacheEntry) -> None:
        try:
            await self.entries.write(key, entry)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, the result is not lost
            self.runtime.log.event("error", "cache.write_failed", key=key, error=str(error))
        finally:
            if self.unwritten.get(key) is entry:
                del self.unwritten[key]

    async def newer(
        self, unwritten: CacheEntry, found: CacheEntry | None, soft_tags: tuple[str, ...], revalidate_seconds: float | None
    ) -> CacheEntry | None:
        """Return the unwritten entry as its reader gets it, or what the store has if that is newer or the other invalid."""
        if found is not None and found.last_modified_ms >= unwritten.last_modified_ms:
            return found
        entry = await self.after_invalidations(unwritten, merge_tags(unwritten.tags, soft_tags))
        if entry is None or freshness(entry, self.runtime.clock()) is Freshness.EXPIRED:
            return found
        return stale_after(entry, revalidate_seconds)

    async def after_invalidations(self, entry: CacheEntry, tags: tuple[str, ...]) -> CacheEntry | None:
        """Return an entry as the invalidations of `tags` leave it, None if it is gone."""
        return entry_after(entry, await self.entries.invalidation(tags, entry.last_modified_ms))


# A page may use data many times. A visitor's path may be long, and have many tags, so no more than one is remembered.
@lru_cache(maxsize=1)
def _tags_of_page(schema: KeySchema, path: str) -> tuple[str, ...]:
    return path_tags(schema, normalize_path(path))


def _entry_bytes(key: str, entry: CacheEntry) -> int:
    return text_bytes(key, *entry.tags) + size_bytes(entry.value)


def enter_data_cache(cache: DataCache) -> None:
    """Let the current request, and the work that it begins, keep data in `cache`."""
    _current.set(cache)


def current_data_cache() -> DataCache | None:
    """Return the current data cache; None outside of a request, and while pages are rendered for a build."""
    return _current.get()


async def revalidate_tag(*tags: str, profile: str | CacheLife | None = None) -> None:
    """Invalidate all pages and data that carry one of `tags`; do nothing outside of a request.

    With a `profile`, as `cache_life` takes it, they stay for its `expire`, stale: they are served while they are
    regenerated (Next.js's `revalidateTag(tag, profile)`). Raises InvalidArgumentError for an unknown profile.
    """
    await _invalidate(tags, None if profile is None else _stale_seconds(cache_life_of(profile)))


async def revalidate_path(path: str, type: Literal["page", "layout"] | None = None) -> None:  # noqa: A002 - Next.js's name
    """Invalidate the page at `path`, and the data that the page used; `("/", "layout")` reaches every page.

    Raises InvalidArgumentError for a path that does not begin with /.
    """
    await _invalidate([revalidate_path_tag(_key_path("path", path), type)])


async def revalidate_path_prefix(prefix: str) -> None:
    """Invalidate the pages at and below `prefix`: `/docs` and `/docs/…`, not `/docs-old`.

    Raises InvalidArgumentError for a prefix that does not begin with /, and InvalidationError for a store that could not be
    listed.
    """
    path = _key_path("prefix", prefix)
    cache = current_data_cache()
    if cache is not None:
        await cache.entries.revalidate_by_path_prefix(path)


async def _invalidate(tags: Iterable[str], expire_seconds: float | None = None) -> None:
    cache = current_data_cache()
    if cache is not None:
        await cache.entries.revalidate_tag(tuple(tags), expire_seconds=expire_seconds)


def _key_path(argument: str, path: object) -> str:
    """Return a path in any spelling as keys and tags have it."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidArgumentError(argument, path, "a path that begins with /")
    return normalize_path(path)


def _stale_seconds(life: CacheLife) -> float:
    return math.inf if life.expire is None else life.expire
