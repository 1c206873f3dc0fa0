"""The page cache: one request in, one answer out.

What to do is decided in `lookup`, `admission` and `cache.entry`; here is the I/O around it.


Answering without the cache: by the page handler alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.entry import Freshness
from core.http import REVALIDATED_HEADER
from core.paths import PRERENDER_FOLDER, is_below
from isr.admission import Refusal, admit, chosen_by, header_tags
from isr.answer import NO_PAGE, NOT_FOUND, cached_answer, passed_answer
from isr.lookup import Hidden, Lookup, PassBy, Places, has_credentials, may_store
from isr.revalidator import Making, has_rsc
from isr.rsc_headers import with_client_headers
from pages.handler import PageError
from seed.build import Artifact

if TYPE_CHECKING:
    from core.log import Log
    from core.runtime import Claim, Runtime
    from isr.admission import Admission
    from isr.answer import Answer
    from isr.revalidator import Regeneration
    from isr.site import Site
    from isr.store import Found, PageStore
    from pages.handler import BodyCopy, PageHandler, PageResponse
    from pages.request import PageRequest

# What was waited for may have been invalidated while it was made: then one of those who waited makes it again for the others.
_ROUNDS = 2


class PageCache:
    """Answers requests from a store of pages, and from the page handler what is not in it."""

    def __init__(self, site: Site, store: PageStore, pages: PageHandler, regeneration: Regeneration, runtime: Runtime) -> None:
        self._site = site
        self._places = Places(site)
        self._store = store
        self._pages = pages
        self._regeneration = regeneration
        self._flight = runtime.flight
        self._background = runtime.background
        self._clock = runtime.clock
        self._log = runtime.log

    async def answer(self, request: PageRequest) -> Answer:
        """Answer a request. Never raises: a fault in the cache is a miss and a log line."""
        lookup = self._places.look_up(request)
        match lookup:
            case Hidden():
                return NOT_FOUND
            case PassBy():
                return await self._pass_on(request)
            case Lookup():
                if self._regeneration.is_uncacheable(lookup):
                    return await self._pass_on(request)
                found = await self._store.find(lookup)
                if found is not None:
                    return self._from_cache(request, lookup, found)
                return await self._miss(request, lookup)

    def _from_cache(self, request: PageRequest, lookup: Lookup, found: Found) -> Answer:
        if found.state is Freshness.STALE:
            self._regeneration.start(request.origin, lookup, found)
        found = with_client_headers(found, lookup, self._site)
        return cached_answer(request, found, self._site.schema, self._clock())

    async def _miss(self, request: PageRequest, lookup: Lookup) -> Answer:
        if not may_store(request, lookup):
            if lookup.is_rsc and request.method == "GET":
                # Its answer is for one client only. The page's own payload is made beside it.
                self._regeneration.start(request.origin, lookup)
            return await self._pass_on(request)
        key = f"answer {lookup.keys[0]}"
        for _ in range(_ROUNDS):
            claim = self._flight.claim(key)
            if claim is not None:
                return await self._make(request, lookup, claim)
            await self._flight.wait(key)
            found = await self._store.find(lookup)
            if found is not None:
                return self._from_cache(request, lookup, found)
            if self._regeneration.is_uncacheable(lookup):
                break
        return await self._pass_on(request)

    async def _make(self, request: PageRequest, lookup: Lookup, claim: Claim) -> Answer:
        """Let the page handler answer, and keep a copy of it where that is allowed."""
        is_kept = False
        try:
            making = Making(request.origin, lookup, self._store.started_at_ms())
            wants_payload = self._site.completes_payloads and not lookup.is_rsc
            response = await self._ask(request._replace(may_be_kept=True, wants_payload=wants_payload))
            if response is None:
                return NO_PAGE
            record = await self._store.record(lookup.path)
            decision = admit(response, record, rsc=lookup.is_rsc, path=lookup.url_path)
            chosen = None if isinstance(decision, Refusal) else chosen_by(request.headers, response)
            if chosen is not None:
                decision = Refusal(f"it varies by {chosen}, which the visitor sent")
            if isinstance(decision, Refusal):
                self._log.event("debug", "page.not_stored", path=lookup.path, reason=decision.reason)
                if has_credentials(request) or chosen is not None:
                    # The answer may be for this visitor only; what everybody gets is made beside it.
                    self._regeneration.start(request.origin, lookup)
                else:
                    self._regeneration.remember(lookup.path, decision, rsc=lookup.is_rsc)
                return passed_answer(response)
            visitors, copy = response.split()
            work = self._keep(making, decision, response, copy, claim)
            self._background.run(work, f"storing {lookup.path}")
            is_kept = True
            return passed_answer(visitors, "MISS")
        finally:
            if not is_kept:
                claim.release()

    async def _keep(self, making: Making, admission: Admission, response: PageResponse, copy: BodyCopy, claim: Claim) -> None:
        try:
            refusal = await self._regeneration.keep(making, admission, response, copy)
        finally:
            claim.release()
        if refusal is None and admission.artifact is not Artifact.ROUTE and response.payload is None and has_rsc(response):
            self._regeneration.follow(making.origin, making.lookup)

    async def _pass_on(self, request: PageRequest) -> Answer:
        response = await self._ask(request)
        return NO_PAGE if response is None else passed_answer(response)

    async def _ask(self, request: PageRequest) -> PageResponse | None:
        """The page handler's answer, None where it gave none; invalidations in it take effect."""
        response = await ask(self._pages, request, self._log)
        tags = header_tags(response.header(REVALIDATED_HEADER)) if response else ()
        if tags:
            await self._invalidate(tags)
        return response

    async def _invalidate(self, tags: tuple[str, ...]) -> None:
        try:
            await self._store.revalidate_tags(tags)
        except Exception as error:  # noqa: BLE001 - the page handler has answered, and its answer goes out
            self._log.event("error", "cache.invalidation_failed", tags=tags, error=str(error))
        else:
            self._log.event("info", "cache.invalidated", tags=tags)


class PassThrough:
    """Stands in for the page cache while it cannot be told which pages there are."""

    def __init__(self, pages: PageHandler, log: Log) -> None:
        self._pages = pages
        self._log = log

    async def answer(self, request: PageRequest) -> Answer:
        """Answer a request. Never raises."""
        if is_below(request.path, PRERENDER_FOLDER):
            return NOT_FOUND
        response = await ask(self._pages, request, self._log)
        return NO_PAGE if response is None else passed_answer(response)


async def ask(pages: PageHandler, request: PageRequest, log: Log) -> PageResponse | None:
    """The page handler's answer to a visitor's request; None where it failed, which is logged."""
    try:
        return await pages.answer(request)
    except PageError as error:
        log.event("error", "page.failed", path=request.path, error=str(error))
        return None
