"""Whether a page handler's answer may be stored, and how. Pure functions: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from cache.keys import KeySchema
from cache.tags import is_valid_tag, merge_tags
from core.http import (
    INNER_CACHE_HEADER,
    REDIRECTS,
    SHARED_POLICY_HEADER,
    STORABLE_STATUSES,
    TAGS_HEADER,
    Period,
    directives,
    forbids_storing,
    shared_period,
    vary_names,
)
from core.paths import canonical_url_path
from isr.lookup import ROUTER_HEADERS
from isr.reasons import Inadmissible
from seed.build import Artifact

if TYPE_CHECKING:
    from isr.variants import Selection, VariantRules
    from pages.handler import PageResponse
    from seed.build import RouteRecord

# Statuses that say «not now» rather than «never». A conflict is what vinext answers to a replay of another build.
_TEMPORARY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

# Headers that decide which entry a request is for, or the encoding, which is undone before an answer is stored.
_KEPT_APART = frozenset({"rsc", "accept-encoding", *ROUTER_HEADERS})


@dataclass(frozen=True)
class Admission:
    """The answer may be stored: as this artifact, for this period, under these tags.

    `varies_by` are the headers of the request, in lower case, by which it is one of several.
    """

    artifact: Artifact
    period: Period
    tags: tuple[str, ...]
    varies_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """The answer may not be stored; `detail` says more of the reason.

    `is_failure`: the page could not be rendered just now. `has_own_cache`: the page handler stores its pages itself, and
    may have stored this one. In neither case does the answer say anything against an entry that is there already.
    `is_of_another_build`: while one build takes the place of another, nobody's answer can be stored.
    `selected`: the answer was made for a spelling of its own of these headers; one that is made for them may be stored.
    """

    reason: Inadmissible
    detail: str = ""
    is_failure: bool = False
    has_own_cache: bool = False
    is_of_another_build: bool = False
    selected: Selection = ()

    def __str__(self) -> str:
        """The reason in a few words, for the log."""
        return self.detail or self.reason.value


def admit(  # noqa: PLR0911, PLR0913 - one rule a line, and all that the rules go by
    response: PageResponse,
    record: RouteRecord | None,
    *,
    rsc: bool,
    path: str | None = None,
    schema: KeySchema = KeySchema.V2,
    known: Artifact | None = None,
    variants: VariantRules | None = None,
) -> Admission | Refusal:
    """Decide whether a page handler's answer may be stored.

    `record` is the build's record of the path: it gives the period and the tags of an answer that has no Cache-Control
    at all. `path` is the one that was asked for. `schema` is that of the entry's key. `known` is the artifact that the
    answer is, None if its headers have to show that. `variants` None: an answer that is one of several is not stored.
    """
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refusal(Inadmissible.FAILED_STATUS, f"status {response.status}", is_failure=True)
    if response.status in _TEMPORARY:
        return Refusal(Inadmissible.FAILED_STATUS, f"status {response.status}", is_failure=True)
    if response.status not in STORABLE_STATUSES:
        return Refusal(Inadmissible.STATUS, f"status {response.status}")
    if path is not None and _leads_to(path, response.header("location")):
        # It leads one visitor to another scheme or host; stored, it would lead everybody in a circle.
        return Refusal(Inadmissible.REDIRECT_TO_ITSELF)
    refusal = _refused_by_headers(response)
    if refusal is not None:
        return refusal
    names = varies_by(response.header("vary"), schema)
    if names and (variants is None or rsc or known is not None or not variants.allow(names)):
        return Refusal(Inadmissible.VARIES, f"it varies by {', '.join(names)}")
    period = _period(response, record)
    if isinstance(period, Refusal):
        return period
    artifact = known or _artifact(response, rsc=rsc)
    if artifact is None:
        given = response.header("content-type") or "no content type"
        return Refusal(Inadmissible.CONTENT_TYPE, f"{given} for {'an RSC' if rsc else 'a document'} request")
    return Admission(artifact, period, _tags(response, record), names)


def _leads_to(path: str, location: str | None) -> bool:
    """Return whether a Location, as a visitor of a path follows it (RFC 9110, 10.2.2), leads to the same path."""
    if not location:
        return False
    try:
        return canonical_url_path(urlsplit(urljoin(f"http://host{path}", location)).path) == path
    except ValueError:
        return False


def has_rsc_payload(response: PageResponse) -> bool:
    """Return whether a page says that it has an RSC payload: it varies by the header that asks for one."""
    return "rsc" in vary_names(response.header("vary"))


@lru_cache
def varies_by(vary: str | None, schema: KeySchema) -> tuple[str, ...]:
    """Return the headers by which an answer with a Vary field varies and which the key of its entry does not hold.

    Such an answer is one of several. The older keys hold `Accept` where it asks for an RSC payload, as vinext's answers then say.
    """
    names = vary_names(vary)
    is_keyed_by_accept = schema is KeySchema.V1 and "rsc" in names
    return tuple(name for name in names if name not in _KEPT_APART and not (name == "accept" and is_keyed_by_accept))


def header_tags(value: str | None) -> tuple[str, ...]:
    """Return the valid tags of a header, in which they are separated by commas and percent-encoded."""
    if not value:
        return ()
    tags = (unquote(part.partition(";")[0].strip()) for part in value.split(","))
    return merge_tags(tag for tag in tags if is_valid_tag(tag))


def revalidated_tags(value: str | None) -> dict[float | None, tuple[str, ...]]:
    """Return the valid tags that a page handler says it has invalidated, by the seconds for which their pages stay, stale.

    They are separated by commas and percent-encoded; `;expire=60` after a tag gives the seconds. None: no time at all, also
    where the seconds cannot be read.
    """
    found: dict[float | None, list[str]] = {}
    for part in (value or "").split(","):
        for tag in header_tags(part):
            found.setdefault(_stale_seconds(part), []).append(tag)
    return {seconds: merge_tags(tags) for seconds, tags in found.items()}


def _stale_seconds(part: str) -> float | None:
    given = (parameter.strip().partition("=") for parameter in part.split(";")[1:])
    try:
        seconds = next((float(text) for name, _, text in given if name == "expire"), 0)
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _refused_by_headers(response: PageResponse) -> Refusal | None:
    if response.header("set-cookie") is not None:
        return Refusal(Inadmissible.COOKIE)
    if response.header("content-encoding") not in {None, "", "identity"}:
        return Refusal(Inadmissible.COMPRESSED)
    if response.header("content-range") is not None:
        return Refusal(Inadmissible.PART)
    return None


def _period(response: PageResponse, record: RouteRecord | None) -> Period | Refusal:
    inner = response.header(INNER_CACHE_HEADER)
    has_own_cache = inner is not None
    if inner is not None and inner.upper() not in {"MISS", "STATIC"}:
        # Its age is not known, so the copy would live longer than it should.
        return Refusal(Inadmissible.OWN_CACHE, f"the page handler's own cache says {inner}", has_own_cache=True)
    cache_control = response.header("cache-control")
    cdn = response.header("cdn-cache-control")
    for_all = directives(response.header(SHARED_POLICY_HEADER) or cache_control or "")
    for_cdn = directives(cdn or "")
    # A targeted field replaces Cache-Control (RFC 9213, 2.2). One without a period leaves both the period and the question
    # of storing to Cache-Control.
    is_targeted = "max-age" in for_cdn
    forbidden = forbids_storing(for_cdn) or (None if is_targeted else forbids_storing(for_all))
    if forbidden is not None:
        return Refusal(Inadmissible(forbidden), has_own_cache=has_own_cache)
    period = shared_period(for_cdn, "max-age") if is_targeted else shared_period(for_all, "s-maxage")
    if period is not None:
        return period
    if cache_control is None and cdn is None and record is not None:
        return Period(record.revalidate_seconds, record.expire_seconds)
    return Refusal(Inadmissible.NO_PERIOD, has_own_cache=has_own_cache)


def _artifact(response: PageResponse, *, rsc: bool) -> Artifact | None:
    content_type = (response.header("content-type") or "").lower()
    if content_type.startswith("text/x-component"):
        return Artifact.RSC if rsc else None
    if rsc:
        return None
    charset = content_type.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in {"", "utf-8", "utf8"}:
        # An HTML entry is text, which JSON stores as UTF-8; a route entry stores the bytes as they are.
        return Artifact.ROUTE
    if content_type.startswith("text/html") or (response.status in REDIRECTS and not content_type):
        return Artifact.HTML
    return Artifact.ROUTE if content_type else None


def _tags(response: PageResponse, record: RouteRecord | None) -> tuple[str, ...]:
    given = header_tags(response.header(TAGS_HEADER) or response.header("cache-tag"))
    return merge_tags(record.tags if record else (), given)
