"""Tag markers in KV, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from cache.invalidation import GONE, Invalidation, joined
from cache.kv_namespace import MAX_BULK_KEYS
from cache.markers import StaleMarkers, TagMarkers
from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cache.kv_namespace import KVNamespace
    from core.runtime import Clock

# vinext keeps markers for 30 days. Entries that are never stale, and a build's pages, live longer and became valid again.
MARKER_TTL_SECONDS = 365 * 24 * 3600

LAST_WRITTEN_EVERY_MS = 30_000

# For this long after the last invalidation, a read may return an old marker: the time of the last invalidation is up
# to 30 seconds behind, KV returns old values for 60 seconds, and clocks differ.
SETTLING_MS = 120_000

_MAX_TIME_DIGITS = 16

_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")

# Pairs of a marker and the time at which it was read.
_SOME = (math.inf, 0)
_NEVER = (-math.inf, -(2**62))


class KVMarkers:
    """The markers under KV keys of tags: those read at most `keep_ms` ago, and those that this isolate wrote itself.

    KV is eventually consistent and may return an older value for a minute or so after a write, so the isolate's own
    markers are remembered apart and win.

    Each writer of markers also writes the time of the last invalidation, of whatever tag, to a key `last`: not each time,
    because KV takes one write a second to a key. Where nobody else invalidates anything, content that was made or checked
    after that time had settled needs no markers.

    Stale invalidations have keys of their own, which only this project writes, in either layout. So the time of the last
    one, under the key `last_stale`, always shows which content needs them: none on a site that invalidates everything at
    once. That time is read together with other markers, never alone for a page whose other markers are known.
    """

    def __init__(self, namespace: KVNamespace, clock: Clock, keep_ms: int, capacity: int, last_stale: str) -> None:
        self._namespace = namespace
        self._last_stale = last_stale
        self._clock = clock
        self._keep_ms = keep_ms
        self._read: Recent[str, tuple[float, int]] = Recent(capacity)
        self._read_stale: Recent[str, tuple[Invalidation | None, int]] = Recent(capacity)
        self._last: Recent[str, tuple[float, int]] = Recent(capacity)
        self._last_written_ms: Recent[str, int] = Recent(capacity)
        self.own = TagMarkers(capacity)
        self.own_stale = StaleMarkers(capacity)

    async def has_settled(self, last: str, since_ms: int) -> bool:
        """Return whether `last` alone shows that nothing was invalidated at `since_ms` or later."""
        if since_ms <= self._settled_ms(last):
            return False
        if not self._is_known(last):
            await self._ask(last, [])
        return since_ms > self._settled_ms(last)

    async def has_invalidated(self, keys: Sequence[str], since_ms: int, last: str | None = None) -> bool:
        """Return whether one of `keys` was invalidated at `since_ms` or later; unknown markers are read together.

        `last` None: others, who do not write that key, may have invalidated something.
        """
        newest = -math.inf
        unknown = self._unknown(keys, last)
        if last is not None and not self._is_known(last):
            asked = unknown
            newest = await self._ask(last, asked)
            # If something was invalidated in the meantime, markers that were good until now have to be read after all.
            unknown = [key for key in self._unknown(keys, last) if key not in asked]
        if unknown:
            newest = max(newest, await self._ask(None, unknown))
        remembered = (self._read[key][0] for key in keys if key in self._read)
        return max(newest, max(remembered, default=-math.inf)) >= since_ms or self.own.has_invalidated(keys, since_ms)

    def may_be_stale(self, since_ms: int, asked_ms: int, last: str | None = None) -> bool:
        """Return whether content of `since_ms`, whose other markers were checked at `asked_ms` or later, may be stale."""
        return since_ms <= self._stale_settled_ms() or not self._knows_last_stale(asked_ms, last)

    async def stale(self, keys: Sequence[str], since_ms: int, asked_ms: int, last: str | None = None) -> Invalidation | None:
        """Return the effect of the stale invalidations under `keys` on content of `since_ms`; unknown ones are read together."""
        now_ms = self._clock()
        if not self._knows_last_stale(asked_ms, last):
            await self._ask(None, [])
        if since_ms > self._stale_settled_ms():
            return None
        good_ms = min(now_ms - self._keep_ms, self._stale_settled_ms())
        unknown = [key for key in keys if self._read_stale.get(key, _NEVER)[1] <= good_ms]
        if unknown:
            texts = await self._texts(unknown)
            for key in unknown:
                if now_ms >= self._read_stale.get(key, _NEVER)[1]:
                    self._read_stale[key] = (stale_marker(texts.get(key)), now_ms)
        markers = (self._known_stale(key) for key in keys)
        found = joined(marker for marker in markers if marker is not None and marker.reaches(since_ms))
        return None if found is None else found.at(self._clock())

    def _knows_last_stale(self, asked_ms: int, last: str | None) -> bool:
        known_since_ms = self._last.get(self._last_stale, _NEVER)[1]
        if last is not None:
            return known_since_ms >= min(asked_ms, self._clock() - self._keep_ms) or known_since_ms > self._settled_ms(last)
        # The other markers may have been read `keep_ms` ago, when this time had been known for as long. It is never read alone.
        return known_since_ms >= min(asked_ms, self._clock() - 2 * self._keep_ms)

    def _known_stale(self, key: str) -> Invalidation | None:
        read, own = self._read_stale.get(key, (None, 0))[0], self.own_stale.get(key)
        return own if read is None or (own is not None and own.at_ms >= read.at_ms) else read

    def is_missing(self, last: str) -> bool:
        """Return whether KV has no time of a last invalidation, as far as is known."""
        return self._last.get(last, _SOME)[0] == -math.inf and self.own.newest((last,)) is None

    async def write(self, keys: Sequence[str], at_ms: int, last: str) -> list[BaseException | None]:
        """Write the markers of an invalidation; return the failure of each, or None."""
        return await self._write(keys, str(at_ms), at_ms, (last,))

    async def write_stale(self, keys: Sequence[str], invalidation: Invalidation, last: str) -> list[BaseException | None]:
        """Write the markers of a stale invalidation; return the failure of each, or None."""
        return await self._write(keys, stale_text(invalidation), int(invalidation.at_ms), (last, self._last_stale))

    async def _write(self, keys: Sequence[str], text: str, at_ms: int, lasts: Sequence[str]) -> list[BaseException | None]:
        due = [last for last in lasts if at_ms - self._last_written_ms.get(last, _NEVER[1]) >= LAST_WRITTEN_EVERY_MS]
        written = [*((key, text) for key in keys), *((last, str(at_ms)) for last in due)]
        puts = (self._namespace.put(key, value, expiration_ttl=MARKER_TTL_SECONDS) for key, value in written)
        failures = await asyncio.gather(*puts, return_exceptions=True)
        lost: BaseException | None = None
        for last, failure in zip(due, failures[len(keys) :], strict=True):
            # KV refuses a second write within a second: then another isolate has just written the time.
            if failure is None or "429" in str(failure):
                self._last_written_ms[last] = at_ms
            else:
                lost = failure
        return failures[: len(keys)] if lost is None else [lost for _ in keys]

    def forget_read(self) -> None:
        """Forget the markers that were read, so that KV is asked again; this isolate's own markers stay."""
        self._read.clear()
        self._read_stale.clear()
        self._last.clear()

    def _unknown(self, keys: Sequence[str], last: str | None) -> list[str]:
        """Return the keys whose markers have to be read, by the known time of the last invalidation."""
        good_ms: float = self._clock() - self._keep_ms
        if last is not None:
            good_ms = min(good_ms, self._settled_ms(last))
        return [key for key in keys if self._read.get(key, _NEVER)[1] <= good_ms]

    def _is_known(self, last: str) -> bool:
        return self._last.get(last, _NEVER)[1] > self._clock() - self._keep_ms

    def _settled_ms(self, last: str) -> float:
        """Return the time from which on markers that were read are still true: infinity where it is unknown."""
        at_ms = max(self._last.get(last, _NEVER)[0], self.own.newest((last,)) or -math.inf)
        return math.inf if at_ms == -math.inf else at_ms + SETTLING_MS

    def _stale_settled_ms(self) -> float:
        """Return the same for stale invalidations. Their writers all write the time: without it, there was none."""
        at_ms = max(self._last.get(self._last_stale, _NEVER)[0], self.own.newest((self._last_stale,)) or -math.inf)
        return at_ms + SETTLING_MS

    async def _ask(self, last: str | None, keys: list[str]) -> float:
        """Read markers, and the time of the last invalidation; return the newest marker."""
        now_ms = self._clock()
        lasts = [] if last is None else [last]
        # With the framed layout, `last` alone shows that there was no invalidation of either kind.
        if (keys or not lasts) and not self._is_known(self._last_stale):
            lasts.append(self._last_stale)
        texts = await self._texts([*lasts, *keys])
        for name in lasts:
            known, known_since_ms = self._last.get(name, _NEVER)
            self._last[name] = (max(known, marker_ms(texts.get(name))), max(known_since_ms, now_ms))
        markers = {key: marker_ms(texts.get(key)) for key in keys}
        self._remember(markers.items(), now_ms)
        return max(markers.values(), default=-math.inf)

    async def _texts(self, keys: list[str]) -> Mapping[str, str | None]:
        """Read any number of keys."""
        groups = [keys[start : start + MAX_BULK_KEYS] for start in range(0, len(keys), MAX_BULK_KEYS)]
        if len(groups) == 1:
            return await self._namespace.get_texts(groups[0])
        answers = await asyncio.gather(*map(self._namespace.get_texts, groups))
        return {key: text for texts in answers for key, text in texts.items()}

    def _remember(self, markers: Iterable[tuple[str, float]], asked_ms: int) -> None:
        for key, marker in markers:
            _, known_since_ms = self._read.get(key, _NEVER)
            if asked_ms >= known_since_ms:
                self._read[key] = (marker, asked_ms)


def marker_ms(text: str | None) -> float:
    """Return the time that a marker's text states: minus infinity for no text, infinity for text that is no number."""
    if not text:
        return -math.inf
    stripped = text.strip()
    if not _NUMBER_CHARACTERS.issuperset(stripped):
        return math.inf
    try:
        return float(stripped or "0")
    except ValueError:
        return math.inf


def stale_text(invalidation: Invalidation) -> str:
    """Return the text of a stale marker: the time of the invalidation and the time at which stale content expires."""
    return f"{invalidation.at_ms:.0f} {invalidation.expire_at_ms:.0f}"


def stale_marker(text: str | None) -> Invalidation | None:
    """Return the stale invalidation that a marker's text states: None for no text, GONE for a text that is none."""
    if not text:
        return None
    numbers = text.split(" ")
    if len(numbers) != len(("at", "expire")) or not all(_is_time(number) for number in numbers):
        return GONE
    return Invalidation(int(numbers[0]), int(numbers[1]))


def _is_time(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= _MAX_TIME_DIGITS
