"""Where entries are kept: in KV, in an R2 bucket, or in both.

A bucket is used as a KV namespace is (`cache.kv_namespace`), so entries, markers and leases are the same in each. R2 shows every
write everywhere at once, takes objects of up to 5 GiB in one request, and keeps them until somebody deletes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.kv_namespace import KV_LIMITS, MAX_METADATA_BYTES, StoreLimits
from cache.stored import size_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.kv_namespace import KVNamespace, KVValue
    from core.body import Body

# R2 takes 8,192 bytes of metadata (https://developers.cloudflare.com/r2/platform/limits/), `wrangler dev` 2,048 of them.
R2_LIMITS = StoreLimits(value_bytes=5 * 1024**3 - 5 * 1024**2, metadata_bytes=2000)

METADATA_NAME = "vinext"
"""The name of the custom metadata of an object that holds what KV has as metadata."""

UPLOAD_PART_BYTES = 8 * 1024 * 1024
"""Of a body that is still arriving, so much is in memory at a time. R2 takes 5 MiB or more, 10,000 times."""

# What begins the metadata of a key whose value is in R2. The rest is the metadata of the value.
_IN_R2 = '{"r2":1'


class LostBodyError(Exception):
    """KV says that R2 has a value, and R2 has none."""


class KVWithR2:
    """A KV namespace that keeps values of more than `kv_bytes` in a bucket, under the same key (the protocol of KVNamespace).

    KV then has their metadata, for listings, and R2 has it too: a value and its metadata come from one object, so they belong
    together, however late KV learns of a new one.
    """

    def __init__(self, namespace: KVNamespace, bucket: KVNamespace, kv_bytes: int) -> None:
        self._namespace = namespace
        self._bucket = bucket
        self._kv_bytes = kv_bytes
        # Theirs as they are: they are called for each page.
        self.get_texts = namespace.get_texts
        self.list = namespace.list

    async def get(self, key: str, *, streamed: bool = False) -> KVValue | None:
        """Read a value; raises LostBodyError."""
        return await self._whole(key, await self._namespace.get(key, streamed=streamed), streamed=streamed)

    async def get_beside(
        self, key: str, texts: Sequence[str], *, streamed: bool = False
    ) -> tuple[KVValue | None, Mapping[str, str | None]]:
        """Read a value and texts; raises LostBodyError."""
        found, beside = await self._namespace.get_beside(key, texts, streamed=streamed)
        return await self._whole(key, found, streamed=streamed), beside

    async def _whole(self, key: str, found: KVValue | None, *, streamed: bool) -> KVValue | None:
        """Return what KV has under a key, or the object that it stands for."""
        if found is None or found.metadata is None or not found.metadata.startswith(_IN_R2):
            return found
        large = await self._bucket.get(key, streamed=streamed)
        if large is None:
            raise LostBodyError(f"R2 has no object {key}")
        return large

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        """Write a value: a large one to R2 first, so that KV never names an object that is not there yet."""
        if isinstance(value, str | bytes) or size_bytes(value) <= self._kv_bytes:
            await self._namespace.put(key, value, expiration_ttl=expiration_ttl, metadata=metadata)
            return
        await self._bucket.put(key, value, metadata=metadata)
        rest = "}" if metadata is None else f",{metadata[1:]}"
        await self._namespace.put(key, b"", expiration_ttl=expiration_ttl, metadata=_IN_R2 + rest)

    async def delete(self, key: str) -> None:
        """Delete a key in both."""
        await self._namespace.delete(key)
        await self._bucket.delete(key)


@dataclass(frozen=True)
class Store:
    """Where entries and markers are kept, and how large they may be there."""

    namespace: KVNamespace
    limits: StoreLimits
    whole_bytes: int | None = None
    """A body of more bytes than this may be stored while it is still arriving; None: no body may."""


def store_of(namespace: KVNamespace | None, bucket: KVNamespace | None, kv_bytes: int) -> Store | None:
    """Return the store of a Worker with these bindings: with both, entries of more than `kv_bytes` are in the bucket."""
    if bucket is None:
        return None if namespace is None else Store(namespace, KV_LIMITS)
    if namespace is None:
        return Store(bucket, R2_LIMITS, UPLOAD_PART_BYTES)
    limits = StoreLimits(R2_LIMITS.value_bytes, MAX_METADATA_BYTES - len(_IN_R2))
    kv_bytes = min(kv_bytes, KV_LIMITS.value_bytes)
    return Store(KVWithR2(namespace, bucket, kv_bytes), limits, max(kv_bytes, UPLOAD_PART_BYTES))
