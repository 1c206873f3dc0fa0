"""Pages that are in no cache: one request renders a page, and others that want it wait for that.

What a visitor's answer says of a page holds for that visitor. Whether the page is for everybody is decided by a render for
everybody (`isr.revalidator`), which comes where a visitor's answer could not be stored and others wait for the page, or where
cookies or credentials may be the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from core.recent import Recent
from core.runtime import MAX_WAIT_MS
from isr.admission import Refusal
from isr.lookup import has_credentials
from isr.reasons import Unlikely

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from core.runtime import Claim, Runtime
    from isr.lookup import Lookup
    from isr.revalidator import Revalidator
    from isr.store import CachedPage, PageStore
    from isr.writer import AdmittedPage
    from pages.request import PageRequest

# A page may be invalidated while requests wait for it: then one of them renders it again for the others.
_MAX_WAITS = 2


@dataclass(frozen=True)
class Turn:
    """What a request does that found no page: it answers with `page`, or fails, or renders, for others too if it has a claim."""

    claim: Claim | None = None
    page: CachedPage | None = None
    has_failed: bool = False


@dataclass(frozen=True)
class Miss:
    """A request that found no page, and how the page is rendered for everybody.

    `replay` is that for an app in stages (`pages.stages`), None if it is by the page's URL. Without `may_render` there is no way.
    With `is_ruled`, an answer is complete only with what a rule of the app adds.
    """

    request: PageRequest
    lookup: Lookup
    claim: Claim | None
    replay: str | None = None
    may_render: bool = True
    is_ruled: bool = False

    def release(self) -> None:
        """Let others render the page, or find it."""
        if self.claim is not None:
            self.claim.release()


class Misses:
    """Takes turns on the pages of a store that are not there, and sees to what follows from each answer."""

    def __init__(self, store: PageStore, revalidator: Revalidator, runtime: Runtime) -> None:
        self._store = store
        self._revalidator = revalidator
        self._flight = runtime.flight
        self._background = runtime.background
        self._clock = runtime.clock
        self._log = runtime.log

    @cached_property
    def _failing(self) -> Recent[str, int]:
        """Pages whose last answer to a visitor was a failure, each until the time when that is forgotten."""
        return Recent()

    def is_unlikely(self, origin: str, lookup: Lookup) -> bool:
        """Return whether a look-up would find nothing, and the answer is hardly one to wait for."""
        return self.unlikely(origin, lookup) is not None

    def unlikely(self, origin: str, lookup: Lookup) -> Unlikely | None:
        """Return why a look-up would find nothing, None if it may find the page."""
        refused = self._revalidator.refused(origin, lookup)
        if refused is not None:
            return Unlikely.DYNAMIC if refused.is_for_everybody else Unlikely.VISITORS_ANSWER
        return Unlikely.DYNAMIC_IN_BUILD if self._store.is_unlikely(lookup) else None

    def is_claimed(self, lookup: Lookup) -> bool:
        """Return whether a request is rendering the page just now, for which others wait."""
        return self._flight.is_claimed(_key(lookup))

    async def turn(self, request: PageRequest, lookup: Lookup) -> Turn:
        """Claim the page, or wait for the request that has claimed it."""
        if self.is_unlikely(request.origin, lookup):
            return Turn()
        key = _key(lookup)
        for _ in range(_MAX_WAITS):
            if self._has_failed(request, lookup):
                break
            claim = self._flight.claim(key)
            if claim is not None:
                return Turn(claim)
            has_ended = await self._flight.wait(key)
            page = await self._store.find(lookup)
            if page is not None:
                return Turn(page=page)
            if not has_ended or self.is_unlikely(request.origin, lookup):
                return Turn()
        return Turn(has_failed=self._has_failed(request, lookup))

    def free_turn(self, request: PageRequest, lookup: Lookup) -> Turn | None:
        """Return the turn of a request that has nobody to wait for, None if it has: then `turn` is asked if it comes to that."""
        if self.is_unlikely(request.origin, lookup):
            return Turn()
        claim = None if self.is_failing(request, lookup) else self._flight.claim(_key(lookup))
        return None if claim is None else Turn(claim)

    def claim(self, lookup: Lookup) -> Claim | None:
        """Return the claim of an answer that nobody waited for, and that may be stored; None if another is being stored."""
        return self._flight.claim(_key(lookup))

    def keep(self, miss: Miss, storing: Coroutine[Any, Any, AdmittedPage | Refusal | None]) -> None:
        """Store an answer in the background, and release the claim when others can find the page.

        If `storing` returns None, the answer may be kept but is not what the page's own URL shows: the page is rendered for that.
        """
        if miss.claim is not None:
            miss.claim.go_on()
        self._background.run(self._keep(miss, storing), f"storing {miss.lookup.path}")

    async def _keep(self, miss: Miss, storing: Coroutine[Any, Any, AdmittedPage | Refusal | None]) -> None:
        try:
            kept = await storing
        except BaseException:
            miss.release()
            raise
        if kept is None:
            self.render_beside(miss, is_stored=True)
            return
        if isinstance(kept, Refusal):
            self.refused(miss, kept)
            return
        miss.release()
        lookup = miss.lookup
        self._failing.pop(_page(miss.request, lookup), None)
        self._revalidator.forget(miss.request.origin, lookup, rsc=lookup.is_rsc)
        if kept.is_of_stale_data or lookup.is_data:
            # The visitor did not wait for the fresh data, or for the page of which it is the data; the cache does.
            self.render_beside(replace(miss, claim=None), is_stored=lookup.is_data)
        elif kept.lacks_counterpart and not miss.is_ruled:
            self._revalidator.start_counterpart(miss.request.origin, lookup)

    def refused(self, miss: Miss, refusal: Refusal) -> None:
        """Deal with a visitor's answer that is not stored; the claim is released, now or after a render for everybody."""
        lookup, claim, origin = miss.lookup, miss.claim, miss.request.origin
        self._revalidator.note_refusal(origin, lookup, refusal, rsc=lookup.is_rsc, is_for_everybody=False)
        self._log.event("debug", "page.not_stored", path=lookup.path, reason=str(refusal))
        if refusal.is_of_another_build:
            # The next answers are no better, so nobody waits for one.
            self._revalidator.note_answer(origin, lookup)
            miss.release()
            return
        if refusal.is_failure:
            self._failing[_page(miss.request, lookup)] = self._clock() + MAX_WAIT_MS
        else:
            self._failing.pop(_page(miss.request, lookup), None)
        if refusal.has_own_cache:
            self._store.note_kept(lookup)
        elif not refusal.is_failure and not refusal.selected:
            self._revalidator.note_answer(origin, lookup)
        is_awaited = claim is not None and claim.is_awaited and not refusal.has_own_cache
        # A failure may be the visitor's own, too, but then the next one sees.
        may_be_personal = has_credentials(miss.request) and not refusal.is_failure
        if refusal.selected:
            self.render_beside(replace(miss, lookup=replace(lookup, selected=refusal.selected)))
        elif is_awaited or may_be_personal:
            self.render_beside(miss)
        else:
            miss.release()

    def render_beside(self, miss: Miss, *, is_stored: bool = False) -> None:
        """Render the page for everybody, and release the claim; `is_stored` is as in `Revalidator.start`."""
        if miss.may_render:
            origin, claim = miss.request.origin, miss.claim
            self._revalidator.start(origin, miss.lookup, None, miss.replay, is_stored=is_stored, claim=claim)
        else:
            miss.release()

    def is_failing(self, request: PageRequest, lookup: Lookup) -> bool:
        """Return whether the page could be rendered neither for the last visitor nor for everybody, a moment ago.

        A visitor with credentials may have better luck.
        """
        if self._clock() >= self._failing.get(_page(request, lookup), 0) or has_credentials(request):
            return False
        return self._revalidator.has_failed(request.origin, lookup)

    def _has_failed(self, request: PageRequest, lookup: Lookup) -> bool:
        """Return whether the page is failing, which is logged."""
        if not self.is_failing(request, lookup):
            return False
        self._log.event("error", "page.failed", path=lookup.path, error="it could not be rendered for anybody a moment ago")
        return True


def _key(lookup: Lookup) -> str:
    return f"answer {lookup.keys[0]}"


def _page(request: PageRequest, lookup: Lookup) -> str:
    return f"{request.origin} {lookup.keys[0]}{lookup.selected_text}"
