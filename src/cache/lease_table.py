"""The leases that one object has given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.recent import Recent

if TYPE_CHECKING:
    from core.runtime import Clock

LEASE_MS = 10_000


class LeaseTable:
    """The leases that an object has given, by key the time at which each was taken.

    They are in its memory alone: an object that starts anew gives a lease once more, and a page is regenerated twice.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._taken: Recent[str, int] = Recent()

    def take(self, key: str, own_ms: int, since_ms: int) -> int:
        """Return the time of the lease that the caller has got, 0 if another has it.

        `own_ms` is the time of the caller's last lease: whoever has it may take it again.
        """
        if self.is_held(key, own_ms, since_ms):
            return 0
        # Two leases of a key never have the same time.
        self._taken[key] = taken_ms = max(self._clock(), self._taken.get(key, 0) + 1)
        return taken_ms

    def is_held(self, key: str, own_ms: int, since_ms: int) -> bool:
        """Return whether another has the lease; nothing changes."""
        taken_ms = self._taken.get(key, 0)
        return taken_ms != own_ms and since_ms <= taken_ms and self._clock() < taken_ms + LEASE_MS
