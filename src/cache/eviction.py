"""The choice of the entry to drop when memory is full: one that is used seldom, was last used long ago, or is large.

GreedyDual-Size-Frequency (L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
HP Laboratories 1998): the worth of an entry is its number of uses per byte, plus the worth of the last dropped entry at the
time of its last use. So others overtake an entry that is no longer used, however often it was used before. Uses and bytes
count up to a bound: otherwise an entry that was popular once would stay for long, and a large page, which also takes longer
to fetch again, would never stay.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

_MAX_USES = 15
_MAX_BYTES = 128 * 1024

_SPARE_GONE = 1000


class Eviction:
    """The uses of the kept entries, and their total size.

    The time to use an entry does not depend on the number of entries; the time to drop one grows with its logarithm.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._level = 0.0
        # By an earlier worth, which the present one may exceed; the number puts the older of two equals first.
        self._queue: list[tuple[float, int, Use]] = []
        self._numbers = 0
        self._gone = 0

    def add(self, key: str, size_bytes: int, uses: int = 1) -> Use:
        """Add an entry that is used now, and count `uses` uses of it."""
        use = Use(key, size_bytes, uses, self._level)
        self.size_bytes += size_bytes
        self._push(use)
        return use

    def use(self, use: Use) -> None:
        """Count another use."""
        use.used_here += 1
        if use.uses < _MAX_USES:
            use.uses += 1
        use.since = self._level

    def remove(self, use: Use) -> None:
        """Remove an entry."""
        use.is_gone = True
        self.size_bytes -= use.size_bytes
        self._gone += 1
        if self._gone > _SPARE_GONE + len(self._queue) // 2:
            self._queue = [item for item in self._queue if not item[-1].is_gone]
            heapify(self._queue)
            self._gone = 0

    def least(self) -> str:
        """Return the key of the entry of least worth, for the caller to remove. Raises IndexError where there is none."""
        while True:
            worth, _, use = self._queue[0]
            if use.is_gone:
                heappop(self._queue)
                self._gone -= 1
            elif use.worth() > worth:
                heappop(self._queue)
                self._push(use)
            else:
                self._level = worth
                return use.key

    def _push(self, use: Use) -> None:
        self._numbers += 1
        heappush(self._queue, (use.worth(), self._numbers, use))


class Use:
    """The use of one entry; `is_gone` is set when the entry is removed.

    `uses` is the number that counts, `used_here` the number since the entry was added.
    """

    __slots__ = ("is_gone", "key", "share", "since", "size_bytes", "used_here", "uses")

    def __init__(self, key: str, size_bytes: int, uses: int, since: float) -> None:
        self.key = key
        self.size_bytes = size_bytes
        self.uses = min(uses, _MAX_USES)
        self.used_here = 0
        self.since = since
        self.share = 1 / max(1, min(size_bytes, _MAX_BYTES))
        self.is_gone = False

    def worth(self) -> float:
        """Return the present worth, which never decreases."""
        return self.since + self.uses * self.share
