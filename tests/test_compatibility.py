"""Each statement of docs/compatibility.md stands on tests, which it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compatibility.md").read_text()
NAMED = sorted(set(re.findall(r"`(?:(tests/\S+\.py)::)?(test_\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    path = ROOT / (file or "tests/workerd/test_side_by_side.py")
    functions = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert name in {function.name for function in functions}


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| vinext |"))]
    heads = [row for row in rows if row.rstrip(" |").endswith("shown by")]
    assert len(heads) == 2
    assert [row for row in rows if row not in heads and "test_" not in row] == []
    assert len(rows) > 25


def test_every_fault_has_its_row() -> None:
    side_by_side = (ROOT / "tests" / "workerd" / "test_side_by_side.py").read_text()
    faults = re.findall(r"def (test_fault_\w+)", side_by_side)
    assert len(faults) == 6
    assert [name for name in faults if name not in PAGE] == []
