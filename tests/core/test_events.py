"""The list of the Worker's events is complete, and the documentation shows it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from core.events import EVENTS, table

ROOT = Path(__file__).parents[2]

_LIST = ROOT / "src" / "core" / "events.py"


def nodes() -> list[ast.AST]:
    """The code of the Worker, but for the list itself."""
    paths = [path for path in (ROOT / "src").rglob("*.py") if path != _LIST]
    return [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]


def test_the_list_has_each_event_that_the_code_names_and_no_other() -> None:
    folders = {name.partition(".")[0] for name in EVENTS}
    named = {
        node.value
        for node in nodes()
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.replace(".", "").replace("_", "").isalpha()
        and node.value.partition(".")[0] in folders
        and "." in node.value
    }
    assert named == set(EVENTS)


def test_each_call_logs_an_event_of_the_list_at_one_of_its_levels() -> None:
    levels: dict[str, set[object]] = defaultdict(set)
    for node in nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "event":
            level, event = (argument.value if isinstance(argument, ast.Constant) else None for argument in node.args[:2])
            if isinstance(event, str):
                levels[event].add(level)
    for event, given in levels.items():
        assert given - {None} <= set(EVENTS[event].levels), event
        assert None in given or given == set(EVENTS[event].levels), event


def test_the_documentation_shows_the_list() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    shown = page[page.index("| event |") :].partition("\n\n")[0].rstrip()
    assert shown == table(), "write what `PYTHONPATH=src python -m core.events` prints into docs/operating.md"
