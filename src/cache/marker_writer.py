"""Writing the markers of invalidations to KV until they are there.

KV takes one write a second for a key and refuses others with 429
(https://developers.cloudflare.com/kv/platform/limits/), and any write may fail. A marker that is not written yet waits in the
isolate, and is tried again in the background. Of several invalidations of a tag only the newest is written.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.errors import described
from core.recent import Recent
from core.runtime import WORK_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from cache.invalidation import Invalidation
    from cache.kv_namespace import KVNamespace
    from core.log import Log
    from core.runtime import Clock

# vinext keeps markers for 30 days. Entries that are never stale, and a build's pages, live longer and became valid again.
MARKER_TTL_SECONDS = 365 * 24 * 3600

WRITE_EVERY_MS = 1_000

RETRY_FOR_MS = WORK_MS

# As long as a visitor may wait for very many markers.
FIRST_TRY_MS = 10_000

# A write that has not ended after this time belongs to a request that the platform has ended: the binding gives up sooner.
_LONGEST_WRITE_MS = 21_000

# The same, of a marker that nobody tries to write any more.
_ABANDONED_MS = FIRST_TRY_MS + _LONGEST_WRITE_MS + RETRY_FOR_MS

# A Worker may have six connections waiting for their answer at a time.
_AT_ONCE = 6


@dataclass(frozen=True)
class _Waiting:
    """The newest invalidation of a key that is not written yet, and why it is not."""

    invalidation: Invalidation
    failure: str = "there was no time to try"


class MarkerWriter:
    """Writes markers, each key at most once a second.

    A marker that is written late states the time of its writing: it replaces what others have written meanwhile, whose
    invalidations would be lost otherwise. `on_written` is told each marker as it was written.
    """

    def __init__(
        self,
        namespace: KVNamespace,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        log: Log,
        on_written: Callable[[str, Invalidation], None],
    ) -> None:
        self._namespace = namespace
        self._clock = clock
        self._sleep = sleep
        self._log = log
        self._on_written = on_written
        self._waiting: dict[str, _Waiting] = {}
        self._written_ms: Recent[str, float] = Recent()
        # The time from which on a key may be written again.
        self._free_ms: Recent[str, int] = Recent()

    def written_ms(self, key: str) -> float:
        """Return the time in the last marker that was written, as far as is known."""
        return self._written_ms.get(key, -math.inf)

    async def write(self, invalidations: Mapping[str, Invalidation]) -> list[str]:
        """Try to write markers by their keys, and return the keys of those that are not written: `write_rest` goes on."""
        now_ms = self._clock()
        self._give_up(key for key, waiting in self._waiting.items() if waiting.invalidation.at_ms < now_ms - _ABANDONED_MS)
        for key, invalidation in invalidations.items():
            earlier = self._waiting.get(key)
            if self.written_ms(key) < invalidation.at_ms and not (earlier and earlier.invalidation.at_ms > invalidation.at_ms):
                self._waiting[key] = _Waiting(invalidation)
        await self._try(invalidations, now_ms + FIRST_TRY_MS)
        return self._unwritten(invalidations)

    async def write_rest(self, invalidations: Mapping[str, Invalidation]) -> None:
        """Try again, less and less often, until the markers are written. Those that could not be written are logged."""
        end_ms = self._clock() + RETRY_FOR_MS
        pause_ms, took_ms = WRITE_EVERY_MS, 0
        try:
            while self._unwritten(invalidations) and self._clock() + pause_ms + took_ms <= end_ms:
                await self._sleep(pause_ms / 1000)
                pause_ms += WRITE_EVERY_MS
                begun_ms = self._clock()
                await self._try(self._unwritten(invalidations), end_ms)
                took_ms = self._clock() - begun_ms
        finally:
            # Whoever has invalidated a tag after that goes on.
            left = self._unwritten(invalidations)
            self._give_up(key for key in left if self._waiting[key].invalidation.at_ms <= invalidations[key].at_ms)

    def leave(self, keys: Iterable[str]) -> None:
        """Leave it to somebody else to write markers."""
        for key in keys:
            self._waiting.pop(key, None)

    def _unwritten(self, invalidations: Mapping[str, Invalidation]) -> list[str]:
        return [
            key
            for key, invalidation in invalidations.items()
            if key in self._waiting and self.written_ms(key) < invalidation.at_ms
        ]

    async def _try(self, keys: Iterable[str], end_ms: int) -> None:
        """Write the markers that may be written now, as many as can be begun until `end_ms`."""
        now_ms = self._clock()
        due = [key for key in keys if key in self._waiting and self._free_ms.get(key, 0) <= now_ms]
        for start in range(0, len(due), _AT_ONCE):
            if self._clock() <= end_ms:
                await asyncio.gather(*map(self._put, due[start : start + _AT_ONCE]))

    async def _put(self, key: str) -> None:
        now_ms = self._clock()
        waiting = self._waiting.get(key)
        if waiting is None or self._free_ms.get(key, 0) > now_ms:
            return  # another request has written it meanwhile, or is about to
        marker = replace(waiting.invalidation, at_ms=max(waiting.invalidation.at_ms, now_ms))
        self._free_ms[key] = now_ms + _LONGEST_WRITE_MS
        failure: str | None = None
        try:
            await self._namespace.put(key, marker_text(marker), expiration_ttl=MARKER_TTL_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, the marker is not written
            failure = described(error)
        else:
            self._written_ms[key] = marker.at_ms
            self._on_written(key, marker)
        self._free_ms[key] = self._clock() + WRITE_EVERY_MS
        waiting = self._waiting.get(key)
        if waiting is not None and failure is not None:
            self._waiting[key] = replace(waiting, failure=failure)
        elif waiting is not None and waiting.invalidation.at_ms <= marker.at_ms:
            del self._waiting[key]

    def _give_up(self, keys: Iterable[str]) -> None:
        lost = {key: self._waiting.pop(key) for key in tuple(keys)}
        if lost:
            failures = sorted({waiting.failure for waiting in lost.values()})
            self._log.event("error", "cache.invalidation_lost", keys=list(lost), error="; ".join(failures), advice=_ADVICE)


_ADVICE = "other isolates may serve the pages with these tags until they expire; invalidate them again"


def marker_text(invalidation: Invalidation) -> str:
    """Return the text of a marker: the time of the invalidation, and of a stale one also the time at which pages expire."""
    if invalidation.is_gone:
        return f"{invalidation.at_ms:.0f}"
    return f"{invalidation.at_ms:.0f} {invalidation.expire_at_ms:.0f}"
