"""The rules of HTTP, each once: statuses, header names, `Cache-Control`, `Vary`, `If-None-Match`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TAGS_HEADER = "x-vinext-cache-tags"

SHARED_POLICY_HEADER = "x-vinext-shared-cache-control"
"""What Cache-Control says to shared caches, on an answer that tells browsers something else there."""

REVALIDATED_HEADER = "x-vinext-revalidated-tags"

REVALIDATED_PAGES_HEADER = "x-vinext-revalidated-pages"

STALE_DATA_HEADER = "x-vinext-stale-data"
"""On an answer that may be stored: it was rendered from stale data."""

APP_BUILD_HEADER = "x-vinext-app-build"
"""On an answer that may be stored: the ID of the build that has rendered it."""

ARTIFACT_HEADER = "x-vinext-artifact"
"""On an answer that may be stored: `route` if it is a route handler's, whatever its content type."""

PAYLOAD_STATUS_HEADER = "x-vinext-payload-status"
"""On an answer that may be stored: the status of the page's RSC payload, always 200, if the page's own is another."""

INNER_CACHE_HEADER = "x-vinext-cache"

REDIRECTS = frozenset({301, 302, 303, 307, 308})

STATE_HEADER = "X-Vinext-Cache"

NEXT_STATE_HEADER = "x-nextjs-cache"

STALE_TIME_HEADER = "x-nextjs-stale-time"
"""How long a client's router may use a page without asking again, in seconds (`cacheLife({ stale })`)."""

SPECIAL_STATUS_HEADER = "x-vinext-special-error-status"
"""On what the app's request stage gets of an RSC payload: the status of a page that is not there, or not for everybody."""

SPECIAL_STATUSES = frozenset({401, 403, 404})
"""The statuses of pages by `unauthorized()`, `forbidden()` and `notFound()`."""

NULL_BODY_STATUSES = frozenset({101, 103, 204, 205, 304})

STORABLE_STATUSES = REDIRECTS | {200, 404, 410}
"""The statuses of answers that the page cache may store."""

CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
"""Request headers, in lower case, that identify the visitor. vinext makes a route handler's answer to them private."""

OUTCOME_HEADER = "x-vinext-prerender"
"""Percent-encoded JSON: the fields that are stored with a page's body, else `skipped` or `error` with the reason."""

# What vinext and Next.js send for a page that never gets stale (one year).
NEVER_STALE_SECONDS = 31_536_000

# Ten digits are three centuries; more is a mistake, and costs time to read.
_MAX_DIGITS = 10

_STATUSES = range(200, 600)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_NEVER_IN_VALUES = re.compile(r"[\0\r\n]")

# A comma inside a quoted entity tag belongs to the tag. A backslash escapes nothing there (RFC 9110, 8.8.3).
_LIST_MEMBER = re.compile(r'(?:"[^"]*"?|[^",])+')


def require_sendable(status: object, headers: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError for what the runtime's `Response` does not take (RFC 9110, 5.1, 5.5 and 15)."""
    if isinstance(status, bool) or not isinstance(status, int) or status not in _STATUSES:
        raise ValueError(f"the status of a response is a whole number from 200 to 599, not {status!r}")
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"the name of a header has letters, digits and hyphens, not {name!r}")
        if _NEVER_IN_VALUES.search(value):
            raise ValueError(f"the value of the header {name} has a line break or a null: {value!r:.80}")


@dataclass(frozen=True)
class Period:
    """How long a page lives: with `revalidate_seconds` None it never gets stale, with `expire_seconds` None it never expires."""

    revalidate_seconds: float | None
    expire_seconds: float | None


def directives(value: str) -> dict[str, str]:
    """Return the directives of a Cache-Control field (RFC 9111, 5.2) by their names in lower case.

    A comma inside a quoted string does not end a directive. A directive without a value has "".
    """
    arguments: dict[str, str] = {}
    start, quoted, escaped = 0, False, False
    for position in range(len(value) + 1):
        character = value[position] if position < len(value) else ","
        if character == "," and (not quoted or position == len(value)):
            name, _, argument = value[start:position].partition("=")
            if name.strip():
                arguments.setdefault(name.strip().lower(), argument.strip().strip('"'))
            start = position + 1
        elif escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
    return arguments


def forbids_storing(given: dict[str, str]) -> str | None:
    """Return the directive that keeps an answer out of a shared cache, None if there is none."""
    return next((name for name in ("no-store", "private", "no-cache") if name in given), None)


def shared_period(given: dict[str, str], max_age: str) -> Period | None:
    """Return the period for shared caches that the directive named `max_age` gives.

    With `stale-while-revalidate=S` the page expires S seconds after its period (RFC 5861, 3). None for a period
    that is zero or cannot be read: such an answer is not stored.
    """
    seconds = _seconds(given.get(max_age))
    if not seconds:
        return None
    window = _seconds(given.get("stale-while-revalidate"))
    if seconds >= NEVER_STALE_SECONDS and window is None:
        return Period(None, None)
    return Period(seconds, None if window is None else seconds + window)


def max_age_seconds(cache_control: str | None) -> int | None:
    """Return the seconds for which a Cache-Control field calls an answer fresh for a shared cache, None if it does not say."""
    given = directives(cache_control or "")
    shared = _seconds(given.get("s-maxage"))
    return _seconds(given.get("max-age")) if shared is None else shared


def _seconds(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
        return None
    return int(value)


def vary_names(vary: str | None) -> tuple[str, ...]:
    """Return the header names of a Vary field (RFC 9110, 12.5.5) in lower case; `*` is one of them."""
    return tuple(name for part in (vary or "").split(",") if (name := part.strip().lower()))


def matches_etag(if_none_match: str | None, etag: str) -> bool:
    """Return whether an If-None-Match field names an entity tag: `*`, or one that is weakly the same (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(member.strip().removeprefix("W/") == opaque for member in _LIST_MEMBER.findall(if_none_match))
