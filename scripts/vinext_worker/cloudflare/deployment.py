"""The options that say which Worker a command is about, and what they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from isr.settings import SettingError, read_settings
from vinext_worker.checkout import Checkout
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cache.keys import KeySchema
    from isr.settings import Settings
    from seed.build import Build

F = TypeVar("F", bound="Callable[..., object]")


@dataclass(frozen=True)
class Deployment:
    """A Worker as its wrangler configuration describes it."""

    checkout: Checkout
    config: WranglerConfig
    settings: Settings
    """Those it has once it is deployed; what .dev.vars says is for this machine alone."""

    @classmethod
    def read(cls, path: Path | None, environment: str | None) -> Deployment:
        """Read the configuration; None takes the project's own. Raises ConfigurationError."""
        checkout = Checkout.find()
        config = WranglerConfig.read(path or checkout.configuration, environment)
        return cls(checkout, config, settings_of(config, config.deployed_variables))

    @property
    def assets_directory(self) -> Path:
        """The folder that is deployed as assets; raises ConfigurationError where the configuration names none."""
        if self.config.assets is None:
            raise ConfigurationError(f"{self.config.path} has no [assets], where a build's pages are; add it with a directory")
        return self.config.assets.directory

    def schema_of(self, build: Build) -> KeySchema:
        """The schema of the keys."""
        return self.settings.key_schema or build.schema

    def build_id_of(self, build: Build) -> str:
        """The build ID in the keys."""
        return self.settings.build_id or build.build_id


def settings_of(config: WranglerConfig, variables: Mapping[str, object]) -> Settings:
    """Read the Worker's settings as it will itself; raises ConfigurationError with the name and what is allowed."""
    texts = {name: str(value) for name, value in variables.items() if isinstance(value, str | int | float)}
    try:
        return read_settings(texts)
    except SettingError as error:
        raise ConfigurationError(f"{config.path}: {error}") from error


def configuration_options(command: F) -> F:
    """Give a command `--config` and `--env`."""
    config = click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The Worker's wrangler.toml, .json or .jsonc.  [default: the project's]",
    )
    environment = click.option("--env", "environment", envvar="CLOUDFLARE_ENV", help="The environment in it, such as staging.")
    return config(environment(command))
