"""The page cache between the two stages of an app (`pages.stages`).

The request stage sees a request before the cache does, and what it adds for the visitor goes onto the answer and into no entry.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from cache.entry import Freshness
from core.body import MAX_BODY_BYTES
from core.http import INNER_CACHE_HEADER
from isr.admission import Refusal
from isr.answer import NO_PAGE, offer_of, passed_answer, ruled_answer
from isr.lookup import Lookup, never_kept_reason, url_path_of
from isr.misses import Miss, Turn
from isr.reasons import Bypass, Inadmissible
from isr.rsc_headers import with_client_headers
from isr.stopwatch import TimedStages
from pages.handler import PageError
from pages.stages import NO_OFFER, Question, Resource, no_entry
from seed.rules import touching_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.keys import KeySchema
    from core.runtime import Claim, Runtime
    from isr.answer import Answer
    from isr.misses import Misses
    from isr.revalidator import Revalidator
    from isr.stopwatch import Stopwatch
    from isr.store import CachedPage, PageStore, Place
    from isr.writer import AdmittedPage, PageWriter
    from pages.request import PageRequest
    from pages.stages import StagedAnswer, StagedPages, Step

# A request that is routed to several pages in turn, none of which there is, asks for each.
_MAX_QUESTIONS = 20

_NOT_SHARED = Refusal(Inadmissible.NOT_SHARED)


class StagedCache:
    """Answers requests through the request stage of an app, from a store of pages where that has them."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a site
        self,
        store: PageStore,
        writer: PageWriter,
        revalidator: Revalidator,
        misses: Misses,
        stages: StagedPages,
        runtime: Runtime,
    ) -> None:
        self._build = store.build
        self._store = store
        self._writer = writer
        self._revalidator = revalidator
        self._misses = misses
        self._stages = stages
        self._clock = runtime.clock
        self._log = runtime.log

    def timed(self, watch: Stopwatch) -> StagedCache:
        """Return this very cache for one request, whose app is measured."""
        timed = copy.copy(self)
        timed._stages = TimedStages(self._stages, watch)  # noqa: SLF001 - a copy of this very object
        return timed

    async def answer(
        self, request: PageRequest, likely: Lookup | None, *, is_ruled: bool, unsought: Sequence[Place] = ()
    ) -> Answer | None:
        """Answer a request; None if the request stage fails, which is logged.

        `likely` is what the request is for if no rule changes it. With `is_ruled` False no rule does, its page is not in the
        store, except perhaps at one of the places that are `unsought`, and later requests for it do without the request stage.
        """
        visit = _Visit(request, self._store.started_at_ms(), is_ruled, None if is_ruled else likely, unsought)
        try:
            if likely is not None and is_ruled and not self._misses.is_unlikely(request.origin, likely):
                visit.lookup = likely
                visit.page = self._shown(likely, await self._store.find(likely))
            offer = None if likely is None or is_ruled else self._no_entry(visit, likely)
            step = await self._stages.serve(request, offer or visit.offer(self._build.schema))
            questions = 0
            while isinstance(step, Question):
                questions += 1
                replied = await self._reply(visit, step, likely, questions)
                if replied is None:
                    return NO_PAGE
                step = replied
            return await self._answered(visit, step)
        except PageError as error:
            self._log.event("error", "stages.failed", path=request.path, error=str(error))
            return None
        finally:
            visit.release()

    async def regenerate(self, request: PageRequest, lookup: Lookup, stale: CachedPage | None) -> Refusal | None:
        """Render the page of a request that a rule may touch, and store it. Return why it is not stored, None if it is.

        `stale` is its entry, if there is one. Raise PageError if the app fails, or does not ask for the page.
        """
        visit = _Visit(request, self._store.started_at_ms(), True, None)  # noqa: FBT003 - is_ruled
        # Of a page that is fresh, the app would not say how it is rendered.
        visit.lookup, visit.page = lookup, None if stale is None else replace(stale, state=Freshness.STALE)
        step = await self._stages.serve(request, visit.offer(self._build.schema))
        if isinstance(step, Question):
            if not lookup.is_for(step.resource):
                raise PageError(f"a rule of the app leads to another page, {step.resource.path}")
            visit.lookup = lookup.only(step.resource.part.partition(":")[0])
            step = await step.resume(no_entry(step.resource, is_unruled=False))
        if isinstance(step, Question):
            raise PageError("the app asks for one page after another")
        if step.is_hit and step.replay is not None:
            await step.response.drop()
            return await self._revalidator.regenerate(request.origin, lookup, stale, step.replay)
        if step.dynamic is not None:
            await step.response.drop()
            return _NOT_SHARED
        if step.made is None:
            await step.response.drop()
            raise PageError("a rule of the app answers, or the app renders the page for each request alone")
        # The app renders on while somebody reads the response.
        _, kept = await asyncio.gather(step.response.copy().read(MAX_BODY_BYTES), self._kept(visit, visit.lookup, step))
        if isinstance(kept, Refusal):
            return kept
        self._revalidator.forget(request.origin, visit.lookup, rsc=visit.lookup.is_rsc)
        return None

    def _shown(self, lookup: Lookup, page: CachedPage | None) -> CachedPage | None:
        return None if page is None else with_client_headers(page, lookup, self._build)

    def _no_entry(self, visit: _Visit, likely: Lookup) -> str | None:
        """Return the offer for a page that no rule touches, which spares the app its question; None if it has to ask."""
        first, _ = self._store.places(likely)[0]
        lookup = likely.only(first.value)
        turn = self._misses.free_turn(visit.request, lookup) if never_kept_reason(visit.request) is None else Turn()
        if turn is None:
            return None
        visit.lookup, visit.claim = lookup, turn.claim
        resource = Resource(lookup.path, lookup.part(first), lookup.tag_path)
        return no_entry(resource, is_unruled=True)

    async def _reply(self, visit: _Visit, question: Question, likely: Lookup | None, number: int) -> Step | None:
        """Tell the request stage whether there is an entry of what it asks for; if there is none, it is rendered once.

        What will not be kept is rendered at once, and nobody waits for it. Return None if it could not be rendered a moment ago.
        """
        resource, request = question.resource, visit.request
        if number > _MAX_QUESTIONS:
            raise PageError(f"the request stage asks for {resource} again and again")
        visit.release()
        lookup = visit.lookup
        sought = visit.take_unsought(resource)
        if sought or lookup is None or not lookup.is_for(resource):
            is_likely = likely is not None and likely.is_for(resource)
            lookup = likely if is_likely and likely else self._lookup_of(visit, resource)
            visit.lookup, visit.page = lookup, None
            if (sought or visit.is_ruled or not is_likely) and not self._misses.is_unlikely(request.origin, lookup):
                visit.page = self._shown(lookup, await self._store.find(lookup, sought or None))
        visit.lookup = lookup = lookup.only(resource.part.partition(":")[0])
        if visit.page is None and question.is_storable:
            turn = await self._misses.turn(request, lookup)
            if turn.has_failed:
                return None
            visit.claim, visit.page = turn.claim, self._shown(lookup, turn.page)
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
        own_reason = Bypass.RULE if visit.is_ruled else Inadmissible.NOT_SHARED
        if step.dynamic is not None:
            self._note_dynamic(visit, step.dynamic)
            return passed_answer(step.response, reason=own_reason)
        if lookup is None or not (step.made or step.missed):
            return passed_answer(step.response, reason=own_reason)
        if step.made is None:
            if step.missed is not None and request.method == "GET":
                missed = visit.own_page(step.missed.path) or self._lookup_of(visit, step.missed)
                self._misses.render_beside(self._miss(visit, missed, step, None))
            return passed_answer(step.response, reason=own_reason)
        storing = self._kept(visit, lookup, step)
        self._misses.keep(self._miss(visit, lookup, step, visit.take_claim()), storing)
        state = (step.response.header(INNER_CACHE_HEADER) or "").upper()
        return passed_answer(step.response, state if state == "MISS" else None, own_reason)

    def _from_cache(self, visit: _Visit, step: StagedAnswer) -> Answer:
        request, lookup, page = visit.request, visit.lookup, visit.page
        if lookup is None or page is None:
            raise PageError("the request stage speaks of an entry that it was not offered")
        if page.state is Freshness.STALE and step.replay is not None:
            replay = None if self._is_kept_as_sent(visit, lookup) else step.replay
            self._revalidator.start(request.origin, lookup, page, replay)
        return ruled_answer(request, page, step.response, self._build.schema, self._clock())

    def _note_dynamic(self, visit: _Visit, resource: Resource) -> None:
        """Remember for a while that nobody needs to look for a page, or wait for one."""
        # What a rule leads to, it may not lead the next visitor to.
        if resource.path == resource.tag_path:
            lookup = visit.own_page(resource.path) or Lookup.of_resource(resource, visit.request.path, self._build)
            self._misses.refused(Miss(visit.request, lookup, None, may_render=False), _NOT_SHARED)

    def _miss(self, visit: _Visit, lookup: Lookup, step: StagedAnswer, claim: Claim | None) -> Miss:
        replay = None if self._is_kept_as_sent(visit, lookup) else step.replay
        return Miss(visit.request, lookup, claim, replay, may_render=step.replay is not None, is_ruled=visit.is_ruled)

    def _lookup_of(self, visit: _Visit, resource: Resource) -> Lookup:
        """Return the lookup of what the request stage asks for, at its own URL if it has one."""
        has_own_url = resource.path == resource.tag_path and ":" not in resource.part
        url_path = url_path_of(resource.path, self._build) if has_own_url else visit.request.path
        return Lookup.of_resource(resource, url_path, self._build)

    def _is_kept_as_sent(self, visit: _Visit, lookup: Lookup) -> bool:
        """Return whether the entry of a page has to keep what the request stage adds, because no rule touches its own URL.

        It is rendered by that URL then. The visitor may have been led to it from another one, where other headers are added.
        """
        if visit.own_page(lookup.path) is not None:
            return True
        is_at_its_url = not lookup.variant and lookup.path == lookup.tag_path
        return is_at_its_url and touching_rule(self._build.rules, lookup.path) is None

    async def _kept(self, visit: _Visit, lookup: Lookup, step: StagedAnswer) -> AdmittedPage | Refusal | None:
        """Store the response once the app says that everybody may get it; None if it lacks what the entry has to keep."""
        try:
            whole = None if step.admitted is None else await step.admitted()
        except PageError as error:
            self._log.event("warning", "page.not_stored", path=lookup.path, reason=str(error))
            return Refusal(Inadmissible.BROKEN, str(error), is_failure=True)
        if whole is None:
            status = step.response.status
            has_failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
            return Refusal(Inadmissible.FAILED_STATUS, f"status {status}", is_failure=True) if has_failed else _NOT_SHARED
        page = await self._writer.admit(whole, lookup, visit.started_at_ms, rsc=lookup.is_rsc)
        if isinstance(page, Refusal):
            return page
        if visit.own_page(lookup.path) is None and self._is_kept_as_sent(visit, lookup):
            return None
        return await self._writer.written(page, whole.copy())


class _Visit:
    """What is known of one request on its way."""

    __slots__ = ("_own", "_unsought", "claim", "is_ruled", "lookup", "page", "request", "started_at_ms")

    def __init__(
        self,
        request: PageRequest,
        started_at_ms: int,
        is_ruled: bool,  # noqa: FBT001 - named at its call
        own: Lookup | None,
        unsought: Sequence[Place] = (),
    ) -> None:
        self.request = request
        self.started_at_ms = started_at_ms
        self.is_ruled = is_ruled
        self._own = own
        self._unsought = unsought
        self.lookup: Lookup | None = None
        self.page: CachedPage | None = None
        self.claim: Claim | None = None

    def offer(self, schema: KeySchema) -> str:
        """Return what the request stage is told of the page that was found."""
        return NO_OFFER if self.page is None or self.lookup is None else offer_of(self.page, self.lookup, schema)

    def own_page(self, path: str) -> Lookup | None:
        """Return the lookup of the request if no rule touches it and it is for the page at a path in keys."""
        return self._own if self._own is not None and self._own.path == path else None

    def take_unsought(self, resource: Resource) -> list[Place]:
        """Return where an entry of a resource has not been looked up, though no rule touches its page; now it is."""
        own = self.own_page(resource.path)
        places = [] if own is None else [place for place in self._unsought if own.part(place[0]) == resource.part]
        self._unsought = [place for place in self._unsought if place not in places]
        return places

    def take_claim(self) -> Claim | None:
        """Return the claim; it is not released with the visit."""
        claim, self.claim = self.claim, None
        return claim

    def release(self) -> None:
        """Let others render what this visit was going to."""
        if self.claim is not None:
            self.claim.release()
            self.claim = None
