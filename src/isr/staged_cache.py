"""The page cache between the two stages of an app (`pages.stages`).

The request stage sees a request before the cache does, and what it adds for the visitor goes onto the answer and into no entry.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from cache.entry import Freshness
from core.http import INNER_CACHE_HEADER
from isr.admission import Refusal
from isr.answer import offer_of, passed_answer, ruled_answer
from isr.lookup import Lookup, has_credentials
from isr.rsc_headers import with_client_headers
from pages.handler import PageError
from pages.stages import NO_OFFER, Question, no_entry

if TYPE_CHECKING:
    from cache.keys import KeySchema
    from core.runtime import Claim, Runtime
    from isr.answer import Answer
    from isr.revalidator import Revalidator
    from isr.store import CachedPage, PageStore
    from isr.writer import AdmittedPage, PageWriter
    from pages.request import PageRequest
    from pages.stages import StagedAnswer, StagedPages, Step

# A request that is routed to several pages in turn, none of which there is, asks for each.
_MAX_QUESTIONS = 20

_NOT_SHARED = Refusal("the app does not share it")


class StagedCache:
    """Answers requests through the request stage of an app, from a store of pages where that has them."""

    def __init__(
        self, store: PageStore, writer: PageWriter, revalidator: Revalidator, stages: StagedPages, runtime: Runtime
    ) -> None:
        self._build = store.build
        self._store = store
        self._writer = writer
        self._revalidator = revalidator
        self._stages = stages
        self._flight = runtime.flight
        self._background = runtime.background
        self._clock = runtime.clock
        self._log = runtime.log

    async def answer(self, request: PageRequest, likely: Lookup | None, *, is_ruled: bool) -> Answer | None:
        """Answer a request; None if the request stage fails, which is logged.

        `likely` is what the request is for if no rule changes it. With `is_ruled` False no rule does, its page is not in the
        store, and later requests for it do without the request stage.
        """
        visit = _Visit(request, self._store.started_at_ms(), is_ruled, None if is_ruled else likely)
        try:
            if likely is not None and is_ruled and self._may_be_there(likely):
                await self._look_up(visit, likely)
            step = await self._stages.serve(request, visit.offer(self._build.schema))
            questions = 0
            while isinstance(step, Question):
                questions += 1
                step = await self._reply(visit, step, likely, questions)
            return await self._answered(visit, step)
        except PageError as error:
            self._log.event("error", "stages.failed", path=request.path, error=str(error))
            return None
        finally:
            visit.release()

    def _may_be_there(self, lookup: Lookup) -> bool:
        return not self._store.is_unlikely(lookup) and not self._revalidator.is_uncacheable(lookup)

    async def _look_up(self, visit: _Visit, lookup: Lookup) -> None:
        visit.lookup = lookup
        page = await self._store.find(lookup)
        visit.page = None if page is None else with_client_headers(page, lookup, self._build)

    async def _reply(self, visit: _Visit, question: Question, likely: Lookup | None, number: int) -> Step:
        """Tell the request stage whether there is an entry of what it asks for; if there is none, it is rendered once."""
        resource = question.resource
        if number > _MAX_QUESTIONS:
            raise PageError(f"the request stage asks for {resource} again and again")
        visit.release()
        lookup = visit.lookup
        if lookup is None or not lookup.is_for(resource):
            is_likely = likely is not None and likely.is_for(resource)
            lookup = likely if is_likely and likely else Lookup.of_resource(resource, visit.request.path, self._build)
            visit.lookup, visit.page = lookup, None
            if (visit.is_ruled or not is_likely) and self._may_be_there(lookup):
                await self._look_up(visit, lookup)
        visit.lookup = lookup = lookup.only(resource.part.partition(":")[0])
        if visit.page is None and self._may_be_there(lookup):
            key = f"answer {lookup.keys[0]}"
            visit.claim = self._flight.claim(key)
            if visit.claim is None:
                await self._flight.wait(key)
                await self._look_up(visit, lookup)
        if visit.page is None:
            return await question.resume(no_entry(resource, is_unruled=visit.own_page(lookup.path) is not None))
        return await question.resume(visit.offer(self._build.schema))

    async def _answered(self, visit: _Visit, step: StagedAnswer) -> Answer:
        request, lookup = visit.request, visit.lookup
        await self._store.heed(step.response)
        await self._revalidator.remake(request.origin, step.response)
        if step.unknown is not None:
            self._log.event("warning", "stages.unknown", path=request.path, stage=step.unknown)
        if step.is_hit:
            return self._from_cache(visit, step)
        if lookup is None or not (step.made or step.missed):
            return passed_answer(step.response)
        if step.made is None:
            if step.missed is not None and request.method == "GET":
                missed = visit.own_page(step.missed.path) or Lookup.of_resource(step.missed, request.path, self._build)
                if not self._store.is_unlikely(missed):
                    self._render_beside(visit, missed, step)
            return passed_answer(step.response)
        self._background.run(self._keep(visit, lookup, step, visit.take_claim()), f"storing {lookup.path}")
        state = (step.response.header(INNER_CACHE_HEADER) or "").upper()
        return passed_answer(step.response, state if state == "MISS" else None)

    def _from_cache(self, visit: _Visit, step: StagedAnswer) -> Answer:
        request, lookup, page = visit.request, visit.lookup, visit.page
        if lookup is None or page is None:
            raise PageError("the request stage speaks of an entry that it was not offered")
        if page.state is Freshness.STALE and step.replay is not None:
            self._revalidator.start(request.origin, lookup, page, step.replay)
        return ruled_answer(request, page, step.response, self._build.schema, self._clock())

    async def _keep(self, visit: _Visit, lookup: Lookup, step: StagedAnswer, claim: Claim | None) -> None:
        """Store the response once the app says that everybody may get it."""
        try:
            kept = await self._kept(visit, lookup, step)
        finally:
            if claim is not None:
                claim.release()
        if isinstance(kept, Refusal):
            self._log.event("debug", "page.not_stored", path=lookup.path, reason=kept.reason)
            if step.replay is not None and not kept.is_failure and has_credentials(visit.request):
                # The response may be for this visitor only. The page that everybody gets is rendered beside it.
                self._render_beside(visit, lookup, step)
            else:
                self._revalidator.remember_answer(lookup, kept)
        elif (kept.is_of_stale_data or lookup.is_data) and step.replay is not None:
            # The visitor did not wait for the fresh data, or for the page of which it is the data; the cache does.
            self._render_beside(visit, lookup, step, is_stored=lookup.is_data)
        elif kept.lacks_counterpart and not visit.is_ruled:
            self._revalidator.start_counterpart(visit.request.origin, lookup)

    def _render_beside(self, visit: _Visit, lookup: Lookup, step: StagedAnswer, *, is_stored: bool = False) -> None:
        """Render a page for the cache: by its URL if it will be served without the request stage, whose headers it then keeps."""
        replay = None if visit.own_page(lookup.path) else step.replay
        if step.replay is not None:
            self._revalidator.start(visit.request.origin, lookup, None, replay, is_stored=is_stored)

    async def _kept(self, visit: _Visit, lookup: Lookup, step: StagedAnswer) -> AdmittedPage | Refusal:
        try:
            whole = None if step.admitted is None else await step.admitted()
        except PageError as error:
            return Refusal(str(error), is_failure=True)
        if whole is None:
            status = step.response.status
            has_failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
            return Refusal(f"status {status}", is_failure=True) if has_failed else _NOT_SHARED
        page = await self._writer.admit(whole, lookup, visit.started_at_ms, rsc=lookup.is_rsc)
        if isinstance(page, Refusal):
            return page
        return await self._writer.write(page, whole.copy(), "page.stored") or page


class _Visit:
    """What is known of one request on its way."""

    __slots__ = ("_own", "claim", "is_ruled", "lookup", "page", "request", "started_at_ms")

    def __init__(
        self,
        request: PageRequest,
        started_at_ms: int,
        is_ruled: bool,  # noqa: FBT001 - named at its call
        own: Lookup | None,
    ) -> None:
        self.request = request
        self.started_at_ms = started_at_ms
        self.is_ruled = is_ruled
        self._own = own
        self.lookup: Lookup | None = None
        self.page: CachedPage | None = None
        self.claim: Claim | None = None

    def offer(self, schema: KeySchema) -> str:
        """Return what the request stage is told of the page that was found."""
        return NO_OFFER if self.page is None or self.lookup is None else offer_of(self.page, self.lookup, schema)

    def own_page(self, path: str) -> Lookup | None:
        """Return the lookup of the request if no rule touches it and it is for the page at a path in keys."""
        return self._own if self._own is not None and self._own.path == path else None

    def take_claim(self) -> Claim | None:
        """Return the claim; it is not released with the visit."""
        claim, self.claim = self.claim, None
        return claim

    def release(self) -> None:
        """Let others render what this visit was going to."""
        if self.claim is not None:
            self.claim.release()
            self.claim = None
