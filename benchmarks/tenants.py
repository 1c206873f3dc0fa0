"""`./scripts/bench-tenants`: 10,000 sites in one isolate, beside one site that has as many pages.

What a HIT costs, what making a site ready costs, how large the heap and the process become, and how many requests memory answers.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contender import with_a_door
from benchmarks.heap import MIB
from benchmarks.load import LoadGenerator, Request
from benchmarks.process import Meter
from cache.entry import AppPageValue, CacheEntry
from cache.keys import KeySchema
from cache.memory import MemoryCacheHandler
from cache.pool import MemoryPool
from cache.tags import path_tags
from core.body import BytesBody
from isr.assemble import SITE_BYTES
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TENANTS = 10_000

HIT_AT_MOST = 1.2
READY_AT_MOST_MS = 0.3

_TURNS = 5
_ASKED = 1000
_MIXED = 30_000
_MEMORY_BYTES = 32 * MIB
_PAGES_OF_A_SITE = 5

_ENTRY = '''"""The Worker, and paths that measure it."""

import gc
from dataclasses import replace

import js
from cache.entry import CacheEntry
from edge.runtime import now_ms
from edge.app import Application, Default  # noqa: F401

answer = Application.answer
FIRST = "app:v2:/1000/0:html"


async def answer_or_measure(application, request):
    _, door, what = request.url.partition("/__door/")
    if not door:
        return await answer(application, request)
    return js.Response.new(str(await measured(application, *what.split("/"))))


async def measured(application, what, start="0", count="0"):
    if what == "heap":
        import pyodide_js

        gc.collect()
        return pyodide_js._module.HEAP8.length
    if what == "absent":
        return sum(len(site.entries._front) == 0 for site in application._sites.values())
    if what == "ready":
        for number in range(int(start), int(start) + int(count)):
            await application._site(f"site-n{number}", f"n{number}.example.com")
        return ""
    first = application._sites["site-n0"].entries._front.use(FIRST)
    data = first.value.html.to_bytes()
    for number in range(int(start), int(start) + int(count)):
        site_number, page = (0, number) if what == "pages" else (number, 0)
        site = await application._site(f"site-n{site_number}", f"n{site_number}.example.com")
        key = FIRST.replace("/1000/0", f"/1000/{page}")
        value = replace(first.value, html=application._parts.make_body(data))
        site.entries._front.put(key, CacheEntry.make(value, first.tags, first.last_modified_ms, first.revalidate_seconds))
        site.entries._checked(key, now_ms())


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

    def asked(self, requests: Sequence[Request], order: Sequence[int]) -> float:
        """Send requests; return the CPU of one in ms."""
        before = self.meter.cpu_seconds()
        load = self._generator.run(self.url, requests, order)
        if load.requests > 1 and load.answers["200 hit"] < load.requests:
            raise click.ClickException(f"not only HITs: {dict(load.answers)}")
        return (self.meter.cpu_seconds() - before) * 1000 / load.requests

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
    with _worker(project, generator) as worker:
        worker.door(f"ready/{TENANTS}/1000")  # Python's own first steps, and the build
        heap, begun = worker.heap_mib(), worker.meter.cpu_seconds()
        worker.door(f"ready/0/{TENANTS}")
        took_ms = (worker.meter.cpu_seconds() - begun) * 1000 / TENANTS
        yield Figure("making a site ready: CPU", None, took_ms, "ms", READY_AT_MOST_MS)
        yield Figure(f"heap with {TENANTS:,} sites ready", heap, worker.heap_mib(), "MiB")


def hits(project: Project, generator: LoadGenerator) -> Iterator[Figure]:
    """A HIT of one of 10,000 pages in memory, in front of KV, of one site and of a site each, the two Workers in turns."""
    rng = random.Random(1)  # noqa: S311 - the same requests each time
    with _worker(project, generator) as one, _worker(project, generator) as many:
        of_one = [Request(f"/1000/{number}", {"Host": "n0.example.com"}) for number in range(TENANTS)]
        of_many = [Request("/1000/0", {"Host": f"n{number}.example.com"}) for number in range(TENANTS)]
        sides = ((one, of_one), (many, of_many))
        memory = []
        for worker, requests in sides:
            worker.asked(requests, [0])
            time.sleep(1)  # it is written
            worker.door(f"{'pages' if worker is one else 'sites'}/1/{TENANTS - 1}")
            worker.asked(requests, range(TENANTS))
            memory.append((worker.heap_mib(), worker.meter.memory_bytes() / MIB))
        turns = []
        for _ in range(_TURNS + 1):
            order = rng.choices(range(TENANTS), k=_ASKED)
            turns.append([worker.asked(requests, order) for worker, requests in sides])
        cpu_ms = [statistics.median(turn[side] for turn in turns[1:]) for side in (0, 1)]
        ratio = statistics.median(turn[1] / turn[0] for turn in turns[1:])
        missing = many.door("absent")
    of = f"{TENANTS:,} pages of 1 KB"
    yield Figure(f"{of}: CPU of a HIT", cpu_ms[0], cpu_ms[0] * ratio, "ms", HIT_AT_MOST)
    yield Figure(f"{of}: heap", memory[0][0], memory[1][0], "MiB")
    yield Figure(f"{of}: process", memory[0][1], memory[1][1], "MiB")
    yield Figure(f"{of}: sites without their page in memory", None, float(missing), "")


def mixes(_project: Project, _generator: LoadGenerator) -> Iterator[Figure]:
    """The share of requests that 32 MiB of memory answer, of 10,000 sites with five pages of 8 KB each, and of one with all.

    Here the memory alone is asked, in this process.
    """
    page = "".join(f"<p>paragraph {at * 2654435761 % 4294967291} of a page</p>" for at in range(220)).encode()
    for law, weights in (("uniform", [1.0] * TENANTS), ("Zipf", [1 / (rank + 1) for rank in range(TENANTS)])):
        cumulated = list(accumulate(weights))
        shares = []
        for sites in (1, TENANTS):
            rng = random.Random(2)  # noqa: S311 - the same requests each time
            pool, memories, found = MemoryPool(_MEMORY_BYTES), dict[int, MemoryCacheHandler](), 0
            for number, site in enumerate(rng.choices(range(TENANTS), cum_weights=cumulated, k=2 * _MIXED)):
                owner, path = site % sites, f"/{site}/{rng.randrange(_PAGES_OF_A_SITE)}"
                if owner not in memories:
                    share = pool.share(SITE_BYTES if sites > 1 else 0, partial(memories.pop, owner, None))
                    memories[owner] = MemoryCacheHandler(_MEMORY_BYTES, lambda: 0, share=share)
                memory = memories[owner]
                memory.share.used()
                if memory.use(path) is not None:
                    found += number >= _MIXED
                    continue
                body = BytesBody(page[: 40 * (site % 97)] + str(rng.random()).encode() + page[40 * (site % 97) :])
                memory.put(path, CacheEntry.make(AppPageValue(html=body), path_tags(KeySchema.V2, path), 0, None))
            shares.append(found / _MIXED * 100)
        yield Figure(f"HITs, {TENANTS * _PAGES_OF_A_SITE:,} pages of 8 KB in 32 MiB, {law}", shares[0], shares[1], "%")


@contextmanager
def _worker(project: Project, generator: LoadGenerator) -> Iterator[_Worker]:
    variables = {
        "VINEXT_TENANTS": "*.example.com=site-{label}",
        "VINEXT_KV_LAYOUT": "framed",
        "VINEXT_MEMORY_BYTES": str(3 * _MEMORY_BYTES),  # so that all of it fits
        "VINEXT_TAG_CACHE_MS": "3600000",  # no markers are read while a HIT is measured
    }
    with tempfile.TemporaryDirectory(prefix="tenants-") as folder:
        options = with_a_door(project, Path(folder), _ENTRY, _PAGES)
        with LocalRuntime(replace(options, variables={**options.variables, **variables})) as runtime:
            yield _Worker(runtime, generator)


if __name__ == "__main__":
    main()
