"""Regenerating pages in the background."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.http import REVALIDATED_PAGES_HEADER
from core.recent import Recent
from isr.admission import Refusal
from isr.lookup import Lookup, url_path_of
from pages.handler import PageError
from pages.stages import wanted_pages
from seed.build import APP_ARTIFACTS, PAGES_ARTIFACTS, Artifact
from seed.rules import touching_rule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.lease import Lease
    from core.log import Level
    from core.runtime import Runtime
    from isr.store import CachedPage, PageStore
    from isr.writer import AdmittedPage, PageWriter
    from pages.handler import PageHandler, PageResponse
    from pages.request import RenderRequest
    from pages.stages import Resource

RETRY_MS = 1000

UNCACHEABLE_MS = 10_000


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
        # Paths that failed, and artifacts that may not be stored, each until the time when that is forgotten.
        self._failed: Recent[str, int] = Recent()
        self._uncacheable: Recent[str, int] = Recent()

    def start(
        self,
        origin: str,
        lookup: Lookup,
        stale: CachedPage | None = None,
        replay: str | None = None,
        *,
        is_stored: bool = False,
    ) -> None:
        """Render a page, unless that is under way or was tried a moment ago; `stale` is its entry, if there is one.

        `replay` is how an app in stages renders it (`pages.stages`). `is_stored`: the app may take it that the page is there.
        """
        failed_until_ms = self._failed.get(lookup.path, 0)
        if not self._is_uncacheable(_name_of(lookup), rsc=False) and self._clock() >= failed_until_ms:
            page = (lookup if stale is None else lookup.only(stale.artifact)).whole_page
            request = replace(page.canonical(origin), replay=replay)
            if replay is None:
                request = replace(page.canonical(origin, rsc=False), is_stored=is_stored or stale is not None)
            self._run(page, lambda: self._regenerate(page, request, stale))

    async def remake(self, origin: str, response: PageResponse) -> None:
        """Render the pages that the page handler wants anew, before its answer goes out (Next.js's `res.revalidate`)."""
        value = response.header(REVALIDATED_PAGES_HEADER)
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

    def start_counterpart(self, origin: str, lookup: Lookup) -> None:
        """Render the RSC payload of a page whose HTML has just been stored, or the other way round."""
        request = lookup.canonical(origin, rsc=not lookup.is_rsc)
        self._run(lookup, lambda: self._render(lookup, request, None))

    def is_uncacheable(self, lookup: Lookup) -> bool:
        """Return whether the answer to such a request was lately one that may not be stored."""
        name = _name_of(lookup)
        return self._is_uncacheable(name, rsc=False) or (lookup.is_rsc and self._is_uncacheable(name, rsc=True))

    def remember_answer(self, lookup: Lookup, refusal: Refusal) -> None:
        """Remember for a while that the answer to such a request was not stored."""
        self.remember(lookup, refusal, rsc=lookup.is_rsc)

    def remember(self, lookup: Lookup, refusal: Refusal, *, rsc: bool) -> None:
        """Remember for a while that an answer was not stored."""
        if refusal.is_failure:
            self._failed[lookup.path] = self._clock() + RETRY_MS
        elif not refusal.has_own_cache:
            self._uncacheable[_artifact_key(_name_of(lookup), rsc=rsc)] = self._clock() + UNCACHEABLE_MS

    def _run(self, lookup: Lookup, work: Callable[[], Awaitable[object]]) -> None:
        name = lookup.keys[0] if lookup.variant else lookup.path
        self._runtime.run_once(f"make {name}", work, f"making {name}")

    async def _regenerate(self, lookup: Lookup, request: RenderRequest, stale: CachedPage | None) -> None:
        # A page that has no entry yet is not a popular one, and its path may be made up: it is not worth a write.
        if stale is not None:
            due_since_ms = stale.entry.revalidate_at_ms or 0
            is_own_key = lookup.variant or lookup.known_artifact is not None
            leased = lookup.keys[0] if is_own_key else self._store.key(lookup.path, Artifact.HTML)
            if not await self._lease.take(leased, due_since_ms):
                return
        lacks_payload = await self._render(lookup, request, stale)
        if lacks_payload and request.replay is None:
            await self._render(lookup, lookup.canonical(request.origin, rsc=True), stale)

    async def _render(self, lookup: Lookup, request: RenderRequest, stale: CachedPage | None) -> bool:
        """Render and store one artifact of a page. Return whether its RSC payload has still to be rendered."""
        started_at_ms = self._store.started_at_ms()
        try:
            response = await self._page_handler.render(request)
        except PageError as error:
            self._give_up(lookup, Refusal(str(error), is_failure=True), rsc=request.rsc)
            return False
        page = await self._writer.admit(response, lookup, started_at_ms, rsc=request.rsc)
        if isinstance(page, Refusal):
            await response.drop()
            self._give_up(lookup, page, rsc=request.rsc)
            if page.has_own_cache:
                # It has a newer page in the cache that we share, or is rendering one.
                self._store.forget_read()
            await self._remove(lookup, stale, page, rsc=request.rsc)
            return False
        refusal = await self._writer.write(page, response.copy(), "page.regenerated")
        if refusal is not None:
            self.remember(lookup, refusal, rsc=request.rsc)
            await self._remove(lookup, stale, refusal, rsc=request.rsc)
            return False
        self._uncacheable.pop(_artifact_key(_name_of(lookup), rsc=request.rsc), None)
        if stale is not None and not request.rsc:
            await self._remove_outdated(lookup, stale, page)
        return page.lacks_counterpart

    async def _remove_outdated(self, lookup: Lookup, stale: CachedPage, page: AdmittedPage) -> None:
        """Remove what the page that has just been stored leaves behind of another kind."""
        if stale.artifact in PAGES_ARTIFACTS:
            return
        if stale.artifact not in {page.admission.artifact, Artifact.RSC}:
            # An HTML page that is now a route handler's answer, or the other way round: the old artifact would be found first.
            await self._store.remove(lookup, (stale.artifact,))
        if stale.status != page.response.status and page.counterpart is None and not page.lacks_counterpart:
            # A page that is now a redirect, or not there: its old payload would live on.
            await self._store.remove(lookup, (Artifact.RSC,))

    async def _remove(self, lookup: Lookup, stale: CachedPage | None, refusal: Refusal, *, rsc: bool) -> None:
        """Remove the entry of a page that may no longer be stored; a failure says nothing against it."""
        if stale is not None and not refusal.is_failure and not refusal.has_own_cache:
            await self._store.remove(lookup, (Artifact.RSC,) if rsc else _entries_of(stale.artifact))

    def _give_up(self, lookup: Lookup, refusal: Refusal, *, rsc: bool) -> None:
        self.remember(lookup, refusal, rsc=rsc)
        level: Level = "warning" if refusal.is_failure else "info"
        self._runtime.log.event(level, "page.not_made", path=lookup.path, reason=refusal.reason)

    def _is_uncacheable(self, name: str, *, rsc: bool) -> bool:
        until_ms = self._uncacheable.get(_artifact_key(name, rsc=rsc))
        return until_ms is not None and self._clock() < until_ms


def _entries_of(artifact: Artifact) -> tuple[Artifact, ...]:
    """Return the artifacts whose entries make up a page."""
    return (Artifact.PAGES,) if artifact in PAGES_ARTIFACTS else APP_ARTIFACTS


def _artifact_key(name: str, *, rsc: bool) -> str:
    return f"{name} rsc" if rsc else name


def _name_of(lookup: Lookup) -> str:
    """Return a name under which is remembered what may not be stored; no path has a space.

    The HTML of a Pages Router page may have been what it shows before its data is there, which says nothing of the page; nor
    does a variant of a payload, or the page of its variants.
    """
    return f"{lookup.path} data" if lookup.is_data else f"{lookup.path}{lookup.variant}"
