"""What fills one kind of cache. A package of its own can add another: see `populate.registry`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.keys import KeySchema
    from isr.settings import Settings
    from seed.entries import SeedEntry
    from vinext_worker.toolchain import Project
    from vinext_worker.wrangler_config import WranglerConfig


@dataclass(frozen=True, slots=True)
class Parcel:
    """An entry as it is sent; `key` is the store's. `digest` tells whether it is the same as another time."""

    key: str
    payload: bytes
    ttl_seconds: int | None
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.blake2b(self.payload, digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Limits:
    """How much goes into one `send`, and how much may be under way."""

    most_parcels: int
    most_bytes: int
    batch_bytes: int
    in_flight: int = 4


@dataclass(frozen=True)
class Destination:
    """What a populator is made from: the Worker's configuration and settings, and what the command line says."""

    project: Project
    config: WranglerConfig
    settings: Settings
    schema: KeySchema
    """That of the keys: the setting's, else the build's."""
    url: str | None = None
    """--url: where the Worker is deployed."""
    options: Mapping[str, str] = field(default_factory=dict)
    """--option NAME=VALUE, for populators of others."""


class CannotEncodeError(Exception):
    """An entry that this cache cannot keep; the message says why."""


class Populator(Protocol):
    """Puts entries into a cache.

    Made by a function of a `Destination`, which may raise UserError. An async context manager around everything else.
    """

    target: str
    """Names the cache for people, and for the journal: what was sent to it before is not sent again."""
    limits: Limits

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        """An entry as it is sent, once for each place it belongs; raises CannotEncodeError."""

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        """Send parcels within the limits; gives the keys that were not written, with reasons. They are sent again.

        Sending something twice must do no harm. Raises RemoteError where going on has no sense.
        """

    async def verify(self, parcel: Parcel) -> str | None:
        """Read an entry back: what is wrong with it, None where nothing is."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...
