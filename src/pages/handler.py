"""The protocol of a page handler: a vinext Worker, a Python app, anything that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cache.errors import VinextWorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.body import Body
    from pages.request import PageRequest, RenderRequest


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
    def payload(self) -> Body | None:
        """The RSC payload of the page, where it was made with it."""

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
