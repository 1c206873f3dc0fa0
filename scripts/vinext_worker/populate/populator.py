"""A populator fills one kind of cache.

A package adds a populator with an entry point, whose object takes a `Destination`:

    [project.entry-points."vinext_worker.populators"]
    redis = "my_package.populator:RedisPopulator"
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias, cast

from vinext_worker.cloudflare.deployment import R2_BINDING
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cache.keys import KeySchema
    from isr.settings import Settings
    from seed.entries import SeedEntry
    from vinext_worker.cloudflare.wrangler_config import WranglerConfig
    from vinext_worker.project import Project

    PopulatorFactory: TypeAlias = Callable[["Destination"], "Populator"]

ENTRY_POINTS = "vinext_worker.populators"
# Imported when chosen: the local one needs the local runtime.
_OWN_POPULATORS = {
    "kv": "vinext_worker.populate.kv:kv_populator",
    "r2": "vinext_worker.populate.r2:R2Populator",
    "worker": "vinext_worker.populate.worker:WorkerPopulator",
    "local": "vinext_worker.populate.local:LocalPopulator",
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """An entry in the form in which it is sent. `key` is the store's key. Parcels with equal digests have the same content."""

    key: str
    payload: bytes
    ttl_seconds: int | None
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.blake2b(self.payload, digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Limits:
    """The size of one `send`, and the number of sends at a time.

    A send has at most `max_parcels` and `max_bytes`; it is sent as soon as it has `batch_bytes`.
    """

    max_parcels: int
    max_bytes: int
    batch_bytes: int
    in_flight: int = 4


@dataclass(frozen=True)
class Destination:
    """The Worker's configuration and settings, and the options of the command line: a populator is made from these."""

    project: Project
    config: WranglerConfig
    settings: Settings
    schema: KeySchema
    """The schema of the keys: the setting if there is one, else the build's."""
    url: str | None = None
    """--url: the address of the deployed Worker."""
    options: Mapping[str, str] = field(default_factory=dict)
    """--option NAME=VALUE, for the populators of other packages."""


class CannotEncodeError(Exception):
    """This cache cannot keep the entry; the message says why."""


class Populator(Protocol):
    """Puts entries into a cache.

    A function of a `Destination` makes one; it may raise UserError. All calls happen inside the populator's own async context.
    """

    target: str
    """The cache's name, for people and for the journal. Entries that were sent to the same target are not sent again."""
    limits: Limits

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        """Return the entry's parcels, one for each key it is stored under; raise CannotEncodeError."""

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        """Send parcels within the limits, and return the keys that were not written, with the reasons. Those are sent again.

        Sending a parcel twice must do no harm. Raises RemoteError if it makes no sense to go on.
        """

    async def verify(self, parcel: Parcel) -> str | None:
        """Read an entry back; return what is wrong with it, or None."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


def populator_names() -> list[str]:
    """Return the names that `find_populator` takes."""
    others = sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in _OWN_POPULATORS)
    return [*_OWN_POPULATORS, *others]


def populator_of(config: WranglerConfig) -> str:
    """Return the name of the populator for the store that a configuration binds. With KV and R2 that is KV (docs/stores.md)."""
    return "r2" if R2_BINDING in config.r2_buckets and CACHE_BINDING not in config.kv_namespaces else "kv"


def find_populator(name: str) -> PopulatorFactory:
    """Return the populator with a name; raise UserError if there is none, or if its package does not import."""
    if name in _OWN_POPULATORS:
        module, _, attribute = _OWN_POPULATORS[name].partition(":")
        return cast("PopulatorFactory", getattr(import_module(module), attribute))
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            return cast("PopulatorFactory", point.load())
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"the populator {name!r} ({point.value}) does not import: {error}; fix or remove its package"
            ) from error
    raise UserError(f"there is no populator {name!r}, only {', '.join(populator_names())}; install the package that provides it")
