"""The code of docs/own-cache-handlers.md, which is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "own-cache-handlers.md"

EXAMPLE, EXAMPLES_TEST, WRAPPER = re.findall(r"^```python\n(.*?)^```", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
