"""The page cache: one request in, one answer out. Only here are the store, the page handler and the log called in turn."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from cache.entry import Freshness
from core.http import REVALIDATED_HEADER
from core.paths import PRERENDER_FOLDER, is_below
from isr.admission import Refusal, revalidated_tags
from isr.answer import NO_PAGE, NOT_FOUND, cached_answer, passed_answer
from isr.lookup import CachedOnly, Hidden, Lookup, PassBy, Ruled, at_canonical_url, unkept_reason
from isr.misses import Miss
from isr.reasons import Inadmissible, Unlikely, Unselected
from isr.rsc_headers import with_client_headers, with_prefetch_status, with_search
from isr.stopwatch import TimedHandler
from isr.upgrades import Upgrades
from pages.handler import PageError
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

    from core.log import Log
    from core.runtime import Claim, Runtime
    from isr.answer import Answer
    from isr.edge_policy import EdgePolicy
    from isr.lookup import RequestClassifier
    from isr.misses import Misses
    from isr.revalidator import Revalidator
    from isr.staged_cache import StagedCache
    from isr.stopwatch import Stopwatch
    from isr.store import CachedPage, PageStore, Place
    from isr.variant_pages import VariantPages
    from isr.writer import PageWriter
    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest

_NO_ANSWER = Refusal(Inadmissible.BROKEN, "the page handler gave no answer", is_failure=True)


class PageCache:
    """Answers requests from a store of pages, and lets the page handler answer the rest."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a site
        self,
        classifier: RequestClassifier,
        store: PageStore,
        writer: PageWriter,
        revalidator: Revalidator,
        misses: Misses,
        page_handler: PageHandler,
        staged: StagedCache | None,
        variants: VariantPages | None,
        runtime: Runtime,
        edge: EdgePolicy | None = None,
    ) -> None:
        self._build = store.build
        self._classifier = classifier
        self._store = store
        self._writer = writer
        self._revalidator = revalidator
        self._misses = misses
        self._page_handler = page_handler
        self._staged = staged
        self._upgrades = Upgrades(runtime)
        self._variants = variants
        self._edge = edge
        self._clock = runtime.clock
        self._log = runtime.log

    def timed(self, watch: Stopwatch) -> PageCache:
        """Return this very page cache for one request, whose page handler is measured."""
        timed = copy.copy(self)
        timed._page_handler = TimedHandler(self._page_handler, watch)  # noqa: SLF001 - a copy of this very object
        timed._staged = None if self._staged is None else self._staged.timed(watch)  # noqa: SLF001
        return timed

    async def answer(self, request: PageRequest) -> Answer:
        """Answer a request. A fault in the cache is a miss and a log line."""
        lookup = self._classifier.classify(request)
        match lookup:
            case Lookup():
                return await self._answer_page(request, lookup)
            case Hidden():
                return NOT_FOUND
            case PassBy():
                return await self._pass_on(request, lookup.reason)
            case Ruled():
                return await self._through_stages(request, lookup.lookup, is_ruled=True)
            case CachedOnly():
                return await self._answer_if_cached(request, lookup)

    async def _answer_page(self, request: PageRequest, lookup: Lookup) -> Answer:
        refused = self._revalidator.refused(request.origin, lookup)
        if refused is not None and refused.is_for_everybody:
            return await self._pass_on(request, Unlikely.DYNAMIC)
        page, unsought = None, []
        if refused is None and not self._store.is_unlikely(lookup):
            likeliest, *unsought = self._store.places(lookup)
            page = await self._store.find(lookup, (likeliest,))
        asked = None if page is not None or self._staged is None else at_canonical_url(request, lookup)
        # If the page is of another kind than the likeliest, the request stage asks for that, and only then it is looked up.
        if page is None and unsought and (asked is None or self._store.may_have_built(lookup)):
            page, unsought = await self._store.find(lookup, unsought), []
        if page is not None:
            is_only_one = page.vary is None or self._variants is None
            return self._from_cache(request, lookup, page) if is_only_one else await self._variant(request, lookup, page)
        if asked is not None:
            return await self._through_stages(asked, lookup, is_ruled=False, unsought=unsought)
        unkept = unkept_reason(request, lookup)
        if unkept is None:
            return await self._miss(request, lookup)
        if (lookup.is_rsc or lookup.is_data) and request.method == "GET":
            # The answer is for one client only. The page itself is rendered beside it.
            self._revalidator.start(request.origin, lookup)
        return await self._pass_on(request, unkept)

    async def _answer_if_cached(self, request: PageRequest, found: CachedOnly) -> Answer:
        is_unlikely = self._misses.is_unlikely(request.origin, found.lookup)
        page = None if is_unlikely else await self._store.find(found.lookup)
        if page is None:
            return await self._pass_on(request, found.reason)
        if found.may_upgrade:
            response = await self._upgrades.answer(request, found.lookup, self._ask)
            if response is not None:
                return passed_answer(response, reason=found.reason)
        if found.is_ruled:
            return await self._through_stages(request, found.lookup, is_ruled=True)
        if page.vary is None or self._variants is None:
            return self._from_cache(request, found.lookup, page)
        variant = await self._variants.find(request, found.lookup, page)
        if isinstance(variant, Unselected):
            return await self._pass_on(request, variant)
        lookup, page = variant
        return await self._pass_on(request, found.reason) if page is None else self._from_cache(request, lookup, page)

    async def _through_stages(
        self, request: PageRequest, lookup: Lookup | None, *, is_ruled: bool, unsought: Sequence[Place] = ()
    ) -> Answer:
        """Answer through the app's stages. If they fail, the app answers as a whole, and nothing is kept."""
        answer = None
        if self._staged is not None:
            answer = await self._staged.answer(request, lookup, is_ruled=is_ruled, unsought=unsought)
        if answer is not None:
            return answer
        page = await self._store.find(lookup, unsought) if lookup is not None and unsought else None
        if lookup is None or page is None:
            return await self._pass_on(request, Inadmissible.BROKEN)
        return await self._variant(request, lookup, page)

    def _from_cache(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> Answer:
        if page.state is Freshness.STALE:
            self._revalidator.start(request.origin, replace(lookup, selected=page.selected) if page.selected else lookup, page)
        page = with_client_headers(page, lookup, self._build)
        answer = cached_answer(request, page, self._build.schema, self._clock())
        if page.artifact is Artifact.RSC:
            answer = with_prefetch_status(with_search(answer, request.query), request.headers)
        return answer if self._edge is None else self._edge.of_page(answer, request, lookup, page)

    async def _miss(self, request: PageRequest, lookup: Lookup) -> Answer:
        """Answer with a page that one of the requests for it renders, and the others wait for."""
        expected = lookup if self._variants is None else self._variants.expected(request, lookup)
        turn = await self._misses.turn(request, expected)
        if turn.page is not None:
            return await self._variant(request, lookup, turn.page)
        return NO_PAGE if turn.has_failed else await self._render(request, expected, turn.claim)

    async def _variant(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> Answer:
        """Answer with a page that was found, or with the variant of it that the request selects."""
        if page.vary is None or self._variants is None:
            return self._from_cache(request, lookup, page)
        variant = await self._variants.find(request, lookup, page)
        if isinstance(variant, Unselected):
            return await self._pass_on(request, variant)
        lookup, found = variant
        if found is not None:
            return self._from_cache(request, lookup, found)
        unkept = unkept_reason(request, lookup)
        return await self._miss(request, lookup) if unkept is None else await self._pass_on(request, unkept)

    async def _render(self, request: PageRequest, lookup: Lookup, claim: Claim | None) -> Answer:
        """Let the page handler answer, and store a copy of the answer if that is allowed."""
        try:
            started_at_ms = self._store.started_at_ms()
            response = await self._ask(replace(request, kept_as=lookup.kept_as(request.origin)))
            page = None
            if response is not None:
                page = await self._writer.admit(response, lookup, started_at_ms, rsc=lookup.is_rsc, headers=request.headers)
        except BaseException:
            if claim is not None:
                claim.release()
            raise
        if response is None or page is None:
            self._misses.refused(Miss(request, lookup, claim), _NO_ANSWER)
            return NO_PAGE
        if isinstance(page, Refusal):
            self._misses.refused(Miss(request, lookup, claim), page)
            return passed_answer(response, "MISS" if page.selected else None, page.reason)
        claim = claim or self._misses.claim(lookup)
        if claim is None:
            return passed_answer(response, "MISS")
        sent, copy = response.split()
        self._misses.keep(Miss(request, lookup, claim), self._writer.written(page, copy))
        return passed_answer(sent, "MISS")

    async def _pass_on(self, request: PageRequest, reason: StrEnum) -> Answer:
        response = await self._ask(request)
        return NO_PAGE if response is None else passed_answer(response, reason=reason)

    async def _ask(self, request: PageRequest) -> PageResponse | None:
        """Return the page handler's answer, None if it gave none. The tags that it invalidates are invalidated first."""
        response = await ask(self._page_handler, request, self._log)
        if response is not None:
            await self._store.heed(response)
            await self._revalidator.remake(request.origin, response)
        return response


class PassThrough:
    """Lets the page handler answer every request; used while the site's build is not known."""

    def __init__(self, page_handler: PageHandler, log: Log) -> None:
        self._page_handler = page_handler
        self._log = log

    async def answer(self, request: PageRequest) -> Answer:
        """Answer a request."""
        if is_below(request.path, PRERENDER_FOLDER):
            return NOT_FOUND
        response = await ask(self._page_handler, request, self._log)
        if response is None:
            return NO_PAGE
        tags = [tag for some in revalidated_tags(response.header(REVALIDATED_HEADER)).values() for tag in some]
        if tags:
            error = "it came with an answer without the cache, as for a host that is not in VINEXT_TENANTS; invalidate again"
            self._log.event("error", "cache.invalidation_failed", tags=tags, error=error)
        return passed_answer(response)


async def ask(page_handler: PageHandler, request: PageRequest, log: Log) -> PageResponse | None:
    """Return the page handler's answer to a visitor's request; None if it failed, which is logged."""
    try:
        return await page_handler.answer(request)
    except PageError as error:
        log.event("error", "page.failed", path=request.path, error=str(error))
        return None
