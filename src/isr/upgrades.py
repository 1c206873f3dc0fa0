"""WebSockets at the URLs of cached pages: only the page handler's answer shows whether it takes any there."""

from __future__ import annotations

from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING

from core.recent import Recent
from isr.lookup import has_credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.runtime import Runtime
    from isr.lookup import Lookup
    from pages.handler import PageResponse
    from pages.request import PageRequest

# A visitor who may not have a WebSocket must not keep it from others for long.
_REFUSED_MS = 1000


class Upgrades:
    """Lets the page handler answer the requests for WebSockets at a page's URL: one a second, and all once it has taken one."""

    def __init__(self, runtime: Runtime) -> None:
        self._flight = runtime.flight
        self._clock = runtime.clock

    @cached_property
    def _taken(self) -> Recent[str, None]:
        return Recent()

    @cached_property
    def _refused_until(self) -> Recent[str, int]:
        return Recent()

    async def answer(
        self, request: PageRequest, lookup: Lookup, ask: Callable[[PageRequest], Awaitable[PageResponse | None]]
    ) -> PageResponse | None:
        """Return the page handler's answer, None if it takes no WebSocket here, or gives none."""
        url = f"{request.origin} {lookup.keys[0]}"
        if url in self._taken:
            return await ask(request)
        # An app may take WebSockets from those alone who have signed in.
        visitors = f"{url} {has_credentials(request)}"
        if self._clock() < self._refused_until.get(visitors, 0):
            return None
        answers: list[PageResponse | None] = []

        async def first() -> bool:
            response = await ask(request)
            answers.append(response)
            is_taken = response is not None and response.status == HTTPStatus.SWITCHING_PROTOCOLS
            if is_taken:
                self._taken[url] = None
            else:
                self._refused_until[visitors] = self._clock() + _REFUSED_MS
            return is_taken

        is_taken = await self._flight.run(f"upgrade {visitors}", first)
        if answers:
            return answers[0]
        return await ask(request) if is_taken else None
