"""The protocol of a page handler: a vinext Worker, a Python app, anything that answers.

An answer whose body is all there.

A page handler that must begin its answer within a time.

What stands for a page handler that cannot be used.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from core.body import EMPTY_BODY
from core.errors import VinextWorkerError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import Any

    from core.body import Body
    from pages.request import HeaderItems, PageRequest, RenderRequest


class PageError(VinextWorkerError):
    """The page handler gave no answer, or its answer broke off."""


class BodyCopy(Protocol):
    """The second half of an answer whose first half goes to the visitor."""

    async def read(self, limit_bytes: int) -> Body | None:
        """The whole body, None where it is larger. Raises PageError where it breaks off."""


class PageResponse(Protocol):
    """A page handler's answer. Its body may still be on the way."""

    @property
    def status(self) -> int: ...

    @property
    def rsc_payload(self) -> Body | None:
        """The RSC payload of the page, if it was rendered with the page."""

    def header(self, name: str) -> str | None: ...

    def header_items(self) -> Iterable[tuple[str, str]]: ...

    def split(self) -> tuple[PageResponse, BodyCopy]:
        """The answer for the visitor, and a copy of its body that is read beside it."""

    def copy(self) -> BodyCopy:
        """The whole body, where no visitor waits for it."""

    async def drop(self) -> None:
        """Let go of a body that nobody reads."""


class PageHandler(Protocol):
    """Makes pages: for a visitor, or for the cache."""

    async def answer(self, request: PageRequest) -> PageResponse:
        """Answer a visitor's request as it came. Raises PageError where there is no answer."""

    async def render(self, request: RenderRequest) -> PageResponse:
        """Make a page for the cache. Raises PageError where there is no answer."""


@dataclass(frozen=True)
class WholeResponse:
    """A PageResponse in memory; `body` None where the status allows none."""

    status: int
    headers: HeaderItems
    body: Body | None
    rsc_payload: Body | None = None

    def header(self, name: str) -> str | None:
        return self._values.get(name.lower())

    def header_items(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._values.items())

    @cached_property
    def _values(self) -> dict[str, str]:
        """By the name in lower case, all values of a header, joined as HTTP joins them (RFC 9110, 5.2)."""
        values: dict[str, list[str]] = {}
        for name, value in self.headers:
            values.setdefault(name.lower(), []).append(value)
        return {name: ", ".join(several) for name, several in values.items()}

    def split(self) -> tuple[WholeResponse, WholeCopy]:
        return self, WholeCopy(self.body)

    def copy(self) -> WholeCopy:
        return WholeCopy(self.body)

    async def drop(self) -> None:
        """Nothing is on its way."""


@dataclass(frozen=True)
class WholeCopy:
    """The body of a WholeResponse (the protocol BodyCopy)."""

    body: Body | None

    async def read(self, limit_bytes: int) -> Body | None:
        body = self.body or EMPTY_BODY
        return None if body.size_bytes > limit_bytes else body


T = TypeVar("T")


class TimedPages:
    """Gives up on a handler that has not begun to answer after `timeout_ms`; its body may take longer."""

    def __init__(self, pages: PageHandler, name: str, timeout_ms: int) -> None:
        self._pages = pages
        self._name = name
        self._timeout_ms = timeout_ms

    async def answer(self, request: PageRequest) -> PageResponse:
        return await self._within(self._pages.answer(request))

    async def render(self, request: RenderRequest) -> PageResponse:
        return await self._within(self._pages.render(request))

    async def _within(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await asyncio.wait_for(work, self._timeout_ms / 1000)
        except TimeoutError as error:
            raise PageError(f"{self._name} did not begin to answer within {self._timeout_ms} ms") from error


class FailedPages:
    """Every request fails, saying why."""

    def __init__(self, failure: str) -> None:
        self._failure = failure

    async def answer(self, request: PageRequest) -> PageResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)

    async def render(self, request: RenderRequest) -> PageResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)
