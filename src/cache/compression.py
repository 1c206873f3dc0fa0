"""Compression of bodies in memory: the pages of a site have much in common, and text is redundant.

Zstandard (RFC 8878) with a dictionary: the first body of a kind stands for the text that all of them share. Compressing takes
about a tenth of the time of a read from KV, decompressing a quarter of that.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from cache.document import bodies_of, with_bodies
from core.body import BytesBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.entry import CacheEntry
    from core.body import Body, Encoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 1

_MAX_DICTIONARY_BYTES = 32 * 1024
_MIN_DICTIONARY_BYTES = 8  # Zstandard's own minimum
# There are up to four dictionaries, which do not count towards the capacity.
_SHARE_OF_A_DICTIONARY = 1 / 64

_MIN_BYTES = 512
# The isolate does nothing else meanwhile: a megabyte takes some milliseconds.
_MAX_BYTES = 1024 * 1024

_LARGE_BYTES = 32 * 1024
_SAMPLE_BYTES = 4096
_WORTHWHILE = 0.75


class Compression:
    """A compressor of entries' bodies for a memory of `capacity_bytes`, with one dictionary for each kind of body.

    Bodies, compressed or not, are made by `make_body`: outside of Python's memory, which grows in steps and never shrinks.
    """

    def __init__(self, capacity_bytes: int, make_body: Callable[[bytes], Body] = BytesBody) -> None:
        self._make_body = make_body
        wanted = min(_MAX_DICTIONARY_BYTES, int(capacity_bytes * _SHARE_OF_A_DICTIONARY))
        self._dictionary_bytes = max(_MIN_DICTIONARY_BYTES, wanted)
        self._dictionaries: dict[str, zstd.ZstdDict] = {}

    def compress(self, entry: CacheEntry) -> tuple[CacheEntry, int]:
        """Return the entry with compressed bodies, and the bytes saved; the same entry and 0 where compression does not pay."""
        compressed: dict[str, Body] = {}
        saved_bytes = 0
        for name, body in bodies_of(entry).items():
            if _MIN_BYTES <= body.size_bytes <= _MAX_BYTES:
                made = self._made(name, body.to_bytes())
                if made is not None:
                    compressed[name] = made
                    saved_bytes += made.size_bytes - made.held_bytes
        return with_bodies(entry, compressed), saved_bytes

    def decompress(self, entry: CacheEntry) -> tuple[CacheEntry, int]:
        """Return the entry with its original bodies, and the bytes added."""
        plain: dict[str, Body] = {}
        more_bytes = 0
        for name, body in bodies_of(entry).items():
            if isinstance(body, CompressedBody):
                plain[name] = self._make_body(body.to_bytes())
                more_bytes += body.size_bytes - body.held_bytes
        return with_bodies(entry, plain), more_bytes

    def _made(self, name: str, data: bytes) -> CompressedBody | None:
        dictionary = self._dictionaries.get(name)
        if (dictionary is None or len(data) >= _LARGE_BYTES) and not _begins_redundant(data):
            return None
        if dictionary is None:
            dictionary = self._dictionaries[name] = zstd.ZstdDict(data[: self._dictionary_bytes], is_raw=True)
        frame = _compressor(dictionary).compress(data, zstd.ZstdCompressor.FLUSH_FRAME)
        return CompressedBody(self._make_body(frame), dictionary, len(data)) if _is_worthwhile(len(frame), len(data)) else None


class CompressedBody:
    """A Body that decompresses its bytes each time they are read; `held_bytes` is its compressed size."""

    __slots__ = ("_dictionary", "_frame", "size_bytes")

    def __init__(self, frame: Body, dictionary: zstd.ZstdDict, size_bytes: int) -> None:
        self._frame = frame
        self._dictionary = dictionary
        self.size_bytes = size_bytes

    @property
    def held_bytes(self) -> int:
        return self._frame.size_bytes

    def to_bytes(self) -> bytes:
        return zstd.decompress(self._frame.to_bytes(), self._dictionary)

    def json_string(self, encoding: Encoding) -> Body:
        return BytesBody(self.to_bytes()).json_string(encoding)


# Each compressor takes half a megabyte.
@lru_cache(4)
def _compressor(dictionary: zstd.ZstdDict) -> zstd.ZstdCompressor:
    return zstd.ZstdCompressor(_LEVEL, zstd_dict=dictionary)


def _begins_redundant(data: bytes) -> bool:
    """Return whether the first bytes compress well. An image or the like is slow to compress, and no use as a dictionary."""
    sample = data[:_SAMPLE_BYTES]
    return _is_worthwhile(len(zstd.compress(sample, _LEVEL)), len(sample))


def _is_worthwhile(held_bytes: int, size_bytes: int) -> bool:
    return held_bytes <= size_bytes * _WORTHWHILE
