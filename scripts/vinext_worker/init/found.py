"""What is in a folder: which kinds of site a project can be, and how they are told apart."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import jsonc

from vinext_worker.errors import ConfigurationError
from vinext_worker.init.wrangler_file import find_wrangler_file
from vinext_worker.sites.files import is_readable
from vinext_worker.sites.python_packages import requirement_name, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LEFT_OUT = frozenset({"node_modules", "python_modules", "dist", "build", "venv", "vendor", "site-packages", "__pycache__"})
_DEPTH = 3


class Kind(StrEnum):
    """What a project is."""

    VINEXT = "vinext"
    NEXT = "next"
    WORKER = "worker"
    FASTAPI = "fastapi"
    STARLETTE = "starlette"
    DJANGO = "django"
    FLASK = "flask"

    @property
    def label(self) -> str:
        """What a person calls it."""
        return _LABELS[self]


_LABELS = {
    Kind.VINEXT: "a vinext app",
    Kind.NEXT: "a Next.js app that is not on vinext",
    Kind.WORKER: "a Python Worker",
    Kind.FASTAPI: "a FastAPI app",
    Kind.STARLETTE: "a Starlette app",
    Kind.DJANGO: "a Django project",
    Kind.FLASK: "a Flask app",
}
# FastAPI depends on Starlette, so it comes first.
_FRAMEWORKS = (Kind.FASTAPI, Kind.STARLETTE, Kind.DJANGO, Kind.FLASK)


@dataclass(frozen=True)
class Found:
    """A project in a folder."""

    folder: Path
    kind: Kind


def found_in(folder: Path) -> list[Found]:
    """Return what a folder itself holds, nothing below it: at most an app for Node.js and a Python site."""
    kinds = (_javascript(folder), _python(folder))
    return [Found(folder, kind) for kind in kinds if kind is not None]


def found_below(folder: Path) -> list[Found]:
    """Return what the folders below hold, as in a monorepo."""
    return [found for below in _folders(folder, _DEPTH) for found in found_in(below)]


def requirements_of(folder: Path) -> list[str]:
    """Return what pyproject.toml and requirements.txt ask for."""
    project = read_toml(folder / "pyproject.toml").get("project", {})
    poetry = read_toml(folder / "pyproject.toml").get("tool", {}).get("poetry", {}).get("dependencies", {})
    listed = folder / "requirements.txt"
    lines = text_of(listed).splitlines() if listed.is_file() else []
    return [*project.get("dependencies", []), *poetry, *lines]


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's tables, none if there is no such file; raise ConfigurationError if it does not parse."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig")) if path.is_file() else {}
    except ValueError as error:
        raise ConfigurationError(f"{path} does not parse: {error}") from error


def read_package(folder: Path) -> dict[str, Any]:
    """Return package.json, empty if there is none; raise ConfigurationError if it does not parse."""
    path = folder / "package.json"
    try:
        package = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise ConfigurationError(f"{path} does not parse: {error}") from error
    if not isinstance(package, dict):
        raise ConfigurationError(f"{path} must contain an object, not a {type(package).__name__}")
    return package


def _javascript(folder: Path) -> Kind | None:
    package = read_package(folder)
    names = {*package.get("dependencies", {}), *package.get("devDependencies", {})}
    if "vinext" in names:
        return Kind.VINEXT
    return Kind.NEXT if "next" in names else None


def _python(folder: Path) -> Kind | None:
    configuration = find_wrangler_file(folder)
    if configuration is not None and _main(configuration).endswith(".py"):
        return Kind.WORKER
    if (folder / "manage.py").is_file():
        return Kind.DJANGO
    names = {requirement_name(requirement) for requirement in requirements_of(folder)}
    return next((kind for kind in _FRAMEWORKS if kind in names), None)


def _main(configuration: Path) -> str:
    if configuration.suffix == ".toml":
        return str(read_toml(configuration).get("main", ""))
    try:
        values = jsonc.loads(configuration.read_text("utf-8-sig"))
    except ValueError as error:
        raise ConfigurationError(f"{configuration} does not parse: {error}") from error
    return str(values.get("main", "")) if isinstance(values, dict) else ""


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if depth == 0:
        return
    with os.scandir(folder) as items:
        names = sorted(item.name for item in items if item.is_dir(follow_symlinks=False))
    for name in names:
        if name not in _LEFT_OUT and not name.startswith(".") and is_readable(folder / name):
            yield folder / name
            yield from _folders(folder / name, depth - 1)
