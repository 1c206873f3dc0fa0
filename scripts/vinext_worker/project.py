from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinext_worker.cloudflare.wrangler_config import parse_configuration
from vinext_worker.errors import ConfigurationError
from vinext_worker.sites.files import is_readable
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Iterator

# In wrangler's own order.
CONFIGURATION_NAMES = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")


@dataclass(frozen=True)
class Project:
    """The user's project: the folder of the Worker's wrangler configuration, whose `main` is a Python module."""

    configuration: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project of the folder `start`, by default the current one; raise ConfigurationError if there is none.

        Its configuration is in that folder or in the nearest one above it. Where that folder is an app with a configuration of
        its own, the Worker in front of it is in one of the folders directly below, or further up and names the app as a service.
        """
        start = (start or Path.cwd()).resolve()
        apps: list[_Candidate] = []
        for folder in (start, *start.parents):
            found = list(_candidates(folder))
            own = [candidate for candidate in found if not candidate.is_worker]
            apps += own
            below = _below(folder) if own or names_vinext(folder) else ()
            for candidate in chain(found, below):
                if candidate.is_worker and (not apps or candidate.serves(apps)):
                    return cls(candidate.path)
        if apps:
            raise ConfigurationError(
                f"{apps[0].path} configures an app ({apps[0].name}), and no Worker in front of it names it as a service; "
                f"run `vinext-worker init` in {apps[0].path.parent}, or name the Worker's configuration with --config"
            )
        raise ConfigurationError(
            f"neither {start} nor a folder above it has a wrangler.toml, .json or .jsonc with a Python module as main; "
            "run `vinext-worker init` in the project's folder, or name the configuration with --config"
        )

    @classmethod
    def choose(cls, configuration: Path | None, site: Path | None = None) -> Project:
        """Return the project that a command line names: by --config, else by the site's folder, else by the current one."""
        if configuration is not None:
            return cls(configuration.resolve())
        if site is None:
            return cls.find()
        try:
            return cls.find(site)
        except ConfigurationError as error:
            try:
                return cls.find()
            except ConfigurationError:
                raise error from None

    @property
    def root(self) -> Path:
        """The folder of the configuration."""
        return self.configuration.parent

    @property
    def local(self) -> Path:
        """The folder for all files that the commands write for themselves; git ignores it."""
        return self.root / ".vinext"

    @property
    def dev_assets(self) -> Path:
        """The pages and static files that `dev` serves. Those that are deployed are in another folder, so a deploy may go on."""
        return self.local / "dev" / "assets"

    @cached_property
    def tools(self) -> Tools:
        """The tools for this project."""
        return Tools(self.root)


@dataclass(frozen=True)
class _Candidate:
    """A wrangler configuration, as far as it tells whose it is."""

    path: Path
    values: dict[str, Any]

    @property
    def is_worker(self) -> bool:
        main = self.values.get("main")
        return isinstance(main, str) and main.endswith(".py")

    @property
    def name(self) -> str:
        return str(self.values.get("name") or self.path.parent.name)

    def serves(self, apps: list[_Candidate]) -> bool:
        services = self.values.get("services")
        rows = services if isinstance(services, list) else []
        names = {row.get("service") for row in rows if isinstance(row, dict)}
        return any(app.name in names for app in apps)


def configuration_in(folder: Path) -> Path | None:
    """Return the wrangler configuration in a folder, the first if there are several, None if there is none."""
    return next(_configurations(folder), None)


def _configurations(folder: Path) -> Iterator[Path]:
    return (path for name in CONFIGURATION_NAMES if (path := folder / name).is_file())


def _candidates(folder: Path) -> Iterator[_Candidate]:
    return (_Candidate(path, parse_configuration(path)) for path in _configurations(folder))


def _below(folder: Path) -> Iterator[_Candidate]:
    for child in sorted(folder.iterdir()):
        if child.name == "node_modules" or child.name.startswith("."):
            continue
        if child.is_dir() and is_readable(child):
            yield from _candidates(child)


def names_vinext(folder: Path) -> bool:
    """Return whether the package.json of a folder names vinext."""
    try:
        package = json.loads((folder / "package.json").read_bytes())
        return any("vinext" in (package.get(key) or {}) for key in ("dependencies", "devDependencies"))
    except (OSError, ValueError, AttributeError, TypeError):
        return False
