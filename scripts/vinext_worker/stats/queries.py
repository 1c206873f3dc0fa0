"""The queries on the data points of a Worker (`isr.analytics`); `docs/operating.md` shows three of them.

Source: https://developers.cloudflare.com/analytics/analytics-engine/sql-reference/.
"""

from __future__ import annotations

from dataclasses import dataclass

from isr.analytics import BLOBS, DOUBLES

_COLUMNS = {
    **{name: f"blob{number}" for number, name in enumerate(BLOBS, 1)},
    **{name: f"double{number}" for number, name in enumerate(DOUBLES, 1)},
}

# Of how many requests a row is: Analytics Engine samples too.
_REQUESTS = f"_sample_interval * {_COLUMNS['requests']}"

_LIMIT = 20

LONGEST_BY_HOUR = 72
"""For longer times, there is a row for each day."""


@dataclass(frozen=True)
class Queries:
    """The queries on a dataset for the last hours."""

    dataset: str
    hours: int

    @property
    def unit_hours(self) -> int:
        """The hours that a row of `by_time` stands for."""
        return 1 if self.hours <= LONGEST_BY_HOUR else 24

    @property
    def by_time(self) -> str:
        """The requests of each hour or day by what became of them: `start`, `outcome`, `requests`."""
        unit = "HOUR" if self.unit_hours == 1 else "DAY"
        start = f"toStartOfInterval(timestamp, INTERVAL '1' {unit})"
        return (
            f"SELECT {start} AS start, {_COLUMNS['outcome']} AS outcome, SUM({_REQUESTS}) AS requests\n"
            f"FROM {self._source()}\nGROUP BY start, outcome ORDER BY start"
        )

    @property
    def by_route(self) -> str:
        """The routes with the most requests: `route`, `requests`, `hits`."""
        is_hit = f"{_COLUMNS['outcome']} IN ('hit', 'stale')"
        return (
            f"SELECT {_COLUMNS['route']} AS route, SUM({_REQUESTS}) AS requests,\n  sumIf({_REQUESTS}, {is_hit}) AS hits\n"
            f"FROM {self._source()}\nGROUP BY route ORDER BY requests DESC LIMIT {_LIMIT}"
        )

    @property
    def slowest_misses(self) -> str:
        """The slowest misses: `path`, `requests`, `p95_ms`, `slowest_ms`."""
        ms = _COLUMNS["ms"]
        return (
            f"SELECT {_COLUMNS['path']} AS path, SUM({_REQUESTS}) AS requests,\n"
            f"  quantileExactWeighted(0.95)({ms}, _sample_interval) AS p95_ms, MAX({ms}) AS slowest_ms\n"
            f"FROM {self._source('miss')}\nGROUP BY path ORDER BY p95_ms DESC LIMIT {_LIMIT}"
        )

    @property
    def passed_on(self) -> str:
        """Why requests were passed on: `reason`, `requests`."""
        return (
            f"SELECT {_COLUMNS['reason']} AS reason, SUM({_REQUESTS}) AS requests\n"
            f"FROM {self._source('passed_on')}\nGROUP BY reason ORDER BY requests DESC LIMIT {_LIMIT}"
        )

    def _source(self, outcome: str = "") -> str:
        only = f" AND {_COLUMNS['outcome']} = '{outcome}'" if outcome else ""
        return f"{self.dataset} WHERE timestamp > NOW() - INTERVAL '{self.hours}' HOUR{only}"
