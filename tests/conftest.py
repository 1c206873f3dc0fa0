from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from httpx2._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import settings

if TYPE_CHECKING:
    import pytest

# No example has a deadline: a busy machine is not a failure. On CI each run tries the same examples; elsewhere, new ones.
settings.register_profile("vinext-worker", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("vinext-worker")

# Nor is it one where a request has no timeout of its own: five seconds would be its limit.
DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.connect = 60

ROOT = Path(__file__).parents[1]
SLOW = frozenset({"adapters", "benchmarks", "browser", "differential", "packages", "workerd"})
"""The folders whose tests start workerd or build sites."""

# A workerd that a test starts answers few requests, so V8 need not compile Python's interpreter a second time, for speed: that
# is a quarter of the start's processor time.
os.environ.setdefault("MINIFLARE_WORKERD_V8_FLAGS", "--liftoff-only")

# Fakes are shared by all tests, and by those inside workerd. An installed copy of a module is not what is tested.
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "scripts")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: where files are shared out between processes, the quick ones then fill what time is left."""
    items.sort(key=lambda item: SLOW.isdisjoint(item.path.relative_to(ROOT).parts))
