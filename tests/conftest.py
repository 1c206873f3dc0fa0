from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

# No example has a deadline: a busy machine is not a failure. On CI each run tries the same examples; elsewhere, new ones.
settings.register_profile("vinext-worker", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("vinext-worker")

ROOT = Path(__file__).parents[1]

# Fakes are shared by all tests, and by those inside workerd. An installed copy of a module is not what is tested.
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "scripts")]
