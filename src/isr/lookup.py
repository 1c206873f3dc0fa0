"""Which entry a request is for, or why the cache is passed by. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.keys import KeySchema
from core.http import CREDENTIAL_HEADERS
from core.paths import PRERENDER_FOLDER, is_below, is_decodable_path, normalize_path
from core.recent import Recent
from seed.build import Artifact

if TYPE_CHECKING:
    from isr.site import Site
    from pages.request import Headers, PageRequest

DRAFT_COOKIE = "__prerender_bypass"

_RSC_SUFFIX = ".rsc"

_RSC_QUERY = "_rsc"

_MOST_PATH_CHARACTERS = 4096

_REMEMBERED_PLACES = 4096

_LONGEST_REMEMBERED = 256

# Served by the framework itself: build output, optimized images, data of the Pages Router.
_FRAMEWORK_FOLDERS = ("/_next/", "/_vinext/")

# An RSC request that carries a value for one of these gets a payload of its own, which
# vinext 1.4.0 keeps under a key of its own.
_VARIANT_HEADERS = (
    "x-vinext-mounted-slots",
    "x-vinext-interception-context",
    "x-vinext-interception-id",
)

_RENDER_MODE_HEADER = "x-vinext-rsc-render-mode"

# The state of a client's router. vinext leaves out of its answer what that client has.
_ROUTER_STATE_HEADERS = (
    "x-vinext-mounted-layouts",
    "x-vinext-rsc-state-fingerprint",
    "next-router-state-tree",
    "next-router-prefetch",
    "next-router-segment-prefetch",
    "next-url",
)

ALWAYS_READ = ("cookie", "next-action", "upgrade", "rsc", "if-none-match", *_VARIANT_HEADERS, _RENDER_MODE_HEADER)
"""Headers that are looked at for every page, or for every RSC payload, whatever there is of it."""

ROUTER_HEADERS = (*_VARIANT_HEADERS, _RENDER_MODE_HEADER, *_ROUTER_STATE_HEADERS)
"""What vinext's client sends with an RSC request, in lower case."""


@dataclass(frozen=True)
class Lookup:
    """The request is for a page that may be in the cache.

    `path` is normalized as in keys, `url_path` as the page handler is asked for it.
    `artifacts` are the forms that answer it, the likeliest first, and `keys` theirs in the cache.
    """

    path: str
    url_path: str
    artifacts: tuple[Artifact, ...]
    keys: tuple[str, ...]

    @classmethod
    def of(cls, path: str, url_path: str, site: Site, *artifacts: Artifact) -> Lookup:
        return cls(path, url_path, artifacts, tuple(site.key(path, artifact) for artifact in artifacts))

    @property
    def is_rsc(self) -> bool:
        return self.artifacts == (Artifact.RSC,)


@dataclass(frozen=True)
class PassBy:
    """The page handler answers, and the cache is neither read nor written."""

    reason: str


@dataclass(frozen=True)
class Hidden:
    """The path is below a folder that nobody may see: a 404, whatever is there."""


@dataclass(frozen=True)
class Place:
    """What there is at a URL: a page and its RSC payload, both the latter where the URL itself is that of a payload."""

    page: Lookup
    rsc: Lookup


class Places:
    """The places of a site. Most requests are for a few of them: what their URLs say is worked out once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: Recent[tuple[str, str], Place | PassBy | Hidden] = Recent(_REMEMBERED_PLACES)

    def look_up(self, request: PageRequest) -> Lookup | PassBy | Hidden:
        """Decide what a request is for."""
        url = (request.path, request.query)
        place = self._known.get(url)
        if place is None:
            place = _place(request.path, request.query, self._site)
            if len(request.path) + len(request.query) <= _LONGEST_REMEMBERED:
                self._known[url] = place
        return _asked_for(request, place, self._site.schema)


def look_up(request: PageRequest, site: Site) -> Lookup | PassBy | Hidden:
    """Decide what a request for a site is for."""
    return _asked_for(request, _place(request.path, request.query, site), site.schema)


def _asked_for(request: PageRequest, place: Place | PassBy | Hidden, schema: KeySchema) -> Lookup | PassBy | Hidden:
    """What the rest of a request says: its method and its headers."""
    if not isinstance(place, Place):
        return place
    reason = _pass_by_reason(request)
    if reason is not None:
        return PassBy(reason)
    if place.page is not place.rsc and not _asks_for_rsc(request.headers, schema):
        return place.page
    variant = _variant(request.headers)
    return place.rsc if variant is None else PassBy(f"an RSC variant ({variant})")


def _place(url_path: str, query: str, site: Site) -> Place | PassBy | Hidden:
    """What is at a URL."""
    if is_below(url_path, PRERENDER_FOLDER):
        return Hidden()
    reason = _not_a_page(url_path, query, site.schema)
    if reason is not None:
        return PassBy(reason)
    path = url_path.removesuffix(_RSC_SUFFIX)
    has_rsc_suffix = path != url_path
    if not path.startswith(site.base_path) or path[len(site.base_path) :][:1] not in {"", "/"}:
        return PassBy("outside the base path")
    path = path[len(site.base_path) :] or "/"
    if has_rsc_suffix:
        path = "/" if path == "/index" else path
    # An RSC payload has no form with a slash: the page handler would redirect the page's own URL.
    if _is_other_form(path, trailing_slash=site.trailing_slash and not has_rsc_suffix):
        return PassBy("the other form of the trailing slash")
    key_path, url_path = normalize_path(path), _url_path(path, site)
    rsc = Lookup.of(key_path, url_path, site, Artifact.RSC)
    return Place(rsc if has_rsc_suffix else Lookup.of(key_path, url_path, site, Artifact.HTML, Artifact.ROUTE), rsc)


def may_store(request: PageRequest, lookup: Lookup) -> bool:
    """Whether the page handler's answer to this very request may be kept."""
    return (
        request.method == "GET"
        and not _has_query(request.query)
        and request.headers.get("authorization") is None
        and not (lookup.is_rsc and _has_router_state(request.headers))
    )


def has_credentials(request: PageRequest) -> bool:
    """Whether the page handler's answer may differ from what a stranger gets."""
    return any(request.headers.get(name) is not None for name in CREDENTIAL_HEADERS)


def _not_a_page(path: str, query: str, schema: KeySchema) -> str | None:
    # One rule a line, in the order of their cost.
    if path.startswith(_FRAMEWORK_FOLDERS):
        return "a file of the framework"
    if len(path) > _MOST_PATH_CHARACTERS:
        return f"a path of more than {_MOST_PATH_CHARACTERS} characters"
    if "//" in path or "\\" in path or " " in path or not path.isprintable():
        return "a path that is not canonical"
    if not is_decodable_path(path):
        # Its key may be that of a path which does decode.
        return "a path that does not decode"
    if schema is KeySchema.V1 and _has_query(query):
        return "a query"
    return None


def _pass_by_reason(request: PageRequest) -> str | None:
    if request.method not in {"GET", "HEAD"}:
        return f"method {request.method}"
    headers = request.headers
    cookies = headers.get("cookie")
    if cookies is not None and DRAFT_COOKIE in cookies:
        return "draft mode"
    if headers.get("next-action") is not None:
        return "a Server Action"
    if headers.get("upgrade") is not None:
        return "an upgrade"
    return None


def _is_other_form(path: str, *, trailing_slash: bool) -> bool:
    """Whether the page handler redirects a path to the one with, or without, a slash at its end."""
    if path == "/" or path.endswith("/") is trailing_slash:
        return False
    is_file = "." in path.rpartition("/")[2]
    return not (trailing_slash and is_file)


def _url_path(path: str, site: Site) -> str:
    if path == "/" and site.base_path and not site.trailing_slash:
        return site.base_path
    if site.trailing_slash and _is_other_form(path, trailing_slash=True):
        return f"{site.base_path}{path}/"
    return f"{site.base_path}{path}"


def _asks_for_rsc(headers: Headers, schema: KeySchema) -> bool:
    if schema is KeySchema.V2:
        return headers.get("rsc") == "1"
    return "text/x-component" in (headers.get("accept") or "")


def _has_query(query: str) -> bool:
    """Whether there is a query beside `_rsc`, which only keeps other caches apart."""
    return any(part and part.partition("=")[0] != _RSC_QUERY for part in query.split("&"))


def _variant(headers: Headers) -> str | None:
    for name in _VARIANT_HEADERS:
        if headers.get(name):
            return name
    if headers.get(_RENDER_MODE_HEADER) not in {None, "", "navigation"}:
        return _RENDER_MODE_HEADER
    return None


def _has_router_state(headers: Headers) -> bool:
    return any(headers.get(name) is not None for name in _ROUTER_STATE_HEADERS)
