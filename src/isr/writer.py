"""Storing the page handler's answers: a visitor's on a miss, and those of a regeneration."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from core.http import STALE_DATA_HEADER, STALE_TIME_HEADER
from core.paths import canonical_url_path
from isr.admission import Refusal, admit, has_rsc_payload
from isr.page_headers import NOT_STORED, stored_headers
from isr.store import RenderedPage
from pages.handler import PageError
from seed.build import Artifact
from seed.pages_router import pages_value

if TYPE_CHECKING:
    from core.body import Body
    from core.runtime import Runtime
    from isr.admission import Admission
    from isr.lookup import Lookup
    from isr.store import PageStore
    from pages.handler import BodyCopy, PageResponse

# What the app itself tells browsers, where a page leads, and how long a client's router may use its payload without asking again
# (`cacheLife({ stale })`).
_OF_BOTH_ARTIFACTS = ("cache-control", "location", STALE_TIME_HEADER)

_COUNTERPARTS = {Artifact.HTML: Artifact.RSC, Artifact.RSC: Artifact.HTML}


@dataclass(frozen=True)
class AdmittedPage:
    """An answer that may be stored. `started_at_ms` is when its rendering began.

    `counterpart` is the other artifact of the page, if the render gave both.
    """

    lookup: Lookup
    admission: Admission
    response: PageResponse
    started_at_ms: int
    counterpart: RenderedPage | None

    @property
    def lacks_counterpart(self) -> bool:
        """Whether the page is HTML and an RSC payload, and the answer has one of them only."""
        is_page = self.admission.artifact in _COUNTERPARTS
        return is_page and self.counterpart is None and not self.lookup.variant and has_rsc_payload(self.response)

    @property
    def is_of_stale_data(self) -> bool:
        """Whether the page was rendered from stale data, which is being refreshed."""
        return self.response.header(STALE_DATA_HEADER) is not None


class PageWriter:
    """Admits the page handler's answers to a store of pages, and writes those of at most `limit_bytes`."""

    def __init__(self, store: PageStore, limit_bytes: int, runtime: Runtime) -> None:
        self._store = store
        self._limit_bytes = limit_bytes
        self._clock = runtime.clock
        self._log = runtime.log

    async def admit(self, response: PageResponse, lookup: Lookup, started_at_ms: int, *, rsc: bool) -> AdmittedPage | Refusal:
        """Decide whether an answer may be stored."""
        record = await self._store.record(lookup.path)
        known = lookup.known_artifact
        path, schema = canonical_url_path(lookup.url_path), self._store.build.schema
        decision = admit(response, record, rsc=rsc, path=path, schema=schema, known=known)
        if isinstance(decision, Refusal):
            return decision
        # Most answers do not have the attribute.
        body: Body | None = getattr(response, "counterpart", None)
        is_incomplete = decision.artifact is Artifact.HTML and not self._store.build.completes_rsc_payloads
        if body is not None and (is_incomplete or body.size_bytes > self._limit_bytes):
            body = None
        counterpart = None if body is None else _counterpart(response, body, started_at_ms)
        return AdmittedPage(lookup, decision, response, started_at_ms, counterpart)

    async def write(self, page: AdmittedPage, copy: BodyCopy, event: str) -> Refusal | None:
        """Read the copy of an answer to its end, store it and log `event`. Return the reason if it was not stored."""
        try:
            body = await copy.read(self._limit_bytes)
        except PageError as error:
            return self._refused(page, Refusal(str(error), is_failure=True))
        if body is None:
            return self._refused(page, Refusal(f"a body of more than {self._limit_bytes} bytes (VINEXT_MAX_PAGE_BYTES)"))
        response, artifact = page.response, page.admission.artifact
        if artifact is Artifact.DATA:
            # The render of the HTML gives the data, too, and both are kept in one entry.
            return None
        if artifact is Artifact.PAGES and pages_value(body, stored_headers(response), response.status, "") is None:
            return self._refused(page, Refusal("a page of the Pages Router that does not tell its data"))
        if artifact is Artifact.HTML and self._is_of_pages_router(page, body):
            artifact = Artifact.PAGES
        rendered = RenderedPage(response.status, stored_headers(response), body, page.started_at_ms)
        await self._store_artifact(page, artifact, rendered, event)
        other = _COUNTERPARTS.get(artifact)
        if page.counterpart is not None and other is not None:
            await self._store_artifact(page, other, page.counterpart, event)
        return None

    async def written(self, page: AdmittedPage, copy: BodyCopy) -> AdmittedPage | Refusal:
        """Store a visitor's answer (see `write`). Return it, or the reason if it was not stored."""
        return await self.write(page, copy, "page.stored") or page

    def _is_of_pages_router(self, page: AdmittedPage, body: Body) -> bool:
        """Return whether a page of a site with both routers is of the Pages Router, which only its HTML shows."""
        if Artifact.PAGES not in page.lookup.artifacts or page.response.status != HTTPStatus.OK:
            return False
        return pages_value(body, {}, page.response.status, "") is not None

    async def _store_artifact(self, page: AdmittedPage, artifact: Artifact, rendered: RenderedPage, event: str) -> None:
        await self._store.write(page.lookup, artifact, page.admission, rendered)
        took_ms = self._clock() - rendered.started_at_ms
        self._log.event("info", event, path=page.lookup.path, artifact=artifact.value, ms=took_ms)

    def _refused(self, page: AdmittedPage, refusal: Refusal) -> Refusal:
        self._log.event("warning", "page.not_stored", path=page.lookup.path, reason=refusal.reason)
        return refusal


def _counterpart(response: PageResponse, body: Body, started_at_ms: int) -> RenderedPage:
    """Return the other artifact of an answer. What else the headers of an RSC payload have to say is added to each answer."""
    stored = stored_headers(response)
    given = ((name, stored.get(name)) for name in _OF_BOTH_ARTIFACTS)
    added = ((name.lower(), text) for name, text in getattr(response, "added", ()) if name.lower() not in NOT_STORED)
    headers = {name: text for name, text in (*added, *given) if text is not None}
    return RenderedPage(response.status, headers, body, started_at_ms)
