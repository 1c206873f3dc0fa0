"""Which module may import which."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src"

# What each package may import of the others; `entry` and `vinext` are what a site's own code begins with.
ALLOWED = {
    "core": set[str](),
    "cache": {"core"},
    "seed": {"core", "cache"},
    "pages": {"core", "cache"},
    "datacache": {"core", "cache", "pages"},
    "isr": {"core", "cache", "seed", "pages", "datacache"},
    "edge": {"core", "cache", "seed", "pages", "datacache", "isr"},
    "vinext": {"core", "cache", "pages", "datacache", "edge"},
    "entry": {"edge"},
}
RUNTIME = {"js", "pyodide", "workers", "_pyodide_entrypoint_helper"}


def modules() -> dict[str, ast.Module]:
    paths = {path.relative_to(SOURCES).with_suffix(""): path for path in SOURCES.rglob("*.py")}
    names = {".".join(name.parts).removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: ast.parse(path.read_text()) for name, path in names.items()}


MODULES = modules()


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports, those for its annotations alone among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "imports name the package"
            yield from ([node.module] if node.module in MODULES else [f"{node.module}.{alias.name}" for alias in node.names])
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def package(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module: str) -> None:
    own = package(module)
    packages = {package(name) for name in imported(MODULES[module])}
    assert (packages & ALLOWED.keys()) - {own} <= ALLOWED[own]


@pytest.mark.parametrize("module", sorted(name for name in MODULES if package(name) != "edge"))
def test_the_runtime_is_touched_in_edge_alone(module: str) -> None:
    assert not RUNTIME & {package(name) for name in imported(MODULES[module])}


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: set(imported(tree)) & MODULES.keys() for module, tree in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")


def test_the_commands_import_the_worker_s_rules_and_nothing_of_its_runtime() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "scripts").rglob("*.py")]
    packages = {package(name) for tree in trees for name in imported(tree)}
    assert packages & ALLOWED.keys() <= {"core", "cache", "seed", "pages", "isr"}
