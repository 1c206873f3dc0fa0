"""Where data is kept for the request that is being answered.

Invalidating pages and data from a handler.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cache.keys import KeySchema, data_cache_key, data_cache_key_v2, fnv1a64_base36
from cache.tags import encode_tag, merge_tags, path_tags, revalidate_path_tag
from core.paths import normalize_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cache.handler import EntryCache
    from core.runtime import Runtime

_current: ContextVar[DataCache | None] = ContextVar("data cache", default=None)


@dataclass(frozen=True)
class DataCache:
    """A site's data in the cache handler that keeps its pages too."""

    entries: EntryCache
    runtime: Runtime
    schema: KeySchema

    def key(self, source: str, key_parts: Sequence[str] | None, arguments: Sequence[object]) -> str:
        """The key of a call, as `unstable_cache` of the schema's vinext has it."""
        if self.schema is KeySchema.V2:
            return data_cache_key_v2(source, key_parts, arguments)
        return data_cache_key((fnv1a64_base36(source),) if key_parts is None else key_parts, arguments)

    def stored_tags(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        """Tags as the schema's vinext writes them in a value."""
        return merge_tags(map(encode_tag, tags)) if self.schema is KeySchema.V2 else tags

    def soft_tags(self, path: str | None) -> tuple[str, ...]:
        """The tags of the page that uses the data: who invalidates it wants its data anew."""
        return () if path is None else path_tags(self.schema, normalize_path(path))


def enter_data_cache(cache: DataCache) -> None:
    """Let the current request, and the work it begins, keep its data there."""
    _current.set(cache)


def current_data_cache() -> DataCache | None:
    """Where data is kept; None outside of a request, and while pages are made for a build."""
    return _current.get()


async def revalidate_tag(*tags: str) -> None:
    """Invalidate every page and all data that carry one of `tags`. Outside of a request it does nothing.

    Raises InvalidationError with the tags that could not be written.
    """
    await _invalidate(tags)


async def revalidate_path(path: str, type: Literal["page", "layout"] | None = None) -> None:  # noqa: A002 - Next.js's name
    """Invalidate the page at `path`, and the data that it used; `("/", "layout")` reaches every page."""
    await _invalidate([revalidate_path_tag(path, type)])


async def revalidate_path_prefix(prefix: str) -> None:
    """Invalidate `/docs` and what is below it, but not `/docs-old`.

    Raises InvalidationError with the tags that could not be written, or for a store that could not be listed.
    """
    cache = current_data_cache()
    if cache is not None:
        await cache.entries.revalidate_by_path_prefix(prefix)


async def _invalidate(tags: Iterable[str]) -> None:
    cache = current_data_cache()
    if cache is not None:
        await cache.entries.revalidate_tag(tuple(tags))
