"""What an isolate remembers of requests: recent facts, all of them together within one number of bytes.

Nothing here is needed to answer correctly, only to answer without asking or computing again. The cache's own entries have a
budget of their own (`cache.memory`).
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY = 10_000

MAX_BYTES = 6 * 1024 * 1024

# When there are too many bytes, room is made for some more, because it takes a look at every memory.
_SHARE_KEPT = 7 / 8

# The place of a key in the dict and in the sizes, and a small value.
_OVERHEAD_BYTES = 160

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Budget:
    """The bytes that memories of recent facts may take together. Where they take more, the largest gives up its oldest facts.

    So a flood of one kind of fact costs those of other kinds nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._memories: list[ref[Recent]] = []  # type: ignore[type-arg]
        self.size_bytes = 0

    def join(self, memory: Recent[K, V]) -> None:
        """Count a memory from now on, for as long as it exists."""
        self._memories.append(ref(memory))

    def add(self, size_bytes: int) -> None:
        """Count some bytes that one of the memories has come to take, or takes no more."""
        self.size_bytes += size_bytes
        if size_bytes > 0 and self.size_bytes > self._max_bytes:
            self._make_room()

    def _make_room(self) -> None:
        memories = [memory for found in self._memories if (memory := found()) is not None]
        self._memories = [ref(memory) for memory in memories]
        self.size_bytes = sum(memory.size_bytes for memory in memories)
        while self.size_bytes > self._max_bytes * _SHARE_KEPT:
            max(memories, key=lambda memory: memory.size_bytes).drop_oldest()


SHARED_BUDGET = Budget(MAX_BYTES)
"""The budget of an isolate."""


def text_bytes(*parts: object) -> int:
    """Return the bytes of texts, and of the texts in tuples; other things are small."""
    return sum(
        sys.getsizeof(part) if isinstance(part, (str, bytes)) else text_bytes(*part) if isinstance(part, tuple) else 0
        for part in parts
    )


class Recent(dict[K, V]):
    """A dict of at most `capacity` keys, which also keeps to a budget that others share: a new key replaces the oldest ones.

    The oldest are those that were set longest ago. `fact_bytes` returns about how many bytes a key and its value take.
    """

    def __init__(
        self, capacity: int = CAPACITY, fact_bytes: Callable[[K, V], int] = text_bytes, budget: Budget = SHARED_BUDGET
    ) -> None:
        super().__init__()
        self._capacity = capacity
        self._fact_bytes = fact_bytes
        self._budget = budget
        self._sizes: dict[K, int] = {}
        self.size_bytes = 0
        budget.join(self)

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        if len(self) >= self._capacity:
            del self[next(iter(self))]
        super().__setitem__(key, value)
        self._sizes[key] = size_bytes = _OVERHEAD_BYTES + self._fact_bytes(key, value)
        self._count(size_bytes)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self._count(-self._sizes.pop(key))

    def pop(self, key: K, default: D) -> V | D:  # type: ignore[override]
        """Remove a key and return its value, `default` if it is not there."""
        if key not in self:
            return default
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._sizes.clear()
        self._count(-self.size_bytes)

    def drop_oldest(self) -> None:
        """Forget a quarter, at least one."""
        for key in tuple(islice(self, len(self) // 4 + 1)):
            del self[key]

    def _count(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._budget.add(size_bytes)
