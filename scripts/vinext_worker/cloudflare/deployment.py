"""The Worker that a command works on, and the options that choose it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from isr.settings import SettingError, read_settings
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError
from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cache.keys import KeySchema
    from isr.settings import Settings
    from seed.build import Build

R2_BINDING = "VINEXT_CACHE_R2"

F = TypeVar("F", bound="Callable[..., object]")


@dataclass(frozen=True)
class Deployment:
    """A Worker, as its wrangler configuration describes it."""

    project: Project
    config: WranglerConfig
    settings: Settings
    """The settings of the deployed Worker, so without .dev.vars, which is for this machine only."""

    @classmethod
    def read(cls, path: Path | None, environment: str | None, site: Path | None = None) -> Deployment:
        """Read the configuration at `path`, by default that of the site's project, or of the current folder's.

        Raises ConfigurationError.
        """
        project = Project.choose(path, site)
        config = WranglerConfig.read(project.configuration, environment)
        return cls(project, config, settings_of(config, config.deployed_variables))

    @property
    def assets_directory(self) -> Path:
        """The folder that is deployed as assets; see `WranglerConfig.assets_directory`."""
        return self.config.assets_directory

    def schema_of(self, build: Build) -> KeySchema:
        """Return the schema of the keys: the setting if there is one, else the build's."""
        return self.settings.key_schema or build.schema

    def build_id_of(self, build: Build) -> str:
        """Return the build ID in the keys: the setting if there is one, else the build's."""
        return self.settings.build_id or build.build_id


class _Asked(dict[str, str]):
    """Variables that are all unset, and that remember which of them were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def _names_of_settings() -> frozenset[str]:
    asked = _Asked()
    read_settings(asked)
    return frozenset(asked.names)


_KNOWN = _names_of_settings()


def settings_of(config: WranglerConfig, variables: Mapping[str, object]) -> Settings:
    """Read the settings as the Worker does; raise ConfigurationError, which names the setting and the allowed values."""
    for name in sorted(name for name in config.deployed_variables if name.startswith("VINEXT_") and name not in _KNOWN):
        near = next(iter(get_close_matches(name, _KNOWN, 1)), None)
        advice = f"did you mean {near}?" if near else "remove it"
        click.echo(f"warning: {config.path}: no setting is called {name}, so it has no effect; {advice}", err=True)
    texts = {name: str(value) for name, value in variables.items() if isinstance(value, str | int | float)}
    try:
        settings = read_settings(texts)
    except SettingError as error:
        raise ConfigurationError(f"{config.path}: {error}") from error
    return settings.with_bucket() if R2_BINDING in config.r2_buckets else settings


def build_for(environment: str | None) -> None:
    """Let the builds that this process starts be for an environment; an app's own build reads the variable."""
    if environment:
        os.environ["CLOUDFLARE_ENV"] = environment


site_argument = click.argument("site", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
"""The folder of a vinext app or a Python site; without it, that of the current project (`sites.site_build.find_site`)."""


def configuration_options(command: F) -> F:
    """Add the options `--config` and `--env` to a command."""
    config = click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Use this wrangler configuration of the Worker.  [default: the one in this folder or above]",
    )
    environment = click.option(
        "--env",
        "environment",
        envvar="CLOUDFLARE_ENV",
        show_envvar=True,
        help="Use this environment of the configuration, such as staging.",
    )
    return config(environment(command))
