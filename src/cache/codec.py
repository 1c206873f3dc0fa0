"""Stored values: which layout is written, and reading either."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from cache.errors import CorruptValueError
from cache.frozen import frozen
from cache.javascript import json_text
from cache.keys import KeySchema
from cache.layout_framed import FIRST_READ_BYTES, MAGIC, framed_head, is_framed, is_head, read_apart, read_framed, write_framed
from cache.layout_vinext import read_vinext, write_vinext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.body import Body, Buffer
    from cache.entry import CacheEntry
    from cache.kv_store import KVValue


class Layout(Enum):
    """How entries are stored: as vinext's JSON, or as a head and a raw body."""

    VINEXT = "vinext"
    FRAMED = "framed"


@frozen
class Codec:
    """Writes one layout and reads both, looking for the written one first."""

    layout: Layout
    schema: KeySchema

    def write(self, entry: CacheEntry) -> tuple[bytes | Body, ...]:
        """Give the parts of a value that has all of an entry, in order; raises what `json_text` does."""
        if self.layout is Layout.FRAMED:
            return write_framed(entry)
        return (write_vinext(entry, bounded=self.schema is KeySchema.V2),)

    def write_apart(self, entry: CacheEntry, most_bytes: int) -> tuple[str, Body] | None:
        """Give the head, which is kept as metadata of at most `most_bytes`, and the body, which is the value then.

        None where the value has all: in vinext's layout, and where there is no body or the head is larger. Raises what
        `json_text` does.
        """
        if self.layout is not Layout.FRAMED:
            return None
        document, body = framed_head(entry)
        if body is None:
            return None
        head = json_text(document)
        return (head, body) if len(head.encode()) <= most_bytes else None

    def read(self, buffer: Buffer) -> CacheEntry:
        """Read a stored value of either layout; raises CorruptValueError."""
        first_bytes = buffer.head(FIRST_READ_BYTES if self.layout is Layout.FRAMED else len(MAGIC))
        try:
            if not is_framed(first_bytes):
                return read_vinext(buffer)
            return read_framed(buffer, first_bytes if len(first_bytes) > len(MAGIC) else buffer.head(FIRST_READ_BYTES))
        except RecursionError as error:
            raise CorruptValueError("nested too deeply") from error

    async def read_value(self, value: KVValue) -> CacheEntry:
        """Read an entry of which the head may be the value's metadata; raises CorruptValueError."""
        if value.metadata is None or not is_head(value.metadata):
            return self.read(await value.whole())
        return read_apart(value.metadata, value.body)


def size_bytes(parts: Sequence[bytes | Body]) -> int:
    """How large a stored value is."""
    return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)
