from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.entry import CacheEntry, Freshness, freshness, stale_after


@pytest.mark.parametrize(
    ("revalidate", "expire", "expected"),
    [
        (60, None, (61_000, None, 60, None)),
        (60, 600, (61_000, 601_000, 60, 600)),
        (None, None, (None, None, None, None)),
        (False, None, (None, None, None, None)),
        (math.inf, math.inf, (None, None, None, None)),
        (-1, 0, (None, None, None, None)),
        (0.5, None, (1500, None, 0.5, None)),
    ],
)
def test_times_follow_from_periods(revalidate: Any, expire: Any, expected: tuple[Any, ...]) -> None:
    entry = CacheEntry.make(None, (), 1000, revalidate, expire)
    assert (entry.revalidate_at_ms, entry.expire_at_ms, entry.revalidate_seconds, entry.expire_seconds) == expected


@pytest.mark.parametrize(
    ("revalidate_at", "expire_at", "now", "expected"),
    [
        (None, None, 2**60, Freshness.FRESH),
        (100, None, 100, Freshness.FRESH),
        (100, None, 101, Freshness.STALE),
        (100, 200, 200, Freshness.STALE),
        (100, 200, 201, Freshness.EXPIRED),
        (None, 200, 201, Freshness.EXPIRED),
        (300, 200, 201, Freshness.EXPIRED),
    ],
)
def test_freshness_follows_from_the_time(revalidate_at: Any, expire_at: Any, now: int, expected: Freshness) -> None:
    assert freshness(CacheEntry(None, (), 0, revalidate_at, expire_at), now) is expected


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 1000), st.integers(1, 1000))
def test_an_entry_only_grows_older(first: int, second: int, revalidate: int, expire: int) -> None:
    order = list(Freshness)
    entry = CacheEntry.make(None, (), 0, revalidate, expire)
    states = [order.index(freshness(entry, now)) for now in sorted((first, second))]
    assert states == sorted(states)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, 60_000), (30, 30_000), (60, 60_000), (90, 60_000), (0, 60_000), (math.inf, 60_000)]
)
def test_a_reader_s_period_only_shortens(seconds: Any, expected: int) -> None:
    assert stale_after(CacheEntry.make(None, (), 0, 60), seconds).revalidate_at_ms == expected
