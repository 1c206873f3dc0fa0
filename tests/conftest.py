from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

# No example has a deadline: a busy machine is not a failure. On CI each run tries the same examples; elsewhere, new ones.
settings.register_profile("vinext-worker", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("vinext-worker")

ROOT = Path(__file__).parents[1]
SLOW = frozenset({"adapters", "benchmarks", "browser", "differential", "packages", "workerd"})
"""The folders whose tests start workerd or build sites."""

# Fakes are shared by all tests, and by those inside workerd. An installed copy of a module is not what is tested.
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "scripts")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: where files are shared out between processes, the quick ones then fill what time is left."""
    items.sort(key=lambda item: SLOW.isdisjoint(item.path.relative_to(ROOT).parts))
