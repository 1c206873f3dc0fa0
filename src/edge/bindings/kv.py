"""A Workers KV binding (the protocol of `cache.kv_namespace`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import js
from js import Response
from pyodide.ffi import jsnull, to_js

from cache.kv_namespace import KVListedKey, KVListPage, KVWhole
from cache.stored import size_bytes
from core.recent import Recent
from edge.bodies import STREAMED_FROM_BYTES, JsBuffer, JsStream, joined
from edge.promises import Deadline, bind, binder, js_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cache.kv_namespace import KVValue
    from core.body import Body, Buffer

# Of a thousand keys with their metadata only this is brought into Python.
_LISTED = ["keys", "name", "expiration", "metadata", "tags", "list_complete", "cursor"]

KV_BINDING = "VINEXT_CACHE"

READ_TIMEOUT_MS = 5_000

WRITE_TIMEOUT_MS = 20_000
"""A Worker's background work ends 30 seconds after the answer: a write that is given up before that is logged."""


class KVBinding:
    """The raw binding: the SDK's wrapper copies every value into Python. A call that takes too long raises TimeoutError."""

    def __init__(self, binding: Any, *, read_timeout_ms: int = READ_TIMEOUT_MS, write_timeout_ms: int = WRITE_TIMEOUT_MS) -> None:
        self._binding = binding
        self._bind_get = binder(binding.getWithMetadata, binding)
        self._bind_get_texts = binder(binding.get, binding)
        self._bind_put = binder(binding.put, binding)
        self._parse, self._stringify = js.JSON.parse, js.JSON.stringify
        self._reads = Deadline(read_timeout_ms, "KV did not answer")
        self._writes = Deadline(write_timeout_ms, "KV did not confirm the write")
        # The keys of small bodies, which may be read whole at once.
        self._small: Recent[str, None] = Recent()
        # Whether anybody reads streams, and so has a use for these keys: with memory in front hardly anybody does.
        self._is_streamed = False

    async def get(self, key: str, *, streamed: bool = False) -> KVValue | None:
        streamed = self._streams(key, streamed=streamed)
        stored = await self._reads.value(self._bind_get(key, "stream" if streamed else "arrayBuffer"))
        return self._found(key, stored, streamed=streamed)

    async def get_beside(
        self, key: str, texts: Sequence[str], *, streamed: bool = False
    ) -> tuple[KVValue | None, Mapping[str, str | None]]:
        streamed = self._streams(key, streamed=streamed)
        reads = self._bind_get(key, "stream" if streamed else "arrayBuffer"), self._bind_get_texts(to_js(list(texts)))
        stored, beside = await self._reads.values(*reads)
        return self._found(key, stored, streamed=streamed), _texts(texts, beside)

    def _streams(self, key: str, *, streamed: bool) -> bool:
        """Return whether a value is read as a stream, if the reader takes it so."""
        self._is_streamed = self._is_streamed or streamed
        return streamed and key not in self._small

    def _found(self, key: str, stored: Any, *, streamed: bool) -> KVValue | None:
        value, metadata = stored.value, stored.metadata
        if value is jsnull:
            return None
        text = None if metadata is jsnull else self._stringify(metadata)
        if not streamed:
            buffer = JsBuffer.of(value)
            if buffer.size_bytes >= STREAMED_FROM_BYTES:
                self._small.pop(key, None)
            return KVWhole(text, buffer)
        return KVStreamed(text, value, self._reads, lambda: self._small.__setitem__(key, None))

    def _note_size(self, key: str, size_bytes: int) -> None:
        """Remember whether the body under a key is small."""
        if size_bytes >= STREAMED_FROM_BYTES:
            self._small.pop(key, None)
        else:
            self._small[key] = None

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        return _texts(keys, await self._reads.value(self._bind_get_texts(to_js(list(keys)))))

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        if isinstance(value, str | bytes):
            stored = to_js(value)
        else:
            stored = joined(value)
            if self._is_streamed:
                self._note_size(key, size_bytes(value))
        options = {} if expiration_ttl is None else {"expirationTtl": expiration_ttl}
        text = json.dumps(options)
        if metadata is not None:
            text = f'{text[:-1]}{", " if options else ""}"metadata": {metadata}}}'
        await self._writes.done(self._bind_put(key, stored, self._parse(text)))

    async def delete(self, key: str) -> None:
        await self._writes.done(bind(self._binding.delete, self._binding, key))

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        options: dict[str, object] = {"prefix": prefix}
        if cursor is not None:
            options["cursor"] = cursor
        if limit is not None:
            options["limit"] = limit
        listed = await self._reads.value(bind(self._binding.list, self._binding, js_object(options)))
        page = json.loads(self._stringify(listed, to_js(_LISTED)))
        keys = tuple(KVListedKey(key["name"], key.get("metadata"), key.get("expiration")) for key in page["keys"])
        return KVListPage(keys, None if page["list_complete"] else page["cursor"])


def _texts(keys: Sequence[str], values: Any) -> Mapping[str, str | None]:
    """Return what is in a Map of texts and nulls."""
    texts = {key: values.get(key) for key in keys}
    return {key: text if isinstance(text, str) else None for key, text in texts.items()}


class KVStreamed:
    """A value that is still on its way (a KVValue). `is_small` is called if it turns out to be small."""

    __slots__ = ("_is_small", "_reads", "_stream", "metadata")

    def __init__(self, metadata: str | None, stream: Any, reads: Deadline, is_small: Callable[[], None] | None = None) -> None:
        self.metadata = metadata
        self._stream = stream
        self._reads = reads
        self._is_small = is_small

    async def body(self, size_bytes: int | None) -> Body:
        if size_bytes is not None and size_bytes >= STREAMED_FROM_BYTES:
            return JsStream(self._stream, size_bytes)
        if self._is_small is not None:
            self._is_small()
        return await KVWhole(self.metadata, await self.whole()).body(size_bytes)

    async def whole(self) -> Buffer:
        response = Response.new(self._stream)
        return JsBuffer.of(await self._reads.value(bind(response.arrayBuffer, response)))
