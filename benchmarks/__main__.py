"""`./scripts/bench`: this Worker and vinext's own, measured in one run."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from benchmarks import machine, sites
from benchmarks.cases import CASES, FRAMED, LAYOUT, MEMORY, TIERED, in_turns, targets
from benchmarks.chart import chart
from benchmarks.cold import first_answers, imports
from benchmarks.contender import our_options, ours, vinext
from benchmarks.load import LoadGenerator
from benchmarks.report import document, import_table, series_table, target_rows, target_table
from benchmarks.rounds import Bench
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.project import Project

if TYPE_CHECKING:
    from benchmarks.contender import Store

_STORES: dict[str, Store] = {MEMORY: "memory", FRAMED: "framed", LAYOUT: "vinext", TIERED: "tiered"}
_COLD = "cold isolates and imports"
_RUNTIME = "the local runtime, which makes the calls of the native one"


@click.command()
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every figure to this file.")
@click.option("--chart", "chart_file", type=click.Path(path_type=Path), help="Write the chart (SVG) to this file.")
@click.option("--quick", is_flag=True, help="A representative part, in less than three minutes.")
@click.option("--only", default="", help=f'Only cases whose name has this text; one more is named "{_COLD}".')
@click.option("--rounds", type=int, default=None, help="How often each series is measured (default 9, quick 3).")
@click.option(
    "--against", type=click.Path(path_type=Path, exists=True), help="Another checkout of this project, measured beside."
)
def main(  # noqa: PLR0913 - one for each option
    json_file: Path | None, chart_file: Path | None, only: str, rounds: int | None, against: Path | None, *, quick: bool
) -> None:
    """Measure processor time, throughput, latency and memory of this Worker and of vinext's own, side by side."""
    console = Console(stderr=True)
    start = time.monotonic()
    project = Project.find()
    rounds = rounds or (3 if quick else 9)
    cases = [case for case in CASES if (case.is_quick or not quick) and only in case.name]
    if quick:
        cases = [case.shortened() for case in cases]
    about = {
        **machine.describe(),
        "runtime": _RUNTIME,
        "noise_before": round(machine.noise(), 2),
        "rounds": rounds,
        "quick": quick,
    }

    built = {version: sites.build(version, project, console) for version in (sites.VINEXT_0, sites.VINEXT_1, sites.BEHIND)}
    assets = project.local / "benchmarks" / "assets"
    copy_build(built[sites.BEHIND], assets)
    options = our_options(project.root, built[sites.BEHIND], assets)
    contenders = [vinext(built[version], project) for version in (sites.VINEXT_0, sites.VINEXT_1)]
    contenders += [ours(store, options, name) for name, store in _STORES.items()]
    if against is not None:
        other = our_options(against.resolve(), built[sites.BEHIND], assets)
        contenders += [ours(store, other, f"{name} ({against.name})") for name, store in _STORES.items()]

    found = []
    with ExitStack() as stack:
        generator = stack.enter_context(LoadGenerator(project))
        with console.status("starting the Workers …"):
            running = {contender.name: stack.enter_context(contender.start()) for contender in contenders}
        bench = Bench(generator, running, rounds)
        with console.status("warming up …"):
            bench.compile(CASES[1].requests[0])
        for group in in_turns(cases):
            with console.status(f"{', '.join(case.name for case in group)} …"):
                found += bench.run(*(case.beside(against.name) if against else case for case in group))
    cold, imported = [], []
    if only in _COLD:
        folder = project.local / "benchmarks" / "cold"
        with console.status(f"{_COLD} …"):
            cold = first_answers((10, 100_000) if quick else (10, 1000, 100_000), options, folder, rounds)
            imported = imports(options, folder / "imports", rounds)

    about |= {"noise_after": round(machine.noise(), 2), "seconds": round(time.monotonic() - start)}
    rows = target_rows(targets(), found, cold)
    out = Console(width=130)
    out.print(*([series_table(found)] if found else []), *([import_table(imported)] if imported else []), target_table(rows))
    out.print(
        f"{about['processor']}, {about['cores']} cores, load {about['load']} at the start; the same work took up to "
        f"{about['noise_before']} times as long as at best before, {about['noise_after']} times after; "
        f"{rounds} rounds, {about['seconds']} s. CPU: of the workerd process, an answer, median."
    )
    if json_file is not None:
        json_file.write_text(json.dumps(document(about, found, rows, cold, imported), indent=1) + "\n")
    if chart_file is not None:
        chart_file.write_text(chart(found))


if __name__ == "__main__":
    main()
