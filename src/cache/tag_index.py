"""Which entries in memory have a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


class TagIndex:
    """Keys of entries by tag. Most of a page's tags are in no other entry, so a single key stands there without a dict."""

    def __init__(self) -> None:
        self._keys: dict[str, str | dict[str, None]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def add(self, key: str, tags: Iterable[str]) -> None:
        """Note the tags of an entry that is not in the index."""
        for tag in tags:
            there = self._keys.get(tag)
            if there is None:
                self._keys[tag] = key
            elif isinstance(there, str):
                self._keys[tag] = {there: None, key: None}
            else:
                there[key] = None

    def remove(self, key: str, tags: Iterable[str]) -> None:
        """Forget the tags of an entry that is in the index."""
        for tag in tags:
            there = self._keys[tag]
            if isinstance(there, dict):
                del there[key]
            if not there or there == key:
                del self._keys[tag]

    def keys(self, tag: str) -> Collection[str]:
        """Return the keys of the entries that have a tag."""
        there = self._keys.get(tag, ())
        return (there,) if isinstance(there, str) else there
