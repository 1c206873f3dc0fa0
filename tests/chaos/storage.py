"""Workers KV as an isolate sees it from its location, and the deployed files: late, limited, and with faults."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.chaos.faults import Kind
from tests.fakes.kv import Colo, KVError
from tests.fakes.region import InMemoryRegion

from cache.kv_namespace import KVWhole
from core.body import BytesBody
from core.javascript import json_text
from seed.build import AssetsError

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from tests.chaos.faults import Faults
    from tests.fakes.kv import InMemoryKV

    from cache.kv_namespace import KVListPage
    from core.body import Body
    from core.runtime import Clock

READ_SECONDS = 5
WRITE_SECONDS = 20
"""After which the Worker gives an operation up."""

REGION_SECONDS = 1

LAG_SECONDS = 60
"""How long a location may go on showing what it has read."""


class Location(Colo):
    """A namespace seen from one place, with faults. What was read here is shown again for up to `lag_seconds`."""

    def __init__(self, shared: InMemoryKV, faults: Faults, store: str = "kv", lag_seconds: float = LAG_SECONDS) -> None:
        super().__init__(shared, lambda: faults.source.uniform(0, lag_seconds * 1000))
        self._faults = faults
        self._store = store

    async def get(self, key: str, *, streamed: bool = False) -> KVWhole | None:
        kind = await self._strike("get", READ_SECONDS)
        value = await super().get(key, streamed=streamed)
        return self._corrupted(value) if kind is Kind.CORRUPTS else value

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        await self._strike("get", READ_SECONDS)
        values = {key: await super(Location, self).get(key) for key in keys}
        return {key: None if value is None else value.buffer.to_bytes().decode() for key, value in values.items()}

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        await self._strike("put", WRITE_SECONDS)
        await super().put(key, value, expiration_ttl=expiration_ttl, metadata=metadata)

    async def delete(self, key: str) -> None:
        await self._strike("put", WRITE_SECONDS)
        await super().delete(key)

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        await self._strike("list", READ_SECONDS)
        return await super().list(prefix, cursor, limit)

    async def _strike(self, operation: str, limit_seconds: float) -> Kind | None:
        await asyncio.sleep(0.001)
        self.namespace.operations.clear()
        kind = self._faults.draw(f"{self._store} {operation}")
        if kind is Kind.RAISES:
            raise KVError(f"{operation} failed: 500 as planned")
        if kind is Kind.HANGS:
            await asyncio.sleep(limit_seconds)
            raise TimeoutError(f"{operation} did not answer")
        if kind is Kind.DELAYS:
            await self._faults.delay(limit_seconds / 4)
        return kind

    def _corrupted(self, value: KVWhole | None) -> KVWhole | None:
        others = list(self.namespace.stored)
        other = self.namespace.stored[self._faults.source.choice(others)] if others else None
        metadata = None if other is None or other.metadata is None else json_text(other.metadata)
        return corrupted(value, None if other is None else KVWhole(metadata, BytesBody(other.value)), self._faults.source)


def corrupted(value: KVWhole | None, other: KVWhole | None, source: random.Random) -> KVWhole | None:
    """Return a value as it must not be; `other` is another key's."""
    content = b"" if value is None else value.buffer.to_bytes()
    match source.randrange(5):
        case 0:
            content = content[: source.randrange(len(content) + 1)]
        case 1:
            content = source.randbytes(len(content) // 2 + 1)  # of the same size, nobody could tell
        case 2 if other is not None:
            return other
        case 3:
            return None if value is None else KVWhole(None, value.buffer)
        case _:
            content = b"null"
    return None if value is None else KVWhole(value.metadata, BytesBody(content))


class DataCentre(InMemoryRegion):
    """The Cache API of the isolates of one place, with faults."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        super().__init__(clock)
        self._faults = faults

    async def get(self, key: str, *, streamed: bool = False) -> KVWhole | None:
        kind = await self._strike()
        value = await super().get(key, streamed=streamed)
        if kind is not Kind.CORRUPTS:
            return value
        others = [KVWhole(metadata, BytesBody(data)) for _, data, metadata in self.kept.values()]
        return corrupted(value, self._faults.source.choice(others) if others else None, self._faults.source)

    async def put(self, key: str, value: Sequence[bytes | Body], metadata: str | None) -> None:
        await self._strike()
        await super().put(key, value, metadata)

    async def _strike(self) -> Kind | None:
        await asyncio.sleep(0.001)
        kind = self._faults.draw("region")
        if kind is Kind.RAISES:
            raise KVError("the Cache API failed as planned")
        if kind is Kind.HANGS:
            await asyncio.sleep(REGION_SECONDS)
            raise TimeoutError("the Cache API did not answer")
        if kind is Kind.DELAYS:
            await self._faults.delay(REGION_SECONDS / 4)
        return kind


@dataclass
class Assets:
    """Deployed files that come late, not at all or as something else."""

    files: Mapping[str, bytes]
    faults: Faults

    async def get(self, path: str) -> BytesBody | None:
        await asyncio.sleep(0.001)
        kind = self.faults.draw("assets")
        if kind is Kind.RAISES:
            raise AssetsError("the assets failed as planned")
        if kind is Kind.HANGS:
            await asyncio.sleep(READ_SECONDS)
            raise AssetsError("the assets did not answer")
        if kind is Kind.DELAYS:
            await self.faults.delay(1)
        content = self.files.get(unquote(path))
        if content is not None and kind is Kind.CORRUPTS:
            content = self.faults.source.choice((content[: len(content) // 2], b"", b"null", b"<!doctype html>"))
        return None if content is None else BytesBody(content)
