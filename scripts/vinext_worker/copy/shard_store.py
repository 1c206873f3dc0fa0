from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Self

from seed.build import RouteRecord, shard_of, shard_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator


class ShardStore:
    """Sorts the records of an index into shards, on disk, so that memory does not grow with the site."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        # An empty name stands for a temporary file, which SQLite removes itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("PRAGMA cache_size=-8192")
        self._database.execute(
            "CREATE TABLE record (shard INTEGER, path BLOB, text TEXT, PRIMARY KEY (shard, path)) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM record").fetchone()[0]
        return count

    def add(self, path: str, record: RouteRecord) -> None:
        """Add the record of a path, or replace it."""
        row = (shard_of(path, self._shards), path.encode("utf-8", "surrogatepass"), json.dumps(record.to_document()))
        self._database.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", row)

    def shards(self) -> Iterator[str]:
        """Yield the text of each shard, in order."""
        for number in range(self._shards):
            rows = self._database.execute("SELECT path, text FROM record WHERE shard = ? ORDER BY path", (number,))
            yield shard_to_json(
                {
                    (name := path.decode("utf-8", "surrogatepass")): RouteRecord.from_document(json.loads(text), name)
                    for path, text in rows
                }
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()
