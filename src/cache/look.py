"""A look at what a cache has under a key, for a person: it changes nothing, and counts as no use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache.entry import CacheEntry


class Unserved(StrEnum):
    """Why a cache, or one layer of it, serves no entry under a key."""

    ABSENT = "no entry"
    EXPIRED = "an entry that has expired"
    INVALIDATED = "an entry that a tag has invalidated"
    CORRUPT = "an entry that is corrupt"
    OTHER_KEY = "an entry of another key"
    STORE_FAILED = "the store failed"
    COPY_NOT_FRESH = "a copy that is not fresh any more: the store may have a newer one"
    COPY_INVALIDATED = "a copy whose tags were invalidated since"
    OWN_HANDLER = "a cache handler of the site's own, which nobody can look into without using it"


@dataclass(frozen=True)
class Missing:
    """No entry to serve, and why; `entry` is the one that is there all the same."""

    reason: Unserved
    entry: CacheEntry | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Mark:
    """The last known invalidation of a tag, in epoch milliseconds; `stale_until_ms` None: it leaves nothing stale."""

    tag: str
    at_ms: float
    stale_until_ms: float | None = None


@dataclass(frozen=True)
class Look:
    """What one layer of a cache, `memory`, `region` or `store`, has under a key.

    `entry` is what it would serve, fresh or stale, None for `reason`. `kept` is the entry that is there, whether it is served or
    not. `name` is the key in the store. `form` says how the layer keeps it. `marks` are the known invalidations of its tags.
    """

    layer: str
    entry: CacheEntry | None = None
    reason: Unserved | None = None
    kept: CacheEntry | None = None
    name: str = ""
    form: str = ""
    error: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def kept_tags(self) -> tuple[str, ...]:
        """The tags of the entry that is there."""
        return () if self.kept is None else self.kept.tags
