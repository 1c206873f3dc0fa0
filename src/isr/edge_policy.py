"""What the cache in front of the Worker (Workers Cache) may keep: fresh pages that are the same for everybody, and nothing else.

It is asked before the Worker, by path and query alone: it sees no cookie and no host, and whatever it keeps costs the Worker no
time at all. Source: https://developers.cloudflare.com/workers/cache/configuration/#cache-control-semantics
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cache.entry import Freshness
from cache.purging import cache_tag_header
from core.http import NEVER_STALE_SECONDS, STORABLE_STATUSES, directives, forbids_storing, vary_names
from isr.admission import varies_by
from isr.answer import CachedAnswer
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.keys import KeySchema
    from core.runtime import Clock
    from isr.answer import Answer
    from isr.lookup import Lookup
    from isr.store import CachedPage
    from pages.request import PageRequest

EDGE_HEADER = "Cloudflare-CDN-Cache-Control"
"""Comes before every other policy, and goes no further than Cloudflare."""

FORBIDDEN = (EDGE_HEADER, "no-store")

# A router's client asks for these again and again with headers of its own, and in draft mode without a query.
_NOT_KEPT = frozenset({Artifact.RSC, Artifact.DATA})

BROWSER_POLICY = "public, max-age=0, must-revalidate"
"""The Cache-Control of a kept page, unless it has one of its own: no invalidation reaches a browser."""


@dataclass(frozen=True)
class EdgePolicy:
    """Lets the cache in front of the Worker keep a page for what is left of its period.

    With `is_for_cookies` visitors who send cookies get it too, those in draft mode as well: the cache sees no cookie unless the
    page varies by it. `longest_seconds` is how long it may be kept at most now: so long an old page lives that an isolate has let
    in after an invalidation that it did not know of yet.
    """

    schema: KeySchema
    is_for_cookies: bool
    longest_seconds: Callable[[], int]
    clock: Clock

    def of_page(self, answer: CachedAnswer, request: PageRequest, lookup: Lookup, page: CachedPage) -> CachedAnswer:
        """Return an answer from the page cache, with leave to be kept if others may get it without the Worker being asked.

        One without a body (304, HEAD) is not the page.
        """
        if answer.body is None or not self._is_for_all(request, lookup, page):
            return answer
        own = _own_cache_control(page)
        seconds = self._seconds(page)
        tags = cache_tag_header((lookup.tag_path, *page.entry.tags))
        if seconds <= 0 or tags is None or (own is not None and forbids_storing(directives(own))):
            return answer
        # It counts its own age from now on; `Age` would shorten what is left.
        shown = answer.fixed_headers
        if own is None:
            shown = tuple((name, BROWSER_POLICY if name == "Cache-Control" else text) for name, text in shown)
        # The page's own Vary need not tell what the Worker tells apart.
        told_apart = ("RSC",) if page.has_router_headers else ()
        shown = _varying(shown, told_apart if self.is_for_cookies else (*told_apart, "Cookie"))
        added = (("Cache-Tag", tags), (EDGE_HEADER, f"max-age={seconds}, must-revalidate"))
        return replace(answer, fixed_headers=(*shown, *added), age_seconds=None, is_for_edge=True)

    def _is_for_all(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> bool:
        return (
            page.state is Freshness.FRESH
            and page.artifact not in _NOT_KEPT
            and page.status in STORABLE_STATUSES
            and not request.query
            and (self.is_for_cookies or request.headers.get("cookie") is None)
            and request.headers.get("authorization") is None
            and not lookup.selected
            and not page.selected
            and not varies_by(page.vary, self.schema)
        )

    def _seconds(self, page: CachedPage) -> int:
        entry, now_ms = page.entry, self.clock()
        ends_ms = [end for end in (entry.revalidate_at_ms, entry.expire_at_ms) if end is not None]
        left = int((min(ends_ms) - now_ms) // 1000) if ends_ms else NEVER_STALE_SECONDS
        return min(left, self.longest_seconds())


def sealed(answer: Answer) -> Answer:
    """Return an answer that the cache in front of the Worker does not keep, unless it may.

    Without that, it would keep an answer for as long as its Cache-Control tells any shared cache, and one that has none for two
    hours; and no invalidation would reach it.
    """
    if not isinstance(answer, CachedAnswer):
        return replace(answer, added=(*answer.added, FORBIDDEN))
    if answer.is_for_edge:
        return answer
    return replace(answer, fixed_headers=(*answer.fixed_headers, FORBIDDEN))


def _varying(headers: tuple[tuple[str, str], ...], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return headers with a Vary that has all of some names."""
    own = [text for name, text in headers if name.lower() == "vary"]
    missing = [name for name in names if name.lower() not in vary_names(",".join(own))]
    if not missing:
        return headers
    return (*(item for item in headers if item[0].lower() != "vary"), ("Vary", ", ".join((*own, *missing))))


def _own_cache_control(page: CachedPage) -> str | None:
    """Return what the app itself tells browsers, None if it leaves that to the page's period."""
    for name, text in (getattr(page.entry.value, "headers", None) or {}).items():
        if name.lower() == "cache-control":
            return text if isinstance(text, str) else ", ".join(text)
    return None
