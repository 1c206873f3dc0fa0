"""What an isolate remembers of requests: recent facts, all of them together within one number of bytes.

Nothing here is needed to answer correctly, only to answer without asking or computing again. The cache's own entries have a
budget of their own (`cache.memory`).
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from core.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY = 10_000

MAX_BYTES = 6 * 1024 * 1024

# The place of a key in the dict and in the sizes, and a small value.
_OVERHEAD_BYTES = 160

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

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

    The oldest are those that were set longest ago. `fact_bytes` returns about how many bytes a key and its value take. Many
    memories never get a fact: one without any takes next to nothing.
    """

    __slots__ = ("__weakref__", "_budget", "_capacity", "_fact_bytes", "_sizes", "size_bytes")

    def __init__(
        self, capacity: int = CAPACITY, fact_bytes: Callable[[K, V], int] = text_bytes, budget: Budget = SHARED_BUDGET
    ) -> None:
        super().__init__()
        self._capacity = capacity
        self._fact_bytes = fact_bytes
        self._budget = budget
        self._sizes: dict[K, int] | None = None
        self.size_bytes = 0

    def __setitem__(self, key: K, value: V) -> None:
        sizes = self._sizes
        if sizes is None:
            sizes = self._sizes = {}
        elif key in sizes:
            del self[key]
        if len(self) >= self._capacity:
            del self[next(iter(self))]
        super().__setitem__(key, value)
        sizes[key] = size_bytes = _OVERHEAD_BYTES + self._fact_bytes(key, value)
        self._count(size_bytes)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        assert self._sizes is not None  # noqa: S101 - it had the key
        self._count(-self._sizes.pop(key))

    def __del__(self) -> None:
        if self.size_bytes:
            self._budget.change(self, self.size_bytes, 0)

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
        self._sizes = None
        self._count(-self.size_bytes)

    def give_up_some(self) -> None:
        """Forget the oldest quarter, at least one."""
        for key in tuple(islice(self, len(self) // 4 + 1)):
            del self[key]

    def _count(self, size_bytes: int) -> None:
        before = self.size_bytes
        self.size_bytes = before + size_bytes
        self._budget.change(self, before, self.size_bytes)
