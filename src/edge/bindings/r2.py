"""An R2 bucket, used as a KV namespace is (the protocol of `cache.kv_namespace`)."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import js
from js import Array, FixedLengthStream, Promise
from pyodide.ffi import jsnull, to_js

from cache.kv_namespace import KVListedKey, KVListPage, read_beside
from cache.r2 import METADATA_NAME, UPLOAD_PART_BYTES
from cache.stored import size_bytes
from core.errors import CorruptValueError
from edge.bodies import STREAMED_FROM_BYTES, JsArrivingBody, JsBuffer, JsStream, sent
from edge.promises import Deadline, bind, binder, js_object, results_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.kv_namespace import KVValue
    from core.body import Body, Buffer

# Of a thousand objects only this is brought into Python.
_LISTED = ["objects", "key", "customMetadata", METADATA_NAME, "truncated", "cursor"]

_SENT_AT_ONCE_BYTES = 1024 * 1024

# A Worker may have six connections waiting for their answer at a time.
_READS_AT_ONCE = 6

READ_TIMEOUT_MS = 5_000

# A Worker's background work ends 30 seconds after the answer. A write that is given up before that is logged.
WRITE_TIMEOUT_MS = 25_000


class R2Binding:
    """The raw binding. A call that takes too long raises TimeoutError.

    R2 drops nothing by itself: `expiration_ttl` has no effect, and a reader sees by an entry's own times when it has expired.
    """

    def __init__(self, binding: Any, *, read_timeout_ms: int = READ_TIMEOUT_MS, write_timeout_ms: int = WRITE_TIMEOUT_MS) -> None:
        self._binding = binding
        self._bind_get = binder(binding.get, binding)
        self._stringify = js.JSON.stringify
        self._reads = Deadline(read_timeout_ms, "R2 did not answer")
        self._writes = Deadline(write_timeout_ms, "R2 did not confirm the write")

    async def get(self, key: str, *, streamed: bool = False) -> _Object | None:
        found = await self._reads.value(self._bind_get(key))
        return None if found is jsnull else _Object(found, self._reads, streamed=streamed)

    async def get_beside(
        self, key: str, texts: Sequence[str], *, streamed: bool = False
    ) -> tuple[KVValue | None, Mapping[str, str | None]]:
        return await read_beside(self, key, texts, streamed=streamed)

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        texts: dict[str, str | None] = {}
        for start in range(0, len(keys), _READS_AT_ONCE):
            group = keys[start : start + _READS_AT_ONCE]
            texts.update(zip(group, await asyncio.gather(*map(self._text, group)), strict=True))
        return texts

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,  # noqa: ARG002 - see the class
        metadata: str | None = None,
    ) -> None:
        fields: dict[str, object] = {} if metadata is None else {"customMetadata": {METADATA_NAME: metadata}}
        options = js_object(fields)
        if not isinstance(value, str | bytes) and isinstance(arriving := value[-1], JsArrivingBody):
            first = [part for part in value[:-1] if isinstance(part, bytes)]
            arriving.begin_with(first)
            try:
                if arriving.expected_bytes is None:
                    await self._put_in_parts(key, arriving, options)
                else:
                    await self._put_as_it_comes(key, arriving, size_bytes(first) + arriving.expected_bytes, options)
            finally:
                await arriving.drop()
            return
        stored = to_js(value) if isinstance(value, str | bytes) else sent(value)
        await self._writes.done(bind(self._binding.put, self._binding, key, stored, options))

    async def _put_as_it_comes(self, key: str, body: JsArrivingBody, whole_bytes: int, options: Any) -> None:
        """Write a body of known size. If it has another, R2 keeps nothing."""
        stream = FixedLengthStream.new(whole_bytes)
        putting = results_of(bind(self._binding.put, self._binding, key, stream.readable, options))
        writer = stream.writable.getWriter()
        try:
            while (part := await body.part(_SENT_AT_ONCE_BYTES)) is not None:
                # If R2 fails, nobody reads what is written.
                taken = results_of(bind(writer.write, writer, part)).concat(putting)
                await self._writes.done(bind(Promise.race, Promise, taken))
            ended = results_of(bind(writer.close, writer)).concat(putting)
            await self._writes.done(bind(Promise.all, Promise, ended))
        except BaseException as error:
            ended = putting.concat(results_of(bind(writer.abort, writer, str(error))))
            # Nobody waits for it: while the stream is not read, it cannot end.
            results_of(bind(Promise.allSettled, Promise, ended))
            raise

    async def _put_in_parts(self, key: str, body: JsArrivingBody, options: Any) -> None:
        """Write a body of unknown size. If it does not come to its end, R2 keeps nothing, not even if nobody can clean up.

        R2 gives up a multipart upload that is not completed within a week.
        """
        upload = await self._writes.value(bind(self._binding.createMultipartUpload, self._binding, key, options))
        uploaded = Array.new()
        try:
            while (part := await body.part(UPLOAD_PART_BYTES)) is not None:
                sending = bind(upload.uploadPart, upload, uploaded.length + 1, part)
                uploaded.push(await self._writes.value(sending))
            await self._writes.done(bind(upload.complete, upload, uploaded))
        except BaseException:
            with suppress(Exception):
                await self._writes.done(bind(upload.abort, upload))
            raise

    async def delete(self, key: str) -> None:
        await self._writes.done(bind(self._binding.delete, self._binding, key))

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        options: dict[str, object] = {"prefix": prefix, "include": ["customMetadata"]}
        if cursor is not None:
            options["cursor"] = cursor
        if limit is not None:
            options["limit"] = limit
        listed = await self._reads.value(bind(self._binding.list, self._binding, js_object(options)))
        page = json.loads(self._stringify(listed, to_js(_LISTED)))
        return KVListPage(tuple(map(_listed, page["objects"])), page["cursor"] if page["truncated"] else None)

    async def _text(self, key: str) -> str | None:
        found = await self._reads.value(self._bind_get(key))
        return None if found is jsnull else str(await self._reads.value(bind(found.text, found)))


class _Object:
    """An object whose body is on its way (a KVValue)."""

    __slots__ = ("_is_streamed", "_object", "_reads", "metadata")

    def __init__(self, found: Any, reads: Deadline, *, streamed: bool) -> None:
        self.metadata: str | None = getattr(found.customMetadata, METADATA_NAME, None)
        self._object = found
        self._reads = reads
        self._is_streamed = streamed

    async def body(self, size_bytes: int | None) -> Body:
        actual_bytes: int = self._object.size
        if size_bytes is not None and actual_bytes != size_bytes:
            raise CorruptValueError(f"a body of {actual_bytes} bytes, where its head says {size_bytes}")
        if self._is_streamed and actual_bytes >= STREAMED_FROM_BYTES:
            return JsStream(self._object.body, actual_bytes)
        return await self.whole()

    async def whole(self) -> Buffer:
        return JsBuffer.of(await self._reads.value(bind(self._object.arrayBuffer, self._object)))


def _listed(found: Mapping[str, Any]) -> KVListedKey:
    metadata = (found.get("customMetadata") or {}).get(METADATA_NAME)
    return KVListedKey(found["key"], None if metadata is None else json.loads(metadata))
