from __future__ import annotations

import sys
from pathlib import Path

# Fakes are shared by all tests, and by those inside workerd.
sys.path.insert(0, str(Path(__file__).parents[1]))
