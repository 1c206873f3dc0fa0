"""A page handler with a script, and its answers, whose bodies break off or never end where the script says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from core.body import BytesBody
from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pages.request import PageRequest, RenderRequest

VARY = "RSC, Next-Router-State-Tree"


@dataclass
class FakeResponse:
    """`size_bytes` says how large the body is where it is too large to be made."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    size_bytes: int | None = None
    breaks_off: bool = False
    is_dropped: bool = False
    is_copied: bool = False
    counterpart: BytesBody | None = None
    added: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        return next((text for key, text in self.headers.items() if key.lower() == name.lower()), None)

    def header_items(self) -> Iterable[tuple[str, str]]:
        return self.headers.items()

    def split(self) -> tuple[FakeResponse, FakeCopy]:
        return self, self.copy()

    def copy(self) -> FakeCopy:
        self.is_copied = True
        return FakeCopy(self)

    async def drop(self) -> None:
        self.is_dropped = True


@dataclass
class FakeCopy:
    response: FakeResponse

    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> BytesBody | None:
        del whole_bytes
        await asyncio.sleep(0)
        body = self.response.body
        if self.response.breaks_off:
            raise PageError(f"the body broke off after {len(body)} bytes: reset")
        size_bytes = len(body) if self.response.size_bytes is None else self.response.size_bytes
        return None if size_bytes > limit_bytes else BytesBody(body)


def page(
    text: str = "page", cache_control: str | None = "s-maxage=60, stale-while-revalidate=540", **headers: str
) -> FakeResponse:
    """A page as vinext sends it; an underscore in the name of a header is a hyphen."""
    return _response("text/html; charset=utf-8", text, cache_control, {"vary": VARY} | headers)


def payload(
    text: str = "payload", cache_control: str | None = "s-maxage=60, stale-while-revalidate=540", **headers: str
) -> FakeResponse:
    """An RSC payload as vinext sends it."""
    return _response("text/x-component", text, cache_control, {"vary": VARY} | headers)


def route(text: str = "{}", cache_control: str | None = "s-maxage=60", **headers: str) -> FakeResponse:
    """What a route handler sends."""
    return _response("application/json", text, cache_control, headers)


def dynamic(text: str = "dynamic") -> FakeResponse:
    """A page that is made for each visitor."""
    return page(text, "private, no-cache, no-store, max-age=0, must-revalidate")


def missing() -> FakeResponse:
    """What there is no page for."""
    return FakeResponse(404, {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"}, b"not found")


def broken(status: int = 500) -> FakeResponse:
    """A page that could not be made."""
    return FakeResponse(status, {"content-type": "text/html; charset=utf-8"}, b"error")


def _response(content_type: str, text: str, cache_control: str | None, headers: Mapping[str, str]) -> FakeResponse:
    sent = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    if cache_control is not None:
        sent["cache-control"] = cache_control
    return FakeResponse(200, sent, text.encode())


Line: TypeAlias = FakeResponse | Exception | Callable[[], FakeResponse]


@dataclass
class FakePages:
    """Answers by path: `documents` and `payloads`; what is in neither is missing. `hold` keeps every answer back.

    `rendered_payloads` are for the cache only, where a visitor gets something else. One that `gives_both` has a page
    that is rendered for the cache bring its payload, as the adapter for vinext does.
    """

    documents: dict[str, Line] = field(default_factory=dict)
    payloads: dict[str, Line] = field(default_factory=dict)
    rendered_payloads: dict[str, Line] = field(default_factory=dict)
    gives_both: bool = False
    hold: asyncio.Event | None = None
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    answered: list[PageRequest] = field(default_factory=list)
    rendered: list[RenderRequest] = field(default_factory=list)

    async def answer(self, request: PageRequest) -> FakeResponse:
        self.answered.append(request)
        kept = request.kept_as
        is_rsc = request.path.endswith(".rsc") or request.headers.get("rsc") == "1" if kept is None else kept.rsc
        path = request.path.removesuffix(".rsc") if kept is None else kept.path
        return await self._play(path, self.payloads if is_rsc else self.documents)

    async def render(self, request: RenderRequest) -> FakeResponse:
        self.rendered.append(request)
        payloads = self.rendered_payloads if request.path in self.rendered_payloads else self.payloads
        made = await self._play(request.path, payloads if request.rsc else self.documents)
        return made if request.rsc else await self._with_payload(made, request.path)

    async def _with_payload(self, made: FakeResponse, path: str) -> FakeResponse:
        if not self.gives_both or made.status != HTTPStatus.OK or made.header("vary") is None:
            return made
        return replace(made, counterpart=BytesBody((await self._play(path, self.payloads)).body))

    @property
    def documents_made(self) -> int:
        """How often anything but an RSC payload was made."""
        return sum(not request.rsc for request in self.rendered) + sum(
            not request.path.endswith(".rsc") and request.headers.get("rsc") is None for request in self.answered
        )

    async def _play(self, path: str, lines: Mapping[str, Line]) -> FakeResponse:
        self.is_asked.set()
        await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        line = lines.get(path, missing)
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, FakeResponse) else line()
