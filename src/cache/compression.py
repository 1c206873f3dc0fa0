"""Bodies in memory made small: the pages of a site have much in common, and text says little with many bytes.

Deflate (RFC 1951) with a dictionary: the first body of a kind stands for what all of them have in common. Compressing takes
about as long as a twentieth of a read from KV, decompressing half of that.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

from cache.document import bodies_of, with_bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.body import Body
    from cache.entry import CacheEntry

_LEVEL = 3
_RAW = -zlib.MAX_WBITS
MOST_DICTIONARY_BYTES = 32 * 1024
"""As far back as Deflate looks."""
_LEAST_BYTES = 512
# Nothing else happens in an isolate meanwhile: a megabyte takes some milliseconds.
_MOST_BYTES = 1024 * 1024
_LARGE_BYTES = 32 * 1024
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
    """Compresses the bodies of entries, each kind of body with a dictionary of its own of at most `dictionary_bytes`."""

    def __init__(self, dictionary_bytes: int = MOST_DICTIONARY_BYTES) -> None:
        self._dictionary_bytes = dictionary_bytes
        self._dictionaries: dict[str, bytes] = {}

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
        dictionary = self._dictionaries.get(name)
        if (dictionary is None or len(data) >= _LARGE_BYTES) and not _begins_redundant(data):
            return None
        if dictionary is None:
            dictionary = self._dictionaries[name] = data[: self._dictionary_bytes]
        compressing = _begun(dictionary).copy()
        made = CompressedBody(compressing.compress(data) + compressing.flush(), dictionary, len(data))
        return made if _is_worthwhile(made.held_bytes, len(data)) else None


def decompress(entry: CacheEntry, make_body: Callable[[bytes], Body]) -> tuple[CacheEntry, int]:
    """Give the entry with its bodies as they were, made by `make_body`, and the bytes it takes more."""
    plain: dict[str, Body] = {}
    more_bytes = 0
    for name, body in bodies_of(entry).items():
        if isinstance(body, CompressedBody):
            plain[name] = make_body(body.to_bytes())
            more_bytes += body.size_bytes - body.held_bytes
    return with_bodies(entry, plain), more_bytes


# Each takes a quarter of a megabyte.
@lru_cache(4)
def _begun(dictionary: bytes) -> zlib._Compress:
    """Give what has read a dictionary, which takes as long as compressing a page does, to be copied."""
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, zdict=dictionary)


def _begins_redundant(data: bytes) -> bool:
    """Tell text from an image or the like, which would be no dictionary either, and takes long to compress in vain."""
    sample = data[:_SAMPLE_BYTES]
    return _is_worthwhile(len(zlib.compress(sample, _LEVEL)), len(sample))


def _is_worthwhile(held_bytes: int, size_bytes: int) -> bool:
    return held_bytes <= size_bytes * _WORTHWHILE
