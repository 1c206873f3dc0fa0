"""The KV namespace as the cache needs it, and its limits.

Source: https://developers.cloudflare.com/kv/platform/limits/ and the reference of the binding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cache.errors import CorruptValueError
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
    """A key of a listing; `expiration` is in epoch seconds, and of the metadata there are at least the `tags`."""

    name: str
    metadata: Mapping[str, object] | None = None
    expiration: int | None = None


@frozen
class KVListPage:
    """At most 1,000 keys in the order of their bytes; `cursor` leads to the next page, None where there is none."""

    keys: tuple[KVListedKey, ...]
    cursor: str | None = None


class KVValue(Protocol):
    """A value, which may still be on its way, and its metadata."""

    @property
    def metadata(self) -> str | None:
        """The metadata as JSON without spaces, None where there is none."""
        ...

    def body(self, size_bytes: int) -> Body:
        """Give the value as a body of that size; raises CorruptValueError where it is known to have another one."""
        ...

    async def whole(self) -> Buffer:
        """Give all of the value."""
        ...


class KVWhole:
    """A value that has been read as a whole (a KVValue)."""

    __slots__ = ("buffer", "metadata")

    def __init__(self, metadata: str | None, buffer: Buffer) -> None:
        self.metadata = metadata
        self.buffer = buffer

    def body(self, size_bytes: int) -> Body:
        """Give the value; raises CorruptValueError for another size."""
        if self.buffer.size_bytes != size_bytes:
            message = f"a body of {self.buffer.size_bytes} bytes, where its head says {size_bytes}"
            raise CorruptValueError(message)
        return self.buffer

    async def whole(self) -> Buffer:
        """Give the value."""
        return self.buffer


class KVNamespace(Protocol):
    """A namespace of Workers KV. Any failure is an exception of any kind."""

    async def get(self, key: str, *, streamed: bool = False) -> KVValue | None:
        """Read a value, None where there is none; `streamed`: its body can be sent, once, while it is still on its way."""
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
        metadata: str | None = None,
    ) -> None:
        """Write a value; a sequence is joined, without its bodies entering Python where they are elsewhere.

        `metadata` is JSON without spaces.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete a key, whether it is there or not."""
        ...

    async def list(self, prefix: str, cursor: str | None = None) -> KVListPage:
        """List the keys that begin with `prefix`, from `cursor` on."""
        ...
