"""What has become dearer or cheaper since the figures that were committed last.

Milliseconds of two runs say little, so this compares each share of a peer's cost, which both runs measured in turns.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.cases import ALONE, PEERS
from benchmarks.rounds import pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.rounds import Series

# The peer whose pages this Worker serves comes first.
_AGAINST = (PEERS[1], PEERS[0], *ALONE)


@dataclass(frozen=True)
class Change:
    """The cost of a case as a share of a peer's, round by round, then and now."""

    case: str
    contender: str
    against: str
    before: list[float]
    now: list[float]

    @property
    def verdict(self) -> str:
        """`dearer` or `cheaper` where the middle halves of the rounds do not overlap, else nothing."""
        (was_low, was_high), (low, high) = pairs(self.before), pairs(self.now)
        return "dearer" if low > was_high else "cheaper" if high < was_low else ""

    def row(self) -> tuple[str, str, str, str, str, str]:
        """The cells of a table."""
        return (self.case, self.contender, self.against, _spread(self.before), _spread(self.now), self.verdict)


HEADINGS = ("case", "contender", "against", "before", "now", "")


def changes(found: Sequence[Series], last: Mapping[str, Any]) -> list[Change]:
    """Compare a run with the figures of another, as `benchmarks.report.document` writes them."""
    now = {(series.case, series.contender): series.cpu_ms for series in found}
    before = {(series["case"], series["contender"]): series["cpu_ms"] for series in last["series"]}
    both = now.keys() & before.keys()
    compared = []
    for case, contender in now:
        against = next((peer for peer in _AGAINST if (case, peer) in both), None)
        if contender.startswith("ours") and (case, contender) in both and against is not None:
            of_both = (_shares(of[case, contender], of[case, against]) for of in (before, now))
            compared.append(Change(case, contender, against, *of_both))
    return compared


def _shares(one: list[float], other: list[float]) -> list[float]:
    return [mine / theirs for mine, theirs in zip(one, other, strict=True)]


def _spread(shares: list[float]) -> str:
    low, high = pairs(shares)
    return f"{statistics.median(shares):.2f} ({low:.2f} to {high:.2f})"
