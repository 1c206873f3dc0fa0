from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.project import configuration_in

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class PythonProject:
    """A site whose pages Python renders in the same Worker: its wrangler configuration has a Python module as `main`.

    A Worker in front of an app has one too, and is none: its page handler is a service of its configuration.
    """

    root: Path
    config: WranglerConfig
    output: str = "dist"
    """The folder of the build, relative to `root`."""

    @classmethod
    def find(cls, root: Path, chosen: WranglerConfig | None = None) -> PythonProject | None:
        """Return the Python site in a folder, None if there is none; raise ConfigurationError if its configuration is wrong.

        Its configuration is the one that was chosen, if that is in the folder, else the first that wrangler would find there.
        """
        config = chosen if chosen is not None and chosen.folder == root else _first_configuration(root)
        if config is None:
            return None
        path = config.path
        if config.main is None or config.main.suffix != ".py" or _is_in_front(config):
            return None
        if not config.main.is_file():
            raise ConfigurationError(f"{path}: main ({config.main}) does not exist; name the site's entry module")
        if config.main.parent == root:
            raise ConfigurationError(f"{path}: main must be in a folder of its own, such as src/, because its folder is uploaded")
        return cls(root, config)

    def for_dev(self) -> PythonProject:
        """Return the site with a build that is `dev`'s own: it is rendered with local variables, and not for being deployed."""
        return replace(self, output=".vinext/dev/dist")

    @property
    def sources(self) -> Path:
        """The folder of `main`, whose Python files are all uploaded."""
        assert self.config.main is not None  # noqa: S101 - `find` has checked it
        return self.config.main.parent

    @property
    def packages(self) -> Path:
        """The folder of packages, which is uploaded with the site."""
        return self.root / "python_modules"

    @property
    def requirements(self) -> Path:
        """The file that lists the site's packages: pyproject.toml, this library among them, or else requirements.txt.

        Raises ConfigurationError if there is neither.
        """
        path, other = self.root / "pyproject.toml", self.root / "requirements.txt"
        found = next((file for file in (path, other) if file.is_file()), None)
        if found is None:
            raise ConfigurationError(
                f"{path} does not exist; the site's packages are its [project] dependencies, vinext-worker among them"
            )
        return found

    @property
    def has_plain_list(self) -> bool:
        """Whether `requirements` is a requirements.txt."""
        return self.requirements.suffix == ".txt"

    @property
    def lock(self) -> Path:
        """The lock file of the packages, which pywrangler writes."""
        return self.root / "pylock.toml"

    @property
    def local(self) -> Path:
        """The folder for files that the commands write for themselves; git ignores it."""
        return self.root / ".vinext"

    @property
    def build_directory(self) -> Path:
        """The folder to which pre-rendering writes the manifest and the artifacts, as in a vinext app."""
        return self.root / self.output / "server"

    @property
    def static_files(self) -> Path:
        """The folder of files that are served as they are."""
        return self.root / "public"

    def require_own_names(self, packages: frozenset[str]) -> None:
        """Raise UserError if a package has the name of a module of the site: the package would be imported instead."""
        for path in sorted(self.sources.iterdir()):
            name = path.stem if path.suffix == ".py" else path.name
            if name in packages and (path.suffix == ".py" or any(path.rglob("*.py"))):
                raise UserError(f"{path} is hidden by the package {name} in {self.packages.name}; rename it")


def _first_configuration(folder: Path) -> WranglerConfig | None:
    path = configuration_in(folder)
    return None if path is None else WranglerConfig.read(path)


def _is_in_front(config: WranglerConfig) -> bool:
    # An environment that lacks the service is one with a fault. Its Worker stays what it is without an environment.
    if config.environment is not None and _is_in_front(WranglerConfig.read(config.path)):
        return True
    kind, _, binding = str(config.variables.get("VINEXT_PAGE_HANDLER", "service:PAGES")).partition(":")
    return kind == "service" and binding in config.services
