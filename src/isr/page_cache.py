"""The page cache: one request in, one answer out. Only here are the store, the page handler and the log called in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cache.entry import Freshness
from core.paths import PRERENDER_FOLDER, is_below
from isr.admission import Refusal
from isr.answer import NO_PAGE, NOT_FOUND, cached_answer, passed_answer
from isr.lookup import CachedOnly, Hidden, Lookup, PassBy, RequestClassifier, Ruled, at_canonical_url, may_store
from isr.misses import Miss
from isr.rsc_headers import with_client_headers
from isr.upgrades import Upgrades
from pages.handler import PageError

if TYPE_CHECKING:
    from core.log import Log
    from core.runtime import Claim, Runtime
    from isr.answer import Answer
    from isr.misses import Misses
    from isr.revalidator import Revalidator
    from isr.staged_cache import StagedCache
    from isr.store import CachedPage, PageStore
    from isr.variant_pages import VariantPages
    from isr.writer import AdmittedPage, PageWriter
    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest

_NO_ANSWER = Refusal("the page handler gave no answer", is_failure=True)


class PageCache:
    """Answers requests from a store of pages, and lets the page handler answer the rest."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a site
        self,
        store: PageStore,
        writer: PageWriter,
        revalidator: Revalidator,
        misses: Misses,
        page_handler: PageHandler,
        staged: StagedCache | None,
        variants: VariantPages | None,
        runtime: Runtime,
    ) -> None:
        self._build = store.build
        self._classifier = RequestClassifier(store.build)
        self._store = store
        self._writer = writer
        self._revalidator = revalidator
        self._misses = misses
        self._page_handler = page_handler
        self._staged = staged
        self._upgrades = Upgrades(runtime)
        self._variants = variants
        self._clock = runtime.clock
        self._log = runtime.log

    async def answer(self, request: PageRequest) -> Answer:
        """Answer a request. A fault in the cache is a miss and a log line."""
        lookup = self._classifier.classify(request)
        match lookup:
            case Lookup():
                return await self._answer_page(request, lookup)
            case Hidden():
                return NOT_FOUND
            case PassBy():
                return await self._pass_on(request)
            case Ruled():
                return await self._through_stages(request, lookup.lookup, is_ruled=True)
            case CachedOnly():
                return await self._answer_if_cached(request, lookup)

    async def _answer_page(self, request: PageRequest, lookup: Lookup) -> Answer:
        refused = self._revalidator.refused(request.origin, lookup)
        if refused is not None and refused.is_for_everybody:
            return await self._pass_on(request)
        page = None if refused or self._store.is_unlikely(lookup) else await self._store.find(lookup)
        if page is not None:
            is_only_one = page.vary is None or self._variants is None
            return self._from_cache(request, lookup, page) if is_only_one else await self._variant(request, lookup, page)
        if self._staged is not None and (asked := at_canonical_url(request, lookup)) is not None:
            return await self._through_stages(asked, lookup, is_ruled=False)
        if may_store(request, lookup):
            return await self._miss(request, lookup)
        if (lookup.is_rsc or lookup.is_data) and request.method == "GET":
            # The answer is for one client only. The page itself is rendered beside it.
            self._revalidator.start(request.origin, lookup)
        return await self._pass_on(request)

    async def _answer_if_cached(self, request: PageRequest, found: CachedOnly) -> Answer:
        is_unlikely = self._misses.is_unlikely(request.origin, found.lookup)
        page = None if is_unlikely else await self._store.find(found.lookup)
        if page is None:
            return await self._pass_on(request)
        if found.may_upgrade:
            response = await self._upgrades.answer(request, found.lookup, self._ask)
            if response is not None:
                return passed_answer(response)
        if found.is_ruled:
            return await self._through_stages(request, found.lookup, is_ruled=True)
        if page.vary is None or self._variants is None:
            return self._from_cache(request, found.lookup, page)
        lookup, page = await self._variants.find(request, found.lookup, page) or (found.lookup, None)
        return await self._pass_on(request) if page is None else self._from_cache(request, lookup, page)

    async def _through_stages(self, request: PageRequest, lookup: Lookup | None, *, is_ruled: bool) -> Answer:
        """Answer through the app's stages. If they fail, the app answers as a whole, and nothing is kept."""
        answer = None if self._staged is None else await self._staged.answer(request, lookup, is_ruled=is_ruled)
        return await self._pass_on(request) if answer is None else answer

    def _from_cache(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> Answer:
        if page.state is Freshness.STALE:
            self._revalidator.start(request.origin, replace(lookup, selected=page.selected) if page.selected else lookup, page)
        page = with_client_headers(page, lookup, self._build)
        return cached_answer(request, page, self._build.schema, self._clock())

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
        if variant is None:
            return await self._pass_on(request)
        lookup, found = variant
        if found is not None:
            return self._from_cache(request, lookup, found)
        return await self._miss(request, lookup) if may_store(request, lookup) else await self._pass_on(request)

    async def _render(self, request: PageRequest, lookup: Lookup, claim: Claim | None) -> Answer:
        """Let the page handler answer, and store a copy of the answer if that is allowed."""
        try:
            started_at_ms = self._store.started_at_ms()
            response = await self._ask(replace(request, kept_as=lookup.kept_as(request.origin)))
            page = None if response is None else await self._admit(request, response, lookup, started_at_ms)
        except BaseException:
            if claim is not None:
                claim.release()
            raise
        if response is None or page is None:
            self._misses.refused(Miss(request, lookup, claim), _NO_ANSWER)
            return NO_PAGE
        if isinstance(page, Refusal):
            self._misses.refused(Miss(request, lookup, claim), page)
            return passed_answer(response, "MISS" if page.selected else None)
        claim = claim or self._misses.claim(lookup)
        if claim is None:
            return passed_answer(response, "MISS")
        sent, copy = response.split()
        self._misses.keep(Miss(request, lookup, claim), self._writer.written(page, copy))
        return passed_answer(sent, "MISS")

    async def _admit(
        self, request: PageRequest, response: PageResponse, lookup: Lookup, started_at_ms: int
    ) -> AdmittedPage | Refusal:
        return await self._writer.admit(response, lookup, started_at_ms, rsc=lookup.is_rsc, headers=request.headers)

    async def _pass_on(self, request: PageRequest) -> Answer:
        response = await self._ask(request)
        return NO_PAGE if response is None else passed_answer(response)

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
        return NO_PAGE if response is None else passed_answer(response)


async def ask(page_handler: PageHandler, request: PageRequest, log: Log) -> PageResponse | None:
    """Return the page handler's answer to a visitor's request; None if it failed, which is logged."""
    try:
        return await page_handler.answer(request)
    except PageError as error:
        log.event("error", "page.failed", path=request.path, error=str(error))
        return None
