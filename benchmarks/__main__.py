"""`./scripts/bench`: this Worker, vinext's own and OpenNext's, measured in one run."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from benchmarks import machine
from benchmarks.cases import CASES, chosen, in_turns, targets
from benchmarks.changes import changes
from benchmarks.chart import chart
from benchmarks.cold import cold_starts, first_answers, imports
from benchmarks.contenders import Contenders
from benchmarks.load import LoadGenerator
from benchmarks.publish import publish_figures
from benchmarks.report import change_table, document, import_table, series_table, start_table, target_rows, target_table
from benchmarks.rounds import Bench
from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.cases import Case
    from benchmarks.rounds import Series

_FIGURES = Path(__file__).with_name("figures.json")
_COLD = "cold isolates and imports"
_RUNTIME = "the local runtime, which makes the calls of the native one"


@click.command()
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every figure to this file.")
@click.option("--chart", "chart_file", type=click.Path(path_type=Path), help="Write the chart (SVG) to this file.")
@click.option("--publish", is_flag=True, help="Write the figures, the chart, the page of all figures and the README's table.")
@click.option("--quick", is_flag=True, help="A representative part, in some minutes.")
@click.option(
    "--only",
    multiple=True,
    help=f'Only cases whose name has this text, or contenders, if no case has it; repeatable. One more case: "{_COLD}".',
)
@click.option("--rounds", type=int, default=None, help="How often each series is measured (default 4, quick 3).")
@click.option(
    "--against", type=click.Path(path_type=Path, exists=True), help="Another checkout of this project, measured beside."
)
def main(  # noqa: PLR0913 - one for each option
    json_file: Path | None,
    chart_file: Path | None,
    only: tuple[str, ...],
    rounds: int | None,
    against: Path | None,
    *,
    publish: bool,
    quick: bool,
) -> None:
    """Measure processor time, throughput, latency and memory of this Worker, of vinext's own and of OpenNext's, side by side."""
    console = Console(stderr=True)
    start = time.monotonic()
    project = Project.find()
    if publish and (quick or only):
        raise click.UsageError("--publish needs all cases; leave out --quick and --only")
    rounds = rounds or (3 if quick else 4)
    wants_cold = not only or any(text in _COLD for text in only)
    texts = [text for text in only if text not in _COLD]
    try:
        cases = chosen([case for case in CASES if case.is_quick or not quick], texts) if texts or not only else []
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from error
    if quick:
        cases = [case.shortened() for case in cases]
    if against:
        cases = [case.beside(against.name) for case in cases]
    about = {
        **machine.describe(),
        "runtime": _RUNTIME,
        "noise_before": round(machine.noise(), 2),
        "rounds": rounds,
        "quick": quick,
    }

    contenders = Contenders(project, console, against)
    found = _measured(project, contenders, cases, rounds, console)
    cold, starts, imported = [], [], []
    if wants_cold:
        folder = project.local / "benchmarks" / "cold"
        with _step(console, f"{_COLD} …"):
            cold = first_answers((10, 100_000) if quick else (10, 1000, 100_000), contenders.options, folder, rounds)
            starts = cold_starts(contenders.options, folder, rounds)
            imported = imports(contenders.options, folder / "imports", rounds)

    about |= {"noise_after": round(machine.noise(), 2), "seconds": round(time.monotonic() - start)}
    rows = target_rows(targets(), found, cold, starts)
    written = document(about, found, rows, cold, starts, imported)
    compared = changes(found, json.loads(_FIGURES.read_bytes()))
    out = Console(width=130)
    out.print(
        *([series_table(found)] if found else []),
        *([start_table(starts)] if starts else []),
        *([import_table(imported)] if imported else []),
    )
    out.print(target_table(rows))
    if compared:
        out.print(change_table(compared))
    out.print(
        f"{about['processor']}, {about['cores']} cores, load {about['load']} at the start; the same work took up to "
        f"{about['noise_before']} times as long as at best before, {about['noise_after']} times after; "
        f"{rounds} rounds, {about['seconds']} s. CPU: of the workerd process, an answer, median."
    )
    if publish:
        publish_figures(project.root, written, compared)
        json_file, chart_file = json_file or _FIGURES, chart_file or _FIGURES.with_name("chart.svg")
    if json_file is not None:
        json_file.write_text(json.dumps(written, indent=1) + "\n")
    if chart_file is not None:
        chart_file.write_text(chart(found))


def _measured(project: Project, contenders: Contenders, cases: list[Case], rounds: int, console: Console) -> list[Series]:
    found = []
    wanted = contenders.named(name for case in cases for name in case.contenders)
    with ExitStack() as stack:
        generator = stack.enter_context(LoadGenerator(project))
        with _step(console, "starting the Workers …"):
            running = {contender.name: stack.enter_context(contender.start()) for contender in wanted}
        bench = Bench(generator, running, rounds)
        with _step(console, "warming up …"):
            bench.compile(cases)
        for group in in_turns(cases):
            with _step(console, f"{', '.join(case.name for case in group)} …"):
                found += bench.run(*group)
    return found


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    """Say what is going on: a person sees it until it has ended, a log has a line of it with the time."""
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        console.print(time.strftime("%H:%M:%S"), what)
        yield


if __name__ == "__main__":
    main()
