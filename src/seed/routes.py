"""From a row of the manifest to a record of the index: its files, and the headers of its RSC payload."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from cache.keys import KeySchema
from cache.tags import encode_tag, is_valid_tag, merge_tags, path_tags
from core.http import STALE_TIME_HEADER, Period
from core.javascript import encode_uri_component
from core.paths import at_next_slash, has_dot_segment, normalize_path
from seed.build import Artifact, ManifestError, RouteRecord, artifact_key
from seed.manifest import NOT_FOUND_PATH
from seed.pages_router import ROUTER
from seed.routing import Routing
from seed.rules import STAGES_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seed.manifest import Route

RENDERED_HEADER = "X-Vinext-Rendered-Path-And-Search"
"""Tells vinext's client the path of a page and the search that it is shown with, encoded as a whole."""

# Of a page that a rule may touch, the others may be the rule's: what it once added for the build is not for every visitor.
_OF_THE_PAGE_ITSELF = frozenset({"content-type", STALE_TIME_HEADER})

_NO_RULES = Routing()


def record_of(
    route: Route,
    schema: KeySchema,
    artifacts: Mapping[Artifact, str],
    routing: Routing = _NO_RULES,
    *,
    trailing_slash: bool = False,
) -> RouteRecord:
    """Return the record of a seedable route whose bodies are kept under the given names.

    It has the headers that next.config puts on the page, unless the app's request stage will add them; the page's own win.
    """
    path = normalize_path(route.path)
    config_headers, own_headers, header_set = routing.headers_of(route.path), route.headers, None
    if route.router == ROUTER:
        # They are for the HTML, and the entry has the data, too.
        own_headers = {name: text for name, text in own_headers.items() if name.lower() != "content-type"}
    if routing.touching(route.path) is not None:
        header_set = routing.header_set_numbers.get(route.path)
        own_headers = {name: text for name, text in own_headers.items() if name.lower() in _OF_THE_PAGE_ITSELF}
        # vinext's request stage leaves this one to the stage that renders.
        config_headers = {name: text for name, text in config_headers.items() if name.lower() == "cache-control"}
    period, is_unsure = _period_of(route, schema, path, routing)
    shown_path = at_next_slash(route.path, trailing_slash=trailing_slash)
    rsc_headers = client_headers(route.pattern, shown_path) if schema is KeySchema.V2 else {}
    location = route.headers.get("location")
    if location is not None:
        rsc_headers["location"] = location
    return RouteRecord(
        revalidate_seconds=period.revalidate_seconds,
        expire_seconds=period.expire_seconds,
        tags=merge_tags(filter(is_valid_tag, (*path_tags(schema, path), *_page_tags(route, path, routing), *route.tags))),
        status=route.response_status,
        headers=_merged(config_headers, own_headers),
        rsc_headers=_merged(config_headers, rsc_headers) if Artifact.RSC in artifacts else {},
        artifacts=artifacts,
        header_set=header_set,
        stale_seconds=route.stale_seconds,
        is_unsure=is_unsure,
    )


def _period_of(route: Route, schema: KeySchema, path: str, routing: Routing) -> tuple[Period, bool]:
    """Return the period of a page, and whether it may be another than the manifest says.

    Of a page of the Pages Router, the manifest has a period only if the source states it as a number, and else says that the
    page never gets stale.
    """
    period = Period(route.revalidate_seconds, route.expire_seconds)
    if route.router != ROUTER:
        return period, False
    known = routing.periods.get(artifact_key(schema, None, path, Artifact.PAGES, routing.i18n))
    return (period, period.revalidate_seconds is None) if known is None else (known, False)


def rule_reason(route: Route, routing: Routing) -> str | None:
    """Return why a rule of the app keeps a route's page from being seeded, None if none does.

    The request stage of an app in stages applies the rules to the page of the build, too. Only a redirect or an error may be
    a rule's own answer.
    """
    rule = routing.touching(route.path)
    if rule is None or (routing.stages == STAGES_VERSION and route.response_status == HTTPStatus.OK):
        return None
    return f"a rule of the app comes first ({rule.name})"


def _page_tags(route: Route, path: str, routing: Routing) -> tuple[str, ...]:
    """Return the tag by which `res.revalidate` reaches a page of the Pages Router, in whatever language."""
    if route.router != ROUTER:
        return ()
    page = path if routing.i18n is None else routing.i18n.identity(path)[0]
    return (encode_tag(f"_N_T_{page}"),)


def _merged(config_headers: Mapping[str, str], own: Mapping[str, str]) -> Mapping[str, str]:
    names = {name.lower() for name in own}
    return {**{name: value for name, value in config_headers.items() if name not in names}, **own}


def routers_of(routing: Routing, routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the routers of a site: those that its adapter has found, else those of its pre-rendered pages."""
    if routing.routers:
        return routing.routers
    routers = {ROUTER if route.router == ROUTER else "app" for route in routes if route.router}
    return tuple(sorted(routers)) or ("app",)


def artifact_files(route: Route, *, trailing_slash: bool) -> dict[Artifact, str]:
    """Return the files that a route may have below `prerendered-routes/`, the required one first.

    The rules are those of vinext's `utils/prerender-output-paths.js`. Raises ManifestError for a path that leaves the folder.
    """
    path = _safe(route.path)
    if route.router == "metadata":
        return {Artifact.ROUTE: f"{path}.route"}
    is_folder = trailing_slash and route.path != NOT_FOUND_PATH
    html = f"{path}/index.html" if is_folder else f"{path}.html"
    if path == "":
        html = "index.html"
    if route.router == ROUTER:
        return {Artifact.PAGES: html}
    if path == "":
        return {Artifact.HTML: html, Artifact.RSC: "index.rsc"}
    return {Artifact.HTML: html, Artifact.RSC: f"{path}.rsc"}


def client_headers(pattern: str, path: str) -> dict[str, str]:
    """Return the headers by which vinext 1.4.0 tells its client the path of an RSC payload."""
    headers = {RENDERED_HEADER: encode_uri_component(path)}
    parameters = route_parameters(pattern, path)
    if parameters:
        text = json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))
        headers["X-Vinext-Params"] = encode_uri_component(text)
    return headers


def route_parameters(pattern: str, path: str) -> dict[str, str | list[str]]:
    """Return the route's parameters, still percent-encoded, as vinext keeps them.

    `:name` takes one segment, `:name+` one or more, `:name*` any number.
    """
    parameters: dict[str, str | list[str]] = {}
    segments = [part for part in path.split("/") if part]
    for position, part in enumerate(part for part in pattern.split("/") if part):
        if not part.startswith(":"):
            continue
        if part[-1] in "+*":
            rest = segments[position:]
            if rest:
                parameters[part[1:-1]] = rest
        elif position < len(segments):
            parameters[part[1:]] = segments[position]
    return parameters


def _safe(path: str) -> str:
    """Return the path without its outer slashes; refuse one that could name a file elsewhere."""
    segments = path.strip("/").split("/")
    if "\\" in path or "\0" in path or has_dot_segment(path):
        message = f"the path {path!r} leaves the folder of the artifacts"
        raise ManifestError(message)
    # `/index` and the paths below it move down a folder, so that `/` keeps its own files.
    if segments[0] == "index":
        segments.insert(0, "index")
    return "/".join(segments)
