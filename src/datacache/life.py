"""The lifetime of data: the profiles of Next.js's `cacheLife`.

Source: https://nextjs.org/docs/app/api-reference/functions/cacheLife#preset-cache-profiles
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.arguments import require_period
from core.errors import InvalidArgumentError
from pages.policy import current_rendering, require_periods

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86_400, 604_800
_MONTH, _YEAR = 30 * _DAY, 365 * _DAY


@dataclass(frozen=True)
class CacheLife:
    """Seconds: `revalidate` until data is regenerated in the background, `expire` until data is no longer served.

    `stale`, the time for which a browser may keep data without asking, exists for compatibility with Next.js.
    """

    stale: float | None = None
    revalidate: float | None = None
    expire: float | None = None

    def __post_init__(self) -> None:
        require_period("CacheLife.stale", self.stale)
        require_periods("CacheLife", self.revalidate, self.expire)


PROFILES = {
    "default": CacheLife(5 * _MINUTE, 15 * _MINUTE, None),
    "seconds": CacheLife(30, 1, _MINUTE),
    "minutes": CacheLife(5 * _MINUTE, _MINUTE, _HOUR),
    "hours": CacheLife(5 * _MINUTE, _HOUR, _DAY),
    "days": CacheLife(5 * _MINUTE, _DAY, _WEEK),
    "weeks": CacheLife(5 * _MINUTE, _WEEK, _MONTH),
    "max": CacheLife(5 * _MINUTE, _MONTH, _YEAR),
}


def cache_life_of(profile: str | CacheLife) -> CacheLife:
    """Return the lifetime that a profile names, or is. Raises InvalidArgumentError for an unknown profile."""
    life = PROFILES.get(profile) if isinstance(profile, str) else profile
    if not isinstance(life, CacheLife):
        raise InvalidArgumentError("profile", profile, f"{', '.join(PROFILES)}, or a CacheLife")
    return life


def cache_life(profile: str | CacheLife) -> None:
    """Set the lifetime of the data of a `@cached` function, or of the page of a page handler, from inside of it.

    Where several apply, the shortest counts. Outside of both, do nothing. Raises InvalidArgumentError for an unknown profile.
    """
    life = cache_life_of(profile)
    rendering = current_rendering()
    if rendering is not None:
        rendering.ask(math.inf if life.revalidate is None else life.revalidate, life.expire)
