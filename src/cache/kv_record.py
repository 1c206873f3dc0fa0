"""An entry as it is written to KV: by the handler inside a Worker, and by tools that fill a namespace from outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cache.entry import size_bytes as value_size_bytes
from cache.kv_namespace import KV_LIMITS, MIN_TTL_SECONDS
from cache.stored import size_bytes
from core.errors import InvalidArgumentError, ValueTooLargeError
from core.javascript import json_text

if TYPE_CHECKING:
    from cache.entry import CacheEntry
    from cache.kv_namespace import StoreLimits
    from cache.stored import Codec
    from core.body import Body

THIRTY_DAYS_SECONDS = 30 * 24 * 3600

_TIMES = 10


class TTLPolicy(StrEnum):
    """How long KV keeps an entry: 30 days, as in vinext, or ten times its period, as in vinext's older documentation."""

    THIRTY_DAYS = "30d"
    TEN_TIMES = "ten_times"

    def seconds(self, entry: CacheEntry) -> int | None:
        """Return the `expirationTtl` of an entry; None for one that is never stale, so that KV never drops it."""
        if entry.revalidate_at_ms is None:
            return None
        if self is TTLPolicy.THIRTY_DAYS or entry.revalidate_seconds is None:
            return THIRTY_DAYS_SECONDS
        return int(min(max(_TIMES * entry.revalidate_seconds, MIN_TTL_SECONDS), THIRTY_DAYS_SECONDS))


@dataclass(frozen=True)
class KVRecord:
    """A value in parts, the seconds that KV keeps it (None: for ever), and its metadata as JSON (None: too large)."""

    parts: tuple[bytes | Body, ...]
    expiration_ttl: int | None
    metadata: str | None


def kv_record(entry: CacheEntry, codec: Codec, ttl: TTLPolicy, name: str, limits: StoreLimits = KV_LIMITS) -> KVRecord:
    """Return the record of an entry under the key `name`.

    Raises ValueTooLargeError, and InvalidArgumentError for a field that JSON cannot hold.
    """
    size = value_size_bytes(entry.value)
    if size > limits.value_bytes:
        raise ValueTooLargeError(size, limits.value_bytes)
    try:
        apart = codec.write_apart(entry, limits.metadata_bytes, name)
        if apart is not None:
            head, body = apart
            return KVRecord((body,), ttl.seconds(entry), head)
        parts = codec.write(entry, name)
    except (TypeError, RecursionError) as error:
        raise InvalidArgumentError("value", entry.value, f"fields that JSON can hold ({error})") from error
    size = size_bytes(parts)
    if size > limits.value_bytes:
        raise ValueTooLargeError(size, limits.value_bytes)
    metadata = json_text({"tags": entry.tags})
    fits = len(metadata.encode()) <= limits.metadata_bytes
    return KVRecord(parts, ttl.seconds(entry), metadata if fits else None)
