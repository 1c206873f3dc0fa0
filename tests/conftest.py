from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

# A change is judged by the same examples each time; at a person's desk new ones are tried in every run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).parents[1]

# Fakes are shared by all tests, and by those inside workerd. An installed copy of a module is not what is tested.
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "scripts")]
