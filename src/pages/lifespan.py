"""The lifespan of an ASGI app (https://asgi.readthedocs.io/en/latest/specs/lifespan.html), once an isolate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pages.asgi import ASGI_VERSION
from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cache.flight import SingleFlight
    from cache.ports import Log


class Lifespan:
    """Starts an app in the first request. It is never told to shut down: an isolate ends without a word.

    A start that failed is tried again by the next request.
    """

    def __init__(self, app: Callable[..., Any], name: str, flight: SingleFlight, log: Log) -> None:
        self._app = app
        self._name = name
        self._flight = flight
        self._log = log
        self._state: dict[str, Any] | None = None
        self._failure = ""
        self._task: asyncio.Future[None] | None = None

    async def state(self) -> Mapping[str, Any]:
        """What the app made when it started. Raises PageError where it failed to."""
        if self._state is None:
            await self._flight.run(f"start {self._name}", self._start)
        if self._state is None:
            raise PageError(f"{self._name} did not start: {self._failure}")
        return self._state

    async def _start(self) -> None:
        if self._state is not None:
            return
        startup = _Startup()
        self._task = asyncio.ensure_future(startup.run(self._app))
        self._failure = await startup.failure
        if startup.reason:
            self._log.event("debug", "asgi.no_lifespan", app=self._name, reason=startup.reason)
        if not self._failure:
            self._state = startup.state


class _Startup:
    """One start; `failure` is what the app said of it, "" where it did not fail."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.reason = ""
        self._has_begun = False

    async def run(self, app: Callable[..., Any]) -> None:
        try:
            await app({"type": "lifespan", "asgi": ASGI_VERSION, "state": self.state}, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - the protocol: such an app has no lifespan
            self.reason = f"{type(error).__name__}: {error}"
        self._say("")

    async def _receive(self) -> dict[str, str]:
        if self._has_begun:
            await asyncio.get_running_loop().create_future()  # until the isolate ends
        self._has_begun = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._say("")
        elif message["type"] == "lifespan.startup.failed":
            self._say(message.get("message") or "it said lifespan.startup.failed")

    def _say(self, failure: str) -> None:
        if not self.failure.done():
            self.failure.set_result(failure)
