"""A KV namespace in memory that behaves as miniflare's does: limits, errors, expiry, metadata and paging.

On demand, also as Cloudflare's does: it takes one write a second for a key, and each location sees writes up to a minute late.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.kv_namespace import KVListedKey, KVListPage, KVWhole, read_beside
from core.body import BytesBody
from core.javascript import json_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from cache.kv_namespace import KVValue
    from core.body import Body
    from core.runtime import Clock

_MAX_KEY_BYTES = 512
_MAX_VALUE_BYTES = 25 * 1024 * 1024
_MAX_METADATA_BYTES = 1024
_MAX_LISTED = 1000
_MAX_BULK = 100
_MIN_TTL = 60
_WRITE_EVERY_MS = 1000
_COLO_KEEPS_MS = 60_000


class KVError(Exception):
    """What the binding throws, with its message."""


@dataclass
class Stored:
    value: bytes
    expiration: int | None = None
    metadata: Mapping[str, object] | None = None


@dataclass
class InMemoryKV:
    """`before` runs before each operation, with its name and key, and may wait or raise."""

    clock: Clock
    one_write_a_second: bool = False
    page_size: int = _MAX_LISTED
    before: Callable[[str, str], Awaitable[None]] | None = None
    stored: dict[str, Stored] = field(default_factory=dict)
    operations: list[tuple[str, str]] = field(default_factory=list)
    written_ms: dict[str, int] = field(default_factory=dict)

    async def get(self, key: str, *, streamed: bool = False) -> KVWhole | None:
        del streamed
        await self._begin("get", key)
        _check_key("GET", key)
        found = self._live(key)
        if found is None:
            return None
        return KVWhole(None if found.metadata is None else json_text(found.metadata), BytesBody(found.value))

    async def get_beside(
        self, key: str, texts: Sequence[str], *, streamed: bool = False
    ) -> tuple[KVValue | None, Mapping[str, str | None]]:
        return await read_beside(self, key, texts, streamed=streamed)

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        await self._begin("get_texts", ",".join(keys))
        if len(keys) > _MAX_BULK:
            raise KVError(f"KV GET_BULK failed: 400 You can request a maximum of {_MAX_BULK} keys")
        if not keys:
            raise KVError("KV GET_BULK failed: 400 You must request a minimum of 1 key")
        for key in keys:
            _check_key("GET_BULK", key)
        live = {key: self._live(key) for key in keys}
        return {key: None if found is None else found.value.decode("utf-8", "replace") for key, found in live.items()}

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        await self._begin("put", key)
        _check_key("PUT", key)
        if expiration_ttl is not None and expiration_ttl < _MIN_TTL:
            raise KVError(
                f"KV PUT failed: 400 Invalid expiration_ttl of {expiration_ttl}. Expiration TTL must be at least {_MIN_TTL}."
            )
        size = 0 if metadata is None else len(metadata.encode())
        if size > _MAX_METADATA_BYTES:
            raise KVError(f"KV PUT failed: 413 Metadata length of {size} exceeds limit of {_MAX_METADATA_BYTES}.")
        data = joined_bytes(value)
        if len(data) > _MAX_VALUE_BYTES:
            raise KVError(f"KV PUT failed: 413 Value length of {len(data)} exceeds limit of {_MAX_VALUE_BYTES}.")
        if self.one_write_a_second:
            self._count_write("PUT", key)
        expiration = None if expiration_ttl is None else self.clock() // 1000 + expiration_ttl
        self.stored[key] = Stored(data, expiration, None if metadata is None else json.loads(metadata))

    def _count_write(self, method: str, key: str) -> None:
        if self._is_too_soon(key):
            raise KVError(f"KV {method} failed: 429 Too Many Requests")

    def _is_too_soon(self, key: str) -> bool:
        """Return whether this write is within a second of the last one, and note it if not."""
        now_ms = self.clock()
        if now_ms - self.written_ms.get(key, 0) < _WRITE_EVERY_MS:
            return True
        self.written_ms[key] = now_ms
        return False

    async def delete(self, key: str) -> None:
        await self._begin("delete", key)
        _check_key("DELETE", key)
        if self.one_write_a_second:
            self._count_write("DELETE", key)
        self.stored.pop(key, None)

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        await self._begin("list", prefix)
        after = b"" if cursor is None else base64.b64decode(cursor)
        names = sorted((name for name in self.stored if self._live(name) is not None), key=str.encode)
        rest = [name for name in names if name.startswith(prefix) and name.encode() > after]
        page = rest[: min(limit or self.page_size, self.page_size)]
        keys = tuple(KVListedKey(name, self.stored[name].metadata, self.stored[name].expiration) for name in page)
        return KVListPage(keys, base64.b64encode(page[-1].encode()).decode() if len(rest) > len(page) else None)

    def texts(self) -> dict[str, str]:
        return {name: found.value.decode() for name, found in self.stored.items()}

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.operations)

    async def _begin(self, operation: str, key: str) -> None:
        self.operations.append((operation, key))
        if self.before is not None:
            await self.before(operation, key)

    def _live(self, key: str) -> Stored | None:
        found = self.stored.get(key)
        if found is not None and found.expiration is not None and found.expiration * 1000 <= self.clock():
            return None
        return found


@dataclass
class Colo:
    """A namespace as one location sees it: a value that was read there, or its absence, is kept for a minute, or `keep_ms`."""

    namespace: InMemoryKV
    keep_ms: Callable[[], float] = lambda: _COLO_KEEPS_MS
    kept: dict[str, tuple[float, KVWhole | None]] = field(default_factory=dict)

    async def get(self, key: str, *, streamed: bool = False) -> KVWhole | None:
        now_ms = self.namespace.clock()
        until_ms, value = self.kept.get(key, (-math.inf, None))
        if now_ms >= until_ms:
            value = await self.namespace.get(key, streamed=streamed)
            self.kept[key] = (now_ms + self.keep_ms(), value)
        return value

    async def get_beside(
        self, key: str, texts: Sequence[str], *, streamed: bool = False
    ) -> tuple[KVValue | None, Mapping[str, str | None]]:
        return await read_beside(self, key, texts, streamed=streamed)

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        found = {key: await self.get(key) for key in keys}
        return {key: None if value is None else value.buffer.to_bytes().decode() for key, value in found.items()}

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        await self.namespace.put(key, value, expiration_ttl=expiration_ttl, metadata=metadata)

    async def delete(self, key: str) -> None:
        await self.namespace.delete(key)

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        return await self.namespace.list(prefix, cursor, limit)


def _check_key(method: str, key: str) -> None:
    if key == "":
        raise KVError("Key name cannot be empty.")
    if key in {".", ".."}:
        raise KVError(f'"{key}" is not allowed as a key name.')
    size = len(key.encode())
    if size > _MAX_KEY_BYTES:
        raise KVError(f"KV {method} failed: 414 UTF-8 encoded length of {size} exceeds key length limit of {_MAX_KEY_BYTES}.")


def joined_bytes(value: str | bytes | Sequence[bytes | Body]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    return b"".join(part if isinstance(part, bytes) else part.to_bytes() for part in value)
