"""Bodies in memory made small: the pages of a site have much in common, and text says little with many bytes.

Deflate (RFC 1951) with a dictionary: the first body of a kind stands for what all of them have in common. Compressing takes
about as long as a twentieth of a read from KV, decompressing half of that.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from cache.document import bodies_of, with_bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.body import Body
    from cache.entry import CacheEntry

_LEVEL = 3
_RAW = -zlib.MAX_WBITS
_DICTIONARY_BYTES = 32 * 1024
_LEAST_BYTES = 512
# Nothing else happens in an isolate meanwhile: a megabyte takes some milliseconds.
_MOST_BYTES = 1024 * 1024
_SAMPLE_BYTES = 4096
_WORTHWHILE = 0.75


class CompressedBody:
    """A Body whose bytes are made anew each time they are asked for; `held_bytes` are what it takes."""

    __slots__ = ("_data", "_dictionary", "size_bytes")

    def __init__(self, data: bytes, dictionary: bytes, size_bytes: int) -> None:
        self._data = data
        self._dictionary = dictionary
        self.size_bytes = size_bytes

    @property
    def held_bytes(self) -> int:
        return len(self._data)

    def to_bytes(self) -> bytes:
        return zlib.decompressobj(_RAW, self._dictionary).decompress(self._data)


class Compression:
    """Compresses the bodies of entries, each kind of body with a dictionary of its own."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Compressor] = {}

    def compress(self, entry: CacheEntry) -> tuple[CacheEntry, int]:
        """Give the entry with bodies that take less, and the bytes that saves; itself and 0 where it is not worth the while."""
        compressed: dict[str, Body] = {}
        saved_bytes = 0
        for name, body in bodies_of(entry).items():
            if _LEAST_BYTES <= body.size_bytes <= _MOST_BYTES and not isinstance(body, CompressedBody):
                made = self._made(name, body.to_bytes())
                if made is not None:
                    compressed[name] = made
                    saved_bytes += made.size_bytes - made.held_bytes
        return with_bodies(entry, compressed), saved_bytes

    def _made(self, name: str, data: bytes) -> CompressedBody | None:
        # Images and the like are told by their beginning.
        sample = data[:_SAMPLE_BYTES]
        if not _is_worthwhile(len(zlib.compress(sample, _LEVEL)), len(sample)):
            return None
        if name not in self._by_name:
            self._by_name[name] = _Compressor(data[:_DICTIONARY_BYTES])
        made = self._by_name[name].compressed(data)
        return made if _is_worthwhile(made.held_bytes, len(data)) else None


def decompress(entry: CacheEntry, body_of: Callable[[bytes], Body]) -> tuple[CacheEntry, int]:
    """Give the entry with its bodies as they were, made by `body_of`, and the bytes it takes more."""
    plain: dict[str, Body] = {}
    more_bytes = 0
    for name, body in bodies_of(entry).items():
        if isinstance(body, CompressedBody):
            plain[name] = body_of(body.to_bytes())
            more_bytes += body.size_bytes - body.held_bytes
    return with_bodies(entry, plain), more_bytes


class _Compressor:
    """Compresses with a dictionary. To read that takes as long as compressing a page, so it is read once."""

    def __init__(self, dictionary: bytes) -> None:
        self._dictionary = dictionary
        self._begun = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, zdict=dictionary)

    def compressed(self, data: bytes) -> CompressedBody:
        compressing = self._begun.copy()
        return CompressedBody(compressing.compress(data) + compressing.flush(), self._dictionary, len(data))


def _is_worthwhile(held_bytes: int, size_bytes: int) -> bool:
    return held_bytes <= size_bytes * _WORTHWHILE
