"""What a visitor gets: an answer from the cache, or the page handler's own."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from cache.entry import EntryIdentity, Freshness
from cache.keys import KeySchema
from core.http import (
    INNER_CACHE_HEADER,
    NEVER_STALE_SECONDS,
    NEXT_STATE_HEADER,
    PAYLOAD_BYTES_HEADER,
    REDIRECTS,
    REVALIDATED_HEADER,
    STATE_HEADER,
    TAGS_HEADER,
)
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.entry import CacheEntry, EntryIdentity
    from core.body import Body
    from isr.store import Found
    from pages.handler import PageResponse
    from pages.request import PageRequest

_IMPRECISION_SECONDS = 0.1

NEVER_STALE = f"s-maxage={NEVER_STALE_SECONDS}, stale-while-revalidate"


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


def _shown(seconds: float) -> str:
    # Before 1.0 vinext wrote no period, only two times, the second taken some milliseconds after the first.
    whole = round(seconds)
    if seconds == whole or (whole and abs(seconds - whole) < _IMPRECISION_SECONDS):
        return str(whole)
    return repr(seconds)


# What the page handler tells us, and nobody else.
POLICY_HEADERS = frozenset({TAGS_HEADER, REVALIDATED_HEADER, PAYLOAD_BYTES_HEADER})

_INNER_STATE_HEADERS = frozenset({INNER_CACHE_HEADER, NEXT_STATE_HEADER})

# Never kept with an entry: hop-by-hop (RFC 9110, 7.6.1), of one answer only, or written anew.
_NOT_KEPT = (
    POLICY_HEADERS
    | _INNER_STATE_HEADERS
    | frozenset(
        {
            "age",
            "alt-svc",
            "cache-control",
            "cache-tag",
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "connection",
            "content-encoding",
            "content-length",
            "date",
            "expires",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "server-timing",
            "set-cookie",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        }
    )
)

# Left out of a 304 (RFC 9110, 15.4.5).
_OF_THE_BODY = frozenset({"content-disposition", "content-language", "content-type"})

_CONTENT_TYPES = {
    (KeySchema.V1, Artifact.HTML): "text/html; charset=utf-8",
    (KeySchema.V2, Artifact.HTML): "text/html; charset=utf-8",
    (KeySchema.V1, Artifact.RSC): "text/x-component; charset=utf-8",
    (KeySchema.V2, Artifact.RSC): "text/x-component",
}

# What vinext's own answers vary by, for entries that do not say.
_VARY = {
    KeySchema.V1: "RSC, Accept",
    KeySchema.V2: "RSC, Next-Router-State-Tree, Next-Router-Prefetch,"
    " Next-Router-Segment-Prefetch, Next-Url, X-Vinext-Interception-Context,"
    " X-Vinext-Interception-Id, X-Vinext-Mounted-Slots, X-Vinext-Rsc-Render-Mode,"
    " X-Vinext-Rsc-State-Fingerprint",
}


class CachedAnswer(NamedTuple):
    """An answer from the cache; `body` None where none is sent (HEAD, 304).

    `fixed_headers` are all but the age.
    """

    status: int
    fixed_headers: tuple[tuple[str, str], ...]
    body: Body | None
    age_seconds: int | None = None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All of them."""
        if self.age_seconds is None:
            return self.fixed_headers
        return (*self.fixed_headers, ("Age", str(self.age_seconds)))


@dataclass(frozen=True)
class PassedAnswer:
    """The page handler's answer, less `removed` headers (lower case) and with `added` ones."""

    response: PageResponse
    removed: frozenset[str]
    added: tuple[tuple[str, str], ...] = ()


Answer: TypeAlias = "CachedAnswer | PassedAnswer"

NOT_FOUND = CachedAnswer(
    404,
    (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")),
    None,
)

NO_PAGE = CachedAnswer(
    500,
    (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")),
    None,
)


def kept_headers(response: PageResponse) -> dict[str, str]:
    """The headers of a page handler's answer that are kept and replayed with its entry."""
    return {name.lower(): value for name, value in response.header_items() if name.lower() not in _NOT_KEPT}


def cached_answer(request: PageRequest, found: Found, schema: KeySchema, now_ms: int) -> CachedAnswer:
    """The answer that an entry gives: its headers, the cache's own, and a 304 where that fits."""
    fixed = _fixed_part(found, schema)
    age_seconds = max(0, now_ms - found.entry.last_modified_ms) // 1000
    if fixed.status == HTTPStatus.OK and _matches(request.headers.get("if-none-match"), fixed.etag):
        return CachedAnswer(HTTPStatus.NOT_MODIFIED, fixed.not_modified_headers, None, age_seconds)
    body = None if request.method == "HEAD" else found.body
    return CachedAnswer(fixed.status, fixed.headers, body, age_seconds)


class _FixedPart:
    """What all answers from an entry have in common."""

    __slots__ = ("body_bytes", "etag", "headers", "status")

    def __init__(self, body_bytes: int, status: int, headers: tuple[tuple[str, str], ...], etag: str) -> None:
        self.body_bytes = body_bytes
        self.status = status
        self.headers = headers
        self.etag = etag

    @property
    def not_modified_headers(self) -> tuple[tuple[str, str], ...]:
        return tuple(item for item in self.headers if item[0].lower() not in _OF_THE_BODY)


_fixed_parts: WeakKeyDictionary[EntryIdentity, dict[tuple[KeySchema, Artifact, Freshness], _FixedPart]] = WeakKeyDictionary()


def _fixed_part(found: Found, schema: KeySchema) -> _FixedPart:
    """Worked out once: an entry answers many requests. Of the body it depends on the size, which may be in the ETag."""
    parts = _fixed_parts.setdefault(found.entry.identity, {})
    key = (schema, found.artifact, found.state)
    kept = parts.get(key)
    if kept is None or kept.body_bytes != found.body.size_bytes:
        kept = parts[key] = _make_fixed_part(found, schema)
    return kept


def _make_fixed_part(found: Found, schema: KeySchema) -> _FixedPart:
    entry, artifact, body, state = found.entry, found.artifact, found.body, found.state
    value = entry.value
    stored: Mapping[str, str | list[str]] = getattr(value, "headers", None) or {}
    status: int = getattr(value, "status", None) or 200
    if artifact is Artifact.RSC and status in REDIRECTS:
        # The client takes the redirect out of the payload; fetch would follow it, and give the client another page's.
        status = 200
    shown = "STALE" if state is Freshness.STALE else "HIT"
    headers = [
        (name, text)
        for name, texts in stored.items()
        if name.lower() not in _NOT_KEPT
        for text in ([texts] if isinstance(texts, str) else texts)
    ]
    names = {name.lower() for name, _ in headers}
    content_type = _CONTENT_TYPES.get((schema, artifact))
    if "content-type" not in names and content_type is not None:
        headers.append(("Content-Type", content_type))
    if "vary" not in names:
        headers.append(("Vary", _VARY[schema]))
    etag = next((text for name, text in headers if name.lower() == "etag"), None)
    if etag is None:
        etag = f'W/"{entry.last_modified_ms:x}-{body.size_bytes:x}"'
        headers.append(("ETag", etag))
    headers += [
        ("Cache-Control", cached_cache_control(entry, state)),
        (STATE_HEADER, shown),
        (NEXT_STATE_HEADER, shown),
    ]
    return _FixedPart(body.size_bytes, status, tuple(headers), etag)


def passed_answer(response: PageResponse, state: str | None = None) -> PassedAnswer:
    """The page handler's answer; `state` MISS where it goes into the cache.

    An inner cache's state is none of ours and is taken off, but for STATIC, which says that
    the answer is a file.
    """
    if state is not None:
        added = ((STATE_HEADER, state), (NEXT_STATE_HEADER, state))
        return PassedAnswer(response, POLICY_HEADERS | _INNER_STATE_HEADERS, added)
    if (response.header(INNER_CACHE_HEADER) or "").upper() == "STATIC":
        return PassedAnswer(response, POLICY_HEADERS)
    return PassedAnswer(response, POLICY_HEADERS | _INNER_STATE_HEADERS)


def _matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110, 13.1.2: any of the listed tags, compared weakly, or `*`."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    wanted = etag.removeprefix("W/")
    return any(part.strip().removeprefix("W/") == wanted for part in if_none_match.split(","))
