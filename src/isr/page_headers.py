"""Which of an answer's headers are stored with a page, and which ones visitors get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.http import (
    APP_BUILD_HEADER,
    ARTIFACT_HEADER,
    INNER_CACHE_HEADER,
    NEXT_STATE_HEADER,
    PAYLOAD_STATUS_HEADER,
    REVALIDATED_HEADER,
    REVALIDATED_PAGES_HEADER,
    SHARED_POLICY_HEADER,
    SPECIAL_STATUS_HEADER,
    STALE_DATA_HEADER,
    STALE_TIME_HEADER,
    TAGS_HEADER,
)
from isr.variants import SELECTED_HEADER, selection_text

if TYPE_CHECKING:
    from isr.variants import Selection
    from pages.handler import PageResponse

POLICY_HEADERS = frozenset((TAGS_HEADER, SHARED_POLICY_HEADER, REVALIDATED_HEADER, REVALIDATED_PAGES_HEADER, STALE_DATA_HEADER))
"""Headers by which the page handler speaks to the page cache, and to nobody else."""

INNER_STATE_HEADERS = frozenset({INNER_CACHE_HEADER, NEXT_STATE_HEADER})
"""Headers that say what a cache inside the page handler did."""

# Hop-by-hop (RFC 9110, 7.6.1), of one answer only, or written anew for each answer.
NOT_STORED = (
    POLICY_HEADERS
    | INNER_STATE_HEADERS
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
            SELECTED_HEADER,
            APP_BUILD_HEADER,
            ARTIFACT_HEADER,
            PAYLOAD_STATUS_HEADER,
            SPECIAL_STATUS_HEADER,
            "x-vinext-rsc-completion-metadata",
            "x-vinext-stale-time-pending",
        }
    )
)
"""Headers, in lower case, that are never stored with a page."""

WITH_OWN_POLICY = NOT_STORED - {"cache-control"}
"""The same for an answer whose Cache-Control is the app's own, of a route handler or next.config, and not that of its period."""

_MAX_DIGITS = 10

OF_THE_BODY = frozenset({"content-disposition", "content-language", "content-type"})
"""Headers, in lower case, that a 304 does without (RFC 9110, 15.4.5)."""


def take_stale_time(headers: dict[str, str]) -> int | None:
    """Remove the stale time from headers with names in lower case, and return it; None, removing nothing, if it is no number."""
    text = headers.get(STALE_TIME_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        return None
    return int(headers.pop(STALE_TIME_HEADER))


def stored_headers(response: PageResponse, selected: Selection = ()) -> dict[str, str]:
    """Return the headers of a page handler's answer that are stored with its page, names in lower case.

    `selected` is what the request had of the headers by which the answer varies.
    """
    unwanted = NOT_STORED if response.header(SHARED_POLICY_HEADER) is None else WITH_OWN_POLICY
    headers = {name.lower(): value for name, value in response.header_items() if name.lower() not in unwanted}
    return headers | {SELECTED_HEADER: selection_text(selected)} if selected else headers
