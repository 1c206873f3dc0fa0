"""Regenerating pages in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING

from cache.entry import Freshness
from cache.failures import LOST_WRITES
from core.http import REVALIDATED_PAGES_HEADER
from core.recent import Recent, text_bytes
from isr.admission import Refusal
from isr.job import Job
from isr.lookup import Lookup, url_path_of
from isr.reasons import Inadmissible
from pages.handler import PageError
from pages.request import GivenHeaders
from pages.stages import wanted_pages
from seed.build import APP_ARTIFACTS, PAGES_ARTIFACTS, Artifact
from seed.rules import touching_rule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cache.due_pages import DuePage
    from cache.lease import Lease
    from core.log import Level
    from core.runtime import Claim, Runtime
    from isr.store import CachedPage, PageStore
    from isr.writer import AdmittedPage, PageWriter
    from pages.handler import PageHandler, PageResponse
    from pages.request import RenderRequest
    from pages.stages import Resource

RETRY_MS = 1000

REFUSED_MS = 10_000

DYNAMIC_MS = 300_000
"""How long a page is taken for dynamic that was so from the first render on."""


@dataclass(frozen=True)
class Refused:
    """An artifact was not stored, which counts until a time. With `is_for_everybody` it was so of a render for everybody.

    Else it was a visitor's own answer. That is no reason not to store the next one's, but others need not wait for it.
    """

    until_ms: int
    is_for_everybody: bool


@dataclass(frozen=True)
class LastRefusal:
    """The last answer for an artifact was not stored; it is remembered for a person (`isr.why`), and decides nothing."""

    at_ms: int
    is_for_everybody: bool
    refusal: Refusal


class Revalidator:
    """Renders pages for the cache in the background, each once at a time in an isolate.

    The HTML and the RSC payload of a page are rendered together, so that a visitor who follows a link sees the same
    as one who loads the page: in one render if the page handler can do that, else in two, one after the other.
    """

    def __init__(self, store: PageStore, writer: PageWriter, page_handler: PageHandler, lease: Lease, runtime: Runtime) -> None:
        self._store = store
        self._writer = writer
        self._page_handler = page_handler
        self._lease = lease
        self._runtime = runtime
        self._clock = runtime.clock
        self._refused: Recent[str, Refused] = Recent()

    @cached_property
    def _failed(self) -> Recent[str, int]:
        """Artifacts that could not be rendered for everybody, each until the time when that is forgotten."""
        return Recent()

    @cached_property
    def _last_refusals(self) -> Recent[str, LastRefusal]:
        return Recent(fact_bytes=_refusal_bytes)

    def start(  # noqa: PLR0913 - all that there is to know of a page
        self,
        origin: str,
        lookup: Lookup,
        stale: CachedPage | None = None,
        replay: str | None = None,
        *,
        is_stored: bool = False,
        claim: Claim | None = None,
    ) -> None:
        """Render a page, unless that is under way or was tried a moment ago, or the page is known to be dynamic.

        `stale` is its entry, if there is one. `replay` is how an app in stages renders it (`pages.stages`). `is_stored`: the app
        may take it that the page is there. `claim` is released when those who wait for the page can look.
        """
        page = (lookup if stale is None else lookup.only(stale.artifact)).whole_page
        request = _request(Job(origin, page, replay), is_stored=is_stored or stale is not None)
        has_begun = False
        if not self._is_dynamic(origin, lookup, stale) and not self._fails(origin, page, (False, True)):
            if claim is not None:
                claim.go_on()
            has_begun = self._run(page, lambda: self._regenerate(page, request, stale, claim))
        if claim is not None and not has_begun:
            claim.release()

    def _is_dynamic(self, origin: str, lookup: Lookup, stale: CachedPage | None) -> bool:
        refused = self._refusal(_key(origin, lookup))
        return (refused is not None and refused.is_for_everybody) or (stale is None and self._store.is_unlikely(lookup))

    async def again(self, key: str, job: str) -> str:
        """Regenerate the page that has a lease under `key`, after its isolate has failed or is gone (`Job.to_text`).

        Return why it failed, "" if it did not, or needs no more: it is fresh, or a page of another build. Raise what
        `Job.read` raises.
        """
        wanted = Job.read(job, self._store.build)
        if self._leased(wanted.lookup) != key:
            return ""
        stale = await self._store.find(wanted.lookup)
        if stale is not None and stale.state is Freshness.FRESH and not await self._has_stale_payload(wanted.lookup):
            return ""
        with LOST_WRITES.noted() as losses:
            refusal = await self.regenerate(wanted.origin, wanted.lookup, stale, wanted.replay)
        return _failure(refusal, losses)

    async def _has_stale_payload(self, page: Lookup) -> bool:
        """Return whether the RSC payload of a page with a fresh entry is stale: its own render has failed."""
        if not self._store.build.has_rsc_payloads or page.variant or page.is_rsc or page.known_artifact is not None:
            return False
        payload = await self._store.find(Lookup.of(page.path, page.url_path, self._store.build, Artifact.RSC))
        return payload is not None and payload.state is Freshness.STALE

    async def remake(self, origin: str, response: PageResponse) -> None:
        """Render the pages that the adapter wants anew, before its answer goes out (Next.js's `res.revalidate`)."""
        value = response.header(REVALIDATED_PAGES_HEADER) if self._store.build.has_adapter else None
        if not value:
            return
        try:
            pages = wanted_pages(value)
            wanted = [self._wanted(origin, resource, replay) for resource, replay in pages]
        except PageError as error:
            self._runtime.log.event("error", "page.not_made", reason=str(error))
            return
        for lookup, request in wanted:
            await self._render(lookup.whole_page, request, None)

    def _wanted(self, origin: str, resource: Resource, replay: str) -> tuple[Lookup, RenderRequest]:
        """Return how a page is rendered: by its URL if it is served without the request stage, whose headers it then keeps."""
        build = self._store.build
        lookup = Lookup.of_resource(resource, url_path_of(resource.path, build), build)
        request = lookup.canonical(origin, rsc=False)
        if touching_rule(build.rules, resource.path) is None:
            return lookup, replace(request, is_stored=True)
        return lookup, replace(request, replay=replay)

    async def regenerate(self, origin: str, lookup: Lookup, stale: CachedPage | None, replay: str | None) -> Refusal | None:
        """Render a page now, whatever is known of it, and wait for that. Return why it is not stored, None if it is.

        `stale` and `replay` are as in `start`.
        """
        page = (lookup if stale is None else lookup.only(stale.artifact)).whole_page
        return await self._make(page, _request(Job(origin, page, replay), is_stored=stale is not None), stale)

    def start_counterpart(self, origin: str, lookup: Lookup) -> None:
        """Render the RSC payload of a page whose HTML has just been stored, or the other way round."""
        request = lookup.canonical(origin, rsc=not lookup.is_rsc)
        self._run(lookup, lambda: self._render(lookup, request, None))

    def refused(self, origin: str, lookup: Lookup) -> Refused | None:
        """Return what is known of what is looked up if it was lately not stored."""
        page = self._refusal(_key(origin, lookup))
        if not lookup.is_rsc or (page is not None and page.is_for_everybody):
            return page
        return self._refusal(_key(origin, lookup, rsc=True))

    def last_refusal(self, origin: str, lookup: Lookup) -> LastRefusal | None:
        """Return why the last answer for what is looked up was not stored, None if it was, or if there was none."""
        return self._last_refusals.get(_key(origin, lookup, rsc=lookup.is_rsc))

    def note_refusal(self, origin: str, lookup: Lookup, refusal: Refusal, *, rsc: bool, is_for_everybody: bool) -> None:
        """Count an answer that was not stored, and remember why, for a person who asks."""
        self._last_refusals[_key(origin, lookup, rsc=rsc)] = LastRefusal(self._clock(), is_for_everybody, refusal)
        self._store.numbers.refuse(refusal.reason)

    def is_making(self, lookup: Lookup) -> bool:
        """Return whether a page is being rendered in the background just now."""
        return self._runtime.flight.is_claimed(f"make {_name(lookup)}")

    async def unfinished(self, lookup: Lookup, stale: CachedPage) -> Sequence[DuePage]:
        """Return what is known of the regeneration of a stale page that has not succeeded yet: one page at most."""
        return await self._lease.pages(self._leased(lookup.only(stale.artifact).whole_page))

    async def is_leased(self, lookup: Lookup, stale: CachedPage) -> bool:
        """Return whether another isolate is regenerating a stale page just now."""
        page = lookup.only(stale.artifact).whole_page
        return await self._lease.is_held(self._leased(page), stale.entry.revalidate_at_ms or 0)

    def has_failed(self, origin: str, lookup: Lookup) -> bool:
        """Return whether a page could not be rendered for everybody a moment ago."""
        return self._fails(origin, lookup.whole_page, (False, True) if lookup.is_rsc else (False,))

    def note_answer(self, origin: str, lookup: Lookup) -> None:
        """Remember for a while that a visitor's answer was not stored."""
        key = _key(origin, lookup, rsc=lookup.is_rsc)
        if self._refusal(key) is None:
            self._refused[key] = Refused(self._clock() + REFUSED_MS, is_for_everybody=False)

    def forget(self, origin: str, lookup: Lookup, *, rsc: bool) -> None:
        """Forget that an artifact was not stored: it has been."""
        key = _key(origin, lookup, rsc=rsc)
        self._refused.pop(key, None)
        self._last_refusals.pop(key, None)

    def _remember(self, request: RenderRequest, lookup: Lookup, refusal: Refusal, lasts_ms: int = REFUSED_MS) -> None:
        """Remember for a while that an artifact could not be rendered for everybody, or not be stored."""
        key = _key(request.origin, lookup, rsc=request.rsc)
        self.note_refusal(request.origin, lookup, refusal, rsc=request.rsc, is_for_everybody=True)
        if refusal.is_failure:
            self._store.numbers.regenerations_failed += 1
            self._failed[key] = self._clock() + RETRY_MS
        elif not refusal.has_own_cache:
            self._refused[key] = Refused(self._clock() + lasts_ms, is_for_everybody=True)

    def _refusal(self, key: str) -> Refused | None:
        refused = self._refused.get(key)
        return refused if refused is not None and self._clock() < refused.until_ms else None

    def _fails(self, origin: str, page: Lookup, artifacts: tuple[bool, ...]) -> bool:
        """Return whether one of the artifacts, the RSC payload or not, failed a moment ago."""
        return any(self._clock() < self._failed.get(_key(origin, page, rsc=rsc), 0) for rsc in artifacts)

    def _run(self, lookup: Lookup, work: Callable[[], Awaitable[object]]) -> bool:
        name = _name(lookup)
        return self._runtime.run_once(f"make {name}", work, f"making {name}")

    async def _regenerate(self, lookup: Lookup, request: RenderRequest, stale: CachedPage | None, claim: Claim | None) -> None:
        # A page that has no entry yet is not a popular one, and its path may be made up: it is not worth a write.
        if stale is None:
            await self._make(lookup, request, stale, claim, DYNAMIC_MS)
            return
        key, job = self._leased(lookup), Job(request.origin, lookup, request.replay).to_text()
        is_own = self._store.has_made(lookup, stale)
        if await self._lease.take(key, stale.entry.revalidate_at_ms or 0, job, is_own=is_own):
            with LOST_WRITES.noted() as losses:
                refusal = await self._make(lookup, request, stale, claim)
            await self._lease.ended(key, _failure(refusal, losses))

    async def _make(
        self,
        lookup: Lookup,
        request: RenderRequest,
        stale: CachedPage | None,
        claim: Claim | None = None,
        dynamic_ms: int = REFUSED_MS,
    ) -> Refusal | None:
        """Render and store a page. Return why it is not stored, None if it is."""
        try:
            lacks_payload = await self._render(lookup, request, stale, dynamic_ms)
        finally:
            if claim is not None:
                claim.release()
        if lacks_payload and request.replay is None:
            request = lookup.canonical(request.origin, rsc=True)
            await self._render(lookup, request, stale)
        # What was stored is no longer among them.
        last = self._last_refusals.get(_key(request.origin, lookup, rsc=request.rsc))
        return None if last is None else last.refusal

    def _leased(self, lookup: Lookup) -> str:
        """Return the key whose lease a page has, which is the same for its HTML and its RSC payload."""
        is_own_key = lookup.variant or lookup.known_artifact is not None
        return lookup.keys[0] if is_own_key else self._store.key(lookup.path, Artifact.HTML)

    async def _render(
        self, lookup: Lookup, request: RenderRequest, stale: CachedPage | None, dynamic_ms: int = REFUSED_MS
    ) -> bool:
        """Render and store one artifact of a page. Return whether its RSC payload has still to be rendered.

        `dynamic_ms` is how long the page is taken for dynamic if it is there and may not be stored.
        """
        started_at_ms = self._store.started_at_ms()
        try:
            response = await self._page_handler.render(request)
        except PageError as error:
            self._give_up(request, lookup, Refusal(Inadmissible.BROKEN, str(error), is_failure=True))
            return False
        headers = GivenHeaders(request.headers)
        page = await self._writer.admit(response, lookup, started_at_ms, rsc=request.rsc, headers=headers)
        if isinstance(page, Refusal):
            await response.drop()
            self._give_up(request, lookup, page, dynamic_ms if response.status == HTTPStatus.OK else REFUSED_MS)
            if page.has_own_cache:
                # It has a newer page in the cache that we share, or is rendering one.
                self._store.forget_read()
            await self._remove(lookup, stale, page, rsc=request.rsc)
            return False
        refusal = await self._writer.write(page, response.copy(), "page.regenerated")
        if refusal is not None:
            self._remember(request, lookup, refusal)
            await self._remove(lookup, stale, refusal, rsc=request.rsc)
            return False
        self._store.numbers.regenerated += 1
        self.forget(request.origin, lookup, rsc=request.rsc)
        if stale is not None and not request.rsc:
            await self._remove_outdated(lookup, stale, page)
        return page.lacks_counterpart

    async def _remove_outdated(self, lookup: Lookup, stale: CachedPage, page: AdmittedPage) -> None:
        """Remove what the page that has just been stored leaves behind of another kind: it would be found first, or live on."""
        was, now = stale.artifact, page.admission.artifact
        if was in PAGES_ARTIFACTS or was == now == Artifact.ROUTE:
            return
        if now is Artifact.ROUTE:
            outdated = {Artifact.HTML, Artifact.RSC}
        else:
            outdated = {was} - {now, Artifact.RSC}
            has_payload = page.counterpart is not None or page.lacks_counterpart
            if not has_payload and (was is Artifact.RSC or stale.status != page.response.status):
                # A page that is now a redirect, or not there.
                outdated.add(Artifact.RSC)
        await self._store.remove(lookup, sorted(outdated))

    async def _remove(self, lookup: Lookup, stale: CachedPage | None, refusal: Refusal, *, rsc: bool) -> None:
        """Remove the entry of a page that may no longer be stored; a failure says nothing against it."""
        if stale is not None and not refusal.is_failure and not refusal.has_own_cache:
            await self._store.remove(lookup, (Artifact.RSC,) if rsc else _entries_of(stale.artifact))

    def _give_up(self, request: RenderRequest, lookup: Lookup, refusal: Refusal, lasts_ms: int = REFUSED_MS) -> None:
        self._remember(request, lookup, refusal, lasts_ms)
        level: Level = "warning" if refusal.is_failure else "info"
        self._runtime.log.event(level, "page.not_made", path=lookup.path, reason=str(refusal))


def _failure(refusal: Refusal | None, losses: Sequence[str]) -> str:
    """Return why a page is not up to date after its render, "" if it is, or may not be stored."""
    if refusal is not None:
        return str(refusal) if refusal.is_failure else ""
    return f"the store did not take it: {losses[0]}" if losses else ""


def _request(wanted: Job, *, is_stored: bool) -> RenderRequest:
    if wanted.replay is not None:
        return replace(wanted.lookup.canonical(wanted.origin), replay=wanted.replay)
    return replace(wanted.lookup.canonical(wanted.origin, rsc=False), is_stored=is_stored)


def _name(lookup: Lookup) -> str:
    """Return the name under which a page is made, once at a time."""
    return lookup.keys[0] if lookup.variant else lookup.path


def _refusal_bytes(key: str, last: LastRefusal) -> int:
    return text_bytes(key, last.refusal.detail, last.refusal.selected)


def _entries_of(artifact: Artifact) -> tuple[Artifact, ...]:
    """Return the artifacts whose entries make up a page."""
    return (Artifact.PAGES,) if artifact in PAGES_ARTIFACTS else APP_ARTIFACTS


def _key(origin: str, lookup: Lookup, *, rsc: bool = False) -> str:
    """Return a key under which is remembered what may not be stored; no origin and no path has a space.

    The HTML of a Pages Router page may have been what it shows before its data is there, which says nothing of the page; nor
    does a variant of a payload, or the page of its variants, or what is there under another host,
    or for other headers.
    """
    kind = " data" if lookup.is_data else " rsc" if rsc else ""
    return f"{origin} {lookup.path}{lookup.variant}{kind}{lookup.selected_text}"
