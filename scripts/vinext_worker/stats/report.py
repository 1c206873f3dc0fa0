"""The figures of the last hours, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.text import Text

from isr.story import GROUPS, code_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from vinext_worker.terminal.output import Output

_SAYS = {code_of(reason): reason.value for reason in chain.from_iterable(GROUPS)}

_FROM_CACHE = ("hit", "stale")

_BAR_WIDTH = 20

# Eighths of a character.
_PARTS = ("", *map(chr, range(0x258F, 0x2587, -1)))


@dataclass(frozen=True)
class Period:
    """An hour or a day, and its requests by what became of them."""

    start: datetime
    outcomes: Mapping[str, int]

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.outcomes.values())

    @property
    def hit_rate(self) -> float | None:
        """The share of requests that were answered from the cache, from 0 to 1; None without any."""
        return _share(sum(self.outcomes.get(outcome, 0) for outcome in _FROM_CACHE), self.requests)


@dataclass(frozen=True)
class Report:
    """What the queries have found; the rows are as `queries` names them."""

    dataset: str
    hours: int
    periods: Sequence[Period]
    routes: Sequence[Mapping[str, Any]]
    passed_on: Sequence[Mapping[str, Any]]
    slowest: Sequence[Mapping[str, Any]]

    @property
    def total(self) -> Period:
        """All of it as one period."""
        outcomes: dict[str, int] = {}
        for period in self.periods:
            for outcome, requests in period.outcomes.items():
                outcomes[outcome] = outcomes.get(outcome, 0) + requests
        return Period(self.periods[0].start, outcomes)

    def show(self, output: Output) -> None:
        """Print it."""
        output.document(self._document())
        total, time = self.total, "hour" if self.hours == 1 else f"{self.hours} hours"
        if not total.requests:
            output.line(f"{self.dataset}: nobody has requested a page in the last {time}", "yellow")
            return
        output.line(
            f"{self.dataset}, the last {time}: {_count(total.requests)} requests, {_percent(total.hit_rate)} from the cache"
        )
        by_time = (
            (f"{each.start:%Y-%m-%d %H:%M}", _count(each.requests), _percent(each.hit_rate), bar(each.hit_rate))
            for each in self.periods
        )
        by_route = (
            (row["route"], _count(row["requests"]), _percent(_share(_whole(row["hits"]), _whole(row["requests"]))))
            for row in self.routes
        )
        passed_on = ((row["reason"], _count(row["requests"]), _SAYS.get(row["reason"], "")) for row in self.passed_on)
        slowest = ((row["path"], _count(row["requests"]), _ms(row["p95_ms"]), _ms(row["slowest_ms"])) for row in self.slowest)
        self._table(output, ("from (UTC)", "requests", "hits", ""), by_time)
        self._table(output, ("route", "requests", "hits"), by_route)
        self._table(output, ("passed on because", "requests", "which means"), passed_on)
        self._table(output, ("slowest misses", "requests", "95 % within", "slowest"), slowest)

    @staticmethod
    def _table(output: Output, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        cells = [[Text(text) for text in row] for row in rows]
        if cells:
            output.line("")
            output.table(columns, cells)

    def _document(self) -> dict[str, object]:
        return {
            "dataset": self.dataset,
            "hours": self.hours,
            "requests": self.total.requests,
            "hitRate": self.total.hit_rate,
            "periods": [
                {
                    "start": f"{one.start:%Y-%m-%dT%H:%M:%SZ}",
                    "requests": one.requests,
                    "hitRate": one.hit_rate,
                    "outcomes": dict(one.outcomes),
                }
                for one in self.periods
            ],
            "routes": [
                {
                    "route": row["route"],
                    "requests": _whole(row["requests"]),
                    "hitRate": _share(_whole(row["hits"]), _whole(row["requests"])),
                }
                for row in self.routes
            ],
            "passedOn": [{"reason": row["reason"], "requests": _whole(row["requests"])} for row in self.passed_on],
            "slowestMisses": [
                {
                    "path": row["path"],
                    "requests": _whole(row["requests"]),
                    "p95Ms": _whole(row["p95_ms"]),
                    "slowestMs": _whole(row["slowest_ms"]),
                }
                for row in self.slowest
            ],
        }


def periods(rows: Iterable[Mapping[str, Any]], now: datetime, hours: int, unit_hours: int) -> list[Period]:
    """Return the hours or days up to now, those without requests too. The rows have `start`, `outcome` and `requests`."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(str(row["start"])[:16], {})[str(row["outcome"])] = _whole(row["requests"])
    unit = timedelta(hours=unit_hours)
    start = (now - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
    if unit_hours > 1:
        start = start.replace(hour=0)
    starts = []
    while start <= now:
        starts.append(start)
        start += unit
    return [Period(each, found.get(f"{each:%Y-%m-%d %H:%M}", {})) for each in starts]


def bar(share: float | None) -> str:
    """Return a bar for a share from 0 to 1."""
    eighths = round((share or 0) * _BAR_WIDTH * 8)
    return _PARTS[8] * (eighths // 8) + _PARTS[eighths % 8]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _whole(value: object) -> int:
    # Analytics Engine writes large numbers as texts.
    return round(float(str(value)))


def _count(value: object) -> str:
    return f"{_whole(value):,}"


def _ms(value: object) -> str:
    return f"{_whole(value):,} ms"
