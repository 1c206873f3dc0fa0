"""Which entry goes when memory is full: one that is used seldom, was used long ago, or takes much room.

GreedyDual-Size-Frequency (L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
HP Laboratories 1998): the worth of an entry is its uses for each byte, on top of the worth of what had gone last when it was
used last. So what is not used any more is overtaken, however often it was used. Uses and bytes count up to a bound: else what
was popular once would stay for long, and a large page, which also takes longer to get again, would never stay.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

_MAX_USES = 15

_MAX_BYTES = 128 * 1024

_SPARE_GONE = 1000


class Use:
    """What there is to know of the use of one entry; `is_gone` once it was taken out.

    `uses` are those that count, `used_here` those since it was added.
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
        """Give what it is worth now; that never gets less."""
        return self.since + self.uses * self.share


class Eviction:
    """The uses of what is kept, and its size altogether.

    To use an entry costs the same however many there are, to take one out the logarithm of that.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._level = 0.0
        # By the worth of some time ago; the number tells what came first from what is worth as much.
        self._queue: list[tuple[float, int, Use]] = []
        self._numbers = 0
        self._gone = 0

    def add(self, key: str, size_bytes: int, uses: int = 1) -> Use:
        """Take in an entry that is used now; it counts as used so often."""
        use = Use(key, size_bytes, uses, self._level)
        self.size_bytes += size_bytes
        self._push(use)
        return use

    def use(self, use: Use) -> None:
        """Count another."""
        use.used_here += 1
        if use.uses < _MAX_USES:
            use.uses += 1
        use.since = self._level

    def remove(self, use: Use) -> None:
        """Take an entry out."""
        use.is_gone = True
        self.size_bytes -= use.size_bytes
        self._gone += 1
        if self._gone > _SPARE_GONE + len(self._queue) // 2:
            self._queue = [item for item in self._queue if not item[-1].is_gone]
            heapify(self._queue)
            self._gone = 0

    def least(self) -> str:
        """Give the key of the entry that is worth least, which has to be removed then. Raises IndexError where there is none."""
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
