"""Tag markers in KV, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from cache.kv_store import MAX_BULK_KEYS
from cache.markers import TagMarkers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cache.kv_store import KVNamespace
    from cache.ports import Clock

_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")


class KVMarkers:
    """The markers behind KV keys of tags: those read at most `keep_ms` ago, and those this isolate has made itself.

    KV may give back an older value for a minute or so after a write (it is eventually consistent), so the isolate's
    own markers are remembered apart and win.
    """

    def __init__(self, namespace: KVNamespace, clock: Clock, keep_ms: int, capacity: int) -> None:
        self._namespace = namespace
        self._clock = clock
        self._keep_ms = keep_ms
        self._capacity = capacity
        self._read: dict[str, tuple[float, int]] = {}
        self.own = TagMarkers(capacity)

    async def newest(self, keys: Sequence[str]) -> float:
        """Give the newest marker of `keys`, minus infinity without any; unknown ones are read together."""
        now_ms = self._clock()
        newest = -math.inf
        unknown = []
        for key in keys:
            marker, asked_ms = self._read.get(key, _NEVER)
            if now_ms - asked_ms < self._keep_ms:
                newest = max(newest, marker)
            else:
                unknown.append(key)
        if unknown:
            groups = [unknown[start : start + MAX_BULK_KEYS] for start in range(0, len(unknown), MAX_BULK_KEYS)]
            if len(groups) == 1:
                answers = [await self._namespace.get_texts(groups[0])]
            else:
                answers = await asyncio.gather(*map(self._namespace.get_texts, groups))
            for group, texts in zip(groups, answers, strict=True):
                newest = max(newest, self._remember(group, texts, now_ms))
        own = self.own.newest(keys)
        return newest if own is None else max(newest, own)

    def forget_read(self) -> None:
        """Ask KV again the next time; what this isolate did itself is kept."""
        self._read.clear()

    def _remember(self, keys: Iterable[str], texts: Mapping[str, str | None], asked_ms: int) -> float:
        newest = -math.inf
        for key in keys:
            marker = marker_ms(texts.get(key))
            newest = max(newest, marker)
            _, known_since_ms = self._read.get(key, _NEVER)
            if asked_ms >= known_since_ms:
                self._read.pop(key, None)
                self._read[key] = (marker, asked_ms)
        while len(self._read) > self._capacity:
            del self._read[next(iter(self._read))]
        return newest


_NEVER = (-math.inf, -(2**62))


def marker_ms(text: str | None) -> float:
    """Give the time that a marker's text states: minus infinity for none, infinity where it is not a number."""
    if not text:
        return -math.inf
    stripped = text.strip()
    if not _NUMBER_CHARACTERS.issuperset(stripped):
        return math.inf
    try:
        return float(stripped or "0")
    except ValueError:
        return math.inf
