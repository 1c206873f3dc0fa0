"""Rendering pages through a server, and turning them into entries."""

from __future__ import annotations

import asyncio
import hashlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2 as httpx

from cache.entry import CacheEntry
from cache.tags import is_valid_tag, merge_tags, path_tags
from core.body import MAX_BODY_BYTES, BytesBody
from isr.admission import Refusal, admit, has_rsc_payload
from isr.page_headers import stored_headers
from pages.request import RenderRequest
from seed.build import Artifact, Skipped
from seed.entries import SeedEntry, page_value
from vinext_worker.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from core.body import Body
    from isr.served_build import ServedBuild
    from pages.handler import BodyCopy, PageResponse
    from seed.entries import SeedItem
    from seed.sources import Source
    from vinext_worker.tpr.selection import Candidate

_ETAG_CHARACTERS = 32
_TIMEOUT_SECONDS = 30
_AT_ONCE = 6


class HttpPage:
    """An answer over HTTP, in the form that `isr.admission` judges."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def body(self) -> bytes:
        """The whole body, which has been read."""
        return self._response.content

    def header(self, name: str) -> str | None:
        # The client has decompressed the body, so the header no longer applies.
        return None if name.lower() == "content-encoding" else self._response.headers.get(name)

    def header_items(self) -> Iterable[tuple[str, str]]:
        return self._response.headers.items()

    def split(self) -> tuple[PageResponse, BodyCopy]:
        return self, self

    def copy(self) -> BodyCopy:
        return self

    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> Body | None:  # noqa: ARG002 - it is all there
        return BytesBody(self.body) if len(self.body) <= limit_bytes else None

    async def drop(self) -> None: ...


class Renderer:
    """Requests pages from a server, and makes entries of those that the cache would keep."""

    def __init__(self, url: str, host: str | None, site: ServedBuild, source: Source | None) -> None:
        self._site = site
        self._source = source
        self._origin = url.rstrip("/")
        headers = {"User-Agent": "vinext-worker-tpr"} | ({"Host": host} if host else {})
        self._http = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        self._answers = 0
        self._fault = ""

    def require_answers(self) -> None:
        """Raise RemoteError if the server was asked and has answered nothing."""
        if self._fault and not self._answers:
            raise RemoteError(f"{self._origin} has answered no request ({self._fault}); check that the server runs there")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def entries(self, candidates: Sequence[Candidate]) -> AsyncIterator[SeedItem]:
        """Yield the entries of pages, HTML and RSC payload, or the reasons why there are none."""
        for start in range(0, len(candidates), _AT_ONCE):
            for items in await asyncio.gather(*map(self._page, candidates[start : start + _AT_ONCE])):
                for item in items:
                    yield item

    async def _page(self, candidate: Candidate) -> list[SeedItem]:
        lookup = candidate.lookup
        record = None if self._source is None else await self._source.record(lookup.path)
        if record is not None:
            return [Skipped(lookup.path, "the build pre-rendered it, so it is populated with the build")]
        response = await self._ask(RenderRequest(self._origin, lookup.url_path))
        if isinstance(response, str):
            return [Skipped(lookup.path, response)]
        item = self._item(lookup.path, response, rsc=False)
        if not isinstance(item, SeedEntry) or item.artifact is not Artifact.HTML or not has_rsc_payload(response):
            return [item]
        payload = await self._ask(RenderRequest(self._origin, lookup.url_path, rsc=True))
        if isinstance(payload, str):
            return [item, Skipped(f"{lookup.path} (RSC)", payload)]
        return [item, self._item(lookup.path, payload, rsc=True)]

    async def _ask(self, request: RenderRequest) -> HttpPage | str:
        try:
            page = HttpPage(await self._http.get(request.url, headers=request.headers))
        except httpx.HTTPError as error:
            self._fault = str(error) or type(error).__name__
            return f"it was not rendered: {self._fault}"
        self._answers += 1
        return page

    def _item(self, path: str, page: HttpPage, *, rsc: bool) -> SeedItem:
        made_at_ms = int(time.time() * 1000)
        shown = f"{path} (RSC)" if rsc else path
        # On a site with both routers, only the body shows which one made a page.
        known = None if "app" in self._site.routers else Artifact.PAGES
        decision = admit(page, None, rsc=rsc, known=known)
        if isinstance(decision, Refusal):
            return Skipped(shown, str(decision))
        if len(page.body) > MAX_BODY_BYTES:
            return Skipped(shown, f"it has more than {MAX_BODY_BYTES} bytes")
        headers = {name: value for name, value in stored_headers(page).items() if name != "content-encoding"}
        headers.setdefault("etag", f'"{hashlib.sha256(page.body).hexdigest()[:_ETAG_CHARACTERS]}"')
        tags = merge_tags(filter(is_valid_tag, path_tags(self._site.schema, path)), decision.tags)
        body, artifact = BytesBody(page.body), decision.artifact
        value = page_value(artifact, body, headers, page.status, self._site.base_path)
        if artifact is Artifact.HTML and self._site.has_pages_router and page.status == HTTPStatus.OK:
            of_pages_router = page_value(Artifact.PAGES, body, headers, page.status, self._site.base_path)
            artifact, value = (artifact, value) if of_pages_router is None else (Artifact.PAGES, of_pages_router)
        if value is None:
            return Skipped(shown, "a page of the Pages Router that does not tell its data")
        entry = CacheEntry.make(
            value,
            tags,
            made_at_ms,
            decision.period.revalidate_seconds,
            decision.period.expire_seconds,
        )
        return SeedEntry(path, artifact, self._site.key(path, artifact), entry)
