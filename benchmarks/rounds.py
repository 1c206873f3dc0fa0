"""Measuring: one contender after the other, in many short turns, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.cases import ALONE
from benchmarks.load import Load, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.cases import Case
    from benchmarks.contender import Running
    from benchmarks.load import LoadGenerator

_COMPILE_REQUESTS = 3000
_WARM_UP_REQUESTS = 200
_MIX_WARM_UPS = 8
_SETTLE_SECONDS = 0.3
_STALE_SECONDS = 1.2
_KEPT_PAGE = Request("/page/8192")
_RIGHT = {
    "hit": {"200 hit"},
    "mix": {"200 hit"},
    "not modified": {"304 hit"},
    "stale": {"200 stale"},
    "miss": {"200 miss"},
    "render": {"200 hit", "200 static", "200 miss"},
    "not cached": {"200 none"},
}


class WrongAnswerError(Exception):
    """A contender did not answer as the case needs it; its figures would be about something else."""


@dataclass
class Series:
    """What a case cost a contender, round by round."""

    case: str
    contender: str
    cpu_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    body_bytes: float = 0
    memory_bytes: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def median_cpu_ms(self) -> float:
        return statistics.median(self.cpu_ms)

    def add(self, load: Load, cpu_seconds: float, memory_bytes: int) -> None:
        """Add a round."""
        self.cpu_ms.append(cpu_seconds / load.requests * 1000)
        self.per_second.append(load.requests / load.seconds)
        self.p50_ms.append(load.quantile_ms(0.5))
        self.p99_ms.append(load.quantile_ms(0.99))
        self.body_bytes = load.body_bytes / load.requests
        self.memory_bytes = memory_bytes
        self.answers.update(load.answers)


class Bench:
    """Runs cases against running contenders."""

    def __init__(self, generator: LoadGenerator, running: Mapping[str, Running], rounds: int) -> None:
        self._generator = generator
        self._running = running
        self._rounds = rounds
        self._new_pages = 0

    def compile(self, cases: Sequence[Case]) -> None:
        """Ask each contender for a page that it keeps, so often that the runtime's compilers have done their work."""
        for name, running in self._running.items():
            requests = [case.requests[0] for case in cases if name in case.contenders and case.kind not in {"miss", "stale"}]
            self._generator.run(running.url, [*requests, _KEPT_PAGE][:1], [0] * _COMPILE_REQUESTS)

    def run(self, *cases: Case) -> list[Series]:
        """Measure cases of one kind, which take turns with each other, too. Raises WrongAnswerError, LoadError."""
        series = [(case, Series(case.name, name)) for case in cases for name in case.contenders if name in self._running]
        before = {case.name: self._of_this_round(case) for case in cases}
        for case, measured in series:
            self._warm_up(before[case.name], measured.contender)
        for number in range(self._rounds):
            of_this_round = {case.name: self._of_this_round(case) for case in cases}
            self._round(number, [(of_this_round[case.name], measured) for case, measured in series])
        for case, measured in series:
            _check(case, measured)
        return [measured for _, measured in series]

    def _of_this_round(self, case: Case) -> Case:
        if case.kind not in {"miss", "stale"}:
            return case
        # Pages that nobody has asked for, of nearly the same size.
        first = case.page_bytes + self._new_pages
        self._new_pages += case.count
        return replace(case, requests=tuple(_numbered(case.requests[0], first + number) for number in range(case.count)))

    def _warm_up(self, case: Case, name: str) -> None:
        running = self._running[name]
        if case.kind in {"miss", "stale"}:
            # A round as it is measured, so that nobody's code for it is compiled in the first one that is.
            self._measure(case, case.order(0, name), running)
            return
        order = range(len(case.requests)) if case.kind == "mix" else [0] * min(case.count, _WARM_UP_REQUESTS)
        self._generator.run(running.url, case.requests, order)
        time.sleep(_SETTLE_SECONDS)
        if case.kind == "mix" and name.startswith("ours"):
            # Until memory has learnt which pages are asked for.
            for number in range(_MIX_WARM_UPS):
                self._generator.run(running.url, case.requests, case.order(self._rounds + number, name))
                time.sleep(_SETTLE_SECONDS)

    def _round(self, number: int, series: Sequence[tuple[Case, Series]]) -> None:
        parts = [(case, self._running[one.contender], case.order(number, one.contender)) for case, one in series]
        measured: list[list[tuple[Load, float]]] = [[] for _ in parts]
        there = list(zip(parts, measured, strict=True))
        turns = min(case.turns for case, _ in series)
        for turn in range(turns):
            # Every other turn the other way, so that nobody always comes after the same neighbour.
            for (case, running, order), of_turns in there if (number + turn) % 2 == 0 else there[::-1]:
                of_turns.append(self._measure(case, order[turn::turns], running))
        for of_turns, (_, running, _), (_, one) in zip(measured, parts, series, strict=True):
            loads, cpu_seconds = zip(*of_turns, strict=True)
            one.add(Load.together(loads), sum(cpu_seconds), running.meter.memory_bytes())

    def _measure(self, case: Case, order: Sequence[int], running: Running) -> tuple[Load, float]:
        """One turn, and the seconds of processor time it took."""
        if case.kind == "stale":
            self._generator.run(running.url, case.requests, order)
            time.sleep(_STALE_SECONDS)
        before = running.meter.cpu_seconds()
        load = self._generator.run(running.url, case.requests, order)
        if case.kind in {"stale", "miss"}:
            # What is made and stored after the answer counts.
            time.sleep(_SETTLE_SECONDS)
        return load, running.meter.cpu_seconds() - before


def _numbered(request: Request, number: int) -> Request:
    return Request(request.path.format(number), request.headers)


def _check(case: Case, series: Series) -> None:
    right = sum(series.answers[kind] for kind in _RIGHT["not cached" if series.contender in ALONE else case.kind])
    if right < 0.95 * series.answers.total():
        raise WrongAnswerError(f"{series.case}: {series.contender} answered {dict(series.answers)}")


def ratios(numerator: Series, denominator: Series) -> list[float]:
    """The ratio of their costs in each round."""
    return [one / other for one, other in zip(numerator.cpu_ms, denominator.cpu_ms, strict=True)]


def pairs(values: list[float]) -> Iterator[float]:
    """The lower and the upper quartile."""
    if len(values) < 2:  # noqa: PLR2004 - quartiles need two
        yield from (values[0], values[0])
        return
    cuts = statistics.quantiles(values, n=4, method="inclusive")
    yield from (cuts[0], cuts[2])
