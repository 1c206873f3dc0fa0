"""What is measured: who is asked for what, and what counts as a right answer."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from benchmarks.load import Request
from benchmarks.sites import MIX_PAGES, SIZES, VINEXT_0, VINEXT_1

if TYPE_CHECKING:
    from collections.abc import Sequence

VINEXT = (f"vinext {VINEXT_0}", f"vinext {VINEXT_1}")
MEMORY, FRAMED, LAYOUT, TIERED = "ours, memory", "ours, framed", "ours, vinext", "ours, tiered"
OURS = (MEMORY, FRAMED, LAYOUT, TIERED)

Kind = Literal["hit", "not modified", "stale", "miss", "mix", "render"]

_QUICK_PAGES = 600
_ZIPF_EXPONENT = 1.0


@dataclass(frozen=True)
class Case:
    """A series of requests.

    `requests` are asked for one after the other, again and again; for a miss `{}` in the path stands for a number
    that is new each time, for a stale page for one of a few. Each contender is asked `count` times a round, in `turns`
    parts, few where each has to be waited for; this Worker `times_more` as often where it takes so little beside the others that
    their number would measure nothing. It takes turns with the case `turns_with`, where a target compares the two: a machine may
    be half as fast again some minutes later.
    """

    name: str
    kind: Kind
    requests: tuple[Request, ...]
    contenders: tuple[str, ...]
    count: int
    is_quick: bool = False
    turns: int = 10
    times_more: int = 1
    turns_with: str = ""

    def beside(self, checkout: str) -> Case:
        """The same, with this Worker out of another checkout too."""
        others = tuple(f"{name} ({checkout})" for name in self.contenders if name.startswith("ours"))
        return replace(self, contenders=(*self.contenders, *others))

    def shortened(self) -> Case:
        """A third of the requests, in turns as long, and less of a site's pages, which have to be made first."""
        return replace(self, requests=self.requests[:_QUICK_PAGES], count=self.count // 3, turns=max(1, self.turns // 3))

    def order(self, number: int, contender: str) -> Sequence[int]:
        """The requests of a round, by their numbers; of a mix others in each round."""
        if self.kind != "mix":
            count = self.count if contender in VINEXT else self.count * self.times_more
            return [number % len(self.requests) for number in range(count)]
        # Zipf's law: the page of rank r is asked for in proportion to 1/r.
        weights = list(accumulate(1 / rank**_ZIPF_EXPONENT for rank in range(1, len(self.requests) + 1)))
        return random.Random(number).choices(range(len(self.requests)), cum_weights=weights, k=self.count)  # noqa: S311 - no secret


@dataclass(frozen=True)
class Target:
    """What one series may cost, as a share of another."""

    name: str
    case: str
    contender: str
    against_case: str
    against: str
    at_most: float


def _page(label: str, *, folder: str = "page", rsc: bool = False) -> tuple[Request, ...]:
    if not rsc:
        return (Request(f"/{folder}/{SIZES[label]}"),)
    return (Request(f"/{folder}/{SIZES[label]}.rsc", {"Accept": "text/x-component", "RSC": "1"}),)


CASES = (
    Case("HIT, 1 KB", "hit", _page("1 KB"), (VINEXT[0], *OURS), 1500),
    Case("HIT, 8 KB", "hit", _page("8 KB"), (*VINEXT, *OURS), 3000, is_quick=True),
    Case("HIT behind middleware, 8 KB", "hit", _page("8 KB", folder="ruled"), (VINEXT[1], *OURS), 1500, is_quick=True),
    Case("HIT, 100 KB", "hit", _page("100 KB"), (*VINEXT, *OURS), 800),
    Case("HIT, 470 KB", "hit", _page("470 KB"), (*VINEXT, *OURS), 400, is_quick=True, times_more=3),
    Case("HIT, 2 MB", "hit", _page("2 MB"), (*VINEXT, *OURS), 100),
    Case("HIT, 100 KB, not ASCII", "hit", _page("100 KB", folder="words"), (*VINEXT, *OURS), 600),
    Case("HIT, RSC of 8 KB", "hit", _page("8 KB", rsc=True), (*VINEXT, *OURS), 1000),
    Case(
        "304, 470 KB",
        "not modified",
        tuple(Request(request.path, {"If-None-Match": "*"}) for request in _page("470 KB")),
        OURS,
        1500,
    ),
    Case("HIT, 8 KB, by itself", "hit", _page("8 KB"), (FRAMED,), 1500, is_quick=True),
    Case("HIT, 470 KB, by itself", "hit", _page("470 KB"), (FRAMED,), 1200, is_quick=True, turns_with="HIT, 8 KB, by itself"),
    Case("STALE, 8 KB", "stale", (Request("/brief/{}"),), (*VINEXT, FRAMED, TIERED), 60, turns=1),
    Case("MISS, 8 KB", "miss", (Request("/page/{}"),), (*VINEXT, FRAMED, TIERED), 100, turns=2),
    Case(
        "never stale, 470 KB", "render", (Request("/static/large"),), (*VINEXT, FRAMED, TIERED), 100, is_quick=True, times_more=10
    ),
    Case(
        "mix of pages",
        "mix",
        tuple(Request(f"/mix/{number}") for number in range(MIX_PAGES)),
        (VINEXT[0], TIERED),
        4000,
        is_quick=True,
    ),
)


def in_turns(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases in groups of those that take turns, each where its first one stands."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.turns_with or case.name, []).append(case)
    return list(groups.values())


def targets() -> list[Target]:
    """The shares to keep below, of this kind of machine."""
    small, large, never, mix = "HIT, 8 KB", "HIT, 470 KB", "never stale, 470 KB", "mix of pages"
    ruled = "HIT behind middleware, 8 KB"
    return [
        Target("HIT from memory, 8 KB, against 0.0.38", small, MEMORY, small, VINEXT[0], 0.25),
        Target("HIT from memory, 8 KB, against 1.4.0", small, MEMORY, small, VINEXT[1], 0.33),
        Target("HIT from KV, framed, 8 KB, against 0.0.38", small, FRAMED, small, VINEXT[0], 0.65),
        Target("HIT from KV, framed, 8 KB, against 1.4.0", small, FRAMED, small, VINEXT[1], 0.85),
        Target("HIT behind middleware, from memory, 8 KB, against 1.4.0", ruled, MEMORY, ruled, VINEXT[1], 0.80),
        Target("HIT behind middleware, from KV, framed, 8 KB, against 1.4.0", ruled, FRAMED, ruled, VINEXT[1], 0.90),
        Target("HIT from KV, vinext layout, 8 KB, against 0.0.38", small, LAYOUT, small, VINEXT[0], 0.75),
        Target("HIT from KV, framed, 470 KB against 8 KB", f"{large}, by itself", FRAMED, f"{small}, by itself", FRAMED, 1.5),
        # As the Worker is by default: memory, and KV behind it.
        Target("never-stale 470 KB page, against 0.0.38", never, TIERED, never, VINEXT[0], 1 / 30),
        Target("tiered, Zipf mix, against 0.0.38", mix, TIERED, mix, VINEXT[0], 0.30),
    ]
