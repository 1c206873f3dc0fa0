"""A listing of what is in a store, a page at a time: for people, who look at little of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.keys import kv_entry_prefix, kv_key, kv_stale_key, kv_tag_key
from cache.kv_markers import marker_ms, stale_marker
from cache.look import Mark

if TYPE_CHECKING:
    from cache.kv_namespace import KVNamespace

# Of any category, so that what is left is its prefix.
_SOME_TAG = "_"


@dataclass(frozen=True)
class ListedKeys:
    """Keys of entries in the order of the store; `cursor` leads to the next ones, None where there are none."""

    keys: tuple[str, ...]
    cursor: str | None


@dataclass(frozen=True)
class ListedMarks:
    """Invalidations of tags in the order of the store; `cursor` is as in ListedKeys."""

    marks: tuple[Mark, ...]
    cursor: str | None


class StoreListing:
    """The entries of an app in a store, and its markers of tags. A failure is an exception of any kind."""

    def __init__(self, namespace: KVNamespace, app_prefix: str) -> None:
        self._namespace = namespace
        self._prefix = app_prefix

    async def keys(self, key_prefix: str, cursor: str | None, limit: int) -> ListedKeys:
        """List at most `limit` keys of entries that begin with `key_prefix`, from `cursor` on."""
        below = kv_entry_prefix(self._prefix)
        page = await self._namespace.list(f"{below}{key_prefix}", cursor, limit)
        return ListedKeys(tuple(listed.name.removeprefix(below) for listed in page.keys), page.cursor)

    async def marks(self, tag_prefix: str, cursor: str | None, limit: int, *, are_stale: bool) -> ListedMarks:
        """List at most `limit`, and at most 100, invalidations of tags that begin with `tag_prefix`, from `cursor` on.

        They are of one kind, and of a tag only the last: those that made pages stale, or those after which pages were gone. A tag
        that is too long for a key stands as its hash.
        """
        key = kv_stale_key if are_stale else kv_tag_key
        below = key(_SOME_TAG, self._prefix).removesuffix(_SOME_TAG)
        page = await self._namespace.list(f"{below}{tag_prefix}", cursor, limit)
        names = [listed.name for listed in page.keys]
        texts = await self._namespace.get_texts(names) if names else {}
        marks: list[Mark] = []
        for name in names:
            tag, text = name.removeprefix(below), texts.get(name)
            stale = stale_marker(text) if are_stale else None
            if stale is not None:
                marks.append(Mark(tag, stale.at_ms, stale.expire_at_ms))
            elif not are_stale and marker_ms(text) != -math.inf:
                marks.append(Mark(tag, marker_ms(text)))
        return ListedMarks(tuple(marks), page.cursor)

    async def delete(self, key: str) -> None:
        """Delete an entry; copies in memory stay."""
        await self._namespace.delete(kv_key(key, self._prefix))
