"""The tags of what is stored below a path, out of a listing of the namespace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cache.keys import kv_entry_prefix, normalize_path
from cache.tags import encode_tag, is_tag_below, is_valid_tag

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from cache.kv_store import KVListedKey, KVNamespace

_READS_AT_ONCE = 6
"""A Worker may have six connections waiting for their answer at a time."""


async def listed_tags(
    namespace: KVNamespace,
    app_prefix: str,
    prefix: str,
    known: frozenset[str],
    tags_of: Callable[[str], Awaitable[tuple[str, ...]]],
) -> tuple[str, ...]:
    """Give a tag at or below the path `prefix` of each entry of an app that carries none of `known`, nor one found before.

    `tags_of` reads the tags of a stored entry, where its metadata has none.
    """
    prefixes = [encode_tag(prefix), encode_tag(normalize_path(prefix))]
    found = set(known)
    cursor: str | None = None
    while True:
        page = await namespace.list(kv_entry_prefix(app_prefix), cursor)
        unknown: list[str] = []
        for listed in page.keys:
            tags = _metadata_tags(listed)
            if tags is None:
                unknown.append(listed.name)
            else:
                _add_below(found, tags, prefixes)
        for start in range(0, len(unknown), _READS_AT_ONCE):
            for tags in await asyncio.gather(*map(tags_of, unknown[start : start + _READS_AT_ONCE])):
                _add_below(found, tags, prefixes)
        cursor = page.cursor
        if cursor is None:
            return tuple(found - known)


def _metadata_tags(listed: KVListedKey) -> tuple[str, ...] | None:
    tags = listed.metadata.get("tags") if listed.metadata is not None else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else None


def _add_below(found: set[str], tags: Iterable[str], prefixes: Iterable[str]) -> None:
    """Add one tag at or below a prefix, which is enough for an entry, unless it carries a tag that is in there."""
    if found.isdisjoint(tags):
        below = (tag for tag in tags if is_valid_tag(tag) and any(is_tag_below(encode_tag(tag), p) for p in prefixes))
        found.update(tuple(below)[:1])
