"""A bounded memory of recent facts."""

from __future__ import annotations

from typing import TypeVar

CAPACITY = 10_000

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dict of at most `capacity` keys: a new key replaces the one that was set longest ago."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__()
        self._capacity = capacity

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        if len(self) >= self._capacity:
            del self[next(iter(self))]
        super().__setitem__(key, value)
