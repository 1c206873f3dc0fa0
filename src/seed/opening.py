"""Finding the build in the assets, once for all requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seed.errors import SeedError
from seed.source import open_source

if TYPE_CHECKING:
    from cache.runtime import Runtime
    from seed.source import Assets, Source

RETRY_MS = 1000


class BuildOpener:
    """Opens the build when it is first asked for.

    That there is none is remembered. Where it cannot be told, because the assets fail or the
    manifest is unreadable, a later call tries again, a second later at the earliest.
    """

    def __init__(self, assets: Assets, runtime: Runtime) -> None:
        self._assets = assets
        self._flight = runtime.flight
        self._clock = runtime.clock
        self._log = runtime.log
        self._is_open = False
        self._source: Source | None = None
        self._again_at_ms = 0
        self._failure = ""

    async def open(self) -> Source | None:
        """The build, None where there is none. Raises SeedError; the reason was logged."""
        if not self._is_open:
            await self._flight.run("open build", self._try)
        if not self._is_open:
            raise SeedError(self._failure)
        return self._source

    async def _try(self) -> None:
        now_ms = self._clock()
        if self._is_open or now_ms < self._again_at_ms:
            return
        try:
            self._source = await open_source(self._assets, self._flight)
        except SeedError as error:
            self._again_at_ms = now_ms + RETRY_MS
            self._failure = str(error)
            self._log.event("error", "seed.failed", error=self._failure)
            return
        self._is_open = True
        if self._source is None:
            self._log.event("info", "seed.nothing", reason="no build below /__prerender/")
