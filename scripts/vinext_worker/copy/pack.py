"""Packs: files that hold the small bodies of many routes, so that a site of many routes has few files.

The routes of a pack are of one shard of the index. So a page that changes means one new pack and one new shard; the others
stay as they are, and wrangler does not upload them again.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from seed.build import Slice

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from seed.build import Artifact, RouteRecord

MAX_PACK_BYTES = 256 * 1024
"""The size of a pack. A page's first request in an isolate reads a whole one: the assets of a Worker ignore `Range`."""

MAX_PACKED_BYTES = MAX_PACK_BYTES // 2
"""The size up to which a body goes into a pack. So a page and its payload always share one."""

_NAME_CHARACTERS = 40


def content_name(content: bytes) -> str:
    """Return the name of a body, by which the Worker knows that it is the one that was built."""
    return hashlib.sha256(content).hexdigest()[:_NAME_CHARACTERS]


class Pack:
    """A pack that is being filled. `records` are the routes with a body in it, by path."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._records: dict[str, RouteRecord] = {}
        self._slices: dict[str, Slice] = {}

    def has_room(self, bodies: Collection[bytes]) -> bool:
        """Return whether a route's bodies fit."""
        return len(self.content) + sum(map(len, bodies)) <= MAX_PACK_BYTES

    def add(self, path: str, record: RouteRecord, bodies: Mapping[Artifact, bytes]) -> None:
        """Add a route with those of its bodies that are for a pack; the same content is there once."""
        slices = {}
        for artifact, body in bodies.items():
            name = record.artifacts[artifact]
            if name not in self._slices:
                self._slices[name] = Slice(len(self.content), len(body))
                self.content += body
            slices[artifact] = self._slices[name]
        self._records[path] = replace(record, slices=slices)

    @property
    def name(self) -> str:
        """The name, by the pack's content."""
        return content_name("".join(self._slices).encode())

    def records(self) -> dict[str, RouteRecord]:
        """Return the records of the routes, with their places in the pack."""
        return {path: replace(record, pack=self.name) for path, record in self._records.items()}
