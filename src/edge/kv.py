"""A Workers KV binding, as `cache.kv` wants a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from js import Object
from pyodide.ffi import jsnull, to_js

from cache.kv_store import KVListedKey, KVListPage
from edge.buffer import JsBuffer, joined
from edge.deadline import Deadline
from edge.functions import bind, binder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.body import Body, Buffer


READ_TIMEOUT_MS = 5_000
WRITE_TIMEOUT_MS = 20_000
"""A Worker's background work ends 30 seconds after the answer: a write that is given up before that is logged."""


class KVBinding:
    """The raw binding: the SDK's wrapper copies every value into Python. What takes KV too long raises TimeoutError."""

    def __init__(self, binding: Any, *, read_timeout_ms: int = READ_TIMEOUT_MS, write_timeout_ms: int = WRITE_TIMEOUT_MS) -> None:
        self._binding = binding
        self._bind_get = binder(binding.get, binding)
        self._reads = Deadline(read_timeout_ms, "KV did not answer")
        self._writes = Deadline(write_timeout_ms, "KV did not confirm the write")

    async def get(self, key: str) -> Buffer | None:
        found = await self._reads.value(self._bind_get(key, "arrayBuffer"))
        return None if found is jsnull else JsBuffer.of(found)

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        found = await self._reads.value(self._bind_get(to_js(list(keys))))
        texts = {key: found.get(key) for key in keys}
        return {key: text if isinstance(text, str) else None for key, text in texts.items()}

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        stored = to_js(value) if isinstance(value, str | bytes) else joined(value)
        options: dict[str, object] = {}
        if expiration_ttl is not None:
            options["expirationTtl"] = expiration_ttl
        if metadata is not None:
            options["metadata"] = dict(metadata)
        await self._writes.done(bind(self._binding.put, self._binding, key, stored, _object(options)))

    async def delete(self, key: str) -> None:
        await self._writes.done(bind(self._binding.delete, self._binding, key))

    async def list(self, prefix: str, cursor: str | None = None) -> KVListPage:
        options: dict[str, object] = {"prefix": prefix}
        if cursor is not None:
            options["cursor"] = cursor
        page = (await self._reads.value(bind(self._binding.list, self._binding, _object(options)))).to_py()
        keys = tuple(KVListedKey(key["name"], key.get("metadata") or None, key.get("expiration")) for key in page["keys"])
        return KVListPage(keys, None if page["list_complete"] else page["cursor"])


def _object(options: Mapping[str, object]) -> Any:
    return to_js(options, dict_converter=Object.fromEntries)
