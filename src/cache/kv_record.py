"""What is written to KV for an entry: by the handler inside a Worker, and by whoever fills a namespace from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.codec import size_bytes
from cache.errors import InvalidArgumentError, ValueTooLargeError
from cache.frozen import frozen
from cache.javascript import json_text
from cache.kv_store import MAX_METADATA_BYTES, MAX_VALUE_BYTES
from cache.values import size_bytes as value_size_bytes

if TYPE_CHECKING:
    from cache.body import Body
    from cache.codec import Codec
    from cache.entry import CacheEntry
    from cache.kv_ttl import TTLPolicy


@frozen
class KVRecord:
    """A value in parts, how many seconds KV keeps it (None: for ever), and the JSON of its metadata, None for too large ones."""

    parts: tuple[bytes | Body, ...]
    expiration_ttl: int | None
    metadata: str | None


def kv_record(entry: CacheEntry, codec: Codec, ttl: TTLPolicy) -> KVRecord:
    """Encode an entry; raises ValueTooLargeError, and InvalidArgumentError for a field that JSON cannot hold."""
    size = value_size_bytes(entry.value)
    if size > MAX_VALUE_BYTES:
        raise ValueTooLargeError(size, MAX_VALUE_BYTES)
    try:
        apart = codec.write_apart(entry, MAX_METADATA_BYTES)
        if apart is not None:
            head, body = apart
            return KVRecord((body,), ttl.seconds(entry), head)
        parts = codec.write(entry)
    except (TypeError, RecursionError) as error:
        raise InvalidArgumentError("value", entry.value, f"fields that JSON can hold ({error})") from error
    size = size_bytes(parts)
    if size > MAX_VALUE_BYTES:
        raise ValueTooLargeError(size, MAX_VALUE_BYTES)
    metadata = json_text({"tags": entry.tags})
    fits = len(metadata.encode()) <= MAX_METADATA_BYTES
    return KVRecord(parts, ttl.seconds(entry), metadata if fits else None)
