"""The figures, for people and for machines."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.cases import BEHIND_US, CACHED, CALLS, LOOKED_UP
from benchmarks.changes import HEADINGS
from benchmarks.cold import EMPTY, FROM_BUILD, FROM_KV
from benchmarks.rounds import pairs, ratios

if TYPE_CHECKING:
    from benchmarks.cases import Target
    from benchmarks.changes import Change
    from benchmarks.cold import ColdStart, FirstAnswer, Imports
    from benchmarks.rounds import Series

COLD_AT_MOST = 1.3
PACKS_AT_MOST = 1.1
ABOVE_EMPTY_AT_MOST_MS = 15
CACHED_AT_MOST_US = 60


def series_table(found: list[Series]) -> Table:
    """A row a case and contender."""
    table = Table("case", "contender", "CPU ms", "quartiles", "requests/s", "p50 ms", "p99 ms", "body KB", "memory MB")
    last = ""
    for series in found:
        low, high = pairs(series.cpu_ms)
        table.add_row(
            series.case if series.case != last else "",
            series.contender,
            f"{series.median_cpu_ms:.2f}",
            f"{low:.2f}-{high:.2f}",
            f"{statistics.median(series.per_second):.0f}",
            f"{statistics.median(series.p50_ms):.1f}",
            f"{statistics.median(series.p99_ms):.1f}",
            f"{series.body_bytes / 1024:.1f}",
            f"{series.memory_bytes / 1e6:.0f}",
            end_section=False,
        )
        last = series.case
    return table


def target_rows(
    wanted: list[Target], found: list[Series], answers: list[FirstAnswer], starts: list[ColdStart]
) -> list[dict[str, Any]]:
    """Each target that was measured: its ratio in this run and the quartiles over the rounds."""
    by_name = {(series.case, series.contender): series for series in found}
    rows = []
    for target in wanted:
        one, other = by_name.get((target.case, target.contender)), by_name.get((target.against_case, target.against))
        if one is not None and other is not None:
            rows.append(_row(target.name, ratios(one, other), target.at_most))
    kept, looked_up = by_name.get((CACHED, BEHIND_US[1])), by_name.get((LOOKED_UP, BEHIND_US[1]))
    if kept is not None and looked_up is not None:
        above_us = [(one - other) / CALLS * 1000 for one, other in zip(kept.cpu_ms, looked_up.cpu_ms, strict=True)]
        rows.append(_row("a @cached hit above a dict look-up, µs", above_us, CACHED_AT_MOST_US))
    if answers:
        small, *_, large, in_files = answers
        shares = [one / other for one, other in zip(large.cpu_ms, small.cpu_ms, strict=True)]
        rows.append(_row(f"cold isolate, {large.routes:,} routes against {small.routes}", shares, COLD_AT_MOST))
        shares = [one / other for one, other in zip(small.thread_ms, in_files.thread_ms, strict=True)]
        rows.append(_row("cold isolate, a page in a full pack against a file", shares, PACKS_AT_MOST))
    by_what = {start.what: start for start in starts}
    for what in (FROM_KV, FROM_BUILD) if by_what else ():
        start, empty = by_what[what], by_what[EMPTY]
        for where, ours, theirs in (
            ("a new process", start.first_ms, empty.first_ms),
            ("a process with others", start.further_ms, empty.further_ms),
        ):
            above = [one - other for one, other in zip(ours, theirs, strict=True)]
            rows.append(_row(f"cold isolate in {where}, {what}, above an empty Worker, ms", above, ABOVE_EMPTY_AT_MOST_MS))
    return rows


def start_table(starts: list[ColdStart]) -> Table:
    """A row a Worker."""
    table = Table("the first answer of", "in a new process, CPU ms", "quartiles", "in a process with others", "quartiles")
    for start in starts:
        cells = [
            text
            for values in (start.first_ms, start.further_ms)
            for text in (f"{statistics.median(values):.1f}", "{:.1f}-{:.1f}".format(*pairs(values)))
        ]
        table.add_row(start.what, *cells)
    return table


def import_table(imported: list[Imports]) -> Table:
    """A row a way to start."""
    table = Table("the Worker's imports", "CPU ms", "quartiles", "of all threads", "quartiles", "until ready ms", "quartiles")
    for imports in imported:
        figures = [
            text
            for values in (imports.thread_ms, imports.cpu_ms, imports.ready_ms)
            for text in (f"{statistics.median(values):.0f}", "{:.0f}-{:.0f}".format(*pairs(values)))
        ]
        table.add_row(imports.way, *figures)
    return table


def target_table(rows: list[dict[str, Any]]) -> Table:
    """A row a target."""
    table = Table("what", "measured", "quartiles", "target", "")
    for row in rows:
        low, high = row["quartiles"]
        verdict = "met" if row["is_met"] else "missed"
        measured, quartiles = f"{row['median']:.3f}", f"{low:.3f}-{high:.3f}"
        table.add_row(row["name"], measured, quartiles, f"{row['at_most']:.3g}", verdict)
    return table


def change_table(compared: list[Change]) -> Table:
    """A row for each share of a peer's cost that the committed figures have, too."""
    table = Table(*HEADINGS, title="as a share of a peer's CPU, against the figures that were committed last")
    for change in compared:
        table.add_row(*change.row())
    return table


def document(  # noqa: PLR0913, PLR0917 - the parts of a run
    machine: dict[str, Any],
    found: list[Series],
    rows: list[dict[str, Any]],
    cold: list[FirstAnswer],
    starts: list[ColdStart],
    imported: list[Imports],
) -> dict[str, Any]:
    """Everything, as JSON."""
    return {
        "machine": machine,
        "targets": rows,
        "series": [{**vars(series), "answers": dict(series.answers), "median_cpu_ms": series.median_cpu_ms} for series in found],
        "first_answers": [vars(answer) for answer in cold],
        "cold_starts": [vars(start) for start in starts],
        "imports": [vars(imports) for imports in imported],
    }


def _row(name: str, values: list[float], at_most: float) -> dict[str, Any]:
    median = statistics.median(values)
    return {"name": name, "median": median, "quartiles": list(pairs(values)), "at_most": at_most, "is_met": median <= at_most}
