"""A limit that many share: where they have too much together, the largest gives up some."""

from __future__ import annotations

from typing import Protocol
from weakref import ref


class Holder(Protocol):
    """Somebody who holds a part of what a budget counts."""

    def give_up_some(self) -> None:
        """Give up some of it, at least the least that can be given up."""


class Budget:
    """What holders may have together, in bytes or in pieces. Where they have more, one of the largest gives up some.

    So a flood in one of them costs the others nothing: none gives up anything while another has twice as much. Holders are
    found by the magnitude of what they have, so it takes no look at each of them, however many there are. A holder is counted
    for as long as it exists, and says itself what it has, also when it ends.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # By the number of bits of what they have, and by identity; the first of a magnitude has been of it for longest.
        self._holders: dict[int, dict[int, ref[Holder]]] = {}
        self.total = 0

    def change(self, holder: Holder, before: int, after: int) -> None:
        """Count what a holder has come to have."""
        self.total += after - before
        magnitude, last = after.bit_length(), before.bit_length()
        if magnitude != last:
            self._move(holder, last, magnitude)
        if after > before and self.total > self._limit:
            self._make_room()

    def _move(self, holder: Holder, last: int, magnitude: int) -> None:
        if last:
            self._remove(last, id(holder))
        if magnitude:
            self._holders.setdefault(magnitude, {})[id(holder)] = ref(holder)

    def _remove(self, magnitude: int, identity: int) -> None:
        holders = self._holders.get(magnitude, {})
        holders.pop(identity, None)
        if not holders:
            self._holders.pop(magnitude, None)

    def _make_room(self) -> None:
        while self.total > self._limit and self._holders:
            magnitude = max(self._holders)
            identity, found = next(iter(self._holders[magnitude].items()))
            holder = found()
            if holder is None:  # it is just ending, and will say so
                self._remove(magnitude, identity)
            else:
                holder.give_up_some()
