from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Fakes are shared by all tests, and by those inside workerd. An installed copy of a module is not what is tested.
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "scripts")]
