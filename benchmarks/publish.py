"""The figures where people read them: a table in the README, and a page with everything."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.cases import FRAMED, MEMORY, PEERS, TIERED
from benchmarks.changes import HEADINGS
from benchmarks.chart import CHARTED
from benchmarks.rounds import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.changes import Change

BEGIN, END = "<!-- figures: written by ./scripts/bench --publish -->", "<!-- end of figures -->"
_COLUMNS = {**dict.fromkeys(PEERS, ""), MEMORY: "memory", FRAMED: "KV (framed)", TIERED: "memory + KV"}


def publish_figures(root: Path, document: Mapping[str, Any], compared: Sequence[Change]) -> None:
    """Write the README's table and the page with everything in a checkout of this project."""
    readme = root / "README.md"
    readme.write_text(with_table(readme.read_text(), document))
    (root / "benchmarks" / "figures.md").write_text(page(document, compared))


def with_table(text: str, document: Mapping[str, Any]) -> str:
    """Return a Markdown text with the table of the charted cases between its two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the text has no {BEGIN} with {END} after it")
    return f"{before}{BEGIN}\n\n{short_table(document)}\n\n{END}{after}"


def short_table(document: Mapping[str, Any]) -> str:
    """Return the charted cases, a row each, with the peers beside this Worker; the cheapest of a row is in bold."""
    costs = {(series["case"], series["contender"]): series["median_cpu_ms"] for series in document["series"]}
    rows = []
    for case in CHARTED:
        of_case = [costs.get((case, contender)) for contender in _COLUMNS]
        least = min((cost for cost in of_case if cost is not None), default=None)
        if least is not None:
            rows.append((case, *("" if cost is None else _cost(cost, is_least=cost == least) for cost in of_case)))
    return _table(("CPU of a request, in ms", *(title or name for name, title in _COLUMNS.items())), rows)


def page(document: Mapping[str, Any], compared: Sequence[Change]) -> str:
    """Return everything that a run measured, as a Markdown page."""
    machine = document["machine"]
    noise = f"{machine['noise_before']} times as long as at best before the run, {machine['noise_after']} times after it"
    parts = [
        "# All figures",
        "`./scripts/bench --publish` wrote this page. [README.md](README.md) says what is measured, and how.",
        (
            f"{machine['processor']}, {machine['cores']} cores, {machine['rounds']} rounds, {machine['seconds']} s. "
            f"The load was {machine['load']} at the start; the same work took up to {noise}."
        ),
        "CPU: of the workerd process, for a request: the median over the rounds, and the quartiles.",
        "## Targets",
        _table(("what", "measured", "quartiles", "at most", ""), map(_target, document["targets"])),
        "## Cases",
        _table(
            ("case", "contender", "CPU ms", "quartiles", "requests/s", "p50 ms", "p99 ms", "body KB", "memory MB"),
            map(_series, document["series"]),
        ),
        "## A cold isolate",
        _table(
            ("routes", "pages in", "CPU of the thread that answers, ms", "of all threads, ms", "until the answer, ms"),
            map(_first_answer, document["first_answers"]),
        ),
        "CPU of the thread that answers, in ms, beside an empty Worker and one that makes the same reads:",
        _table(
            ("the first answer of", "in a new process", "in a process that has run the same before"),
            (
                (row["what"], _spread(row["first_ms"], ".1f"), _spread(row["further_ms"], ".1f"))
                for row in document["cold_starts"]
            ),
        ),
        "## The Worker's imports",
        _table(
            ("the Worker's imports", "CPU ms", "of all threads, ms", "until ready, ms"),
            (
                (row["way"], *(_spread(row[series], ".0f") for series in ("thread_ms", "cpu_ms", "ready_ms")))
                for row in document["imports"]
            ),
        ),
        "## Against the figures before",
        "A share of the peer's cost, of each round of a run; “dearer” and “cheaper” where the quartiles do not overlap.",
        _table(HEADINGS, (change.row() for change in compared)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cost(cost: float, *, is_least: bool) -> str:
    return f"**{cost:.2f}**" if is_least else f"{cost:.2f}"


def _spread(values: list[float], form: str = ".2f") -> str:
    if not values:
        return ""
    low, high = pairs(values)
    return f"{statistics.median(values):{form}} ({low:{form}} to {high:{form}})"


def _target(row: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = row["quartiles"]
    verdict = "met" if row["is_met"] else "**missed**"
    return (row["name"], f"{row['median']:.3f}", f"{low:.3f} to {high:.3f}", f"{row['at_most']:.3g}", verdict)


def _series(series: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = pairs(series["cpu_ms"])
    return (
        series["case"],
        series["contender"],
        f"{series['median_cpu_ms']:.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{statistics.median(series['per_second']):.0f}",
        f"{statistics.median(series['p50_ms']):.1f}",
        f"{statistics.median(series['p99_ms']):.1f}",
        f"{series['body_bytes'] / 1024:.1f}",
        f"{series['memory_bytes'] / 1e6:.0f}",
    )


def _first_answer(answer: Mapping[str, Any]) -> tuple[str, ...]:
    where = "packs" if answer["is_packed"] else "files"
    return (f"{answer['routes']:,}", where, *(_spread(answer[series], ".1f") for series in ("thread_ms", "cpu_ms", "wall_ms")))
