"""`Cache-Control`, read from a page handler's answer and written for a cached one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.entry import Freshness
from cache.frozen import frozen

if TYPE_CHECKING:
    from cache.entry import CacheEntry

# What vinext and Next.js send for a page that never gets stale (one year).
NEVER_STALE_SECONDS = 31_536_000
# Ten digits are three centuries; more is a mistake, and costs time to read.
_MOST_DIGITS = 10
_IMPRECISION_SECONDS = 0.1
NEVER_STALE = f"s-maxage={NEVER_STALE_SECONDS}, stale-while-revalidate"


@frozen
class Period:
    """How long a page lives: `revalidate` None is for ever, `expire` None without an end."""

    revalidate_seconds: float | None
    expire_seconds: float | None


def directives(value: str) -> dict[str, str]:
    """The directives of a Cache-Control field (RFC 9111, 5.2), names in lower case.

    A comma inside a quoted string does not end a directive. One without a value has "".
    """
    found: dict[str, str] = {}
    start, quoted, escaped = 0, False, False
    for position in range(len(value) + 1):
        character = value[position] if position < len(value) else ","
        if character == "," and (not quoted or position == len(value)):
            name, _, argument = value[start:position].partition("=")
            if name.strip():
                found.setdefault(name.strip().lower(), argument.strip().strip('"'))
            start = position + 1
        elif escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
    return found


def forbids_storing(found: dict[str, str]) -> str | None:
    """The directive that keeps an answer out of a shared cache, None where there is none."""
    return next((name for name in ("no-store", "private", "no-cache") if name in found), None)


def shared_period(found: dict[str, str], max_age: str) -> Period | None:
    """The period for shared caches that the directive named `max_age` gives.

    `stale-while-revalidate=S` ends the page S seconds after its period (RFC 5861, 3). A
    zero or unreadable period is none: such an answer is not kept.
    """
    seconds = _seconds(found.get(max_age))
    if not seconds:
        return None
    window = _seconds(found.get("stale-while-revalidate"))
    if seconds >= NEVER_STALE_SECONDS and window is None:
        return Period(None, None)
    return Period(seconds, None if window is None else seconds + window)


def cached_cache_control(entry: CacheEntry, state: Freshness) -> str:
    """The Cache-Control of an answer from the cache, as vinext writes it."""
    revalidate, expire = entry.revalidate_seconds, entry.expire_seconds
    if revalidate is None:
        return NEVER_STALE
    if expire is None:
        shown = 0 if state is Freshness.STALE else revalidate
        return f"s-maxage={_shown(shown)}, stale-while-revalidate"
    if revalidate >= expire:
        return f"s-maxage={_shown(revalidate)}"
    window = expire - revalidate
    return f"s-maxage={_shown(revalidate)}, stale-while-revalidate={_shown(window)}"


def _seconds(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
        return None
    return int(value)


def _shown(seconds: float) -> str:
    # Before 1.0 vinext wrote no period, only two times, the second taken some milliseconds after the first.
    whole = round(seconds)
    if seconds == whole or (whole and abs(seconds - whole) < _IMPRECISION_SECONDS):
        return str(whole)
    return repr(seconds)
