"""Nothing grows: many requests for many distinct paths, with memory, processor time and proxies watched all the way.

`.venv/bin/python -m benchmarks.soak --requests 1000000 --paths 100000`
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contender import ours, with_a_door
from benchmarks.load import LoadGenerator, Request
from vinext_worker.project import Project

_PARTS = 10
_WARM_UP_PARTS = 2
_MEMORY_GROWTH = 1.15
_CPU_GROWTH = 1.25
_SPARE_PROXIES = 200
_MEMORY_BYTES = 8 * 1024 * 1024
_SEED = 7

_PAGES = """
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const headers = { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "s-maxage=86400" };
    return new Response(`<!DOCTYPE html><title>${pathname}</title>${"<p>a paragraph of a page</p>".repeat(150)}`, { headers });
  },
};
"""

# The Worker with a door of its own, which counts what Python holds of JavaScript and JavaScript of Python.
_ENTRY = '''"""The Worker, and a path that tells what is held between Python and JavaScript."""

import gc
import json

import js
from edge.app import Application, Default  # noqa: F401
from pyodide.ffi import JsProxy

answer = Application.answer


async def answer_or_count(application, request):
    if not request.url.endswith("/count-proxies"):
        return await answer(application, request)
    gc.collect()
    counts = {"js_proxies": 0, "objects": 0}
    for thing in gc.get_objects():
        counts["objects"] += 1
        counts["js_proxies"] += sum(isinstance(held, JsProxy) for held in gc.get_referents(thing))
    return js.Response.new(json.dumps(counts))


Application.answer = answer_or_count
'''


@dataclass(frozen=True)
class Part:
    """A tenth of the run."""

    requests: int
    cpu_ms: float
    memory_mb: float
    js_proxies: int
    objects: int
    answers: dict[str, int]


@click.command()
@click.option("--requests", type=int, default=1_000_000, show_default=True)
@click.option("--paths", type=int, default=100_000, show_default=True)
@click.option("--store", type=click.Choice(["memory", "tiered"]), default="memory", show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(requests: int, paths: int, store: str, json_file: Path | None) -> None:
    """Ask for distinct paths at random, part by part, and say whether anything grew."""
    project = Project.find()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        parts = _run(project, folder, requests, paths, store)
    finally:
        shutil.rmtree(folder)
    table = Table("requests", "CPU ms", "memory MB", "JavaScript objects held", "Python objects", "answers")
    for part in parts:
        answers = ", ".join(f"{kind}: {count}" for kind, count in part.answers.items())
        held = (str(part.js_proxies), str(part.objects))
        table.add_row(f"{part.requests:,}", f"{part.cpu_ms:.2f}", f"{part.memory_mb:.0f}", *held, answers)
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([vars(part) for part in parts], indent=1) + "\n")
    if failures := _growth(parts):
        raise SystemExit("grew: " + "; ".join(failures))


def _run(project: Project, folder: Path, requests: int, paths: int, store: str) -> list[Part]:
    options = with_a_door(project, folder, _ENTRY, _PAGES)
    options = replace(options, variables={**options.variables, "VINEXT_MEMORY_BYTES": str(_MEMORY_BYTES)})
    contender = ours("memory" if store == "memory" else "tiered", options)
    wanted = [Request(f"/page/{number}") for number in range(paths)]
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    parts: list[Part] = []
    with LoadGenerator(project) as generator, contender.start() as running:
        for number in range(_PARTS):
            order = chance.choices(range(paths), k=requests // _PARTS)
            before = running.meter.cpu_seconds()
            load = generator.run(running.url, wanted, order)
            cpu_ms = (running.meter.cpu_seconds() - before) / len(order) * 1000
            with urllib.request.urlopen(f"{running.url}/count-proxies", timeout=120) as response:  # noqa: S310 - our own
                counts = json.loads(response.read())
            memory_mb = running.meter.memory_bytes() / 1e6
            answers = dict(load.answers)
            parts.append(Part((number + 1) * len(order), cpu_ms, memory_mb, counts["js_proxies"], counts["objects"], answers))
    return parts


def _growth(parts: list[Part]) -> list[str]:
    """What was more at the end than once everything had filled up; nothing where all is well."""
    early, last = parts[_WARM_UP_PARTS], parts[-1]
    failures = []
    if last.memory_mb > early.memory_mb * _MEMORY_GROWTH:
        failures.append(f"memory, from {early.memory_mb:.0f} to {last.memory_mb:.0f} MB")
    if last.cpu_ms > early.cpu_ms * _CPU_GROWTH:
        failures.append(f"processor time of a request, from {early.cpu_ms:.2f} to {last.cpu_ms:.2f} ms")
    if last.js_proxies > early.js_proxies * _MEMORY_GROWTH + _SPARE_PROXIES:
        failures.append(f"JavaScript objects held, from {early.js_proxies} to {last.js_proxies}")
    return failures


if __name__ == "__main__":
    main()
