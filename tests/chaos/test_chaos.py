"""A short run of each setup. `./scripts/chaos` is the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chaos.faults import Kind
from tests.chaos.runtime import run
from tests.chaos.world import SETUPS, World

if TYPE_CHECKING:
    from tests.chaos.world import Setup

_REQUESTS = 300

# Few invalidations list keys.
_SELDOM = {"kv list", "r2 list"}


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_nothing_is_wrong_and_nothing_is_lost(setup: Setup) -> None:
    world = World(setup, seed=1)
    run(world.play(_REQUESTS))
    assert not wrong(world)
    struck = {operation for operation, _ in world.faults.struck}
    assert struck >= setup.operations - _SELDOM
    assert min(world.judge.counts[state] for state in ("HIT", "STALE", "MISS")) > 0


def test_nothing_is_wrong_and_nothing_is_lost_while_kv_does_not_answer_for_minutes() -> None:
    [setup] = [setup for setup in SETUPS if setup.name == "framed layout, memory"]
    world = World(setup, seed=3, requests_a_second=1, between_outages_seconds=(10, 30))
    run(world.play(150))
    assert not wrong(world)
    assert all(world.faults.struck[operation, Kind.HANGS] > 10 for operation in ("kv get", "kv put", "kv list"))


def wrong(world: World) -> dict[str, list[str]]:
    return {what: details[:5] for what, details in world.judge.wrong.items()}
