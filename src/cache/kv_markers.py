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

    def known(self, keys: Sequence[str]) -> float | None:
        """Give the newest marker of `keys` as `newest` does; None where one has to be read."""
        newest, unknown = self._remembered(keys, self._clock())
        return None if unknown else self._with_own(newest, keys)

    async def newest(self, keys: Sequence[str]) -> float:
        """Give the newest marker of `keys`, minus infinity without any; unknown ones are read together."""
        now_ms = self._clock()
        newest, unknown = self._remembered(keys, now_ms)
        if unknown:
            groups = [unknown[start : start + MAX_BULK_KEYS] for start in range(0, len(unknown), MAX_BULK_KEYS)]
            if len(groups) == 1:
                answers = [await self._namespace.get_texts(groups[0])]
            else:
                answers = await asyncio.gather(*map(self._namespace.get_texts, groups))
            for group, texts in zip(groups, answers, strict=True):
                newest = max(newest, self._remember(group, texts, now_ms))
        return self._with_own(newest, keys)

    def forget_read(self) -> None:
        """Ask KV again the next time; what this isolate did itself is kept."""
        self._read.clear()

    def _remembered(self, keys: Sequence[str], now_ms: float) -> tuple[float, list[str]]:
        """Give the newest marker that was read lately, and the keys of which none was."""
        newest = -math.inf
        unknown = []
        oldest_ms = now_ms - self._keep_ms
        for key in keys:
            marker, asked_ms = self._read.get(key, _NEVER)
            if asked_ms <= oldest_ms:
                unknown.append(key)
            elif marker > newest:
                newest = marker
        return newest, unknown

    def _with_own(self, newest: float, keys: Sequence[str]) -> float:
        own = self.own.newest(keys)
        return newest if own is None else max(newest, own)

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
