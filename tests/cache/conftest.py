from __future__ import annotations

import sys
from pathlib import Path

# Fakes and conformance suites are shared by the tests under CPython and those inside workerd.
sys.path.insert(0, str(Path(__file__).parents[2]))
