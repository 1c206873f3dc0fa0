"""How the benchmark measures, with contenders whose cost is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.cases import Case, chosen, in_turns
from benchmarks.load import Load, Request
from benchmarks.rounds import Bench, WrongAnswerError, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

COSTS = {"cheap": 0.001, "dear": 0.004}
PAGES = tuple(Request(f"/{number}") for number in range(7))


@dataclass
class Contender:
    """Spends the same processor time on each request; `meter` is itself."""

    url: str
    seconds: float = 0

    @property
    def meter(self) -> Contender:
        return self

    def cpu_seconds(self) -> float:
        return self.seconds

    def memory_bytes(self) -> int:
        return 1000


@dataclass
class Generator:
    """Asks contenders by their URLs; every answer is `answer`, and each takes a millisecond longer than the one before."""

    contenders: dict[str, Contender]
    answer: str = "200 hit"
    asked: list[tuple[str, list[int]]] = field(default_factory=list)

    def run(self, url: str, requests: Sequence[Request], order: Sequence[int]) -> Load:
        assert all(0 <= number < len(requests) for number in order)
        self.asked.append((url, list(order)))
        self.contenders[url].seconds += COSTS[url] * len(order)
        milliseconds = [float(number + 1) for number in range(len(order))]
        return Load(len(order) / 1000, milliseconds, 10 * len(order), Counter({self.answer: len(order)}))


def measured(case: Case, rounds: int, answer: str = "200 hit") -> tuple[list[Any], Generator]:
    contenders = {name: Contender(name) for name in COSTS}
    generator = Generator(contenders, answer)
    return Bench(generator, contenders, rounds).run(case), generator  # type: ignore[arg-type]


def test_a_round_is_what_all_of_its_turns_cost() -> None:
    series, _ = measured(Case("HIT", "hit", PAGES, tuple(COSTS), 200), 3)
    cheap, dear = series
    assert cheap.cpu_ms == pytest.approx([1, 1, 1])
    assert dear.cpu_ms == pytest.approx([4, 4, 4])
    assert ratios(cheap, dear) == pytest.approx([0.25] * 3)
    assert cheap.per_second == pytest.approx([1000] * 3)
    assert cheap.answers == {"200 hit": 600}
    assert (cheap.body_bytes, cheap.memory_bytes) == (10, 1000)
    # Of ten turns of twenty requests each, which took 1 to 20 ms.
    assert (cheap.p50_ms[0], cheap.p99_ms[0]) == (11, 20)


def test_cases_that_are_compared_take_turns() -> None:
    large = Case("large", "hit", PAGES[:1], tuple(COSTS), 30, times_more=2, turns_with="small")
    small = Case("small", "hit", PAGES[1:], tuple(COSTS), 100)
    other = Case("other", "hit", PAGES, tuple(COSTS), 10)
    assert in_turns([small, other, large]) == [[small, large], [other]]
    assert in_turns([other, large]) == [[other], [large]]
    contenders = {name: Contender(name) for name in COSTS}
    generator = Generator(contenders)
    series = Bench(generator, contenders, 2).run(small, large)  # type: ignore[arg-type]
    assert [(one.case, one.contender) for one in series] == [(case, name) for case in ("small", "large") for name in COSTS]
    assert [one.cpu_ms for one in series] == [pytest.approx([cost, cost]) for cost in (1, 4) * 2]
    assert [one.answers["200 hit"] for one in series] == [200, 200, 120, 120]
    turns = [(url, len(order)) for url, order in generator.asked[2 * len(COSTS) :]]
    there = [("cheap", 10), ("dear", 10), ("cheap", 6), ("dear", 6)]
    assert turns[:8] == [*there, *there[::-1]]


def test_contenders_take_turns_and_are_asked_for_the_same() -> None:
    case = Case("mix", "hit", PAGES, tuple(COSTS), 100)
    _, generator = measured(case, 1)
    turns = generator.asked[len(COSTS) :]
    assert [url for url, _ in turns] == ["cheap", "dear", "dear", "cheap"] * 5
    for name in COSTS:
        asked = Counter(number for url, order in turns for number in order if url == name)
        assert asked == Counter(case.order(0, name))


def test_wrong_answers_are_no_figures() -> None:
    with pytest.raises(WrongAnswerError, match="HIT: cheap answered"):
        measured(Case("HIT", "hit", PAGES, tuple(COSTS), 20), 1, "200 miss")


@pytest.mark.parametrize(
    ("only", "found"),
    [
        pytest.param([], {"HIT, 8 KB": ("a peer", "ours"), "MISS": ("a peer",)}, id="everything"),
        pytest.param(["hit"], {"HIT, 8 KB": ("a peer", "ours")}, id="a case"),
        pytest.param(["Peer"], {"HIT, 8 KB": ("a peer",), "MISS": ("a peer",)}, id="a contender"),
        pytest.param(["ours", "8 kb", "MISS"], {"HIT, 8 KB": ("ours",)}, id="both"),
    ],
)
def test_cases_and_contenders_are_chosen_by_parts_of_their_names(only: list[str], found: dict[str, tuple[str, ...]]) -> None:
    cases = [Case("HIT, 8 KB", "hit", PAGES, ("a peer", "ours"), 1), Case("MISS", "miss", PAGES, ("a peer",), 1)]
    assert {case.name: case.contenders for case in chosen(cases, only)} == found


def test_a_text_that_chooses_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="'opennxt' is in the name of no case"):
        chosen([Case("HIT", "hit", PAGES, ("OpenNext",), 1)], ["HIT", "opennxt"])
