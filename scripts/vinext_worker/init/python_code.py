"""What a site's Python code says, read by its syntax tree: nothing of it is run."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vinext_worker.errors import ConfigurationError
from vinext_worker.init.found import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT_OUT = frozenset({"node_modules", "python_modules", "dist", "build", "venv", "vendor", "tests", "test", "site-packages"})
_MAKERS = {
    Kind.FASTAPI: ("fastapi", "FastAPI"),
    Kind.STARLETTE: ("starlette", "Starlette"),
    Kind.FLASK: ("flask", "Flask"),
    Kind.DJANGO: ("django", "get_wsgi_application"),
}
_ENTRYPOINTS = frozenset({"WorkerEntrypoint", "DurableObject", "WorkflowEntrypoint"})


@dataclass(frozen=True)
class App:
    """An app in a module: `name` is the variable that holds it."""

    path: Path
    name: str


@dataclass(frozen=True)
class Entry:
    """The entry module of a Python Worker."""

    has_default: bool
    """Whether it has the class `Default`."""
    is_ours: bool
    """Whether that is vinext-worker's."""
    handlers: tuple[str, ...]
    """The methods of `Default` that the runtime calls besides `fetch`: `scheduled`, `queue` and others."""
    exports: tuple[str, ...]
    """The other classes here that the runtime makes: Durable Objects, Workflows, named entrypoints."""
    names: frozenset[str]
    """The classes here, and what is imported or assigned."""
    old_handlers: tuple[tuple[str, int], ...]
    """Functions such as `on_fetch`, which the runtime does not call any more, with their lines."""


def find_apps(folder: Path, kind: Kind) -> list[App]:
    """Return the apps of a framework that the modules below a folder make at their top level."""
    package, maker = _MAKERS[kind]
    apps = []
    for path in _modules(folder):
        tree = parse(path)
        names = {maker} if _imports(tree, package, maker) else set()
        for statement in tree.body:
            target, value = _assignment(statement)
            if target is not None and isinstance(value, ast.Call) and _called(value) in {*names, f"{package}.{maker}"}:
                apps.append(App(path, target))
    return apps


def uses_vinext(folder: Path) -> bool:
    """Return whether a module below the folder imports from `vinext`: then it says itself how long its pages live."""
    return any(_imports_package(parse(path), "vinext") for path in _modules(folder))


def read_entry(path: Path) -> Entry:
    """Return what the entry module of a Worker defines."""
    tree = parse(path)
    classes = {statement.name: statement for statement in tree.body if isinstance(statement, ast.ClassDef)}
    default = classes.get("Default")
    names = {_called(statement.value): _assignment(statement)[0] for statement in tree.body if isinstance(statement, ast.Assign)}
    imported = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    functions = (
        [node for node in ast.walk(default) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)] if default else []
    )
    own = {function.name for function in functions}
    return Entry(
        has_default=default is not None or "Default" in imported or "Default" in names.values(),
        is_ours=_imports(tree, "vinext.worker", "Default"),
        handlers=tuple(sorted(own & {"scheduled", "queue", "email", "tail", "trace", "test", "alarm"})),
        exports=tuple(
            name
            for name, node in classes.items()
            if name != "Default" and any(base.rpartition(".")[2] in _ENTRYPOINTS for base in map(_dotted, node.bases))
        ),
        names=frozenset({*classes, *imported, *filter(None, (_assignment(statement)[0] for statement in tree.body))}),
        old_handlers=tuple(
            (node.name, node.lineno)
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("on_")
        ),
    )


def parse(path: Path) -> ast.Module:
    """Return a module's syntax tree; raise ConfigurationError with file and line if it does not parse."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ConfigurationError(f"{path}:{line}: it does not parse as Python: {error}") from error


def _modules(folder: Path) -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if one not in _LEFT_OUT and not one.startswith((".", "__")))
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        yield from (Path(name) / file for file in sorted(files) if file.endswith(".py"))


def _imports(tree: ast.Module, package: str, name: str) -> bool:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and f"{node.module}.".startswith(f"{package}.")
            and any(alias.name == name for alias in node.names)
        ):
            return True
    return False


def _imports_package(tree: ast.Module, package: str) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
            return True
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == package for alias in node.names):
            return True
    return False


def _assignment(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id, statement.value
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.value
    return None, None


def _called(value: ast.expr | None) -> str:
    return _dotted(value.func) if isinstance(value, ast.Call) else ""


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""
