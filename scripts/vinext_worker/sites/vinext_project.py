from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADVICE = "name the folder of a vinext app or of a Python site"
_BUILDS = re.compile(r"\b(?:vinext|vite)\s+build\b")

FRONT_FOLDER = "vinext-worker"
"""The folder in a vinext app with the Worker in front of it."""

ADAPTER = "vinext-worker-adapter"
"""The npm package that lets vinext-worker keep the pages of a vinext app."""


@dataclass(frozen=True)
class VinextProject:
    """A vinext app as its package.json describes it: its packages and the command that builds it."""

    root: Path
    dependencies: dict[str, str]
    """Package to what is asked for; those for development too."""
    scripts: dict[str, str]

    @classmethod
    def read(cls, root: Path) -> VinextProject:
        """Read `root`/package.json; raise UserError if the folder holds no vinext app."""
        path = root / "package.json"
        try:
            package: dict[str, Any] = json.loads(path.read_bytes())
            dependencies = _dependencies(package)
            scripts = {str(name): str(command) for name, command in package.get("scripts", {}).items()}
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{root} is no vinext app: it has no package.json; {_ADVICE}") from None
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise UserError(f"{path} cannot be read as a package.json ({error}); fix it") from error
        if "vinext" not in dependencies:
            raise UserError(f"{root} is no vinext app: its package.json does not name vinext; {_ADVICE}")
        return cls(root, dependencies, scripts)

    @property
    def linked_folders(self) -> tuple[Path, ...]:
        """The packages that are folders elsewhere, which belong to the site's sources: those of a workspace, and theirs.

        They are `file:` dependencies, and links in node_modules.
        """
        found: dict[Path, None] = {}
        waiting = [(self.root, self.dependencies)]
        for folder, dependencies in waiting:
            for name, asked in dependencies.items():
                path = _linked_folder(folder, name, asked)
                if path is not None and path not in found and not self.root.is_relative_to(path):
                    found[path] = None
                    waiting.append((path, _dependencies_in(path)))
        return tuple(sorted(found))

    @property
    def lock(self) -> Path | None:
        """npm's lock file, if there is one."""
        return next((path for name in ("npm-shrinkwrap.json", "package-lock.json") if (path := self.root / name).is_file()), None)

    def installed_version(self, package: str = "vinext") -> str | None:
        """Return the version of a package that Node.js finds from here, also further up as in a workspace; None without one."""
        manifests = (installed / "package.json" for installed in _places_of(package, self.root))
        manifest = next(filter(Path.is_file, manifests), None)
        if manifest is None:
            return None
        version: str = json.loads(manifest.read_bytes())["version"]
        return version

    def build_command(self) -> tuple[str, ...]:
        """Return npm's arguments for building the site with pre-rendering.

        They name the app's own script if it runs `vinext build` or `vite build`: `build:vinext`, which `vinext init` writes, or
        else `build`. If there is no such script, they name the tool itself. vinext pre-renders before 1.0 if it is given
        `--prerender-all`, and from 1.0 on if its configuration says so.
        """
        before_1_0 = (self.installed_version() or "").startswith("0.")
        for name in ("build:vinext", "build"):
            command = self.scripts.get(name, "")
            if _BUILDS.search(command):
                flags = ("--", "--prerender-all") if before_1_0 and "--prerender-all" not in command else ()
                return ("run", name, *flags)
        return (
            ("exec", "--no", "--", "vinext", "build", "--prerender-all")
            if before_1_0
            else ("exec", "--no", "--", "vite", "build")
        )


def _dependencies(package: dict[str, Any]) -> dict[str, str]:
    listed = {**package.get("devDependencies", {}), **package.get("dependencies", {})}
    return {str(name): str(asked) for name, asked in listed.items()}


def _dependencies_in(folder: Path) -> dict[str, str]:
    """Return what a linked package asks for, nothing if it does not say so."""
    try:
        return _dependencies(json.loads((folder / "package.json").read_bytes()))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _places_of(package: str, folder: Path) -> Iterator[Path]:
    """Yield where Node.js looks for a package that is asked for in a folder."""
    return (up / "node_modules" / package for up in (folder, *folder.parents))


def _linked_folder(folder: Path, name: str, asked: str) -> Path | None:
    """Return the folder of a package as Node.js finds it from another one, None for one that was installed by copying it.

    pnpm links those, too, but within node_modules.
    """
    if asked.startswith("file:"):
        path = (folder / asked.removeprefix("file:")).resolve()
        return path if path.is_dir() else None
    installed = next(filter(Path.is_dir, _places_of(name, folder)), None)
    if installed is None or "node_modules" in (path := installed.resolve()).parts:
        return None
    return path
