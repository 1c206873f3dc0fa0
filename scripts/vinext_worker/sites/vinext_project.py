from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_BUILDS = re.compile(r"\b(?:vinext|vite)\s+build\b")
_FOREIGN_LOCKS = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"}


@dataclass(frozen=True)
class VinextProject:
    """A vinext app as its package.json describes it: what to install and how to build it."""

    root: Path
    scripts: dict[str, str]
    linked_folders: tuple[Path, ...]
    """The `file:` dependencies: folders that belong to the site's sources although they lie elsewhere."""

    @classmethod
    def read(cls, root: Path) -> VinextProject:
        """Read `root`/package.json; raises UserError where that is no vinext app."""
        path = root / "package.json"
        try:
            package: dict[str, Any] = json.loads(path.read_bytes())
            dependencies = {**package.get("devDependencies", {}), **package.get("dependencies", {})}
            scripts = {str(name): str(command) for name, command in package.get("scripts", {}).items()}
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{root} is no vinext project: it has no package.json; name a vinext app with --site") from None
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise UserError(f"{path} cannot be read as a package.json ({error}); mend it") from error
        if "vinext" not in dependencies:
            raise UserError(f"{root} is no vinext project: its package.json does not name vinext; name a vinext app with --site")
        linked = (str(version).removeprefix("file:") for version in dependencies.values() if str(version).startswith("file:"))
        return cls(root, scripts, tuple(sorted(path for folder in linked if (path := (root / folder).resolve()).is_dir())))

    @property
    def lock(self) -> Path | None:
        """The lock file of npm, where there is one."""
        return next((path for name in ("npm-shrinkwrap.json", "package-lock.json") if (path := self.root / name).is_file()), None)

    @property
    def foreign_package_manager(self) -> str | None:
        """The package manager other than npm whose lock file the site has; None where it has npm's, or none."""
        if self.lock is not None:
            return None
        return next((manager for name, manager in _FOREIGN_LOCKS.items() if (self.root / name).is_file()), None)

    def installed_version(self) -> str | None:
        """Return the version of vinext that Node.js finds from here (a workspace may keep it further up); None without one."""
        for folder in (self.root, *self.root.parents):
            manifest = folder / "node_modules" / "vinext" / "package.json"
            if manifest.is_file():
                version: str = json.loads(manifest.read_bytes())["version"]
                return version
        return None

    def build_command(self) -> tuple[str, ...]:
        """Return the arguments with which npm builds the site, pre-rendering switched on.

        That is the app's own script that runs `vinext build` or `vite build` (`build:vinext`, which `vinext init` writes, before
        `build`), else the tool itself. Before 1.0 vinext pre-renders only where `--prerender-all` says so; from then on its
        configuration does.
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
