"""A Workers KV binding, as `cache.kv` wants a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import js
from js import Object, Promise
from pyodide.ffi import jsnull, to_js

from cache.kv_store import KVListedKey, KVListPage
from edge.buffer import JsBuffer, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.body import Body, Buffer


READ_TIMEOUT_MS = 5_000
WRITE_TIMEOUT_MS = 20_000
"""A Worker's background work ends 30 seconds after the answer: a write that is given up before that is logged."""


class KVBinding:
    """The raw binding: the SDK's wrapper copies every value into Python.

    Whatever takes KV too long raises TimeoutError. The timer is JavaScript's and goes with the request; one of
    Pyodide's event loop would stay until its time has come, cancelled or not.
    """

    def __init__(self, binding: Any, *, read_timeout_ms: int = READ_TIMEOUT_MS, write_timeout_ms: int = WRITE_TIMEOUT_MS) -> None:
        self._binding = binding
        self._read_timeout_ms = read_timeout_ms
        self._write_timeout_ms = write_timeout_ms
        # Looked up once: that takes longer than calling them.
        self._race = Promise.race
        self._wait = js.scheduler.wait

    async def get(self, key: str) -> Buffer | None:
        found = await self._read(self._binding.get(key, "arrayBuffer"))
        return None if found is jsnull else JsBuffer.of(found)

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        found = await self._read(self._binding.get(to_js(list(keys))))
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
        stored = value if isinstance(value, str) else await _stored(value)
        options: dict[str, object] = {}
        if expiration_ttl is not None:
            options["expirationTtl"] = expiration_ttl
        if metadata is not None:
            options["metadata"] = dict(metadata)
        await self._write(self._binding.put(key, stored, _object(options)))

    async def delete(self, key: str) -> None:
        await self._write(self._binding.delete(key))

    async def list(self, prefix: str, cursor: str | None = None) -> KVListPage:
        options: dict[str, object] = {"prefix": prefix}
        if cursor is not None:
            options["cursor"] = cursor
        page = (await self._read(self._binding.list(_object(options)))).to_py()
        keys = tuple(KVListedKey(key["name"], key.get("metadata") or None, key.get("expiration")) for key in page["keys"])
        return KVListPage(keys, None if page["list_complete"] else page["cursor"])

    async def _read(self, promise: Any) -> Any:
        """What a read gives, which is never undefined as the timer's value is."""
        found = await self._race(to_js([promise, self._wait(self._read_timeout_ms)]))
        if found is None:
            raise TimeoutError(f"KV did not answer within {self._read_timeout_ms} ms")
        return found

    async def _write(self, promise: Any) -> None:
        # In an array, which tells the value of a write, undefined too, from the timer's.
        done = Promise.all(to_js([promise]))
        if await self._race(to_js([done, self._wait(self._write_timeout_ms)])) is None:
            raise TimeoutError(f"KV did not confirm the write within {self._write_timeout_ms} ms")


async def _stored(value: bytes | Sequence[bytes | Body]) -> Any:
    return to_js(value) if isinstance(value, bytes) else await joined(value)


def _object(options: Mapping[str, object]) -> Any:
    return to_js(options, dict_converter=Object.fromEntries)
