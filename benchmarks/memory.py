"""How large the Worker's heap becomes: WebAssembly's memory, after each of several patterns of traffic.

`./scripts/bench-memory`, or with `--only "5 MiB"` one of them.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from benchmarks.heap import MIB, measured_worker
from benchmarks.load import LoadGenerator, Request
from vinext_worker.project import Project

if TYPE_CHECKING:
    from benchmarks.heap import Store

_STORES = ("vinext", "framed", "memory")


@dataclass(frozen=True)
class Pattern:
    """Requests, in order, and the heap in MiB that they may lead to."""

    name: str
    paths: tuple[str, ...]
    limit_mib: int = 80


@dataclass(frozen=True)
class Measured:
    """What a pattern came to."""

    store: str
    pattern: str
    requests: int
    before_mib: float
    after_mib: float
    limit_mib: int
    answers: dict[str, int]


def long_paths(count: int) -> tuple[str, ...]:
    """Distinct paths of 4 KB, of pages that nobody keeps."""
    return tuple(f"/dynamic/100/{number}/{'x' * 4000}" for number in range(count))


def deep_paths(count: int) -> tuple[str, ...]:
    """Distinct paths of 1,300 folders, of pages that are kept: each has all the tags that it may have."""
    return tuple(f"/kept/4000/{number}{'/ab' * 1300}" for number in range(count))


def pages(kind: str, size_bytes: int, count: int) -> tuple[str, ...]:
    """Distinct pages that are kept."""
    return tuple(f"/{kind}/{size_bytes}/{number}" for number in range(count))


_FILLED = (*pages("kept", 4000, 20_000), *pages("binary", 4000, 10_000))

PATTERNS = (
    Pattern("20,000 distinct paths of 4 KB", long_paths(20_000)),
    Pattern("memory filled, by 30,000 pages of 4 KB", _FILLED),
    Pattern("20,000 distinct paths of 4 KB, then memory filled", long_paths(20_000) + _FILLED),
    Pattern("2,000 kept pages at paths of 1,300 folders", deep_paths(2000)),
    Pattern("1,000 pages of 5 MiB in turn", pages("kept", 5 * MIB, 1000), 100),
    Pattern("3 pages of 10 MiB", pages("kept", 10 * MIB, 3)),
    Pattern("3 pages of 20 MiB", pages("kept", 20 * MIB, 3)),
    Pattern("3 pages of 8 MiB without ASCII", pages("accented", 8 * MIB, 3)),
    Pattern("3 binary responses of 8 MiB", pages("binary", 8 * MIB, 3)),
)


@click.command()
@click.option("--store", "stores", type=click.Choice(_STORES), multiple=True, default=_STORES, show_default=True)
@click.option("--only", default="", help="Only patterns whose name has this text.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every figure to this file.")
def main(stores: tuple[Store, ...], only: str, json_file: Path | None) -> None:
    """Ask a fresh Worker with the default settings in each of several patterns, and say how large its heap has become."""
    project, out = Project.find(), Console(width=130)
    measured: list[Measured] = []
    with LoadGenerator(project) as generator:
        for store in stores:
            for pattern in PATTERNS:
                if only in pattern.name:
                    measured.append(measure(project, generator, store, pattern))
                    out.print(f"{store}: {pattern.name}: {measured[-1].after_mib:.0f} MiB")
    table = Table("store", "traffic", "heap before", "heap after, MiB", "limit", "answers")
    for row in measured:
        answers = ", ".join(f"{kind}: {count}" for kind, count in row.answers.items())
        table.add_row(row.store, row.pattern, f"{row.before_mib:.0f}", f"{row.after_mib:.0f}", str(row.limit_mib), answers)
    out.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in measured], indent=1) + "\n")
    if too_large := [row for row in measured if row.after_mib > row.limit_mib]:
        raise SystemExit("too large: " + "; ".join(f"{row.store}, {row.pattern}" for row in too_large))


def measure(project: Project, generator: LoadGenerator, store: Store, pattern: Pattern) -> Measured:
    """Measure one pattern."""
    requests = [Request(path) for path in pattern.paths]
    with tempfile.TemporaryDirectory(prefix="heap-") as folder, measured_worker(project, Path(folder), store) as worker:
        before = worker.heap_mib()
        load = generator.run(worker.url, requests, range(len(requests)))
        after = worker.heap_mib()
    return Measured(store, pattern.name, len(requests), before, after, pattern.limit_mib, dict(load.answers))


if __name__ == "__main__":
    main()
