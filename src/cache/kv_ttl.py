"""How long KV keeps an entry."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from cache.kv_store import MIN_TTL_SECONDS

if TYPE_CHECKING:
    from cache.entry import CacheEntry

THIRTY_DAYS_SECONDS = 30 * 24 * 3600
_TIMES = 10


class TTLPolicy(Enum):
    """30 days, as vinext does; or ten times the period of the entry, as its older documentation has it."""

    THIRTY_DAYS = "30d"
    TEN_TIMES = "ten_times"

    def seconds(self, entry: CacheEntry) -> int | None:
        """Give the `expirationTtl` of an entry; None where it is never stale, so that KV never drops it."""
        if entry.revalidate_at_ms is None:
            return None
        if self is TTLPolicy.THIRTY_DAYS or entry.revalidate_seconds is None:
            return THIRTY_DAYS_SECONDS
        return int(min(max(_TIMES * entry.revalidate_seconds, MIN_TTL_SECONDS), THIRTY_DAYS_SECONDS))
