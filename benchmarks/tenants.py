"""`./scripts/bench-tenants`: 10,000 sites in one isolate, beside one site that has as many pages.

What a HIT costs, what making a site ready costs, how large the heap and the process become, and how many requests memory answers.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contender import with_a_door
from benchmarks.heap import MIB
from benchmarks.load import LoadGenerator, Request
from benchmarks.process import Meter
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TENANTS = 10_000

HIT_AT_MOST = 1.2
READY_AT_MOST_MS = 0.3
HEAP_AT_MOST_MIB = 100

_TURNS = 5
_ASKED = 4000
_MIXED = 20_000
_PAGES_OF_A_SITE = 5

_ENTRY = '''"""The Worker, and paths that measure it."""

import gc

import js
from edge.app import Application, Default  # noqa: F401

answer = Application.answer


async def answer_or_measure(application, request):
    _, door, what = request.url.partition("/__door/")
    if not door:
        return await answer(application, request)
    if what == "heap":
        import pyodide_js

        gc.collect()
        return js.Response.new(str(pyodide_js._module.HEAP8.length))
    start, count = map(int, what.split("/"))
    for number in range(start, start + count):
        await application._site(f"site-n{number}", f"n{number}.example.com")
    return js.Response.new("")


Application.answer = answer_or_measure
'''

_PAGES = """export default { fetch(request) {
  const headers = { "Content-Type": "text/html", "Cache-Control": "s-maxage=86400" };
  const [, size] = new URL(request.url).pathname.split("/");
  let text = `<!DOCTYPE html><title>${request.url}</title>`;
  for (let at = 0; text.length < Number(size); at++) text += `<p>paragraph ${(at * 2654435761) % 4294967291} of a page</p>`;
  return new Response(text, { headers });
} };"""
"""A page of `/BYTES/…`."""

Store = Literal["memory", "tiered"]


@dataclass(frozen=True)
class Figure:
    """One measurement; `limit` is of the figure itself, or else of its ratio to `one`, the same with one site."""

    what: str
    one: float | None
    many: float
    unit: str
    limit: float | None = None

    @property
    def is_within(self) -> bool:
        return self.limit is None or self.many <= self.limit * (self.one or 1)


class _Worker:
    """A Worker that is measured."""

    def __init__(self, runtime: LocalRuntime, generator: LoadGenerator) -> None:
        self.url = runtime.direct_url
        self.meter = Meter.of_child(runtime.host_pid, "workerd")
        self._generator = generator

    def asked(self, requests: Sequence[Request], order: Sequence[int]) -> tuple[float, float]:
        """Send requests; return the CPU of one in ms, and the share of HITs."""
        before = self.meter.cpu_seconds()
        load = self._generator.run(self.url, requests, order)
        return (self.meter.cpu_seconds() - before) * 1000 / load.requests, load.answers["200 hit"] / load.requests

    def door(self, what: str) -> str:
        with urllib.request.urlopen(f"{self.url}/__door/{what}", timeout=120) as response:  # noqa: S310 - our own
            return str(response.read().decode())

    def heap_mib(self) -> float:
        return int(self.door("heap")) / MIB


@click.command()
@click.option("--only", type=click.Choice(["hit", "ready", "mix"]), help="One part.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(only: str | None, json_file: Path | None) -> None:
    """Measure 10,000 sites in one isolate."""
    project = Project.find()
    with LoadGenerator(project) as generator:
        parts = {"ready": ready, "hit": hits, "mix": mixes}
        figures = []
        for name, part in parts.items():
            for figure in part(project, generator) if only in {None, name} else ():
                Console(stderr=True).print(figure)
                figures.append(figure)
    table = Table("", "one site", f"{TENANTS:,} sites", "ratio", "at most")
    for figure in figures:
        one = "" if figure.one is None else f"{figure.one:,.3g} {figure.unit}"
        ratio = f"{figure.many / figure.one:.2f}" if figure.one else ""
        limit = "" if figure.limit is None else f"{figure.limit:g}"
        table.add_row(figure.what, one, f"{figure.many:,.3g} {figure.unit}", ratio, limit)
    Console(width=130).print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    if beyond := [figure.what for figure in figures if not figure.is_within]:
        raise SystemExit("beyond the limit: " + "; ".join(beyond))


def ready(project: Project, generator: LoadGenerator) -> Iterator[Figure]:
    """What making a site ready costs, when it is asked for the first time."""
    with _worker(project, generator, "tiered") as worker:
        worker.door(f"{TENANTS}/1000")  # Python's own first steps, and the build
        heap, begun = worker.heap_mib(), worker.meter.cpu_seconds()
        worker.door(f"0/{TENANTS}")
        took_ms = (worker.meter.cpu_seconds() - begun) * 1000 / TENANTS
        yield Figure("making a site ready: CPU", None, took_ms, "ms", READY_AT_MOST_MS)
        yield Figure(f"heap with {TENANTS:,} sites ready", heap, worker.heap_mib(), "MiB")


def hits(project: Project, generator: LoadGenerator) -> Iterator[Figure]:
    """A HIT of one of 10,000 pages in memory, in front of KV, of one site and of a site each, the two Workers in turns."""
    rng = random.Random(1)  # noqa: S311 - the same requests each time
    with _worker(project, generator, "tiered") as one, _worker(project, generator, "tiered") as many:
        of_one = [Request(f"/1000/{number}", {"Host": "one.example.com"}) for number in range(TENANTS)]
        of_many = [Request("/1000/page", {"Host": f"n{number}.example.com"}) for number in range(TENANTS)]
        sides = ((one, of_one), (many, of_many))
        memory = {}
        for worker, requests in sides:
            before = worker.heap_mib(), worker.meter.memory_bytes() / MIB
            worker.asked(requests, range(TENANTS))
            memory[worker] = (*before, worker.heap_mib(), worker.meter.memory_bytes() / MIB)
        turns = []
        for _ in range(_TURNS + 1):
            order = rng.choices(range(TENANTS), k=_ASKED)
            turns.append([worker.asked(requests, order) for worker, requests in sides])
        cpu = [[statistics.median(turn[side][0] for turn in turns[1:]), turns[-1][side][1]] for side in (0, 1)]
        ratio = statistics.median(turn[1][0] / turn[0][0] for turn in turns[1:])
    of = f"{TENANTS:,} pages of 1 KB"
    yield Figure(f"{of}: CPU of a HIT", cpu[0][0], cpu[0][0] * ratio, "ms", HIT_AT_MOST)
    yield Figure(f"{of}: HITs", cpu[0][1] * 100, cpu[1][1] * 100, "%")
    yield Figure(f"{of}: heap", memory[one][2], memory[many][2], "MiB", HEAP_AT_MOST_MIB / memory[one][2])
    yield Figure(f"{of}: heap before", memory[one][0], memory[many][0], "MiB")
    yield Figure(f"{of}: process", memory[one][3], memory[many][3], "MiB")
    yield Figure(f"{of}: process before", memory[one][1], memory[many][1], "MiB")


def mixes(project: Project, generator: LoadGenerator) -> Iterator[Figure]:
    """The share of requests that memory answers, of 10,000 sites with some pages of 8 KB each, and of one that has them all."""
    for law, weights in (("uniform", [1.0] * TENANTS), ("Zipf", [1 / (rank + 1) for rank in range(TENANTS)])):
        rng = random.Random(2)  # noqa: S311 - the same requests each time
        cumulated = list(accumulate(weights))
        sites = rng.choices(range(TENANTS), cum_weights=cumulated, k=_MIXED)
        order = [site * _PAGES_OF_A_SITE + rng.randrange(_PAGES_OF_A_SITE) for site in sites]
        found = []
        for is_many in (False, True):
            requests = [
                Request(
                    f"/8000/{number % _PAGES_OF_A_SITE if is_many else number}",
                    {"Host": f"n{number // _PAGES_OF_A_SITE}.example.com" if is_many else "one.example.com"},
                )
                for number in range(TENANTS * _PAGES_OF_A_SITE)
            ]
            with _worker(project, generator, "memory") as worker:
                worker.asked(requests, order[: _MIXED // 2])
                _, share = worker.asked(requests, order[_MIXED // 2 :])
                found.append((share, worker.heap_mib()))
        of = f"memory, {TENANTS * _PAGES_OF_A_SITE:,} pages of 8 KB, {law}"
        yield Figure(f"{of}: HITs", found[0][0] * 100, found[1][0] * 100, "%")
        yield Figure(f"{of}: heap", found[0][1], found[1][1], "MiB", HEAP_AT_MOST_MIB / found[0][1])


@contextmanager
def _worker(project: Project, generator: LoadGenerator, store: Store) -> Iterator[_Worker]:
    with tempfile.TemporaryDirectory(prefix="tenants-") as folder:
        options = with_a_door(project, Path(folder), _ENTRY, _PAGES)
        variables = {**options.variables, "VINEXT_TENANTS": "*.example.com=site-{label}", "VINEXT_KV_LAYOUT": "framed"}
        without = frozenset({"VINEXT_CACHE"}) if store == "memory" else frozenset[str]()
        with LocalRuntime(replace(options, variables=variables, without=without)) as runtime:
            yield _Worker(runtime, generator)


if __name__ == "__main__":
    main()
