"""Which entry a request is for, or why the cache is passed by. Pure functions: no I/O, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from cache.keys import KeySchema
from core.http import CREDENTIAL_HEADERS
from core.paths import (
    PRERENDER_FOLDER,
    at_next_slash,
    canonical_url_path,
    is_api,
    is_below,
    is_decodable_path,
    normalize_path,
    strip_trailing_slash,
)
from core.recent import Recent, text_bytes
from isr.draft_mode import is_draft
from isr.reasons import Bypass, Unkept
from isr.variants import variant_of
from pages.handler import PageError
from pages.request import RenderRequest
from seed.build import PAGES_ARTIFACTS, Artifact
from seed.pages_router import DATA_FOLDER, ERROR_PATHS, data_page
from seed.rules import touching_rule

if TYPE_CHECKING:
    from isr.served_build import ServedBuild
    from isr.variants import Selection
    from pages.request import Headers, PageRequest
    from pages.stages import Resource
    from seed.i18n import I18n

_RSC_SUFFIX = ".rsc"

_RSC_QUERY = "_rsc"

# Letters, digits, «-», «.» and «_», which no client encodes (RFC 3986, 2.3; old ones encode «~»). To vinext the name of a folder
# that is spelt so is another name.
_ENCODED_LETTER = re.compile(r"%(?:2[DE]|3\d|4[1-9A-F]|5[\dA]|5F|6[1-9A-F]|7[\dA])", re.IGNORECASE)

# As in vinext's keys of route handlers.
_AT_SLASH = ":trailing-slash"

_MAX_PATH_CHARACTERS = 4096

_MAX_REMEMBERED_URLS = 4096

_MAX_REMEMBERED_CHARACTERS = 256

# What the page at a short URL takes, with its lookups and their keys.
_PAGES_BYTES = 1000

# Served by the framework itself: build output, optimized images, data of another build.
_FRAMEWORK_FOLDERS = ("/_next/", "/_vinext/")

# An RSC request with a value for one of these gets an RSC payload of its own, which vinext 1.4.0 stores under a key of its own.
_VARIANT_HEADERS = (
    "x-vinext-mounted-slots",
    "x-vinext-interception-context",
    "x-vinext-interception-id",
)

_RENDER_MODE_HEADER = "x-vinext-rsc-render-mode"

# The state of a client's router. vinext leaves out of its answer the parts of the page that the client has.
_ROUTER_STATE_HEADERS = (
    "x-vinext-mounted-layouts",
    "x-vinext-rsc-state-fingerprint",
    "next-router-state-tree",
    "next-router-prefetch",
    "next-router-segment-prefetch",
    "next-url",
)

ALWAYS_READ = ("cookie", "next-action", "upgrade", "rsc", "if-none-match", *_VARIANT_HEADERS, _RENDER_MODE_HEADER)
"""Headers that are read of every request for a page, or of every one for an RSC payload."""

ROUTER_HEADERS = (*_VARIANT_HEADERS, _RENDER_MODE_HEADER, *_ROUTER_STATE_HEADERS)
"""Headers that vinext's client sends with an RSC request, in lower case."""


@dataclass(frozen=True)
class Lookup:
    """A request for a page that may be in the cache.

    `path` is normalized as in keys, `url_path` as the visitor spells it. `artifacts` are those that answer the
    request, the likeliest first, and `keys` are theirs in the cache. `tag_path` is the path of the page that they show.
    `variant` follows the artifact in the key, "" for the artifact itself. `is_dynamic`: the build left the page out because it
    is rendered for each visitor. `selected` is what the page is made for of the headers by which it varies (`isr.variants`).
    """

    path: str
    url_path: str
    artifacts: tuple[Artifact, ...]
    keys: tuple[str, ...]
    tag_path: str
    variant: str = ""
    is_dynamic: bool = False
    selected: Selection = ()

    @classmethod
    def of(cls, path: str, url_path: str, build: ServedBuild, *artifacts: Artifact) -> Lookup:
        """Return the lookup of some artifacts of a page."""
        keys = tuple(build.key(path, artifact) for artifact in artifacts)
        return cls(path, url_path, artifacts, keys, path, is_dynamic=path in build.dynamic_paths)

    @classmethod
    def of_resource(cls, resource: Resource, url_path: str, build: ServedBuild) -> Lookup:
        """Return the lookup of what an app's request stage asks for. Raise PageError if it is nothing that is kept."""
        artifact, colon, variant = resource.part.partition(":")
        try:
            artifacts = (Artifact(artifact),)
            keys = (build.key(resource.path, resource.part),)
        except ValueError as error:
            raise PageError(f"the app's request stage asks for {resource}: {error}") from error
        is_dynamic = resource.tag_path in build.dynamic_paths
        return cls(resource.path, url_path, artifacts, keys, resource.tag_path, colon + variant, is_dynamic)

    def canonical(self, origin: str, *, rsc: bool | None = None) -> RenderRequest:
        """Return the request by which the page is made for everybody; `rsc` None asks for the artifact of the lookup."""
        is_rsc = self.is_rsc if rsc is None else rsc
        return RenderRequest(origin, self.canonical_path, is_rsc, selected=self.selected)

    def kept_as(self, origin: str) -> RenderRequest | None:
        """Return what a visitor's answer has to be for if it is kept; None for data, which are kept with their page's HTML."""
        return None if self.is_data else self.canonical(origin)

    @property
    def canonical_path(self) -> str:
        """The path of the page's own URL, percent-encoded."""
        return canonical_url_path(self.url_path)

    def of_variant(self, selected: Selection, build: ServedBuild) -> Lookup:
        """Return the lookup of the variant that a request selects."""
        return replace(self._with_variant(f"{self.variant}{variant_of(selected)}", build), selected=selected)

    def at_slash(self, build: ServedBuild) -> Lookup:
        """Return the lookup of what is at the same path with a slash at its end, which is another page."""
        return self._with_variant(_AT_SLASH, build)

    def _with_variant(self, variant: str, build: ServedBuild) -> Lookup:
        keys = tuple(build.key(self.path, f"{artifact.value}{variant}") for artifact in self.artifacts)
        return replace(self, keys=keys, variant=variant)

    def part(self, artifact: Artifact) -> str:
        """Return the end of the cache key of an artifact of the same page."""
        is_own = self.selected or self.variant == _AT_SLASH or artifact in self.artifacts
        return f"{artifact.value}{self.variant}" if is_own else artifact.value

    @property
    def selected_text(self) -> str:
        """What tells a page from those that are made for other headers, "" where it varies by none."""
        return f" {variant_of(self.selected)}" if self.selected else ""

    @property
    def is_data(self) -> bool:
        """Whether the request is for the data of a page of the Pages Router."""
        return self.artifacts == (Artifact.DATA,)

    @property
    def known_artifact(self) -> Artifact | None:
        """The artifact that an answer is of the Pages Router, None if the answer has to show what it is."""
        return self.artifacts[0] if PAGES_ARTIFACTS.issuperset(self.artifacts) else None

    @property
    def whole_page(self) -> Lookup:
        """The lookup of the page by which the entry is made that this one is for."""
        return replace(self, artifacts=(Artifact.PAGES,)) if self.is_data else self

    def only(self, artifact: str) -> Lookup:
        """Return the lookup of an artifact alone if that is of the Pages Router: what is rendered is no other artifact then."""
        if artifact not in PAGES_ARTIFACTS or len(self.artifacts) == 1:
            return self
        place = self.artifacts.index(Artifact(artifact))
        return replace(self, artifacts=(self.artifacts[place],), keys=(self.keys[place],))

    def is_for(self, resource: Resource) -> bool:
        """Return whether an entry of this lookup may be that of a resource."""
        return self.path == resource.path and any(self.part(artifact) == resource.part for artifact in self.artifacts)

    @property
    def may_be_seeded(self) -> bool:
        """Whether a build may have the artifact; it has none of what is asked for by rewrites or router state."""
        return not self.variant and self.path == self.tag_path

    @property
    def is_rsc(self) -> bool:
        """Whether the request is for the page's RSC payload."""
        return self.artifacts == (Artifact.RSC,)


@dataclass(frozen=True)
class PassBy:
    """A request that the page handler answers, without the cache being read or written; `detail` says more of the reason."""

    reason: Bypass
    detail: str = ""


@dataclass(frozen=True)
class Ruled:
    """A request that the app's request stage has to see before the cache; `lookup` is what it is likely for, None if unknown."""

    lookup: Lookup | None


@dataclass(frozen=True)
class CachedOnly:
    """A request that a page in the cache answers, though the page handler may take it for something else if there is none.

    `is_ruled` is as in PagesAt. `may_upgrade`: the page handler may take a WebSocket at the page's URL.
    """

    lookup: Lookup
    is_ruled: bool
    reason: Bypass
    may_upgrade: bool = False


@dataclass(frozen=True)
class Hidden:
    """A request for a private folder, which is answered with a 404."""


@dataclass(frozen=True)
class PagesAt:
    """The page at a URL and its RSC payload; both are the RSC payload if the URL itself is the payload's.

    `rsc` is None for a page, or its data, of the Pages Router. `is_ruled`: a rule of the app may touch it.
    """

    page: Lookup
    rsc: Lookup | None
    is_ruled: bool = False


Verdict: TypeAlias = "Lookup | Ruled | CachedOnly | PassBy | Hidden"


class RequestClassifier:
    """Classifies the requests for a build's pages. Most are for a few URLs, so each URL is taken apart once."""

    def __init__(self, build: ServedBuild) -> None:
        self._build = build
        self._pages: Recent[tuple[str, str], PagesAt | PassBy | Hidden] = Recent(_MAX_REMEMBERED_URLS, _remembered_bytes)

    def classify(self, request: PageRequest) -> Verdict:
        """Decide which entry a request is for, or that it is for none."""
        url = (request.path, request.query)
        pages = self._pages.get(url)
        if pages is None:
            pages = _pages_at(request.path, request.query, self._build)
            if len(request.path) + len(request.query) <= _MAX_REMEMBERED_CHARACTERS:
                self._pages[url] = pages
        return _lookup(request, pages, self._build)


def _remembered_bytes(url: tuple[str, str], _pages: object) -> int:
    return text_bytes(url) + _PAGES_BYTES


def classify(request: PageRequest, build: ServedBuild) -> Verdict:
    """Decide which entry of a build a request is for, or that it is for none."""
    return _lookup(request, _pages_at(request.path, request.query, build), build)


def _lookup(request: PageRequest, pages: PagesAt | PassBy | Hidden, build: ServedBuild) -> Verdict:
    """Classify a request by its method and headers, its URL being known."""
    if not isinstance(pages, PagesAt):
        return pages
    reason = _pass_by_reason(request, build)
    if reason is None and build.i18n is not None and pages.page.path == "/":
        reason = _language_reason(request, build.i18n)
    if reason is not None:
        return PassBy(reason, request.method if reason is Bypass.METHOD else "")
    asked = pages.page if pages.rsc is None else _app_page(request, pages, pages.rsc, build)
    if not isinstance(asked, Lookup):
        return asked
    headers = request.headers
    if build.takes_upgrades and request.method == "GET" and "websocket" in (headers.get("upgrade") or "").lower():
        return CachedOnly(asked, pages.is_ruled, Bypass.WEBSOCKET, may_upgrade=True)
    reason = _cached_only_reason(headers)
    if reason is not None:
        return CachedOnly(asked, pages.is_ruled, reason)
    return Ruled(asked) if pages.is_ruled else asked


def _app_page(request: PageRequest, pages: PagesAt, rsc: Lookup, build: ServedBuild) -> Lookup | Ruled | PassBy:
    """Return the artifact of an App Router page that is asked for, or what becomes of a variant of its payload."""
    if pages.page is not rsc and not _asks_for_rsc(request.headers, build.schema):
        return pages.page
    variant = _variant(request.headers)
    if variant is None:
        return rsc
    return Ruled(None) if build.has_stages else PassBy(Bypass.RSC_VARIANT, variant)


def _language_reason(request: PageRequest, i18n: I18n) -> Bypass | None:
    headers = request.headers
    leads_away = i18n.may_lead_away(request.host, headers.get("accept-language"), headers.get("cookie"))
    return Bypass.LANGUAGE if leads_away else None


def _pages_at(url_path: str, query: str, build: ServedBuild) -> PagesAt | PassBy | Hidden:
    if is_below(url_path, PRERENDER_FOLDER):
        return Hidden()
    data_of = _data_page(url_path, build)
    reason = _no_page_reason(url_path if data_of is None else data_of, query, build)
    if reason is not None:
        return PassBy(reason)
    return _page_at(url_path, build) if data_of is None else _data_at(data_of, build)


def _page_at(url_path: str, build: ServedBuild) -> PagesAt | PassBy:  # noqa: PLR0911 - one kind of URL a line
    has_rsc_suffix = url_path.endswith(_RSC_SUFFIX) and build.has_rsc_payloads
    path = url_path.removesuffix(_RSC_SUFFIX) if has_rsc_suffix else url_path
    beginnings = {"/"} if has_rsc_suffix else {"", "/"}
    if not path.startswith(build.base_path) or path[len(build.base_path) :][:1] not in beginnings:
        return PassBy(Bypass.OUTSIDE_BASE_PATH)
    path = path[len(build.base_path) :] or "/"
    if has_rsc_suffix and path.endswith(_RSC_SUFFIX):
        return PassBy(Bypass.NOT_CANONICAL)
    # The URL of an RSC payload never ends in a slash: the page handler would redirect the page's own URL.
    form = strip_trailing_slash(path) if has_rsc_suffix else at_next_slash(path, trailing_slash=build.trailing_slash)
    if build.has_next_urls and form != path:
        return PassBy(Bypass.OTHER_SLASH)
    key_path = normalize_path(path)
    rule = touching_rule(build.rules, key_path)
    if rule is not None and not build.has_stages:
        return PassBy(Bypass.RULE, rule.name)
    if strip_trailing_slash(path) != path and (is_api(path) or not build.has_next_urls):
        at_slash = Lookup.of(key_path, f"{build.base_path}{path}", build, *_documents(build)).at_slash(build)
        return PagesAt(at_slash, None, rule is not None)
    url_path = url_path_of(path, build)
    if "app" not in build.routers:
        return PagesAt(Lookup.of(key_path, url_path, build, Artifact.PAGES), None, rule is not None)
    if not build.has_rsc_payloads:
        return PagesAt(Lookup.of(key_path, url_path, build, *_documents(build)), None, rule is not None)
    rsc = Lookup.of(key_path, url_path, build, Artifact.RSC)
    page = rsc if has_rsc_suffix else Lookup.of(key_path, url_path, build, *_documents(build))
    return PagesAt(page, rsc, rule is not None)


def _documents(build: ServedBuild) -> tuple[Artifact, ...]:
    documents = (Artifact.HTML, Artifact.ROUTE)
    return (*documents, Artifact.PAGES) if build.has_pages_router else documents


def _data_page(url_path: str, build: ServedBuild) -> str | None:
    """Return the path of the page whose data is at a URL path, None if it is no data of the build that is served."""
    if not build.has_pages_router or DATA_FOLDER not in url_path:
        return None
    return data_page(url_path.removeprefix(build.base_path), build.build_id) if url_path.startswith(build.base_path) else None


def _data_at(path: str, build: ServedBuild) -> PagesAt | PassBy:
    key_path = normalize_path(path)
    if key_path in ERROR_PATHS:
        return PassBy(Bypass.ERROR_PAGE_DATA)
    rule = touching_rule(build.rules, key_path)
    if rule is not None and not build.has_stages:
        return PassBy(Bypass.RULE, rule.name)
    data = Lookup.of(key_path, url_path_of(path, build), build, Artifact.DATA)
    return PagesAt(data, None, rule is not None)


def may_store(request: PageRequest, lookup: Lookup) -> bool:
    """Return whether the page handler's answer to this very request may be stored."""
    return unkept_reason(request, lookup) is None


def unkept_reason(request: PageRequest, lookup: Lookup) -> Unkept | None:
    """Return why the page handler's answer to this very request may not be stored, None if it may."""
    reason = never_kept_reason(request)
    if reason is not None:
        return reason
    if _has_query(request.query):
        return Unkept.QUERY
    return Unkept.ROUTER_STATE if lookup.is_rsc and _has_router_state(request.headers) else None


def never_kept_reason(request: PageRequest) -> Unkept | None:
    """Return why no answer to this very request may be stored, whatever the app says of it; None if one may."""
    if request.method != "GET":
        return Unkept.HEAD
    if request.headers.get("authorization") is not None:
        return Unkept.AUTHORIZATION
    if request.headers.get("range") is not None:
        return Unkept.RANGE
    return Unkept.BODY if _has_body(request.headers) else None


def at_canonical_url(request: PageRequest, lookup: Lookup) -> PageRequest | None:
    """Return a request for a page that no rule touches as the app is to see it; None if it cannot be asked at the page's own URL.

    The app chooses the headers of next.config by the URL, and the entry keeps them: no spelling of a visitor's may change them.
    """
    kept_as = lookup.kept_as(request.origin)
    if kept_as is None or request.path == kept_as.path:
        return request
    return replace(request, kept_as=kept_as) if may_store(request, lookup) else None


def has_credentials(request: PageRequest) -> bool:
    """Return whether the page handler may answer this visitor otherwise than a stranger."""
    return any(request.headers.get(name) is not None for name in CREDENTIAL_HEADERS)


def _no_page_reason(path: str, query: str, build: ServedBuild) -> Bypass | None:
    # One rule a line, in the order of their cost.
    if path.removeprefix(build.base_path).startswith(_FRAMEWORK_FOLDERS):
        return Bypass.FRAMEWORK_FILE
    if len(path) > _MAX_PATH_CHARACTERS:
        return Bypass.LONG_PATH
    if not _is_canonical(path) or (build.has_next_urls and "%" in path and _ENCODED_LETTER.search(path)):
        return Bypass.NOT_CANONICAL
    if not is_decodable_path(path):
        # Its key may be that of a path that does decode.
        return Bypass.NOT_DECODABLE
    if (build.schema is KeySchema.V1 or not build.has_next_urls) and _has_query(query):
        return Bypass.QUERY
    return None


def _is_canonical(path: str) -> bool:
    return not ("//" in path or "\\" in path or " " in path) and path.isprintable()


def _pass_by_reason(request: PageRequest, build: ServedBuild) -> Bypass | None:
    if request.method not in {"GET", "HEAD"}:
        return Bypass.METHOD
    return Bypass.DRAFT_MODE if is_draft(request.headers.get("cookie"), build.draft_digest) else None


def _cached_only_reason(headers: Headers) -> Bypass | None:
    # A Server Action is a POST, and a page upgrades no connection. vinext renders such a page all the same, each time.
    if headers.get("next-action") is not None:
        return Bypass.ACTION_BY_GET
    return Bypass.UPGRADE if headers.get("upgrade") is not None else None


def url_path_of(path: str, build: ServedBuild) -> str:
    """Return the path of a page as its canonical URL has it; `path` is without the base path."""
    if path == "/" and build.base_path and not build.trailing_slash:
        return build.base_path
    return f"{build.base_path}{at_next_slash(path, trailing_slash=True) if build.trailing_slash else path}"


def _asks_for_rsc(headers: Headers, schema: KeySchema) -> bool:
    if schema is KeySchema.V2:
        return headers.get("rsc") == "1"
    return "text/x-component" in (headers.get("accept") or "")


def search_of(query: str) -> str:
    """Return a query without `_rsc`, which only keeps other caches apart."""
    return "&".join(part for part in query.split("&") if part and part.partition("=")[0] != _RSC_QUERY)


def _has_query(query: str) -> bool:
    return search_of(query) != ""


def _has_body(headers: Headers) -> bool:
    """Return whether a request has a body (RFC 9112, 6), which an app may read of a GET, too."""
    return headers.get("content-length") not in {None, "0"} or headers.get("transfer-encoding") is not None


def _variant(headers: Headers) -> str | None:
    for name in _VARIANT_HEADERS:
        if headers.get(name):
            return name
    if headers.get(_RENDER_MODE_HEADER) not in {None, "", "navigation"}:
        return _RENDER_MODE_HEADER
    return None


def _has_router_state(headers: Headers) -> bool:
    return any(headers.get(name) is not None for name in _ROUTER_STATE_HEADERS)
