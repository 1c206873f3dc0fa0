"""A region in memory: copies for a minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakes.kv import joined_bytes

from cache.kv_namespace import KVWhole
from core.body import BytesBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.body import Body
    from core.runtime import Clock

KEEP_MS = 60_000


@dataclass
class InMemoryRegion:
    """`error` fails each call."""

    clock: Clock
    kept: dict[str, tuple[int, bytes, str | None]] = field(default_factory=dict)
    hits: int = 0
    error: Exception | None = None

    async def get(self, key: str, *, streamed: bool = False) -> KVWhole | None:
        del streamed
        if self.error is not None:
            raise self.error
        until_ms, value, metadata = self.kept.get(key, (0, b"", None))
        if self.clock() >= until_ms:
            return None
        self.hits += 1
        return KVWhole(metadata, BytesBody(value))

    async def put(self, key: str, value: Sequence[bytes | Body], metadata: str | None) -> None:
        if self.error is not None:
            raise self.error
        self.kept[key] = (self.clock() + KEEP_MS, joined_bytes(value), metadata)
