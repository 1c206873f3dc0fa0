"""The protocol of page handlers and of their answers: a vinext Worker, a Python app, or any other."""

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
    from core.runtime import Background
    from pages.request import HeaderItems, PageRequest, RenderRequest


class PageError(VinextWorkerError):
    """The page handler gave no answer, or its answer broke off."""


class BodyCopy(Protocol):
    """The second half of an answer whose first half goes to the visitor."""

    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> Body | None:
        """Return the whole body, None if it is larger than the limit. Raise PageError if it breaks off.

        A body of more than `whole_bytes` may be returned as an ArrivingBody, which then keeps to the limit itself.
        """


class PageResponse(Protocol):
    """A page handler's answer. Its body may still be arriving."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None: ...

    def header_items(self) -> Iterable[tuple[str, str]]: ...

    def split(self) -> tuple[PageResponse, BodyCopy]:
        """Return the answer for the visitor, and a copy of its body that is read at the same time."""

    def copy(self) -> BodyCopy:
        """Return the whole body of an answer that no visitor waits for."""

    async def drop(self) -> None:
        """Cancel a body that nobody reads."""


class PageHandler(Protocol):
    """Renders pages, for a visitor or for the cache."""

    async def answer(self, request: PageRequest) -> PageResponse:
        """Answer a visitor's request as it came. Raise PageError if there is no answer."""

    async def render(self, request: RenderRequest) -> PageResponse:
        """Render a page for the cache. Raise PageError if there is no answer."""


@dataclass(frozen=True)
class WholeResponse:
    """A PageResponse in memory; `body` is None if the status allows none.

    `counterpart` is the other artifact of the page, if one render gave both: the RSC payload of HTML, or the HTML of an RSC
    payload. `added` are those of the headers that the counterpart has, too.
    """

    status: int
    headers: HeaderItems
    body: Body | None
    counterpart: Body | None = None
    added: HeaderItems = ()

    def header(self, name: str) -> str | None:
        return self._values.get(name.lower())

    def header_items(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._values.items())

    @cached_property
    def _values(self) -> dict[str, str]:
        """All values of each header, by its name in lower case, joined as in RFC 9110, 5.2."""
        values: dict[str, list[str]] = {}
        for name, value in self.headers:
            values.setdefault(name.lower(), []).append(value)
        return {name: ", ".join(several) for name, several in values.items()}

    def split(self) -> tuple[WholeResponse, WholeCopy]:
        return self, WholeCopy(self.body)

    def copy(self) -> WholeCopy:
        return WholeCopy(self.body)

    async def drop(self) -> None:
        """Do nothing: the body is in memory."""


@dataclass(frozen=True)
class WholeCopy:
    """The BodyCopy of a WholeResponse."""

    body: Body | None

    async def read(self, limit_bytes: int, whole_bytes: int | None = None) -> Body | None:  # noqa: ARG002 - it is all there
        body = self.body or EMPTY_BODY
        return None if body.size_bytes > limit_bytes else body


T = TypeVar("T")

_END_MS = 5_000
"""The time in which code that was given up may end."""


class TimedPages:
    """Gives up on a page handler that has not begun to answer after `timeout_ms`; its body may take longer.

    The handler runs in a task of its own: one that waits in place (`time.sleep`, which switches stacks) notices only after a
    while that it was cancelled. The request does not end before, or the stack it waits on would never be left.
    """

    def __init__(self, pages: PageHandler, name: str, timeout_ms: int, background: Background) -> None:
        self._pages = pages
        self._name = name
        self._timeout_ms = timeout_ms
        self._background = background

    async def answer(self, request: PageRequest) -> PageResponse:
        return await self._within(self._pages.answer(request))

    async def render(self, request: RenderRequest) -> PageResponse:
        return await self._within(self._pages.render(request))

    async def _within(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait([task], timeout=self._timeout_ms / 1000)
        finally:
            if not task.done():
                task.add_done_callback(_drop)
                task.cancel()
                self._background.run(asyncio.wait([task]), f"{self._name}, given up", _END_MS)
        if not done:
            raise PageError(f"{self._name} did not begin to answer within {self._timeout_ms} ms")
        return task.result()


def _drop(task: asyncio.Task[Any]) -> None:
    """Take the late result, which nobody waits for; asyncio complains of an error that nobody takes."""
    if not task.cancelled():
        task.exception()


class FailedPages:
    """Replaces a page handler that cannot be used: every request fails, and the error says why."""

    def __init__(self, failure: str) -> None:
        self._failure = failure

    async def answer(self, request: PageRequest) -> PageResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)

    async def render(self, request: RenderRequest) -> PageResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)
