"""The dependency on the Worker's library in a project's pyproject.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

from vinext_worker.errors import ConfigurationError
from vinext_worker.init.artifacts import VENDOR
from vinext_worker.init.configuration import worker_name
from vinext_worker.sites.python_packages import requirement_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.init.artifacts import Artifacts
    from vinext_worker.init.plan import Plan

_PACKAGE = "vinext-worker"
_PYTHON = ">=3.14"


def require_library(plan: Plan, folder: Path, artifacts: Artifacts, *, name: str, others: Sequence[str] = ()) -> None:
    """Name the Worker's library in `folder`/pyproject.toml and put its wheel beside it; `others` are for a new file.

    The source in `[tool.uv.sources]` is that wheel alone, so that nobody's package of the same name is taken instead.
    """
    path = folder / "pyproject.toml"
    document = _read(plan, path, name, others)
    _depend(document, f"{_PACKAGE}=={artifacts.version}")
    wheel = f"{VENDOR}/{artifacts.library.name}"
    sources = _table(document, "tool", "uv", "sources")
    if sources.get(_PACKAGE, {}).get("path") != wheel:
        sources[_PACKAGE] = tomlkit.value(f'{{ path = "{wheel}" }}')
    plan.write(path, tomlkit.dumps(document))
    put_vendored(plan, folder, artifacts.library)


def put_vendored(plan: Plan, folder: Path, artifact: Path) -> None:
    """Put a package into the folder for them, and remove those of other versions."""
    start = artifact.name.partition("-")[0]
    others = (folder / VENDOR).glob(f"{start}-*{artifact.suffix}")
    for other in others:
        if other.name != artifact.name:
            plan.remove(other)
    plan.write(folder / VENDOR / artifact.name, artifact.read_bytes())


def _read(plan: Plan, path: Path, name: str, others: Sequence[str]) -> Any:
    text = plan.read(path)
    if text is None:
        document = tomlkit.document()
    else:
        try:
            document = tomlkit.parse(text)
        except ValueError as error:
            raise ConfigurationError(f"{path} does not parse: {error}") from error
    if "project" not in document:
        project = tomlkit.table()
        project.add("name", worker_name(name))
        project.add("version", "0.1.0")
        project.add("requires-python", _PYTHON)
        project.add("dependencies", _list(others))
        document["project"] = project
    return document


def _depend(document: Any, requirement: str) -> None:
    project = document["project"]
    if "dependencies" not in project:
        project["dependencies"] = _list(())
    dependencies = project["dependencies"]
    place = next((index for index, one in enumerate(dependencies) if requirement_name(str(one)) == _PACKAGE), None)
    if place is None:
        dependencies.append(requirement)
    elif str(dependencies[place]) != requirement:
        dependencies[place] = requirement


def _list(items: Sequence[str]) -> Any:
    array = tomlkit.array()
    array.extend(items)
    return array.multiline(len(items) > 0)


def _table(document: Any, *names: str) -> Any:
    table = document
    for depth, name in enumerate(names, 1):
        if name not in table:
            table[name] = tomlkit.table(is_super_table=depth < len(names))
        table = table[name]
    return table
