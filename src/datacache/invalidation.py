"""Invalidating pages and data from a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cache.tags import revalidate_path_tag
from datacache.cache import current_data_cache

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        await cache.handler.revalidate_by_path_prefix(prefix)


async def _invalidate(tags: Iterable[str]) -> None:
    cache = current_data_cache()
    if cache is not None:
        await cache.handler.revalidate_tag(tuple(tags))
