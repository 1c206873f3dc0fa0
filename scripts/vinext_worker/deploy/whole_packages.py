"""Whether `python_modules` holds what a Worker imports, and each package whole."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# These come with the runtime.
_RUNTIME = frozenset({"js", "pyodide", "pyodide_js", "_pyodide", "_pyodide_core", "_cloudflare"})
_NOT_UPLOADED = frozenset({"__pycache__", "bin", "tests"})


def missing_packages(sources: Path, packages: Path) -> list[str]:
    """Return the top-level names that the modules of a Worker import and that neither the Worker nor a package has."""
    imported = {name for path in sources.rglob("*.py") for name in _imports(path)}
    own = {path.stem for path in sources.iterdir()}
    wanted = imported - own - _RUNTIME - sys.stdlib_module_names
    return sorted(name for name in wanted if not ((packages / name).is_dir() or (packages / f"{name}.py").is_file()))


def missing_files(packages: Path) -> list[str]:
    """Return the Python files that packages say they have installed (in RECORD) and that are not there."""
    files = (file for distribution in distributions(path=[str(packages)]) for file in distribution.files or ())
    python = (file for file in files if file.suffix == ".py" and not _NOT_UPLOADED.intersection(file.parts))
    return sorted(str(file) for file in python if ".." not in file.parts and not (packages / file).is_file())


def _imports(path: Path) -> Iterator[str]:
    """Yield the top-level names that a module needs for its own import: not those that it tries, or imports later."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            yield statement.module.partition(".")[0]
