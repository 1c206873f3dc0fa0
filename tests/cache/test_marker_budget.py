"""The markers of all sites of an isolate have one limit."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from cache.invalidation import GONE, Invalidation
from cache.markers import MAX_MARKERS, StaleMarkers, TagMarkers
from core.budget import Budget


def test_a_site_that_invalidates_many_tags_costs_the_others_no_marker() -> None:
    budget = Budget(1000)
    quiet, flooding = TagMarkers(10_000, budget), TagMarkers(10_000, budget)
    quiet.record(("a", "b"), 5)
    for number in range(5000):
        flooding.record((f"tag-{number}",), 10 + number)
    assert quiet.newest(("a",)) == quiet.newest(("b",)) == 5
    assert quiet.floor_ms is None
    assert flooding.newest(("tag-4999",)) == 5009
    assert budget.total <= 1000


def test_what_was_made_before_a_dropped_marker_counts_as_invalid() -> None:
    budget = Budget(100)
    markers = TagMarkers(10_000, budget)
    for number in range(500):
        markers.record((f"tag-{number}",), number)
    assert not markers.is_empty
    assert markers.may_have_invalidated(("tag-0",), 0)
    assert not markers.may_have_invalidated(("tag-0",), 500)


def test_what_was_made_before_a_dropped_stale_marker_counts_as_stale() -> None:
    budget = Budget(1)
    markers = StaleMarkers(10_000, budget)
    markers.record(("a", "b"), Invalidation.stale(100, 60))
    assert markers.reaching(("a",), 100) is not None
    assert markers.reaching(("c",), 100) is not GONE
    assert markers.reaching(("a",), 101) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 40), st.integers(0, 99)), max_size=150))
def test_no_invalidation_is_lost_by_what_other_sites_invalidate(made: list[tuple[int, bool, int, int]]) -> None:
    budget = Budget(30)
    sites = [(TagMarkers(20, budget), StaleMarkers(20, budget)) for _ in range(5)]
    wanted: dict[tuple[int, bool, str], int] = {}
    for number, is_stale, tag_number, at_ms in made:
        gone, stale = sites[number]
        key = number, is_stale, f"{tag_number}"
        if is_stale:
            stale.record((key[2],), Invalidation.stale(at_ms, 60))
        else:
            gone.record((key[2],), at_ms)
        wanted[key] = max(at_ms, wanted.get(key, 0))
        assert budget.total <= 30
    for (number, is_stale, tag), at_ms in wanted.items():
        gone, stale = sites[number]
        assert stale.reaching((tag,), at_ms) if is_stale else gone.may_have_invalidated((tag,), at_ms)


def test_the_markers_of_a_site_that_is_gone_do_not_count() -> None:
    budget = Budget(30)
    markers, stale = TagMarkers(20, budget), StaleMarkers(20, budget)
    markers.record(("a", "b"), 1)
    stale.record(("a",), Invalidation.stale(1, 60))
    assert budget.total == 3
    del markers, stale
    gc.collect()
    assert budget.total == 0


def test_an_isolate_remembers_so_many() -> None:
    sites = [TagMarkers(10_000) for _ in range(10)]
    for markers in sites:
        markers.record((f"tag-{number}" for number in range(10_000)), 1)
    assert (
        sum(sum(markers.newest((f"tag-{number}",)) is not None for number in range(10_000)) for markers in sites) <= MAX_MARKERS
    )
