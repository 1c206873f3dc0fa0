"""Tag markers in KV, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from cache.kv_namespace import MAX_BULK_KEYS
from cache.markers import TagMarkers
from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cache.kv_namespace import KVNamespace
    from core.runtime import Clock

MARKER_TTL_SECONDS = 365 * 24 * 3600
"""vinext keeps markers 30 days, but entries that are never stale, and a build's pages, outlive that and came back."""

LAST_WRITTEN_EVERY_MS = 30_000

SETTLING_MS = 120_000
"""How long after the last invalidation a marker that is read may still be an old one: the time of the last invalidation is
up to 30 seconds behind, KV gives old values for 60, and clocks differ."""

_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")


class KVMarkers:
    """The markers behind KV keys of tags: those read at most `keep_ms` ago, and those this isolate has made itself.

    KV may give back an older value for a minute or so after a write (it is eventually consistent), so the isolate's
    own markers are remembered apart and win.

    Whoever writes markers through here also writes the time of the last invalidation, of whatever tag, to a key `last`:
    not each time, as KV takes one write a second to a key. A cache in which nobody else invalidates anything needs no
    markers for what was made, and none for what was checked, when that time had settled.
    """

    def __init__(self, namespace: KVNamespace, clock: Clock, keep_ms: int, capacity: int) -> None:
        self._namespace = namespace
        self._clock = clock
        self._keep_ms = keep_ms
        self._capacity = capacity
        self._read: dict[str, tuple[float, int]] = {}
        self._last: Recent[str, tuple[float, int]] = Recent(capacity)
        self._last_written_ms: Recent[str, int] = Recent(capacity)
        self.own = TagMarkers(capacity)

    async def has_settled(self, last: str, since_ms: int) -> bool:
        """Tell whether it is clear, by `last` alone, that nothing was invalidated at `since_ms` or later."""
        if since_ms <= self._settled_ms(last):
            return False
        if not self._is_known(last):
            await self._ask(last, [])
        return since_ms > self._settled_ms(last)

    async def has_invalidated(self, keys: Sequence[str], since_ms: int, last: str | None = None) -> bool:
        """Return whether one of `keys` was invalidated at `since_ms` or later; unknown markers are read together.

        `last` None: somebody else, who does not write that key, may have invalidated something.
        """
        newest = -math.inf
        unknown = self._unknown(keys, last)
        if last is not None and not self._is_known(last):
            asked = unknown
            newest = await self._ask(last, asked)
            # Where something was invalidated in the meantime, what was good until now has to be asked for after all.
            unknown = [key for key in self._unknown(keys, last) if key not in asked]
        if unknown:
            newest = max(newest, await self._ask(None, unknown))
        remembered = (self._read[key][0] for key in keys if key in self._read)
        return max(newest, max(remembered, default=-math.inf)) >= since_ms or self.own.has_invalidated(keys, since_ms)

    def is_missing(self, last: str) -> bool:
        """Tell whether KV has no time of a last invalidation, as far as is known."""
        return self._last.get(last, _SOME)[0] == -math.inf and self.own.newest((last,)) is None

    async def write(self, keys: Sequence[str], at_ms: int, last: str) -> list[BaseException | None]:
        """Write the markers of an invalidation; gives what went wrong with each."""
        is_due = at_ms - self._last_written_ms.get(last, _NEVER[1]) >= LAST_WRITTEN_EVERY_MS
        written = (*keys, last) if is_due else keys
        puts = (self._namespace.put(key, str(at_ms), expiration_ttl=MARKER_TTL_SECONDS) for key in written)
        failures = await asyncio.gather(*puts, return_exceptions=True)
        if not is_due:
            return failures
        failure = failures.pop()
        # KV refuses a second write within a second: then somebody else has just written it.
        if failure is None or "429" in str(failure):
            self._last_written_ms[last] = at_ms
            return failures
        return [failure for _ in keys]

    def forget_read(self) -> None:
        """Ask KV again the next time; what this isolate did itself is kept."""
        self._read.clear()
        self._last.clear()

    def _unknown(self, keys: Sequence[str], last: str | None) -> list[str]:
        """Give the keys whose markers have to be read, going by the time of the last invalidation that is known."""
        good_ms: float = self._clock() - self._keep_ms
        if last is not None:
            good_ms = min(good_ms, self._settled_ms(last))
        return [key for key in keys if self._read.get(key, _NEVER)[1] <= good_ms]

    def _is_known(self, last: str) -> bool:
        return self._last.get(last, _NEVER)[1] > self._clock() - self._keep_ms

    def _settled_ms(self, last: str) -> float:
        """Give the time since which all that was read is still so: infinity where that is not known."""
        at_ms = max(self._last.get(last, _NEVER)[0], self.own.newest((last,)) or -math.inf)
        return math.inf if at_ms == -math.inf else at_ms + SETTLING_MS

    async def _ask(self, last: str | None, keys: list[str]) -> float:
        """Read markers, and the time of the last invalidation; gives the newest marker."""
        now_ms = self._clock()
        asked = keys if last is None else [last, *keys]
        groups = [asked[start : start + MAX_BULK_KEYS] for start in range(0, len(asked), MAX_BULK_KEYS)]
        if len(groups) == 1:
            answers = [await self._namespace.get_texts(groups[0])]
        else:
            answers = await asyncio.gather(*map(self._namespace.get_texts, groups))
        markers = {key: marker_ms(texts.get(key)) for group, texts in zip(groups, answers, strict=True) for key in group}
        if last is not None:
            known, known_since_ms = self._last.get(last, _NEVER)
            self._last[last] = (max(known, markers.pop(last, -math.inf)), max(known_since_ms, now_ms))
        self._remember(markers.items(), now_ms)
        return max(markers.values(), default=-math.inf)

    def _remember(self, markers: Iterable[tuple[str, float]], asked_ms: int) -> None:
        for key, marker in markers:
            _, known_since_ms = self._read.get(key, _NEVER)
            if asked_ms >= known_since_ms:
                self._read.pop(key, None)
                self._read[key] = (marker, asked_ms)
        while len(self._read) > self._capacity:
            del self._read[next(iter(self._read))]


_SOME = (math.inf, 0)

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
