"""The memory that the sites of an isolate share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cache.compression import Compression
from core.body import BytesBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.body import Body

FREE_BYTES = 512 * 1024
"""So many bytes that sites take for themselves do not count."""

# The part of the memory that is kept for all sites alike.
_SHARE_OF_ALL = 1 / 4


class PoolMember(Protocol):
    """The entries of a site."""

    size_bytes: int

    def give_up_some(self) -> None:
        """Compress or drop the entry of least worth."""

    def close(self) -> None:
        """Give up all entries for ever."""


class MemoryPool:
    """At most `capacity_bytes` of all sites of an isolate together.

    If there is more, the site that was asked least lately gives up entries, and itself after the last one, unless it has no more
    than its equal part of a quarter of the memory. So no site, however many pages it has or makes up, takes that part from
    another one; the rest goes to those that use it. Choosing takes no look at every site.

    The sites compress by the same dictionaries: they show the same build.
    """

    def __init__(self, capacity_bytes: int, make_body: Callable[[bytes], Body] = BytesBody) -> None:
        self.compression = Compression(capacity_bytes, make_body)
        self.size_bytes = 0
        self._capacity_bytes = capacity_bytes
        self._own_bytes = 0
        # The sites that have anything, the one that was asked least lately first; apart from those that had no more than their
        # part when it was their turn.
        self._sites: dict[Share, None] = {}
        self._spared: dict[Share, None] = {}

    def share(self, own_bytes: int = 0, end: Callable[[], object] | None = None) -> Share:
        """Return the share of a new site, which takes `own_bytes` for itself. If it has to go, `end` is called."""
        share = Share(self, own_bytes, end)
        self._own_bytes += own_bytes
        self.change(share, 0, own_bytes)
        self.make_room()
        return share

    def leave(self, share: Share, own_bytes: int) -> None:
        """Count a site no more that has no entries."""
        self._own_bytes -= own_bytes
        self.change(share, own_bytes, 0)

    def used(self, share: Share) -> None:
        """Take note that a site is asked now."""
        if share in self._sites:
            del self._sites[share]
        elif share in self._spared:
            del self._spared[share]
        else:
            return
        self._sites[share] = None

    def change(self, share: Share, before: int, after: int) -> None:
        """Count what a site has come to take."""
        self.size_bytes += after - before
        if not after:
            self._sites.pop(share, None)
            self._spared.pop(share, None)
        elif not before:
            self._sites[share] = None

    def make_room(self) -> None:
        """Let sites give up entries until the rest is not too much."""
        while self.size_bytes > self._capacity_bytes + min(self._own_bytes, FREE_BYTES):
            self._next().give_up_some()

    def _next(self) -> Share:
        part = self._capacity_bytes * _SHARE_OF_ALL / (len(self._sites) + len(self._spared))
        while True:
            if not self._sites:  # a part was more when there were fewer sites
                self._sites, self._spared = self._spared, {}
            share = next(iter(self._sites))
            if share.size_bytes > part:
                return share
            del self._sites[share]
            self._spared[share] = None


class Share:
    """What a site has of a pool: some bytes for itself, and its entries."""

    __slots__ = ("_end", "_own_bytes", "_pool", "members", "size_bytes")

    def __init__(self, pool: MemoryPool, own_bytes: int, end: Callable[[], object] | None) -> None:
        self._pool = pool
        self._own_bytes = own_bytes
        self._end = end
        self.members: list[PoolMember] = []
        self.size_bytes = own_bytes

    @property
    def pool(self) -> MemoryPool:
        """The pool."""
        return self._pool

    def used(self) -> None:
        """Take note that the site is asked now."""
        self._pool.used(self)

    def change(self, size_bytes: int) -> None:
        """Count so many bytes of entries more."""
        before = self.size_bytes
        self.size_bytes = before + size_bytes
        self._pool.change(self, before, self.size_bytes)

    def give_up_some(self) -> None:
        """Let the entry of least worth be compressed or dropped. A site without entries ends."""
        if self.size_bytes > self._own_bytes:
            max(self.members, key=lambda member: member.size_bytes).give_up_some()
        else:
            for member in self.members:
                member.close()
            self._pool.leave(self, self._own_bytes)
            self.size_bytes = self._own_bytes = 0
            if self._end is not None:
                self._end()
