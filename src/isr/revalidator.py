"""Making pages for the cache, beside the answers that visitors get."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.body import MAX_BODY_BYTES
from core.http import vary_names
from core.recent import Recent
from isr.admission import Refusal, admit
from isr.answer import kept_headers
from isr.store import MadePage
from pages.handler import PageError
from pages.request import RenderRequest
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from cache.lease import Lease
    from core.log import Level
    from core.runtime import Claim, Runtime
    from isr.admission import Admission
    from isr.lookup import Lookup
    from isr.site import Site
    from isr.store import Found, PageStore
    from pages.handler import BodyCopy, PageHandler, PageResponse

RETRY_MS = 1000

UNCACHEABLE_MS = 10_000

# How long a client's router may go on with a payload (`cacheLife({ stale })`).
_STALE_TIME_HEADER = "x-nextjs-stale-time"


@dataclass(frozen=True)
class Making:
    """A page being made: what was asked for, on which host, and since when."""

    origin: str
    lookup: Lookup
    started_at_ms: int


class Regeneration:
    """Makes pages again in the background, each once at a time and isolate.

    The HTML and the RSC payload of a page are made together, so that a visitor who follows a
    link sees the same as one who loads the page: in one render where the page handler can, else
    in two, one after the other.
    """

    def __init__(self, site: Site, store: PageStore, pages: PageHandler, lease: Lease, runtime: Runtime) -> None:
        self._site = site
        self._store = store
        self._pages = pages
        self._lease = lease
        self._flight = runtime.flight
        self._background = runtime.background
        self._clock = runtime.clock
        self._log = runtime.log
        # What could not be made, or not for the cache, and until when that is believed.
        self._failed: Recent[str, int] = Recent()
        self._uncacheable: Recent[str, int] = Recent()

    def start(self, origin: str, lookup: Lookup, stale: Found | None = None) -> None:
        """Make a page, unless that is under way or was tried a moment ago; `stale` is what there is of it."""
        failed_until_ms = self._failed.get(lookup.path, 0)
        if not self._is_uncacheable(lookup.path, rsc=False) and self._clock() >= failed_until_ms:
            self._run(lookup, self._make_page(origin, lookup, stale))

    def follow(self, origin: str, lookup: Lookup) -> None:
        """Make the RSC payload of a page whose HTML has just been kept, or the other way."""
        request = RenderRequest(origin, lookup.url_path, rsc=not lookup.is_rsc)
        self._run(lookup, self._make(lookup, request, None))

    def is_uncacheable(self, lookup: Lookup) -> bool:
        """Whether what is asked for has lately turned out to be nothing for the cache."""
        if self._is_uncacheable(lookup.path, rsc=False):
            return True
        return lookup.is_rsc and self._is_uncacheable(lookup.path, rsc=True)

    def remember(self, path: str, refusal: Refusal, *, rsc: bool) -> None:
        """Remember for a while that making a page for the cache led to nothing."""
        if refusal.is_failure:
            self._failed[path] = self._clock() + RETRY_MS
        elif not refusal.has_own_cache:
            self._uncacheable[_form(path, rsc=rsc)] = self._clock() + UNCACHEABLE_MS

    async def keep(
        self, making: Making, admission: Admission, response: PageResponse, copy: BodyCopy, event: str = "page.stored"
    ) -> Refusal | None:
        """Read the copy of an answer to its end and keep it, logged as `event`; why not, where that did not come about."""
        path = making.lookup.path
        try:
            body = await copy.read(MAX_BODY_BYTES)
        except PageError as error:
            return self._not_stored(path, admission, Refusal(str(error), is_failure=True))
        if body is None:
            return self._not_stored(path, admission, Refusal(f"a body of more than {MAX_BODY_BYTES} bytes"))
        page = MadePage(response.status, kept_headers(response), body, making.started_at_ms)
        await self._keep_form(making, admission, page, event)
        if response.payload is not None and admission.artifact is Artifact.HTML:
            # Its other headers are added when it is answered with.
            stale_time = response.header(_STALE_TIME_HEADER)
            headers = {} if stale_time is None else {_STALE_TIME_HEADER: stale_time}
            payload = MadePage(response.status, headers, response.payload, making.started_at_ms)
            await self._keep_form(making, replace(admission, artifact=Artifact.RSC), payload, event)
        return None

    async def _keep_form(self, making: Making, admission: Admission, page: MadePage, event: str) -> None:
        path = making.lookup.path
        await self._store.keep(path, admission, page)
        took_ms = self._clock() - making.started_at_ms
        self._log.event("info", event, path=path, artifact=admission.artifact.value, ms=took_ms)

    def _run(self, lookup: Lookup, work: Coroutine[object, object, object]) -> None:
        claim = self._flight.claim(f"make {lookup.path}")
        if claim is None:
            work.close()
            return
        self._background.run(_released(work, claim), f"making {lookup.path}")

    async def _make_page(self, origin: str, lookup: Lookup, stale: Found | None) -> None:
        # A page that is not there yet is no popular one, and may be nothing but a made-up path: it is worth no write.
        if stale is not None:
            due_since_ms = stale.entry.revalidate_at_ms or 0
            if not await self._lease.take(self._store.key(lookup.path, Artifact.HTML), due_since_ms):
                return
        request = RenderRequest(origin, lookup.url_path, wants_payload=self._site.completes_payloads)
        if await self._make(lookup, request, stale):
            await self._make(lookup, RenderRequest(origin, lookup.url_path, rsc=True), stale)

    async def _make(self, lookup: Lookup, request: RenderRequest, stale: Found | None) -> bool:
        """Make and keep one form of a page; whether its RSC payload has still to be made."""
        path = lookup.path
        making = Making(request.origin, lookup, self._store.started_at_ms())
        try:
            response = await self._pages.render(request)
        except PageError as error:
            self._give_up(path, Refusal(str(error), is_failure=True), rsc=request.rsc)
            return False
        decision = admit(response, await self._store.record(path), rsc=request.rsc, path=request.path)
        if isinstance(decision, Refusal):
            await response.drop()
            self._give_up(path, decision, rsc=request.rsc)
            if decision.has_own_cache:
                # It has a newer page in the cache that we share, or is making one.
                self._store.forget_read()
            await self._remove(path, stale, decision, rsc=request.rsc)
            return False
        refusal = await self.keep(making, decision, response, response.copy(), "page.regenerated")
        if refusal is not None:
            await self._remove(path, stale, refusal, rsc=request.rsc)
            return False
        if stale is not None and not request.rsc and stale.artifact not in {decision.artifact, Artifact.RSC}:
            # A redirect that is now an answer, or the other way: the old form would be found first.
            await self._store.remove(path, (stale.artifact,))
        return decision.artifact is Artifact.HTML and response.payload is None and has_rsc(response)

    async def _remove(self, path: str, stale: Found | None, refusal: Refusal, *, rsc: bool) -> None:
        """Let go of an entry whose page is no longer one for the cache; a failure says nothing against it."""
        if stale is not None and not refusal.is_failure and not refusal.has_own_cache:
            await self._store.remove(path, (Artifact.RSC,) if rsc else Artifact)

    def _not_stored(self, path: str, admission: Admission, refusal: Refusal) -> Refusal:
        self.remember(path, refusal, rsc=admission.artifact is Artifact.RSC)
        self._log.event("warning", "page.not_stored", path=path, reason=refusal.reason)
        return refusal

    def _give_up(self, path: str, refusal: Refusal, *, rsc: bool) -> None:
        self.remember(path, refusal, rsc=rsc)
        level: Level = "warning" if refusal.is_failure else "info"
        self._log.event(level, "page.not_made", path=path, reason=refusal.reason)

    def _is_uncacheable(self, path: str, *, rsc: bool) -> bool:
        until_ms = self._uncacheable.get(_form(path, rsc=rsc))
        return until_ms is not None and self._clock() < until_ms


async def _released(work: Awaitable[object], claim: Claim) -> None:
    try:
        await work
    finally:
        claim.release()


def _form(path: str, *, rsc: bool) -> str:
    return f"{path} rsc" if rsc else path


def has_rsc(response: PageResponse) -> bool:
    """Whether a page says that it has an RSC payload: it varies by the header that asks for one."""
    return "rsc" in vary_names(response.header("vary"))
