from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonc
import tomlkit

from vinext_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.init.editor import Editor
    from vinext_worker.init.plan import Plan

NAMES = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""In the order in which wrangler looks for them."""


def find_wrangler_file(folder: Path) -> Path | None:
    """Return the wrangler configuration in a folder that wrangler itself takes; None if there is none."""
    return next((path for name in NAMES if (path := folder / name).is_file()), None)


@dataclass
class WranglerFile:
    """A wrangler configuration that is edited: comments and format stay."""

    path: Path
    text: str
    values: dict[str, Any]
    _edits: list[tuple[tuple[str | int, ...], object]] = field(default_factory=list)

    @classmethod
    def read(cls, plan: Plan, path: Path) -> WranglerFile:
        """Read the file of a plan; raise ConfigurationError if it does not parse."""
        text = plan.read(path) or ""
        try:
            values = tomllib.loads(text) if path.suffix == ".toml" else jsonc.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{path} does not parse: {error}") from error
        if not isinstance(values, dict):
            raise ConfigurationError(f"{path} must contain a table of settings, not a {type(values).__name__}")
        return cls(path, text, values)

    def set(self, path: Sequence[str | int], value: object) -> None:
        """Set a value; None removes it. One that is as it should be is left alone."""
        table: Any = self.values
        for key in path[:-1]:
            table = table.setdefault(key, {}) if isinstance(table, dict) else table[key]
        last = path[-1]
        if isinstance(table, list) and last == len(table):
            table.append(value)
        elif isinstance(table, dict) and table.get(str(last)) == value:
            return
        else:
            table[last] = value
        self._edits.append((tuple(path), value))

    def add(self, name: str, row: dict[str, object]) -> None:
        """Add a row to a list of tables."""
        if name in self.values:
            self.set((name, len(self.values[name])), row)
        else:
            self.set((name,), [row])

    def require_flag(self, flag: str) -> None:
        """Add a compatibility flag if it is missing."""
        flags = self.values.get("compatibility_flags", [])
        if flag not in flags:
            self.set(("compatibility_flags",), [*flags, flag])

    def line_of(self, key: str) -> int:
        """Return the number of the first line that has the key, 1 if there is none."""
        return next((number for number, line in enumerate(self.text.splitlines(), 1) if key in line), 1)

    def write(self, plan: Plan, editor: Editor) -> None:
        """Give the edited file to the plan."""
        if not self._edits:
            return
        if self.path.suffix == ".toml":
            plan.write(self.path, _edit_toml(self.text, self._edits))
        else:
            plan.write(self.path, editor.set_json(self.text, self._edits))


def _edit_toml(text: str, edits: Sequence[tuple[tuple[str | int, ...], object]]) -> str:
    document = tomlkit.parse(text)
    for path, value in edits:
        table: Any = document
        for key in path[:-1]:
            if isinstance(key, str) and key not in table:
                table[key] = tomlkit.table()
            table = table[key]
        last = path[-1]
        if value is None:
            del table[last]
        elif isinstance(last, int):
            table.append(_toml(value) if isinstance(table, tomlkit.items.AoT) else _inline(value))
        else:
            table[last] = _toml(value)
    return tomlkit.dumps(document)


def _toml(value: object) -> object:
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        rows = tomlkit.aot()
        for row in value:
            rows.append(_table(row))
        return rows
    return _table(value) if isinstance(value, dict) else value


def _inline(value: object) -> object:
    if not isinstance(value, dict):
        return value
    table = tomlkit.inline_table()
    table.update(value)
    return table


def _table(values: dict[str, object]) -> tomlkit.items.Table:
    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, _toml(value))
    return table
