"""Nothing grows: many requests for many distinct paths, with memory, processor time and proxies watched all the way.

`.venv/bin/python -m benchmarks.soak --requests 1000000 --paths 100000`

`--site varied` and `--site vinext` have everything on that one site can have: KV behind memory, the Durable Object of tags,
pages that become stale, an invalidation before each 1,000 requests; and variants by `Vary` in the one, an app in stages with
middleware in the other, because such an app keys its own variants.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import sites
from benchmarks.contender import ADMIN_TOKEN, ours, with_a_door
from benchmarks.growth import growth
from benchmarks.load import LoadGenerator, Request
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import BuildService
from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vinext_worker.local_runtime import RuntimeOptions

_PARTS = 20
_SHOWN_PARTS = 10
_SLICE = 1000
_MEMORY_BYTES = 8 * 1024 * 1024
_SEED = 7
_MAX_MEMORY_GROWTH = 16
_MAX_CPU_GROWTH = 0.25

_PLAIN = """
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const headers = { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "s-maxage=86400" };
    return new Response(`<!DOCTYPE html><title>${pathname}</title>${"<p>a paragraph of a page</p>".repeat(150)}`, { headers });
  },
};
"""

# Every hundredth page has a period of a second. Each has one of fifty tags.
_VARIED = """
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const number = Number(pathname.split("/").at(-1));
    const language = request.headers.get("Accept-Language");
    const headers = {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": number % 100 === 0 ? "s-maxage=1, stale-while-revalidate=86400" : "s-maxage=86400",
      "Cache-Tag": `tag-${number % 50}`,
      Vary: "Accept-Language",
    };
    const text = "<p>a paragraph of a page</p>".repeat(150);
    return new Response(`<!DOCTYPE html><html lang="${language}"><title>${pathname}</title>${text}`, { headers });
  },
};
"""
_LANGUAGES = ("en", "de", "fr")

# The Worker with a door of its own, which counts what Python holds of JavaScript and JavaScript of Python.
_ENTRY = '''"""The Worker, and a path that tells what is held between Python and JavaScript."""

import gc
import json

import js
from edge.app import Application, Default  # noqa: F401
from edge.tags import VinextTags  # noqa: F401
from pyodide.ffi import JsProxy

answer = Application.answer


async def answer_or_count(application, request):
    if not request.url.endswith("/count-proxies"):
        return await answer(application, request)
    import pyodide_js

    gc.collect()
    counts = {"js_proxies": 0, "objects": 0, "heap_bytes": pyodide_js._module.HEAP8.length}
    for thing in gc.get_objects():
        counts["objects"] += 1
        counts["js_proxies"] += sum(isinstance(held, JsProxy) for held in gc.get_referents(thing))
    return js.Response.new(json.dumps(counts))


Application.answer = answer_or_count
'''


@dataclass(frozen=True)
class Site:
    """What is asked, of which Worker; `invalidation` is the body of a request that invalidates something of that number."""

    options: RuntimeOptions
    wanted: Sequence[Request]
    store: str
    invalidation: Callable[[int], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Part:
    """One of the parts of the run."""

    requests: int
    cpu_ms: float
    memory_bytes: int
    heap_bytes: int
    js_proxies: int
    objects: int
    answers: dict[str, int]


@click.command()
@click.option("--requests", type=int, default=1_000_000, show_default=True)
@click.option("--paths", type=int, default=100_000, show_default=True)
@click.option("--site", "name", type=click.Choice(["plain", "varied", "vinext"]), default="plain", show_default=True)
@click.option("--store", type=click.Choice(["memory", "tiered"]), default="memory", show_default=True, help="Of the plain site.")
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(requests: int, paths: int, name: str, store: str, json_file: Path | None) -> None:
    """Ask for distinct paths at random, part by part, and say whether anything grew."""
    if requests < _PARTS * _SLICE:
        raise click.BadParameter(f"at least {_PARTS * _SLICE:,}, in {_PARTS} parts", param_hint="--requests")
    project = Project.find()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        parts = _run(project, _site(name, store, paths, project, folder, console), requests)
    finally:
        shutil.rmtree(folder)
    table = Table("requests", "CPU ms", "memory MB", "heap MiB", "JavaScript objects held", "Python objects", "answers")
    for part in parts[_PARTS // _SHOWN_PARTS - 1 :: _PARTS // _SHOWN_PARTS]:
        answers = ", ".join(f"{kind}: {count}" for kind, count in part.answers.items())
        memory = (f"{part.memory_bytes / 1e6:.0f}", f"{part.heap_bytes / 2**20:.0f}")
        table.add_row(f"{part.requests:,}", f"{part.cpu_ms:.2f}", *memory, str(part.js_proxies), f"{part.objects:,}", answers)
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([vars(part) for part in parts], indent=1) + "\n")
    lines, failures = judged(parts)
    console.print("in the second half:", *lines, sep="\n  ")
    if failures:
        raise SystemExit("grew: " + "; ".join(failures))


def _site(name: str, store: str, paths: int, project: Project, folder: Path, console: Console) -> Site:  # noqa: PLR0913, PLR0917
    if name == "plain":
        return Site(_options(project, folder, _PLAIN), [Request(f"/page/{number}") for number in range(paths)], store)
    if name == "varied":
        options = _with_objects(_options(project, folder, _VARIED), {"VINEXT_LANGUAGES": ",".join(_LANGUAGES)})
        wanted = [
            Request(f"/page/{number}", {"Accept-Language": language}) for number in range(paths // 3) for language in _LANGUAGES
        ]
        return Site(options, wanted, "tiered", lambda number: {"tags": [f"tag-{number % 50}"]})
    built = sites.build(sites.BEHIND, project, console)
    copy_build(built, folder / "copied")
    options = replace(_with_objects(_options(project, folder, _PLAIN), {}), services={"PAGES": BuildService(built.server_config)})
    # Half are behind middleware, and every hundredth has a period of a second. A page's path is its size.
    folders = (*("ruled", "page") * 49, "ruled", "brief")
    addresses = [f"/{folders[number % len(folders)]}/{9000 + number // len(folders)}" for number in range(paths)]
    return Site(
        replace(options, assets_directory=folder / "copied"),
        [Request(address) for address in addresses],
        "tiered",
        lambda number: {"paths": [addresses[number * 7 % len(addresses)]]},
    )


def _options(project: Project, folder: Path, pages: str) -> RuntimeOptions:
    options = with_a_door(project, folder, _ENTRY, pages)
    return replace(options, variables={**options.variables, "VINEXT_MEMORY_BYTES": str(_MEMORY_BYTES)})


def _with_objects(options: RuntimeOptions, variables: dict[str, str]) -> RuntimeOptions:
    objects = {"VINEXT_TAGS": "VinextTags"}
    config = replace(options.config, durable_objects=objects, object_classes=dict.fromkeys(objects.values(), True))
    return replace(options, config=config, variables={**options.variables, "VINEXT_ADMIN_TOKEN": ADMIN_TOKEN, **variables})


def _run(project: Project, site: Site, requests: int) -> list[Part]:
    contender = ours("memory" if site.store == "memory" else "tiered", site.options)
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    parts: list[Part] = []
    slices = requests // _PARTS // _SLICE
    with LoadGenerator(project) as generator, contender.start() as running:
        for number in range(_PARTS):
            before = running.meter.cpu_seconds()
            answers: dict[str, int] = {}
            for slice_number in range(slices):
                if site.invalidation is not None:
                    running.invalidate(site.invalidation(number * slices + slice_number))
                load = generator.run(running.url, site.wanted, chance.choices(range(len(site.wanted)), k=_SLICE))
                for kind, count in load.answers.items():
                    answers[kind] = answers.get(kind, 0) + count
            cpu_ms = (running.meter.cpu_seconds() - before) / (slices * _SLICE) * 1000
            if failed := {kind: count for kind, count in answers.items() if not kind.startswith("200 ")}:
                raise click.ClickException(f"answers that failed: {failed}")
            with urllib.request.urlopen(f"{running.url}/count-proxies", timeout=120) as response:  # noqa: S310 - our own
                counts = json.loads(response.read())
            memory = running.meter.memory_bytes()
            click.echo(f"{number + 1} of {_PARTS}: {cpu_ms:.2f} ms, {memory / 1e6:.0f} MB", err=True)
            parts.append(Part((number + 1) * slices * _SLICE, cpu_ms, memory, answers=answers, **counts))
    return parts


def judged(parts: Sequence[Part]) -> tuple[list[str], list[str]]:
    """Return what each series does in the second half, and which grow: more than their own error, and more than a little."""
    requests = [float(part.requests) for part in parts]
    lines, failures = [], []
    middle, last = parts[len(parts) // 2], parts[-1]
    series: dict[str, tuple[list[float], float, str]] = {
        "memory": ([part.memory_bytes for part in parts], _MAX_MEMORY_GROWTH, "bytes a request"),
        "Python objects": ([part.objects * 1000 for part in parts], 1.0, "in 1,000 requests"),
        "JavaScript objects held": ([part.js_proxies * 1000 for part in parts], 1.0, "in 1,000 requests"),
        "CPU of a request": ([part.cpu_ms * 1000 * 1000 for part in parts], _limit_of_cpu(parts), "µs in 1,000 requests"),
    }
    for name, (samples, limit, unit) in series.items():
        found = growth(requests, samples)
        verdict = "growth" if found.is_seen else "none seen"
        line = f"{name}: {found.slope:+.2f} ± {found.error:.2f} {unit}: {verdict}"
        lines.append(line)
        if found.slope - found.error > limit:
            failures.append(line)
    # Wasm memory never shrinks, so it has no waves.
    line = f"heap, MiB: from {middle.heap_bytes / 2**20:,.0f} to {last.heap_bytes / 2**20:,.0f}"
    lines.append(line)
    if last.heap_bytes > middle.heap_bytes:
        failures.append(line)
    return lines, failures


def _limit_of_cpu(parts: Sequence[Part]) -> float:
    """A quarter more at the end of the run than at its middle, in µs for 1,000 requests."""
    half = (parts[-1].requests - parts[len(parts) // 2].requests) / 1000
    return parts[len(parts) // 2].cpu_ms * 1000 * _MAX_CPU_GROWTH / half


if __name__ == "__main__":
    main()
