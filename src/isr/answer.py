"""The answers that visitors get: from the cache, or the page handler's own."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from cache.entry import Freshness, PagesValue
from cache.keys import KeySchema
from core.http import (
    INNER_CACHE_HEADER,
    NEVER_STALE_SECONDS,
    NEXT_STATE_HEADER,
    REDIRECTS,
    SPECIAL_STATUS_HEADER,
    SPECIAL_STATUSES,
    STALE_TIME_HEADER,
    STATE_HEADER,
    matches_etag,
)
from isr.page_headers import INNER_STATE_HEADERS, NOT_STORED, OF_THE_BODY, POLICY_HEADERS, WITH_OWN_POLICY
from isr.reasons import Bypass, Served
from isr.story import Outcome
from pages.stages import offer
from seed.build import Artifact
from seed.pages_router import MATCHED_PATH_HEADER, data_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from cache.entry import CacheEntry, EntryIdentity
    from core.body import Body
    from isr.lookup import Lookup
    from isr.store import CachedPage
    from pages.handler import PageResponse
    from pages.request import PageRequest

_IMPRECISION_SECONDS = 0.1

_NOT_IN_304 = POLICY_HEADERS | OF_THE_BODY

NEVER_STALE = f"s-maxage={NEVER_STALE_SECONDS}, stale-while-revalidate"


def cached_cache_control(entry: CacheEntry, state: Freshness) -> str:
    """Return the Cache-Control of an answer from the cache, as vinext writes it."""
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


def _shown(seconds: float) -> str:
    # Before 1.0 vinext wrote no period, only two times, the second taken some milliseconds after the first.
    whole = round(seconds)
    if seconds == whole or (whole and abs(seconds - whole) < _IMPRECISION_SECONDS):
        return str(whole)
    return repr(seconds)


_HTML_TYPE = "text/html; charset=utf-8"
_TEXT_TYPE = "text/plain;charset=UTF-8"

_CONTENT_TYPES = {
    (KeySchema.V1, Artifact.HTML): _HTML_TYPE,
    (KeySchema.V2, Artifact.HTML): _HTML_TYPE,
    (KeySchema.V1, Artifact.RSC): "text/x-component; charset=utf-8",
    (KeySchema.V2, Artifact.RSC): "text/x-component",
    (KeySchema.V1, Artifact.DATA): "application/json",
    (KeySchema.V2, Artifact.DATA): "application/json",
}

# Of a page's headers, those that are for its HTML; its data has none of them.
_OF_THE_HTML = frozenset({"content-language", "content-type", "etag", "link", "location", "refresh"})

# The Vary of vinext's own answers, for entries that have none.
_VARY = {
    KeySchema.V1: "RSC, Accept",
    KeySchema.V2: "RSC, Next-Router-State-Tree, Next-Router-Prefetch,"
    " Next-Router-Segment-Prefetch, Next-Url, X-Vinext-Interception-Context,"
    " X-Vinext-Interception-Id, X-Vinext-Mounted-Slots, X-Vinext-Rsc-Render-Mode,"
    " X-Vinext-Rsc-State-Fingerprint",
}


@dataclass(frozen=True)
class CachedAnswer:
    """An answer from the cache; `body` None if none is sent (HEAD, 304). `fixed_headers` are all but the age.

    `reason` is why it is what it is. `is_for_edge`: the cache in front of the Worker may keep it (`isr.edge_policy`).
    """

    status: int
    fixed_headers: tuple[tuple[str, str], ...]
    body: Body | None
    age_seconds: int | None = None
    reason: StrEnum | None = None
    is_for_edge: bool = False

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All headers."""
        if self.age_seconds is None:
            return self.fixed_headers
        return (*self.fixed_headers, ("Age", str(self.age_seconds)))


@dataclass(frozen=True)
class PassedAnswer:
    """The page handler's answer without its `removed` headers (in lower case) and with the `added` ones.

    `reason` is why the page handler answers and nothing is kept, None if that is not so.
    """

    response: PageResponse
    removed: frozenset[str]
    added: tuple[tuple[str, str], ...] = ()
    reason: StrEnum | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def is_miss(self) -> bool:
        """Whether the answer says that it is being stored."""
        return bool(self.added)


@dataclass(frozen=True)
class RuledAnswer:
    """An answer from the cache with the headers and the status that the app's request stage has made of the entry's.

    `body` None if none is sent; `is_not_modified`: the visitor has the page already. `removed` are headers, in lower case, that
    the visitor does not get, and `added` those that come on top.
    """

    response: PageResponse
    body: Body | None
    is_not_modified: bool
    age_seconds: int
    removed: frozenset[str]
    reason: Served
    added: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status."""
        return HTTPStatus.NOT_MODIFIED if self.is_not_modified else self.response.status


Answer: TypeAlias = "CachedAnswer | PassedAnswer | RuledAnswer"


def outcome_of(answer: Answer) -> Outcome:
    """Return what became of a request."""
    if isinstance(answer.reason, Served):
        return Outcome.HIT if answer.reason is Served.FRESH else Outcome.STALE
    if isinstance(answer, PassedAnswer):
        return Outcome.MISS if answer.is_miss else Outcome.PASSED_ON
    return Outcome.FAILED if answer.reason is None else Outcome.NOT_FOUND


def sent_bytes(answer: Answer) -> int:
    """Return how large the body is that is sent from the cache."""
    return 0 if isinstance(answer, PassedAnswer) or answer.body is None else answer.body.size_bytes


NOT_FOUND = CachedAnswer(
    404,
    (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")),
    None,
    reason=Bypass.PRIVATE_FOLDER,
)

NO_PAGE = CachedAnswer(
    500,
    (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")),
    None,
)


def cached_answer(request: PageRequest, page: CachedPage, schema: KeySchema, now_ms: int) -> CachedAnswer:
    """Return the answer from an entry: its headers with the cache's own, or a 304 if the visitor has the page already."""
    fixed = _fixed_part(page, schema)
    age_seconds = max(0, now_ms - page.entry.last_modified_ms) // 1000
    if fixed.status == HTTPStatus.OK and matches_etag(request.headers.get("if-none-match"), fixed.etag):
        return CachedAnswer(HTTPStatus.NOT_MODIFIED, fixed.not_modified_headers, None, age_seconds, fixed.reason)
    body = None if request.method == "HEAD" else page.body
    return CachedAnswer(fixed.status, fixed.headers, body, age_seconds, fixed.reason)


def offer_of(page: CachedPage, lookup: Lookup, schema: KeySchema) -> str:
    """Return what the app's request stage is told of an entry: the answer that everybody would get."""
    fixed = _fixed_part(page, schema)
    part = lookup.part(page.artifact)
    # In several languages, one page has several paths.
    if fixed.offer is None or fixed.offer[0] != lookup.path:
        headers: dict[str, list[str]] = {}
        for name, text in fixed.headers:
            # The request stage adds it, with the language.
            if name != MATCHED_PATH_HEADER:
                headers.setdefault(name, []).append(text)
        if page.artifact is Artifact.RSC and fixed.status in SPECIAL_STATUSES:
            headers[SPECIAL_STATUS_HEADER] = [str(fixed.status)]
        fixed.offer = lookup.path, offer(lookup.path, part, fixed.status, headers, is_stale=page.state is Freshness.STALE)
    return fixed.offer[1]


def ruled_answer(request: PageRequest, page: CachedPage, response: PageResponse, schema: KeySchema, now_ms: int) -> RuledAnswer:
    """Return the answer from an entry, by the response that the request stage has made of `offer_of` it."""
    fixed = _fixed_part(page, schema)
    age_seconds = max(0, now_ms - page.entry.last_modified_ms) // 1000
    is_not_modified = response.status == HTTPStatus.OK and matches_etag(request.headers.get("if-none-match"), fixed.etag)
    body = None if is_not_modified or request.method == "HEAD" else page.body
    removed = _NOT_IN_304 if is_not_modified else POLICY_HEADERS
    return RuledAnswer(response, body, is_not_modified, age_seconds, removed, fixed.reason)


def served_reason(entry: CacheEntry, state: Freshness) -> Served:
    """Return why an entry that is served is fresh or stale."""
    if state is Freshness.FRESH:
        return Served.FRESH
    due_ms, period_seconds = entry.revalidate_at_ms, entry.revalidate_seconds
    if due_ms is None:
        return Served.PERIOD_OVER
    is_by_tag = period_seconds is None or due_ms < int(entry.last_modified_ms + period_seconds * 1000)
    return Served.STALE_BY_TAG if is_by_tag else Served.PERIOD_OVER


class _FixedPart:
    """The status and the headers that all answers from an entry have in common, and its offer to the request stage."""

    __slots__ = ("body_bytes", "etag", "headers", "offer", "reason", "status")

    def __init__(self, body_bytes: int, status: int, headers: tuple[tuple[str, str], ...], etag: str, reason: Served) -> None:
        self.body_bytes = body_bytes
        self.reason = reason
        self.status = status
        self.headers = headers
        self.etag = etag
        self.offer: tuple[str, str] | None = None

    @property
    def not_modified_headers(self) -> tuple[tuple[str, str], ...]:
        return tuple(item for item in self.headers if item[0].lower() not in OF_THE_BODY)


_PartKey: TypeAlias = "tuple[KeySchema, Artifact, Freshness]"
_fixed_parts: WeakKeyDictionary[EntryIdentity, dict[_PartKey, _FixedPart]] = WeakKeyDictionary()


def _fixed_part(page: CachedPage, schema: KeySchema) -> _FixedPart:
    """Return the fixed part, built once for each entry. It depends on the body's size, which may be in the ETag."""
    parts = _fixed_parts.get(page.entry.identity)
    if parts is None:
        parts = _fixed_parts[page.entry.identity] = {}
    key = (schema, page.artifact, page.state)
    part = parts.get(key)
    if part is None or part.body_bytes != page.body.size_bytes:
        part = parts[key] = _make_fixed_part(page, schema)
    return part


def _make_fixed_part(page: CachedPage, schema: KeySchema) -> _FixedPart:
    entry, artifact, body, state = page.entry, page.artifact, page.body, page.state
    value = entry.value
    stored: Mapping[str, str | list[str]] = getattr(value, "headers", None) or {}
    status: int = getattr(value, "status", None) or 200
    if isinstance(value, PagesValue) and artifact is Artifact.DATA:
        status = data_status(value)
    unwanted = _unwanted(page, status)
    if artifact is Artifact.RSC and status in REDIRECTS:
        # The client reads the redirect from the RSC payload; fetch would follow a 3xx and return another page's payload.
        status = 200
    shown = "STALE" if state is Freshness.STALE else "HIT"
    headers = [
        (name, text)
        for name, texts in stored.items()
        if name.lower() not in unwanted
        for text in ([texts] if isinstance(texts, str) else texts)
    ]
    names = {name.lower() for name, _ in headers}
    content_type = _CONTENT_TYPES.get((schema, artifact))
    if artifact is Artifact.PAGES:
        content_type = _TEXT_TYPE if status in REDIRECTS else _HTML_TYPE
    if "content-type" not in names and content_type is not None:
        headers.append(("Content-Type", content_type))
    if "vary" not in names and page.has_router_headers and not (artifact is Artifact.PAGES and status in REDIRECTS):
        headers.append(("Vary", _VARY[schema]))
    if entry.stale_seconds is not None and artifact is not Artifact.ROUTE and STALE_TIME_HEADER not in names:
        headers.append((STALE_TIME_HEADER, str(int(entry.stale_seconds))))
    etag = next((text for name, text in headers if name.lower() == "etag"), None)
    if etag is None:
        etag = f'W/"{entry.last_modified_ms:x}-{body.size_bytes:x}"'
        headers.append(("ETag", etag))
    if "cache-control" not in names:
        headers.append(("Cache-Control", cached_cache_control(entry, state)))
    headers += [(STATE_HEADER, shown), (NEXT_STATE_HEADER, shown)]
    return _FixedPart(body.size_bytes, status, tuple(headers), etag, served_reason(entry, state))


def _unwanted(page: CachedPage, status: int) -> frozenset[str]:
    """Return the stored headers, in lower case, that are not sent."""
    if not isinstance(page.entry.value, PagesValue):
        return WITH_OWN_POLICY
    is_data = page.artifact is Artifact.DATA
    unwanted = NOT_STORED | _OF_THE_HTML if is_data else NOT_STORED
    # Where the app has both routers, vinext does not send it.
    if not is_data or status != HTTPStatus.OK or page.has_router_headers:
        unwanted |= {MATCHED_PATH_HEADER}
    return unwanted


def passed_answer(response: PageResponse, state: str | None = None, reason: StrEnum | None = None) -> PassedAnswer:
    """Return the page handler's answer for the visitor; `state` is MISS if it is being stored, else `reason` is why it is not.

    The state of a cache inside the page handler is removed, except for STATIC, which says that the answer is a file.
    """
    if state is not None:
        added = ((STATE_HEADER, state), (NEXT_STATE_HEADER, state))
        return PassedAnswer(response, POLICY_HEADERS | INNER_STATE_HEADERS, added)
    if (response.header(INNER_CACHE_HEADER) or "").upper() == "STATIC":
        return PassedAnswer(response, POLICY_HEADERS, reason=reason)
    return PassedAnswer(response, POLICY_HEADERS | INNER_STATE_HEADERS, reason=reason)
