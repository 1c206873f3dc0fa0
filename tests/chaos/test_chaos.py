"""A short run of each setup. `./scripts/chaos` is the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chaos.faults import RATES
from tests.chaos.runtime import run
from tests.chaos.world import SETUPS, World

if TYPE_CHECKING:
    from tests.chaos.world import Setup

_REQUESTS = 800


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_nothing_is_wrong_and_nothing_is_lost(setup: Setup) -> None:
    world = World(setup, seed=_REQUESTS)
    run(world.play(_REQUESTS))
    shown = {what: details[:5] for what, details in world.judge.wrong.items()}
    assert not shown
    struck = {operation for operation, _ in world.faults.struck}
    assert struck >= {operation for operation in RATES if setup.has_kv or not operation.startswith("kv ")}
    assert min(world.judge.counts[state] for state in ("HIT", "STALE", "MISS")) > 0
