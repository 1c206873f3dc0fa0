"""The KV namespace as the cache needs it, and its limits.

Source: https://developers.cloudflare.com/kv/platform/limits/ and the reference of the binding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cache.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.body import Body, Buffer

MAX_BULK_KEYS = 100
MAX_METADATA_BYTES = 1024
MAX_VALUE_BYTES = 25 * 1024 * 1024
MIN_TTL_SECONDS = 60


@frozen
class KVListedKey:
    """A key of a listing; `expiration` is in epoch seconds."""

    name: str
    metadata: Mapping[str, object] | None = None
    expiration: int | None = None


@frozen
class KVListPage:
    """At most 1,000 keys in the order of their bytes; `cursor` leads to the next page, None where there is none."""

    keys: tuple[KVListedKey, ...]
    cursor: str | None = None


class KVNamespace(Protocol):
    """A namespace of Workers KV. Any failure is an exception of any kind."""

    async def get(self, key: str) -> Buffer | None:
        """Read a whole value, None where there is none."""
        ...

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        """Read at most 100 keys in one call."""
        ...

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Write a value; a sequence is joined, without its bodies entering Python where they are elsewhere."""
        ...

    async def delete(self, key: str) -> None:
        """Delete a key, whether it is there or not."""
        ...

    async def list(self, prefix: str, cursor: str | None = None) -> KVListPage:
        """List the keys that begin with `prefix`, from `cursor` on."""
        ...
