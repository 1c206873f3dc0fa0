"""A cached value with its tags and times."""

from __future__ import annotations

import math
from dataclasses import field, replace
from enum import Enum
from typing import TYPE_CHECKING

from cache.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from cache.values import CacheValue


class Freshness(Enum):
    """Whether an entry may be served: as it is, while it is made again, or not at all."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"

    __hash__ = object.__hash__  # in C, where an enumeration's own is in Python


@frozen
class CacheEntry:
    """What a cache gives back for a key; times are epoch milliseconds, periods are seconds.

    `value` None is a tombstone: known not to be cached. `revalidate_at_ms` None is never stale, `expire_at_ms` None
    is never expired. `extra` keeps what a stored entry says beyond that, for writing it again. `memo` is for readers:
    what they work out of an entry again and again is kept there as long as the entry. Entries that differ in nothing but
    the bytes of their bodies may have one memo between them, so nothing in it is a body, or depends on one.
    """

    value: CacheValue | None
    tags: tuple[str, ...]
    last_modified_ms: int
    revalidate_at_ms: int | None = None
    expire_at_ms: int | None = None
    revalidate_seconds: float | None = None
    expire_seconds: float | None = None
    stale_seconds: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    memo: dict[object, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def make(  # noqa: PLR0913, PLR0917 - what an entry consists of
        cls,
        value: CacheValue | None,
        tags: tuple[str, ...],
        last_modified_ms: int,
        revalidate: float | Literal[False] | None = None,
        expire: float | None = None,
        stale: float | None = None,
    ) -> CacheEntry:
        """Compute the times of an entry from its periods; a period that is not above zero, or infinite, is none."""
        revalidate_seconds = _period(revalidate)
        expire_seconds = _period(expire)
        return cls(
            value=value,
            tags=tags,
            last_modified_ms=last_modified_ms,
            revalidate_at_ms=_after(last_modified_ms, revalidate_seconds),
            expire_at_ms=_after(last_modified_ms, expire_seconds),
            revalidate_seconds=revalidate_seconds,
            expire_seconds=expire_seconds,
            stale_seconds=stale,
        )


def freshness(entry: CacheEntry, now_ms: float) -> Freshness:
    """Decide the state of an entry; at `revalidate_at_ms` and `expire_at_ms` themselves it has not changed yet."""
    if entry.expire_at_ms is not None and now_ms > entry.expire_at_ms:
        return Freshness.EXPIRED
    if entry.revalidate_at_ms is not None and now_ms > entry.revalidate_at_ms:
        return Freshness.STALE
    return Freshness.FRESH


def stale_after(entry: CacheEntry, seconds: float | None) -> CacheEntry:
    """Give the entry as a reader sees it who wants it made again `seconds` after it was made, if not sooner."""
    at_ms = _after(entry.last_modified_ms, _period(seconds))
    if at_ms is None or (entry.revalidate_at_ms is not None and entry.revalidate_at_ms <= at_ms):
        return entry
    return replace(entry, revalidate_at_ms=at_ms)


def _period(seconds: float | Literal[False] | None) -> float | None:
    return seconds if seconds and 0 < seconds < math.inf else None


def _after(start_ms: int, seconds: float | None) -> int | None:
    return None if seconds is None else math.floor(start_ms + seconds * 1000)
