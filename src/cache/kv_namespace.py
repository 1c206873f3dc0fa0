"""The KV namespace as the cache needs it, its limits, and the tags that a listing of it shows.

Source of the limits: https://developers.cloudflare.com/kv/platform/limits/ and the reference of the binding.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cache.keys import kv_entry_prefix
from cache.tags import encode_tag, is_tag_below, is_valid_tag
from core.body import MAX_BODY_BYTES
from core.errors import CorruptValueError
from core.paths import normalize_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from core.body import Body, Buffer

MAX_BULK_KEYS = 100
MAX_METADATA_BYTES = 1024
MAX_VALUE_BYTES = MAX_BODY_BYTES
MIN_TTL_SECONDS = 60


@dataclass(frozen=True)
class StoreLimits:
    """The largest value that a store takes, and the largest metadata of one."""

    value_bytes: int
    metadata_bytes: int


KV_LIMITS = StoreLimits(MAX_VALUE_BYTES, MAX_METADATA_BYTES)

# KV's words, and the number of R2's error (https://developers.cloudflare.com/r2/api/error-codes/).
_TOO_SOON = ("429 Too Many Requests", "(10058)")

# A Worker may have six connections waiting for their answer at a time.
_READS_AT_ONCE = 6


def is_too_soon(error: Exception) -> bool:
    """Return whether KV, or R2, has refused a write because the key was written less than a second ago, here or elsewhere."""
    return any(said in str(error) for said in _TOO_SOON)


class KVNamespace(Protocol):
    """A namespace of Workers KV, or a bucket of R2. A failure may be an exception of any kind."""

    async def get(self, key: str, *, streamed: bool = False) -> KVValue | None:
        """Read a value, None where there is none; `streamed`: its body can be sent on, once, while it is still on its way."""
        ...

    async def get_texts(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        """Read at most 100 keys in one call."""
        ...

    async def get_beside(
        self, key: str, texts: Sequence[str], *, streamed: bool = False
    ) -> tuple[KVValue | None, Mapping[str, str | None]]:
        """Read a value and, at the same time, at most 100 keys as `get_texts` does. It fails if either does."""
        ...

    async def put(
        self,
        key: str,
        value: str | bytes | Sequence[bytes | Body],
        *,
        expiration_ttl: int | None = None,
        metadata: str | None = None,
    ) -> None:
        """Write a value; a sequence is joined, and bodies outside of Python's memory stay outside. R2 takes an ArrivingBody, too.

        `metadata` is JSON without spaces.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete a key, whether it is there or not."""
        ...

    async def list(self, prefix: str, cursor: str | None = None, limit: int | None = None) -> KVListPage:
        """List the keys that begin with `prefix`, from `cursor` on: at most `limit`, if that is given."""
        ...


async def read_beside(
    namespace: KVNamespace, key: str, texts: Sequence[str], *, streamed: bool
) -> tuple[KVValue | None, Mapping[str, str | None]]:
    """Do as `get_beside` does, for a namespace that has no call for both."""
    found, beside = await asyncio.gather(namespace.get(key, streamed=streamed), namespace.get_texts(texts))
    return found, beside


@dataclass(frozen=True)
class KVListPage:
    """A page of at most 1,000 keys in the order of their bytes; `cursor` leads to the next page, None where there is none."""

    keys: tuple[KVListedKey, ...]
    cursor: str | None = None


@dataclass(frozen=True)
class KVListedKey:
    """A key of a listing; `expiration` is in epoch seconds, and `metadata` has at least the `tags`."""

    name: str
    metadata: Mapping[str, object] | None = None
    expiration: int | None = None


class KVValue(Protocol):
    """A value, which may still be on its way, and its metadata."""

    @property
    def metadata(self) -> str | None:
        """The metadata as JSON without spaces, None where there is none."""
        ...

    async def body(self, size_bytes: int | None) -> Body:
        """Return the value as a body of that size; raises CorruptValueError where it has another. None takes any size.

        A large value may be on its way still. If it turns out to have another size when it is sent, the answer breaks off.
        """
        ...

    async def whole(self) -> Buffer:
        """Return the whole value."""
        ...


class KVWhole:
    """A KVValue that has been read as a whole."""

    __slots__ = ("buffer", "metadata")

    def __init__(self, metadata: str | None, buffer: Buffer) -> None:
        self.metadata = metadata
        self.buffer = buffer

    async def body(self, size_bytes: int | None) -> Body:
        """Return the value; raises CorruptValueError for another size."""
        if size_bytes is not None and self.buffer.size_bytes != size_bytes:
            message = f"a body of {self.buffer.size_bytes} bytes, where its head says {size_bytes}"
            raise CorruptValueError(message)
        return self.buffer

    async def whole(self) -> Buffer:
        """Return the value."""
        return self.buffer


async def listed_tags(
    namespace: KVNamespace,
    app_prefix: str,
    prefix: str,
    known: frozenset[str],
    tags_of: Callable[[str], Awaitable[tuple[str, ...]]],
) -> tuple[str, ...]:
    """Return tags at or below the path `prefix`: one of each entry of an app that carries no known or earlier found tag.

    `tags_of` reads the tags of a stored entry whose metadata has none.
    """
    prefixes = [encode_tag(prefix), encode_tag(normalize_path(prefix))]
    collected = set(known)
    cursor: str | None = None
    while True:
        page = await namespace.list(kv_entry_prefix(app_prefix), cursor)
        unknown: list[str] = []
        for listed in page.keys:
            tags = _metadata_tags(listed)
            if tags is None:
                unknown.append(listed.name)
            else:
                _add_below(collected, tags, prefixes)
        for start in range(0, len(unknown), _READS_AT_ONCE):
            for tags in await asyncio.gather(*map(tags_of, unknown[start : start + _READS_AT_ONCE])):
                _add_below(collected, tags, prefixes)
        cursor = page.cursor
        if cursor is None:
            return tuple(collected - known)


def _metadata_tags(listed: KVListedKey) -> tuple[str, ...] | None:
    tags = listed.metadata.get("tags") if listed.metadata is not None else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else None


def _add_below(collected: set[str], tags: Iterable[str], prefixes: Iterable[str]) -> None:
    """Add one of an entry's tags at or below a prefix, which is enough, unless the entry carries a collected tag."""
    if collected.isdisjoint(tags):
        below = (tag for tag in tags if is_valid_tag(tag) and any(is_tag_below(encode_tag(tag), p) for p in prefixes))
        collected.update(tuple(below)[:1])
