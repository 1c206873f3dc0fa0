"""A stand-in for the SQL of Analytics Engine: SQLite, with what it does not have translated.

Source: https://developers.cloudflare.com/analytics/analytics-engine/sql-reference/.
"""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNT = 20

_COLUMNS = [
    "timestamp",
    "_sample_interval",
    "index1",
    *(f"blob{number}" for number in range(1, _COUNT + 1)),
    *(f"double{number}" for number in range(1, _COUNT + 1)),
]


class QueryError(Exception):
    """The query is refused."""


@dataclass(frozen=True)
class Point:
    """A data point; Analytics Engine keeps it for `sample_interval` like it."""

    blobs: Sequence[str]
    doubles: Sequence[float]
    age_seconds: float = 60
    sample_interval: int = 1


@dataclass
class AnalyticsSQL:
    """The datasets of an account."""

    datasets: dict[str, list[Point]] = field(default_factory=dict)
    now: float = field(default_factory=time.time)
    refusal: str = ""
    """Why every query is refused, if it is."""

    def answer(self, sql: str) -> dict[str, Any]:
        """Return the document of an answer. Raise QueryError."""
        if sql.startswith("SHOW TABLES"):
            return self._document([{"dataset": name, "type": "dataset"} for name in self.datasets])
        if self.refusal:
            raise QueryError(self.refusal)
        source = re.search(r"\bFROM (\w+)", sql)
        if source is None or source[1] not in self.datasets:
            raise QueryError("unable to find table")
        with sqlite3.connect(":memory:") as connection:
            connection.row_factory = sqlite3.Row
            connection.create_function("start_of", 2, _start_of)
            connection.create_aggregate("sumIf", 2, _SumIf)  # type: ignore[arg-type]
            connection.create_aggregate("quantile", 3, _Quantile)  # type: ignore[arg-type]
            connection.execute(f"CREATE TABLE {source[1]} ({', '.join(_COLUMNS)})")
            rows = [self._row(point) for point in self.datasets[source[1]]]
            connection.executemany(f"INSERT INTO {source[1]} VALUES ({', '.join('?' * len(_COLUMNS))})", rows)  # noqa: S608
            try:
                found = connection.execute(self._translated(sql)).fetchall()
            except sqlite3.Error as error:
                raise QueryError(str(error)) from error
        return self._document([dict(row) for row in found])

    def _row(self, point: Point) -> list[object]:
        blobs = [*point.blobs, *[""] * (_COUNT - len(point.blobs))]
        doubles = [*point.doubles, *[0.0] * (_COUNT - len(point.doubles))]
        return [self.now - point.age_seconds, point.sample_interval, "", *blobs, *doubles]

    def _translated(self, sql: str) -> str:
        sql = re.sub(r"toStartOfInterval\((\w+), INTERVAL '1' (\w+)\)", r"start_of(\1, '\2')", sql)
        sql = re.sub(r"NOW\(\) - INTERVAL '(\d+)' HOUR", lambda found: str(self.now - 3600 * int(found[1])), sql)
        return re.sub(r"quantileExactWeighted\(([\d.]+)\)\(", r"quantile(\1, ", sql)

    @staticmethod
    def _document(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"meta": [], "data": rows, "rows": len(rows), "rows_before_limit_at_least": len(rows)}


def _start_of(epoch_seconds: float, unit: str) -> str:
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return f"{moment:%Y-%m-%d %H:00:00}" if unit == "HOUR" else f"{moment:%Y-%m-%d 00:00:00}"


class _SumIf:
    def __init__(self) -> None:
        self._sum = 0.0

    def step(self, value: float, condition: int) -> None:
        self._sum += value if condition else 0

    def finalize(self) -> float:
        return self._sum


class _Quantile:
    def __init__(self) -> None:
        self._level = 0.0
        self._values: list[float] = []

    def step(self, level: float, value: float, weight: int) -> None:
        self._level = level
        self._values += [value] * weight

    def finalize(self) -> float:
        return sorted(self._values)[int(self._level * (len(self._values) - 1))]
