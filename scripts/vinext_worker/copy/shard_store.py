from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Self

from seed.build import RouteRecord, shard_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class ShardStore:
    """Sorts the records of an index into shards, and keeps the shards' texts, on disk: memory does not grow with the site."""

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
        self._database.execute("CREATE TABLE shard (number INTEGER PRIMARY KEY, text BLOB)")
        self._database.execute("BEGIN")

    def add(self, path: str, record: RouteRecord) -> None:
        """Add the record of a path, or replace it."""
        row = (shard_of(path, self._shards), path.encode("utf-8", "surrogatepass"), json.dumps(record.to_document()))
        self._database.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", row)

    def records(self, number: int) -> Iterator[tuple[str, RouteRecord]]:
        """Yield the records of a shard, by path in order."""
        rows = self._database.execute("SELECT path, text FROM record WHERE shard = ? ORDER BY path", (number,))
        for path, text in rows:
            name = path.decode("utf-8", "surrogatepass")
            yield name, RouteRecord.from_document(json.loads(text), name)

    def finish(self, number: int, text: bytes) -> None:
        """Keep the text of a shard."""
        self._database.execute("INSERT INTO shard VALUES (?, ?)", (number, text))

    def texts(self) -> Iterator[bytes]:
        """Yield the text of each shard, in order."""
        for (text,) in self._database.execute("SELECT text FROM shard ORDER BY number"):
            yield text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()
