"""Storing the page handler's answers: a visitor's on a miss, and those of a regeneration."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from core.body import ArrivingBody
from core.http import APP_BUILD_HEADER, ARTIFACT_HEADER, PAYLOAD_STATUS_HEADER, STALE_DATA_HEADER, STALE_TIME_HEADER
from isr.admission import Refusal, admit, has_rsc_payload
from isr.page_headers import NOT_STORED, stored_headers
from isr.reasons import Inadmissible
from isr.store import RenderedPage
from pages.handler import PageError
from pages.request import NO_HEADERS
from seed.build import Artifact
from seed.pages_router import pages_value

if TYPE_CHECKING:
    from core.body import Body
    from core.runtime import Runtime
    from isr.admission import Admission
    from isr.lookup import Lookup
    from isr.store import PageStore
    from isr.variants import Selection, VariantRules
    from pages.handler import BodyCopy, PageResponse
    from pages.request import Headers

# What the app itself tells browsers, where a page leads, and how long a client's router may use its payload without asking again
# (`cacheLife({ stale })`).
_OF_BOTH_ARTIFACTS = ("cache-control", "location", STALE_TIME_HEADER)

_COUNTERPARTS = {Artifact.HTML: Artifact.RSC, Artifact.RSC: Artifact.HTML}


@dataclass(frozen=True)
class AdmittedPage:
    """An answer that may be stored. `started_at_ms` is when its rendering began.

    `counterpart` is the other artifact of the page, if the render gave both. `selected` is what the page was made for of the
    headers by which it varies.
    """

    lookup: Lookup
    admission: Admission
    response: PageResponse
    started_at_ms: int
    counterpart: RenderedPage | None
    selected: Selection = ()

    @property
    def lacks_counterpart(self) -> bool:
        """Whether the page is HTML and an RSC payload, and the answer has one of them only."""
        is_page = self.admission.artifact in _COUNTERPARTS
        return is_page and self.counterpart is None and not self.lookup.variant and has_rsc_payload(self.response)

    @property
    def may_arrive(self) -> bool:
        """Whether the body may be stored while it is arriving: what it is does not show in it."""
        is_app = self.admission.artifact not in {Artifact.DATA, Artifact.PAGES}
        return is_app and (self.admission.artifact is not Artifact.HTML or Artifact.PAGES not in self.lookup.artifacts)

    @property
    def is_of_stale_data(self) -> bool:
        """Whether the page was rendered from stale data, which is being refreshed."""
        return self.response.header(STALE_DATA_HEADER) is not None


class PageWriter:
    """Admits the page handler's answers to a store of pages, and writes those of at most `limit_bytes`.

    `whole_bytes`: the store takes larger bodies while they are still arriving; None: it does not. `variants` None: an answer that
    is one of several is not stored.
    """

    def __init__(
        self,
        store: PageStore,
        limit_bytes: int,
        variants: VariantRules | None,
        runtime: Runtime,
        whole_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._limit_bytes = limit_bytes
        self._whole_bytes = whole_bytes
        self._variants = variants
        self._clock = runtime.clock
        self._log = runtime.log

    async def admit(
        self, response: PageResponse, lookup: Lookup, started_at_ms: int, *, rsc: bool, headers: Headers = NO_HEADERS
    ) -> AdmittedPage | Refusal:
        """Decide whether an answer may be stored; `headers` are those of the request, but for what the lookup selects."""
        refusal = _of_another_build(response, self._store.build.app_build_id)
        if refusal is not None:
            return refusal
        record = await self._store.record(lookup.path)
        known = lookup.known_artifact or (Artifact.ROUTE if response.header(ARTIFACT_HEADER) == Artifact.ROUTE else None)
        path, schema = lookup.canonical_path, self._store.build.schema
        decision = admit(response, record, rsc=rsc, path=path, schema=schema, known=known, variants=self._variants)
        if isinstance(decision, Refusal):
            return decision
        selected = lookup.selected
        if self._variants is not None and decision.varies_by:
            made_for = _selected(self._variants, decision.varies_by, lookup, headers)
            if isinstance(made_for, Refusal):
                return made_for
            selected = made_for
        # Most answers do not have the attribute.
        body: Body | None = getattr(response, "counterpart", None)
        is_incomplete = decision.artifact is Artifact.HTML and not self._store.build.completes_rsc_payloads
        if body is not None and (is_incomplete or body.size_bytes > self._limit_bytes):
            body = None
        other = _COUNTERPARTS.get(decision.artifact)
        counterpart = None if body is None or other is None else _counterpart(response, other, body, started_at_ms)
        return AdmittedPage(lookup, decision, response, started_at_ms, counterpart, selected)

    async def write(  # noqa: PLR0911 - an outcome a line
        self, page: AdmittedPage, copy: BodyCopy, event: str
    ) -> Refusal | None:
        """Read the copy of an answer to its end, store it and log `event`. Return the reason if it was not stored."""
        try:
            body = await copy.read(self._limit_bytes, self._whole_bytes if page.may_arrive else None)
        except PageError as error:
            return self._refused(page, Refusal(Inadmissible.BROKEN, str(error), is_failure=True))
        if body is None:
            reason = f"a body of more than {self._limit_bytes} bytes (VINEXT_MAX_PAGE_BYTES)"
            return self._refused(page, Refusal(Inadmissible.TOO_LARGE, reason))
        response, artifact = page.response, page.admission.artifact
        declared = response.header("content-length")
        if isinstance(body, ArrivingBody):
            return await self._write_arriving(page, body, declared, event)
        if declared is not None and declared != str(body.size_bytes):
            reason = f"a body of {body.size_bytes} bytes whose Content-Length is {declared}"
            return self._refused(page, Refusal(Inadmissible.OTHER_LENGTH, reason, is_failure=True))
        if artifact is Artifact.DATA:
            # The render of the HTML gives the data, too, and both are kept in one entry.
            return None
        if artifact is Artifact.PAGES and pages_value(body, stored_headers(response), response.status, "") is None:
            return self._refused(page, Refusal(Inadmissible.NO_DATA))
        if artifact is Artifact.HTML and self._is_of_pages_router(page, body):
            artifact = Artifact.PAGES
        headers = stored_headers(response, page.selected)
        rendered = RenderedPage(_status_of(response, artifact), headers, body, page.started_at_ms)
        await self._store_artifact(page, artifact, rendered, event)
        other = _COUNTERPARTS.get(artifact)
        if page.counterpart is not None and other is not None:
            await self._store_artifact(page, other, page.counterpart, event)
        return None

    async def _write_arriving(self, page: AdmittedPage, body: ArrivingBody, declared: str | None, event: str) -> Refusal | None:
        """Store a body as it arrives: the whole of it or nothing."""
        body.expected_bytes = int(declared) if declared is not None and declared.isdecimal() else None
        status, headers = _status_of(page.response, page.admission.artifact), stored_headers(page.response, page.selected)
        rendered = RenderedPage(status, headers, body, page.started_at_ms)
        try:
            await self._store.write(page.lookup, page.admission.artifact, page.admission, rendered)
        finally:
            await body.drop()
        if body.failure is None:
            self._note_stored(page, page.admission.artifact, rendered, event)
            return None
        is_too_large = body.size_bytes > self._limit_bytes
        reason = Inadmissible.TOO_LARGE if is_too_large else Inadmissible.BROKEN
        return self._refused(page, Refusal(reason, body.failure, is_failure=not is_too_large))

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
        self._note_stored(page, artifact, rendered, event)

    def _note_stored(self, page: AdmittedPage, artifact: Artifact, rendered: RenderedPage, event: str) -> None:
        took_ms = self._clock() - rendered.started_at_ms
        self._log.event("info", event, path=page.lookup.path, artifact=artifact.value, ms=took_ms)

    def _refused(self, page: AdmittedPage, refusal: Refusal) -> Refusal:
        self._log.event("warning", "page.not_stored", path=page.lookup.path, reason=str(refusal))
        return refusal


def _of_another_build(response: PageResponse, build_id: str | None) -> Refusal | None:
    """Refuse a page of another build: its key names this one, under which it would stay when the builds are one again."""
    given = None if build_id is None else response.header(APP_BUILD_HEADER)
    if given is None or given == build_id:
        return None
    reason = f"the page handler is of build {given}, this Worker of {build_id}"
    return Refusal(Inadmissible.OTHER_BUILD, reason, is_failure=True, is_of_another_build=True)


def _selected(rules: VariantRules, names: tuple[str, ...], lookup: Lookup, headers: Headers) -> Selection | Refusal:
    """Return for which values of the headers by which it varies an answer was made, those of the lookup among them."""
    known = dict(lookup.selected)
    others = rules.selection([name for name in names if name not in known], headers)
    if others is None:
        return Refusal(Inadmissible.UNSELECTABLE)
    selected = tuple(sorted((*lookup.selected, *others)))
    if any(value != (headers.get(name) or "") for name, value in others):
        return Refusal(Inadmissible.OWN_SPELLING, selected=selected)
    return selected


def _status_of(response: PageResponse, artifact: Artifact) -> int:
    """Return the status with which an artifact of a page is kept."""
    is_other = artifact is Artifact.RSC and response.header(PAYLOAD_STATUS_HEADER) is not None
    return HTTPStatus.OK if is_other else response.status


def _counterpart(response: PageResponse, artifact: Artifact, body: Body, started_at_ms: int) -> RenderedPage:
    """Return the other artifact of an answer. What else the headers of an RSC payload have to say is added to each answer."""
    stored = stored_headers(response)
    given = ((name, stored.get(name)) for name in _OF_BOTH_ARTIFACTS)
    added = ((name.lower(), text) for name, text in getattr(response, "added", ()) if name.lower() not in NOT_STORED)
    headers = {name: text for name, text in (*added, *given) if text is not None}
    return RenderedPage(_status_of(response, artifact), headers, body, started_at_ms)
