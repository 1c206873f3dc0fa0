"""An R2 bucket in memory, used as a KV namespace is: it has no time to live, other limits, and shows each write at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.kv import InMemoryKV, Stored, joined_bytes

from cache.kv_namespace import KVListedKey, KVListPage, KVWhole
from core.body import ArrivingBody, BytesBody
from core.javascript import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.body import Body

_MAX_KEY_BYTES = 1024
_MAX_METADATA_BYTES = 2048
_PART_BYTES = 40


class R2Error(Exception):
    """What the binding throws, with its message."""


class InMemoryR2(InMemoryKV):
    """`before` runs before each operation, with its name and key, and may wait or raise."""

    async def get(self, key: str, *, streamed: bool = False) -> KVWhole | None:
        del streamed
        await self._begin("get", key)
        found = self.stored.get(key)
        if found is None:
            return None
        return KVWhole(None if found.metadata is None else json_text(found.metadata), BytesBody(found.value))

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        await self._begin("get_texts", ",".join(keys))
        return {key: self.stored[key].value.decode("utf-8", "replace") if key in self.stored else None for key in keys}

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        del expiration_ttl
        await self._begin("put", key)
        if len(key.encode()) > _MAX_KEY_BYTES:
            raise R2Error("put: The specified object name is not valid. (10020)")
        if metadata is not None and len("vinext" + metadata) > _MAX_METADATA_BYTES:
            raise R2Error("put: Your metadata headers exceed the maximum allowed metadata size. (10012)")
        if self.one_write_a_second and self._is_too_soon(key):
            raise R2Error("put: Reduce your concurrent request rate for the same object. (10058)")
        if not isinstance(value, str | bytes) and isinstance(arriving := value[-1], ArrivingBody):
            parts = [part for part in value[:-1] if isinstance(part, bytes)]
            while (part := await arriving.part(_PART_BYTES)) is not None:
                parts.append(part)
            value = parts
        self.stored[key] = Stored(joined_bytes(value), None, None if metadata is None else json.loads(metadata))

    async def delete(self, key: str) -> None:
        await self._begin("delete", key)
        self.stored.pop(key, None)

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        await self._begin("list", prefix)
        names = sorted((name for name in self.stored if name.startswith(prefix)), key=str.encode)
        rest = [name for name in names if cursor is None or name.encode() > cursor.encode()]
        page = rest[: min(limit or self.page_size, self.page_size)]
        keys = tuple(KVListedKey(name, self.stored[name].metadata) for name in page)
        return KVListPage(keys, page[-1] if len(rest) > len(page) else None)
