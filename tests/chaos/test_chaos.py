"""A short run of each setup. `./scripts/chaos` is the long one."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.chaos.faults import RATES
from tests.chaos.runtime import run
from tests.chaos.world import SETUPS, Setup, World

_REQUESTS = 800


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_nothing_is_wrong_and_nothing_is_lost(setup: Setup) -> None:
    world = World(setup, seed=_REQUESTS)
    run(world.play(_REQUESTS))
    shown = {what: details[:5] for what, details in world.judge.wrong.items()}
    assert not shown
    struck = Counter(name.rpartition(" ")[0].split(" answers")[0] for name in world.faults.struck)
    assert struck.keys() & {"page", "assets", "request"}, "no fault struck"
    assert min(world.judge.counts[state] for state in ("HIT", "STALE", "MISS")) > 0


def test_a_fault_can_strike_each_operation() -> None:
    assert all(0 < sum(kinds.values()) < 1 for kinds in RATES.values())
