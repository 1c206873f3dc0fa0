"""`vinext-prerender.json`, the manifest of the routes that vinext pre-rendered at build time.

Its form is taken from the output of vinext 0.0.38 and 1.4.0. `server/seed-cache.js` of those packages is the rule for
which routes are seeded and how.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.keys import KeySchema
from seed.build import ManifestError
from seed.pages_router import ERROR_PATHS, ROUTER

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_FOUND_PATH = "/404"

_STATUSES = range(200, 600)


@dataclass(frozen=True)
class Route:
    """One row of the manifest.

    `path` is percent-encoded, as vinext writes it. `revalidate_seconds` is None for a page that is never stale;
    `expire_seconds` and `stale_seconds`, for which a client's router need not ask again, are None where the build states none.
    """

    pattern: str
    path: str
    status: str
    router: str
    revalidate_seconds: float | None
    expire_seconds: float | None
    tags: tuple[str, ...]
    headers: Mapping[str, str]
    response_status: int
    is_shell: bool
    reason: str
    stale_seconds: float | None = None


@dataclass(frozen=True)
class ManifestHead:
    """The facts of a manifest about the build as a whole."""

    build_id: str
    schema: KeySchema
    trailing_slash: bool


@dataclass(frozen=True)
class Manifest:
    """A build's manifest; `unreadable` names the rows that were left out, with the reasons."""

    build_id: str
    schema: KeySchema
    trailing_slash: bool
    routes: tuple[Route, ...]
    unreadable: tuple[str, ...]


def parse_manifest(text: str | bytes, where: str) -> Manifest:
    """Read a manifest. A row that cannot be read is left out and named; the rest is kept.

    Raises ManifestError, naming `where`, for text that is no JSON object, or has no build ID or no list of routes.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{where} is not JSON ({error}); build the site again"
        raise ManifestError(message) from error
    if not isinstance(document, dict):
        message = f"{where} is not a JSON object; build the site again"
        raise ManifestError(message)
    rows = document.get("routes")
    head = parse_head(document, where, has_rows=isinstance(rows, list))
    routes: list[Route] = []
    unreadable: list[str] = []
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        try:
            routes.append(parse_route(row))
        except ManifestError as error:
            unreadable.append(f"{where}, route {number}: {error}")
    return Manifest(head.build_id, head.schema, head.trailing_slash, tuple(routes), tuple(unreadable))


def parse_head(members: Mapping[str, object], where: str, *, has_rows: bool) -> ManifestHead:
    """Read the members beside the routes. Raises ManifestError, naming `where`, without a build ID or a list of routes."""
    build_id = members.get("buildId")
    if not isinstance(build_id, str) or not build_id:
        message = f"{where} has no buildId, so its pages have no keys; build the site again"
        raise ManifestError(message)
    if not has_rows:
        message = f"{where} has no list of routes; build the site with pre-rendering on"
        raise ManifestError(message)
    # 1.4.0 lists the pre-rendered paths again at the top; 0.0.38 has no such list.
    schema = KeySchema.V2 if "pregeneratedConcretePaths" in members else KeySchema.V1
    return ManifestHead(build_id, schema, members.get("trailingSlash") is True)


def is_dynamic(route: Route) -> bool:
    """Return whether the build left out a page because it is rendered for each visitor, or because its render failed."""
    return route.status == "skipped" and route.reason == "dynamic" and not route.is_shell


def skip_reason(route: Route, schema: KeySchema) -> str | None:  # noqa: PLR0911 - one rule a line
    """Return why a route is not seeded, in a few words for a person; None where it is seeded."""
    if route.status != "rendered":
        return f"{route.status}: {route.reason}" if route.reason else route.status
    if route.revalidate_seconds == 0:
        return "its period is 0, so no cache keeps it"
    if route.router == ROUTER and route.pattern in ERROR_PATHS:
        return "a page for errors, which is rendered in the place of others"
    if route.router == ROUTER or (route.router == "metadata" and schema is KeySchema.V2):
        return None
    if route.router != "app":
        return f"the {route.router} router's pages are not seeded"
    if route.is_shell:
        return "a fallback shell, not a page"
    return None


def parse_route(row: object) -> Route:
    """Read one row. Raises ManifestError, without naming a place, for anything else."""
    if not isinstance(row, dict):
        message = "not a JSON object"
        raise ManifestError(message)
    pattern = row.get("route")
    path = row.get("path", pattern)
    if not isinstance(pattern, str) or not isinstance(path, str) or not path.startswith("/"):
        message = "no `route` or `path` that begins with /"
        raise ManifestError(message)
    tags = row.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        message = "`tags` is not a list of strings"
        raise ManifestError(message)
    return Route(
        pattern=pattern,
        path=path,
        status=_text(row, "status"),
        router=_text(row, "router"),
        revalidate_seconds=_period(row, "revalidate"),
        expire_seconds=_period(row, "expire"),
        tags=tuple(tags),
        headers=_headers(row.get("headers", {})),
        response_status=_response_status(row, path),
        is_shell=_is_shell(row, path),
        reason=_text(row, "reason") or _text(row, "error"),
        stale_seconds=_period(row, "stale"),
    )


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        message = f"`{name}` is not a string"
        raise ManifestError(message)
    return value


def _period(row: Mapping[str, object], name: str) -> float | None:
    value = row.get(name)
    if value is None or value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        message = f"`{name}` is neither false nor a number of seconds"
        raise ManifestError(message)
    return value


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        message = "`headers` is not an object of strings"
        raise ManifestError(message)
    return value


def _response_status(row: Mapping[str, object], path: str) -> int:
    status = row.get("responseStatus", 404 if path == NOT_FOUND_PATH else 200)
    if isinstance(status, bool) or not isinstance(status, int) or status not in _STATUSES:
        message = "`responseStatus` is not an HTTP status"
        raise ManifestError(message)
    return status


def _is_shell(row: Mapping[str, object], path: str) -> bool:
    if "fallback" in row:
        return row["fallback"] is True
    # A pattern that was never filled in. Brackets of a real path are percent-encoded.
    return "[" in path or ("path" not in row and ":" in path)
