"""The record of written entries: an interrupted run continues from it, and a later run sends only what has changed."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from vinext_worker.populate.populator import Parcel

# A value counts as expired a little before it expires.
_TTL_MARGIN_SECONDS = 3600


class Journal:
    """The parcels of one build that one target has, on disk.

    A parcel is added once the target has confirmed it. So if the process is killed, only the parcels that were in flight may
    have been written without being recorded. Raises UserError if the file cannot be used, for example by two runs at once.
    """

    def __init__(self, folder: Path, target: str, build_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        place = hashlib.sha256(target.encode()).hexdigest()[:16]
        self._file = folder / f"{place}-{hashlib.sha256(build_id.encode()).hexdigest()[:16]}.sqlite"
        self._others = [file for file in folder.glob(f"{place}-*.sqlite") if file != self._file]
        with self._user_errors():
            self._database = sqlite3.connect(self._file, timeout=0.2, isolation_level=None)
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode=WAL")
            # A crash of the machine may lose the last rows; those entries are then written again.
            self._database.execute("PRAGMA synchronous=OFF")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS written (key BLOB PRIMARY KEY, digest BLOB, until INTEGER) WITHOUT ROWID"
            )
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def has(self, parcel: Parcel, now_seconds: float) -> bool:
        """Return whether this very parcel was written and has not expired."""
        row = self._database.execute(
            "SELECT digest, until FROM written WHERE key = ?", (_digest(parcel.key.encode()),)
        ).fetchone()
        if row is None or row[0] != parcel.digest:
            return False
        return row[1] is None or now_seconds < row[1]

    def add(self, parcels: Iterable[Parcel], now_seconds: float) -> None:
        """Record that parcels were written."""
        rows = [
            (
                _digest(parcel.key.encode()),
                parcel.digest,
                None if parcel.ttl_seconds is None else int(now_seconds + parcel.ttl_seconds - _TTL_MARGIN_SECONDS),
            )
            for parcel in parcels
        ]
        with self._user_errors():
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO written VALUES (?, ?, ?)", rows)
            self._database.execute("COMMIT")

    def forget(self) -> None:
        """Count nothing as written."""
        with self._user_errors():
            self._database.execute("DELETE FROM written")

    def drop_other_builds(self) -> None:
        """Remove the journals of the target's other builds."""
        for file in self._others:
            file.unlink(missing_ok=True)

    @contextmanager
    def _user_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UserError(f"{self._file} is in use: another run is populating; wait for it") from error
            raise UserError(f"{self._file} cannot be used ({error}); delete it and run this again") from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self._file} is damaged ({error}); delete it and run this again") from error


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
