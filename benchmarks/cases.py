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
OPENNEXT = ("OpenNext", "OpenNext, regional")
PEERS = (*VINEXT, *OPENNEXT)
MEMORY, FRAMED, LAYOUT, TIERED = "ours, memory", "ours, framed", "ours, vinext", "ours, tiered"
OURS = (MEMORY, FRAMED, LAYOUT, TIERED)
FRONT = "JavaScript in front"
"""The least that any Worker in front of the app does, without Python (`front.mjs`)."""
ALONE = ("FastAPI", "Starlette")
"""Python apps as Workers of their own, which render each page for each request."""
BEHIND_US = tuple(f"ours, {name}" for name in ALONE)
CACHED, LOOKED_UP, CALLS = "@cached, 200 hits", "dict, 200 look-ups", 200

Kind = Literal["hit", "not modified", "stale", "miss", "mix", "render", "not cached"]

_QUICK_PAGES = 600
_ZIPF_EXPONENT = 1.0


@dataclass(frozen=True)
class Case:
    """A series of requests.

    `requests` are asked for one after the other, again and again; for a miss and a stale page `{}` in the path stands for a
    number that is new each time, from `page_bytes` on: the size of the page. Each contender is asked `count` times a round, in
    `turns` parts, few where each has to be waited for; this Worker `times_more` as often where it takes so little beside the
    others that their number would measure nothing. It takes turns with the case `turns_with`, where a target compares the two: a
    machine may be half as fast again some minutes later.
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
    page_bytes: int = 9000

    def beside(self, checkout: str) -> Case:
        """The same, with this Worker out of another checkout too."""
        others = tuple(f"{name} ({checkout})" for name in self.contenders if name in OURS)
        return replace(self, contenders=(*self.contenders, *others))

    def shortened(self) -> Case:
        """A third of the requests, in turns as long, and less of a site's pages, which have to be made first."""
        return replace(self, requests=self.requests[:_QUICK_PAGES], count=self.count // 3, turns=max(1, self.turns // 3))

    def order(self, number: int, contender: str) -> Sequence[int]:
        """The requests of a round, by their numbers; of a mix others in each round."""
        if self.kind != "mix":
            count = self.count if contender in (*PEERS, *ALONE) else self.count * self.times_more
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
    Case("HIT, 8 KB", "hit", _page("8 KB"), (*PEERS, *OURS), 3000, is_quick=True),
    Case("HIT behind middleware, 8 KB", "hit", _page("8 KB", folder="ruled"), (*PEERS[1:], *OURS), 1500, is_quick=True),
    Case("HIT, 100 KB", "hit", _page("100 KB"), (*PEERS, *OURS), 800),
    Case("HIT, 470 KB", "hit", _page("470 KB"), (*PEERS, *OURS), 400, is_quick=True, times_more=3),
    Case("HIT, 2 MB", "hit", _page("2 MB"), (*PEERS[:3], *OURS), 100),
    Case("HIT, 100 KB, not ASCII", "hit", _page("100 KB", folder="words"), (*PEERS[:3], *OURS), 600),
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
    Case("STALE, 8 KB", "stale", (Request("/brief/{}"),), (*PEERS, FRAMED, TIERED), 60, turns=1),
    Case("MISS, 8 KB", "miss", (Request("/page/{}"),), (*PEERS, FRONT, FRAMED, TIERED), 100, turns=2),
    Case("MISS, 100 KB", "miss", (Request("/page/{}"),), (*VINEXT, FRONT, FRAMED, TIERED), 100, turns=2, page_bytes=102_400),
    Case(
        "never stale, 470 KB", "render", (Request("/static/large"),), (*PEERS, FRAMED, TIERED), 100, is_quick=True, times_more=10
    ),
    Case(
        "mix of pages",
        "mix",
        tuple(Request(f"/mix/{number}") for number in range(MIX_PAGES)),
        (VINEXT[0], OPENNEXT[0], TIERED),
        4000,
        is_quick=True,
    ),
    Case("FastAPI page, 8 KB", "hit", (Request("/page"),), (ALONE[0], BEHIND_US[0]), 300, times_more=5),
    Case("Starlette page, 8 KB", "hit", (Request("/page"),), (ALONE[1], BEHIND_US[1]), 300, times_more=5),
    Case(CACHED, "not cached", (Request(f"/cached/{CALLS}"),), BEHIND_US[1:], 200),
    Case(LOOKED_UP, "not cached", (Request(f"/dict/{CALLS}"),), BEHIND_US[1:], 200, turns_with=CACHED),
)


def in_turns(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases in groups of those that take turns, each where its first one stands."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.turns_with or case.name, []).append(case)
    return list(groups.values())


def chosen(cases: Sequence[Case], only: Sequence[str]) -> list[Case]:
    """The cases and contenders that `only` names, each by a part of its name, in either case of letters.

    A text that is in the name of a case chooses cases, any other one chooses contenders. Raises ValueError for a text that is in
    no name.
    """
    texts = [text.lower() for text in only]
    of_cases = [text for text in texts if any(text in case.name.lower() for case in cases)]
    of_contenders = [text for text in texts if text not in of_cases]
    for text in of_contenders:
        if not any(text in name.lower() for case in cases for name in case.contenders):
            raise ValueError(f"{text!r} is in the name of no case and of no contender")
    found = []
    for case in cases:
        if of_cases and not any(text in case.name.lower() for text in of_cases):
            continue
        names = [name for name in case.contenders if any(text in name.lower() for text in of_contenders or [""])]
        if names:
            found.append(replace(case, contenders=tuple(names)))
    return found


def targets() -> list[Target]:
    """The shares to keep below, of this kind of machine."""
    small, large, never, mix = "HIT, 8 KB", "HIT, 470 KB", "never stale, 470 KB", "mix of pages"
    ruled, fastapi, starlette = "HIT behind middleware, 8 KB", "FastAPI page, 8 KB", "Starlette page, 8 KB"
    return [
        Target("HIT from memory, 8 KB, against 0.0.38", small, MEMORY, small, VINEXT[0], 0.25),
        Target("HIT from memory, 8 KB, against 1.4.0", small, MEMORY, small, VINEXT[1], 0.40),
        Target("HIT from KV, framed, 8 KB, against 0.0.38", small, FRAMED, small, VINEXT[0], 0.60),
        Target("HIT from KV, framed, 8 KB, against 1.4.0", small, FRAMED, small, VINEXT[1], 0.85),
        Target("HIT behind middleware, from memory, 8 KB, against 1.4.0", ruled, MEMORY, ruled, VINEXT[1], 0.80),
        Target("HIT behind middleware, from KV, framed, 8 KB, against 1.4.0", ruled, FRAMED, ruled, VINEXT[1], 0.90),
        Target("HIT from KV, vinext layout, 8 KB, against 0.0.38", small, LAYOUT, small, VINEXT[0], 0.70),
        Target("HIT from KV, framed, 470 KB against 8 KB", f"{large}, by itself", FRAMED, f"{small}, by itself", FRAMED, 1.5),
        # As the Worker is by default: memory, and KV behind it.
        Target("never-stale 470 KB page, against 0.0.38", never, TIERED, never, VINEXT[0], 1 / 30),
        Target("tiered, Zipf mix, against 0.0.38", mix, TIERED, mix, VINEXT[0], 0.30),
        Target("HIT of a FastAPI page, against the app alone", fastapi, BEHIND_US[0], fastapi, ALONE[0], 0.2),
        Target("HIT of a Starlette page, against the app alone", starlette, BEHIND_US[1], starlette, ALONE[1], 0.2),
    ]
