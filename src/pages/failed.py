"""What stands for a page handler that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.handler import PageError

if TYPE_CHECKING:
    from pages.handler import PageResponse
    from pages.request import PageRequest, RenderRequest


class FailedPages:
    """Every request fails, saying why."""

    def __init__(self, failure: str) -> None:
        self._failure = failure

    async def answer(self, request: PageRequest) -> PageResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)

    async def render(self, request: RenderRequest) -> PageResponse:  # noqa: ARG002 - the protocol
        raise PageError(self._failure)
