"""Wheels, by hatchling: the same files and the same metadata give the same bytes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hatchling.builders.wheel import WheelBuilder

from build_packages.one_name import OneName

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
_COMMANDS = ROOT / "scripts" / "vinext_worker"
_TEXTS = Path(__file__).parent
_PARSER = "node_modules/@babel/parser"
_SHARED = ("name", "version", "requires-python", "license", "license-files")


def project() -> dict[str, Any]:
    """Return the table `project` of this repository's pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def build_library(output: Path) -> Path:
    """Build the Worker library into a folder and return the wheel. Raises RewriteError."""
    ours = project()
    command = f"{ours['name']}-cli=={ours['version']}"
    table = {name: ours[name] for name in (*_SHARED, "description", "dependencies")}
    table |= {"readme": "README.md", "optional-dependencies": {"cli": [command]}}
    readme = (_TEXTS / "library.md").read_bytes()
    files = {**OneName.of(SOURCES).library(SOURCES), "vinext/py.typed": b"", "README.md": readme}
    return build_wheel(output, table, files, package="vinext")


def build_command(output: Path, library: Path, adapter: Path) -> Path:
    """Build the command into a folder, with the library's wheel, the adapter's tarball and a parser of JavaScript in it.

    Return its wheel. Raises RewriteError.
    """
    ours, one_name = project(), OneName.of(SOURCES)
    table = {name: ours[name] for name in _SHARED} | {
        "name": f"{ours['name']}-cli",
        "description": "The command of vinext-worker: sets a project up, serves it locally, deploys it and checks it.",
        "readme": "README.md",
        "dependencies": [f"{ours['name']}=={ours['version']}", *ours["optional-dependencies"]["cli"]],
        "scripts": ours["scripts"],
    }
    carried = f"{_COMMANDS.name}/artifacts"
    files = {
        f"{_COMMANDS.name}/{path.relative_to(_COMMANDS).as_posix()}": (
            one_name.rewritten(path) if path.suffix == ".py" else path.read_bytes()
        )
        for path in sorted(_COMMANDS.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files |= {f"{carried}/{package.name}": package.read_bytes() for package in (library, adapter)}
    npm = ("package.json", "package-lock.json", *(f"{_PARSER}/{name}" for name in ("package.json", "lib/index.js", "LICENSE")))
    files |= {f"{carried}/npm/{name}": (ROOT / name).read_bytes() for name in npm}
    files |= {f"{_COMMANDS.name}/py.typed": b"", "README.md": (_TEXTS / "command.md").read_bytes()}
    return build_wheel(output, table, files, package=_COMMANDS.name)


def current_library(output: Path) -> Path:
    """Return the Worker library's wheel in a folder, built if it is not there or older than what it is built from."""
    wheel = output / f"vinext_worker-{project()['version']}-py3-none-any.whl"
    inputs = [ROOT / "pyproject.toml", ROOT / "LICENSE", SOURCES, *SOURCES.rglob("*"), *_TEXTS.iterdir()]
    newest = max(path.stat().st_mtime_ns for path in inputs if "__pycache__" not in path.parts)
    if wheel.is_file() and wheel.stat().st_mtime_ns > newest:
        return wheel
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output) as folder:  # another process may be reading the wheel that is there
        return build_library(Path(folder)).replace(wheel)


def build_wheel(output: Path, table: Mapping[str, Any], files: Mapping[str, bytes], *, package: str) -> Path:
    """Build a wheel of the files below `package`, with the metadata of the table `project`, and this repository's licence."""
    with TemporaryDirectory() as name:
        stage = Path(name)
        for path, content in (*files.items(), ("LICENSE", (ROOT / "LICENSE").read_bytes())):
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (stage / path).write_bytes(content)
        config = {"project": dict(table), "tool": {"hatch": {"build": {"targets": {"wheel": {"packages": [package]}}}}}}
        output.mkdir(parents=True, exist_ok=True)
        return Path(next(WheelBuilder(name, config=config).build(directory=str(output), versions=["standard"])))
