from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache.body import Buffer
    from cache.flight import SingleFlight
    from seed.source import Assets


class SharedAssets:
    """Assets of which each file is fetched once, however many requests want it at the same time.

    The pages of a shard are asked for together when an isolate starts under load.
    """

    def __init__(self, assets: Assets, flight: SingleFlight) -> None:
        self._assets = assets
        self._flight = flight

    async def get(self, path: str) -> Buffer | None:
        return await self._flight.run(f"file {path}", lambda: self._assets.get(path))
