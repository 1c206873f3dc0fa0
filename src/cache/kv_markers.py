"""Tag markers in KV, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import copy
import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from cache.invalidation import GONE, Invalidation, joined
from cache.kv_namespace import MAX_BULK_KEYS
from cache.look import Mark
from cache.marker_writer import MarkerWriter
from cache.markers import StaleMarkers, TagMarkers
from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from cache.kv_namespace import KVNamespace
    from core.log import Log
    from core.runtime import Clock

LAST_WRITTEN_EVERY_MS = 30_000

# For this long after the last invalidation, a read may return an old marker: the time of the last invalidation is up to
# 30 seconds behind, markers may be written 25 seconds late, KV returns old values for 60 seconds, and clocks differ.
SETTLING_MS = 150_000

_MAX_TIME_DIGITS = 16

_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")

# Pairs of a marker and the time at which it was read.
_SOME = (math.inf, 0)
_NEVER = (-math.inf, -(2**62))
_UNTOLD = (Invalidation(-math.inf, -math.inf), 0)


class KVMarkers:
    """The markers under KV keys of tags: those read at most `keep_ms` ago, and those that this isolate wrote itself.

    KV is eventually consistent and may return an older value for a minute or so after a write, so the isolate's own
    markers are remembered apart and win.

    Clocks differ. So an invalidation holds against content that was made up to `clock_skew_ms` after it, by another isolate
    than the one that invalidated: only an isolate itself knows that it made content after an invalidation of its own.

    Each writer of markers also writes the time of the last invalidation, of whatever tag, to a key `last`: not each time,
    because KV takes one write a second to a key. Where nobody else invalidates anything, content that was made or checked
    after that time had settled needs no markers.

    Stale invalidations have keys of their own, which only this project writes, in either layout. So the time of the last
    one, under the key `last_stale`, always shows which content needs them: none on a site that invalidates everything at
    once. That time is read together with other markers, never alone for a page whose other markers are known.

    What other isolates tell of their invalidations by another way (`learn`) holds at once, and as long as it is remembered:
    KV may return an older marker for a while. Only content that this isolate began after it had learned of one is newer.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its name
        self,
        namespace: KVNamespace,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        log: Log,
        keep_ms: int,
        clock_skew_ms: int,
        capacity: int,
        last: str,
        last_stale: str,
    ) -> None:
        self._namespace = namespace
        self._last_invalidation = last
        self._last_stale = last_stale
        self._clock = clock
        self._keep_ms = keep_ms
        self._clock_skew_ms = clock_skew_ms
        self._sleep = sleep
        self._log = log
        self._read: dict[str, tuple[float, int]] = Recent(capacity)
        self._last: dict[str, tuple[float, int]] = Recent(capacity)
        self.own = TagMarkers(capacity)
        self.own_stale = StaleMarkers(capacity)
        self._newest_own_ms = -math.inf
        # By key what was told, and when. The oldest are dropped beyond the capacity.
        self._told: dict[str, tuple[Invalidation, int]] = {}
        self._capacity = capacity
        self._newest_told_ms = self._newest_told_stale_ms = -math.inf

    @cached_property
    def _writer(self) -> MarkerWriter:
        return MarkerWriter(self._namespace, self._clock, self._sleep, self._log, self._record)

    @cached_property
    def _read_stale(self) -> dict[str, tuple[Invalidation | None, int]]:
        return Recent(self._capacity)

    @cached_property
    def _made_after_own(self) -> Recent[int, None]:
        """The times of content that this isolate made so shortly after an invalidation of its own that others cannot tell."""
        return Recent(self._capacity)

    def observer(self) -> KVMarkers:
        """Return a view that knows what is known here; of what it reads, nothing is remembered here."""
        observer = copy.copy(self)
        # Of this very class, so what is private to it is so to the copy.
        vars(observer).update(_read=dict(self._read), _read_stale=dict(self._read_stale), _last=dict(self._last))
        return observer

    async def marks(self, keys: Sequence[tuple[str, str, str]]) -> tuple[Mark, ...]:
        """Return what the store and this isolate know of tags: each with the key of its marker, and of its stale one."""
        if not keys:
            return ()
        texts = await self._texts([key for _, *pair in keys for key in pair])
        found: list[Mark] = []
        for tag, key, stale_key in keys:
            told, told_stale = (self._told.get(each, _UNTOLD)[0] for each in (key, stale_key))
            gone_ms = max(marker_ms(texts.get(key)), self.own.newest((key,)) or -math.inf, told.at_ms)
            if gone_ms != -math.inf:
                found.append(Mark(tag, gone_ms))
            stales = filter(None, (stale_marker(texts.get(stale_key)), self.own_stale.get(stale_key), told_stale))
            stale = max(stales, key=lambda one: one.at_ms)
            if stale.at_ms != -math.inf:
                found.append(Mark(tag, stale.at_ms, stale.expire_at_ms))
        return tuple(found)

    def knows(self, last: str, asked_ms: float = math.inf) -> bool:
        """Return whether a time of the last invalidation need not be read again: it was lately, or at `asked_ms` or later."""
        known_since_ms = self._last.get(last, _NEVER)[1]
        return known_since_ms > self._clock() - self._keep_ms or known_since_ms >= asked_ms

    def note_read(self, last: str, text: str | None, asked_ms: int) -> None:
        """Note a time of the last invalidation that was asked for at `asked_ms`."""
        known, known_since_ms = self._last.get(last, _NEVER)
        self._last[last] = (max(known, marker_ms(text)), max(known_since_ms, asked_ms))

    async def has_settled(self, last: str, since_ms: int, asked_ms: int) -> bool:
        """Return whether `last` alone shows that nothing was invalidated at `since_ms` or later.

        What was read at `asked_ms` or later is not read again.
        """
        if since_ms <= self._settled_ms(last):
            return False
        if not self.knows(last, asked_ms):
            await self._ask(last, [])
        return since_ms > self._settled_ms(last)

    async def has_invalidated(self, keys: Sequence[str], since_ms: int, last: str | None = None) -> bool:
        """Return whether one of `keys` was invalidated at `since_ms` or later; unknown markers are read together.

        `last` None: others, who do not write that key, may have invalidated something.
        """
        if self._was_told(keys, since_ms):
            return True
        newest = -math.inf
        unknown = self._unknown(keys, last)
        if last is not None and not self.knows(last):
            asked = unknown
            newest = await self._ask(last, asked)
            # If something was invalidated in the meantime, markers that were good until now have to be read after all.
            unknown = [key for key in self._unknown(keys, last) if key not in asked]
        if unknown:
            newest = max(newest, await self._ask(None, unknown))
        remembered = (self._of_others(key, self._read[key][0]) for key in keys if key in self._read)
        newest = max(newest, max(remembered, default=-math.inf))
        return newest >= since_ms - self._clock_skew_ms or self.has_own(keys, since_ms) or self._was_told(keys, since_ms)

    def learn(self, keys: Iterable[str], invalidation: Invalidation) -> None:
        """Take note of an invalidation by another isolate, of which KV may not tell yet."""
        now_ms = self._clock()
        for key in keys:
            known = self._told.pop(key, _UNTOLD)[0]
            # A log that has begun anew may tell of an earlier time than the one before.
            self._told[key] = (invalidation if known.at_ms < invalidation.at_ms else known, now_ms)
        while len(self._told) > self._capacity:
            del self._told[next(iter(self._told))]
        self._newest_told_ms = max(self._newest_told_ms, invalidation.at_ms)
        if not invalidation.is_gone:
            self._newest_told_stale_ms = max(self._newest_told_stale_ms, invalidation.at_ms)
        self._newest_own_ms = max(self._newest_own_ms, invalidation.at_ms)

    def _was_told(self, keys: Collection[str], since_ms: int) -> bool:
        """Return whether others have told of an invalidation of one of `keys` that reaches content of `since_ms`."""
        if self._told.keys().isdisjoint(keys):
            return False
        return any(self._told_reaching(key, since_ms) is not None for key in keys)

    def _told_reaching(self, key: str, since_ms: int) -> Invalidation | None:
        told, learned_ms = self._told.get(key, _UNTOLD)
        if not told.reaches(since_ms - self._clock_skew_ms) or (since_ms > learned_ms and since_ms in self._made_after_own):
            return None
        return told

    def has_own(self, keys: Collection[str], since_ms: int) -> bool:
        """Return whether this isolate has invalidated one of `keys` at `since_ms` or later."""
        newest_ms = self.own.newest(keys)
        return newest_ms is not None and newest_ms >= since_ms - self._own_skew_ms(since_ms)

    def note_made(self, made_ms: int) -> None:
        """Note the time of content that this isolate makes."""
        if made_ms <= self._newest_own_ms + self._clock_skew_ms:
            self._made_after_own[made_ms] = None

    def _own_skew_ms(self, since_ms: int) -> int:
        return 0 if since_ms in self._made_after_own else self._clock_skew_ms

    def _of_others(self, key: str, marker: float) -> float:
        """Return a marker that was read, minus infinity if it is this isolate's own, or it was told of it."""
        is_known = marker == self.own.newest((key,)) or marker == self._told.get(key, _UNTOLD)[0].at_ms
        return -math.inf if is_known else marker

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
        found = joined(filter(None, (self._stale_reaching(key, since_ms) for key in keys)))
        return None if found is None else found.at(self._clock())

    def _knows_last_stale(self, asked_ms: int, last: str | None) -> bool:
        known_since_ms = self._last.get(self._last_stale, _NEVER)[1]
        if last is not None:
            return known_since_ms >= min(asked_ms, self._clock() - self._keep_ms) or known_since_ms > self._settled_ms(last)
        # The other markers may have been read `keep_ms` ago, when this time had been known for as long. It is never read alone.
        return known_since_ms >= min(asked_ms, self._clock() - 2 * self._keep_ms)

    def _stale_reaching(self, key: str, since_ms: int) -> Invalidation | None:
        """Return the last stale invalidation of a key if it reaches content of `since_ms`: by its time, or by another clock's."""
        read, own = self._read_stale.get(key, (None, 0))[0], self.own_stale.get(key)
        reaching: list[Invalidation] = []
        if own is not None and own.reaches(since_ms - self._own_skew_ms(since_ms)):
            reaching.append(own)
        if (
            read is not None
            and read not in (own, self._told.get(key, _UNTOLD)[0])
            and read.reaches(since_ms - self._clock_skew_ms)
        ):
            reaching.append(read)
        told = self._told_reaching(key, since_ms)
        if told is not None:
            reaching.append(told)
        last = max(reaching, key=lambda one: one.at_ms, default=None)
        return None if last is None else replace(last, at_ms=max(last.at_ms, since_ms))

    def is_missing(self, last: str) -> bool:
        """Return whether KV has no time of a last invalidation, as far as is known."""
        return self._last.get(last, _SOME)[0] == -math.inf and self.own.newest((last,)) is None

    async def write(self, invalidations: Mapping[str, Invalidation]) -> list[str]:
        """Write the markers of invalidations, which hold in this isolate at once.

        Return the keys of those that others will not see yet; `write_rest` goes on writing them.
        """
        for key, invalidation in invalidations.items():
            self._record(key, invalidation)
        unwritten = await self._writer.write(invalidations)
        is_announced = self._last_invalidation not in unwritten and self._last_stale not in unwritten
        return unwritten if is_announced else list(invalidations)

    async def write_rest(self, invalidations: Mapping[str, Invalidation]) -> None:
        """Go on writing markers, in the background."""
        await self._writer.write_rest(invalidations)

    def leave(self, keys: Iterable[str]) -> None:
        """Leave it to somebody else to write markers."""
        self._writer.leave(keys)

    def with_times(self, keys: Iterable[str], invalidation: Invalidation) -> dict[str, Invalidation]:
        """Return what to write for an invalidation of `keys`: their markers, and the times of the last invalidation if due."""
        lasts = [self._last_invalidation] if invalidation.is_gone else [self._last_invalidation, self._last_stale]
        at_ms = int(invalidation.at_ms)
        for last in lasts:
            self._record(last, Invalidation.gone(at_ms))
        due = [last for last in lasts if at_ms - self._writer.written_ms(last) >= LAST_WRITTEN_EVERY_MS]
        # The times first: without them, others look for no markers.
        return {**dict.fromkeys(due, Invalidation.gone(at_ms)), **dict.fromkeys(keys, invalidation)}

    def _record(self, key: str, invalidation: Invalidation) -> None:
        if invalidation.is_gone:
            self.own.record((key,), int(invalidation.at_ms))
        else:
            self.own_stale.record((key,), invalidation)
        self._newest_own_ms = max(self._newest_own_ms, invalidation.at_ms)

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

    def _settled_ms(self, last: str) -> float:
        """Return the time from which on markers that were read are still true: infinity where it is unknown."""
        at_ms = max(self._last.get(last, _NEVER)[0], self.own.newest((last,)) or -math.inf)
        if at_ms == -math.inf:
            return math.inf
        return max(at_ms, self._newest_told_ms) + SETTLING_MS + self._clock_skew_ms

    def _stale_settled_ms(self) -> float:
        """Return the same for stale invalidations. Their writers all write the time: without it, there was none."""
        at_ms = max(
            self._last.get(self._last_stale, _NEVER)[0],
            self.own.newest((self._last_stale,)) or -math.inf,
            self._newest_told_stale_ms,
        )
        return at_ms + SETTLING_MS + self._clock_skew_ms

    async def _ask(self, last: str | None, keys: list[str]) -> float:
        """Read markers, and the time of the last invalidation; return the newest marker of another isolate."""
        now_ms = self._clock()
        lasts = [] if last is None else [last]
        # With the framed layout, `last` alone shows that there was no invalidation of either kind.
        if (keys or not lasts) and not self.knows(self._last_stale):
            lasts.append(self._last_stale)
        texts = await self._texts([*lasts, *keys])
        for name in lasts:
            self.note_read(name, texts.get(name), now_ms)
        markers = {key: marker_ms(texts.get(key)) for key in keys}
        self._remember(markers.items(), now_ms)
        return max((self._of_others(key, marker) for key, marker in markers.items()), default=-math.inf)

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
