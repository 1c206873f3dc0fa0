"""`python -m benchmarks.stores`: what a HIT costs from each store, without memory in front of it."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contender import our_options
from benchmarks.load import LoadGenerator, Request
from benchmarks.process import Meter
from vinext_worker.local_runtime import LocalRuntime, ScriptService
from vinext_worker.project import Project

_PAGES = """export default { fetch(request) {
  const size = Number(new URL(request.url).pathname.slice(1));
  const headers = { "Content-Type": "text/html", "Cache-Control": "s-maxage=86400", "Content-Length": String(size) };
  return new Response("x".repeat(size), { headers });
} };"""

_COUNTS = {8_000: 1500, 470_000: 600, 10_000_000: 40}
_BUCKET = {"VINEXT_CACHE_R2": "pages"}
_FRAMED = {"VINEXT_KV_LAYOUT": "framed", "VINEXT_MEMORY_BYTES": "0"}


@click.command()
@click.option("--rounds", type=int, default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure the processor time of the workerd process for an answer, and how long the visitor waits, as medians of rounds."""
    project = Project.find()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options = replace(our_options(project.root, None, folder), services={"PAGES": ScriptService(_PAGES)}, variables=_FRAMED)
        with_bucket = replace(options, config=replace(options.config, r2_buckets=_BUCKET))
        stores = {
            "KV": options,
            "R2": replace(with_bucket, without=frozenset({"VINEXT_CACHE"})),
            "KV and R2": replace(with_bucket, variables={**_FRAMED, "VINEXT_KV_BODY_BYTES": "1"}),
            "regional": replace(options, variables={**_FRAMED, "VINEXT_REGIONAL_CACHE": "86400"}),
        }
        generator = stack.enter_context(LoadGenerator(project))
        running = {name: stack.enter_context(LocalRuntime(store)) for name, store in stores.items()}
        meters = {name: Meter.of_child(runtime.host_pid, "workerd") for name, runtime in running.items()}
        found: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for number in range(-1, rounds):
            for size, count in _COUNTS.items():
                for name, runtime in running.items():
                    before = meters[name].cpu_seconds()
                    load = generator.run(runtime.direct_url, [Request(f"/{size}")], [0] * count)
                    cpu_ms = (meters[name].cpu_seconds() - before) * 1000 / count
                    if number < 0:
                        continue  # the pages are stored, and the code is compiled
                    if set(load.answers) != {"200 hit"}:
                        raise click.ClickException(f"{name}, {size} bytes: {dict(load.answers)}")
                    found.setdefault((name, size), []).append((cpu_ms, load.quantile_ms(0.5)))
    table = Table("CPU of a HIT, in ms (and the visitor's wait)", *stores)
    for size in _COUNTS:
        medians = [[statistics.median(column) for column in zip(*found[name, size], strict=True)] for name in stores]
        table.add_row(f"{size:,} bytes", *(f"{cpu_ms:.2f} ({wait_ms:.1f})" for cpu_ms, wait_ms in medians))
    Console().print(table)


if __name__ == "__main__":
    main()
