"""The site of which every answer is known: what each page is at a time, and the page handler that renders it."""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

from tests.chaos.faults import Kind
from tests.chaos.runtime import now
from tests.fakes.pages import FakeCopy, FakePages, FakeResponse
from tests.fakes.stages import FakeStages

from core.body import BytesBody
from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.faults import Faults

    from pages.handler import WholeResponse
    from pages.request import PageRequest, RenderRequest
    from pages.stages import Resource

PAGE_TIMEOUT_SECONDS = 10
VARY = "RSC, Next-Router-State-Tree"
PERIOD_SECONDS = 5
EXPIRE_SECONDS = 30


class PageKind(StrEnum):
    PERIOD = "period"
    FOREVER = "forever"
    ROUTE = "route"
    DYNAMIC = "dynamic"
    CHANGING = "changing"
    """With each version it is something else: a page, a redirect, not there, dynamic."""


@dataclass
class Page:
    """A page, and when it changed."""

    path: str
    kind: PageKind
    versions: list[float] = field(default_factory=lambda: [0.0])
    """The time since when each version is the one to show."""
    invalidations: list[Invalidated] = field(default_factory=list)
    failed_at: float = -1e9
    """When its rendering last went wrong."""

    @property
    def version(self) -> int:
        return len(self.versions) - 1

    @property
    def expires(self) -> bool:
        """Whether it may not be shown any more once it is old; the others are stale for ever."""
        return self.kind is not PageKind.FOREVER and int(self.path.rpartition("/")[2]) % 2 == 0

    @property
    def tag(self) -> str:
        return f"of{self.path.replace('/', '-')}"

    @property
    def shape(self) -> str:
        """What it is at present: `page`, `redirect`, `missing`, `dynamic` or `route`."""
        if self.kind is PageKind.CHANGING:
            return ("page", "redirect", "missing", "dynamic")[self.version % 4]
        return {PageKind.DYNAMIC: "dynamic", PageKind.ROUTE: "route"}.get(self.kind, "page")


@dataclass(frozen=True)
class Invalidated:
    """An invalidation that was confirmed: where, when, and the version that has to be shown since.

    `is_noted`: the object of the site has confirmed it, too.
    """

    isolate: int
    at: float
    version: int
    is_noted: bool = False


@dataclass(frozen=True)
class Content:
    """What a body says of itself."""

    tenant: str
    path: str
    artifact: str
    version: int
    rendered_at: float
    visitor: str | None

    def to_bytes(self, padding: int) -> bytes:
        document = json.dumps(
            [self.tenant, self.path, self.artifact, self.version, self.rendered_at, self.visitor, "." * padding]
        )
        return f"{zlib.crc32(document.encode()):08x} {document}".encode()

    @classmethod
    def read(cls, body: bytes) -> Content | None:
        """Return what a whole body says, None for any other."""
        checksum, _, document = body.decode("utf-8", "replace").partition(" ")
        if f"{zlib.crc32(document.encode()):08x}" != checksum:
            return None
        *fields, _padding = json.loads(document)
        return cls(*fields)


@dataclass
class Site:
    """The pages of a tenant."""

    tenant: str
    pages: dict[str, Page]

    @classmethod
    def of(cls, tenant: str, each: int) -> Site:
        names = {PageKind.PERIOD: "p", PageKind.FOREVER: "s", PageKind.ROUTE: "r", PageKind.DYNAMIC: "d", PageKind.CHANGING: "c"}
        pages = [Page(f"/{name}/{number}", kind) for kind, name in names.items() for number in range(each)]
        return cls(tenant, {page.path: page for page in pages})

    def content(self, page: Page, artifact: str, visitor: str | None = None) -> bytes:
        size = 40 * (zlib.crc32(page.path.encode()) % 50)
        return Content(self.tenant, page.path, artifact, page.version, now(), visitor).to_bytes(size)


class Renderer:
    """Renders the pages of a site, and fails as planned."""

    def __init__(self, site: Site, faults: Faults) -> None:
        self._site = site
        self._faults = faults

    def well_rendered(self, path: str, *, rsc: bool) -> FakeResponse:
        """Return what a page is at present, without any fault."""
        return self._made(self._site.pages[path], rsc=rsc, visitor=None)

    async def response(self, path: str, *, rsc: bool, visitor: str | None = None) -> FakeResponse:
        page = self._site.pages.get(path)
        if page is None:
            return FakeResponse(404, {"content-type": "text/html", "cache-control": "no-store"}, b"nothing here")
        await asyncio.sleep(0.02)
        kind = self._faults.draw("page")
        if kind is not None and kind is not Kind.DELAYS:
            page.failed_at = now()
        match kind:
            case Kind.RAISES:
                raise PageError("it failed as planned")
            case Kind.HANGS:
                await asyncio.sleep(PAGE_TIMEOUT_SECONDS)
                page.failed_at = now()
                raise PageError(f"it did not begin to answer within {PAGE_TIMEOUT_SECONDS} s")
            case Kind.ANSWERS_500:
                return FakeResponse(500, {"content-type": "text/html"}, b"failed")
        made = self._made(page, rsc=rsc, visitor=visitor)
        if kind is Kind.DELAYS:
            await self._faults.delay(2)
        if kind is Kind.STALLS:
            return _Stalling(made.status, made.headers, made.body[: len(made.body) // 2])
        made.breaks_off = kind is Kind.BREAKS_OFF
        return made

    def _made(self, page: Page, *, rsc: bool, visitor: str | None) -> FakeResponse:
        artifact = "rsc" if rsc else "html"
        headers = {"content-type": "text/x-component" if rsc else "text/html; charset=utf-8", "vary": VARY}
        headers |= {"cache-control": _shared(page), "x-vinext-cache-tags": page.tag}
        match page.shape:
            case "redirect":
                headers |= {"location": f"/p/{page.version % 5}"}
                return FakeResponse(307, headers, self._site.content(page, artifact))
            case "missing":
                return FakeResponse(404, headers, self._site.content(page, artifact))
            case "dynamic":
                headers |= {"cache-control": "private, no-store"}
                return FakeResponse(200, headers, self._site.content(page, artifact, visitor))
            case "route":
                headers = {"content-type": "application/json", "cache-control": _shared(page), "x-vinext-cache-tags": page.tag}
                return FakeResponse(200, headers, self._site.content(page, "route"))
        return FakeResponse(200, headers, self._site.content(page, artifact))


def _shared(page: Page) -> str:
    if page.kind is PageKind.FOREVER:
        return "s-maxage=31536000, stale-while-revalidate"
    if not page.expires:
        return f"s-maxage={PERIOD_SECONDS}, stale-while-revalidate"
    return f"s-maxage={PERIOD_SECONDS}, stale-while-revalidate={EXPIRE_SECONDS - PERIOD_SECONDS}"


class _Stalling(FakeResponse):
    """A response whose body begins and never ends."""

    def copy(self) -> _StallingCopy:
        return _StallingCopy(self)


class _StallingCopy(FakeCopy):
    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> NoReturn:
        del limit_bytes, whole_bytes
        await asyncio.get_running_loop().create_future()
        raise AssertionError


class _Forgetful(list[Any]):
    def append(self, _item: object) -> None:
        pass


class WholePages(FakePages):
    """The site's page handler, which answers as a whole."""

    def __init__(self, renderer: Renderer) -> None:
        super().__init__(answered=_Forgetful(), rendered=_Forgetful())
        self._renderer = renderer

    async def answer(self, request: PageRequest) -> FakeResponse:
        kept = request.kept_as
        path = request.path.removesuffix(".rsc") if kept is None else kept.path
        rsc = request.path.endswith(".rsc") or request.headers.get("rsc") == "1"
        if request.method == "POST":
            return invalidating(path)
        return await self._renderer.response(path, rsc=rsc, visitor=request.headers.get("cookie"))

    async def render(self, request: RenderRequest) -> FakeResponse:
        return await self._renderer.response(request.path, rsc=request.rsc)


class StagedPages(FakeStages):
    """The site's page handler in stages."""

    def __init__(self, renderer: Renderer) -> None:
        super().__init__(answered=_Forgetful(), rendered=_Forgetful(), served=_Forgetful(), questions=_Forgetful())
        self.stage_rendered = _Forgetful()
        self._renderer = renderer

    async def answer(self, request: PageRequest) -> FakeResponse:
        return invalidating(request.path) if request.method == "POST" else await super().answer(request)

    async def _with_counterpart(self, resource: Resource) -> FakeResponse:
        # Both come of one render, so the other one has no fault of its own.
        rendered = await self._rendered(resource)
        is_page = rendered.status < HTTPStatus.INTERNAL_SERVER_ERROR and rendered.header("vary") is not None
        if not is_page or "s-maxage" not in (rendered.header("cache-control") or ""):
            return rendered
        if resource.part == "rsc" and rendered.status != HTTPStatus.OK:
            return rendered
        other = self._renderer.well_rendered(resource.tag_path, rsc=resource.part != "rsc")
        return replace(rendered, counterpart=BytesBody(other.body))

    async def _kept(self, rendered: FakeResponse) -> WholeResponse | None:
        if isinstance(rendered, _Stalling):
            await rendered.copy().read(0)
        return await super()._kept(rendered)

    async def _play(self, path: str, lines: Mapping[str, Any]) -> FakeResponse:
        return await self._renderer.response(path, rsc=lines is self.payloads)


def invalidating(path: str) -> FakeResponse:
    """The answer of an API route that has invalidated a page."""
    tag = f"of{path.replace('/', '-')}"
    return FakeResponse(200, {"content-type": "text/plain", "x-vinext-revalidated-tags": tag}, b"invalidated")
