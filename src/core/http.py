"""The rules of HTTP, each once: statuses, header names, `Cache-Control`."""

from __future__ import annotations

from dataclasses import dataclass

TAGS_HEADER = "x-vinext-cache-tags"

REVALIDATED_HEADER = "x-vinext-revalidated-tags"

INNER_CACHE_HEADER = "x-vinext-cache"

PAYLOAD_BYTES_HEADER = "x-vinext-payload-bytes"

REDIRECTS = frozenset({301, 302, 303, 307, 308})

STATE_HEADER = "X-Vinext-Cache"

NEXT_STATE_HEADER = "x-nextjs-cache"

NULL_BODY_STATUSES = frozenset({101, 103, 204, 205, 304})

OUTCOME_HEADER = "x-vinext-prerender"
"""Percent-encoded JSON: what is kept with a page's body, else `skipped` or `error` with the reason."""

# What vinext and Next.js send for a page that never gets stale (one year).
NEVER_STALE_SECONDS = 31_536_000

# Ten digits are three centuries; more is a mistake, and costs time to read.
_MOST_DIGITS = 10


@dataclass(frozen=True)
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


def _seconds(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
        return None
    return int(value)
