"""A look at what a build has for a key, for a person: it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache.entry import CacheEntry
    from cache.invalidation import Invalidation
    from seed.build import RouteRecord


class Unseeded(StrEnum):
    """Why a build gives no entry."""

    NO_BUILD = "there is no build in the assets"
    NOT_IN_BUILD = "the build has no such page"
    NO_ARTIFACT = "the build has the page, but not in this form"
    INVALIDATED = "the build's page was invalidated since the build"
    EXPIRED = "the build's page has expired"
    FAILED = "the build cannot be read"
    MISSING_FILE = "a file of the build is missing"


@dataclass(frozen=True)
class Unseedable:
    """A build gives no entry, for a reason; `error` says more. With `until_ms`, it is not asked again before that time.

    `is_lasting`: it is not asked again at all. `tags` are those of a page that was invalidated.
    """

    reason: Unseeded
    error: str = ""
    until_ms: int | None = None
    is_lasting: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seed:
    """An entry of a build. `found` is what invalidations have made of it since, None if nothing."""

    entry: CacheEntry
    record: RouteRecord | None
    found: Invalidation | None

    @property
    def served(self) -> CacheEntry:
        """The entry as it is served now."""
        return self.entry if self.found is None else self.found.of(self.entry)
