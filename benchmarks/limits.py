"""`python -m benchmarks.limits`: many routes, many tags. Each part stands beside the same with few.

`--only routes` (and tags, invalidation) measures one part. All of it takes some minutes on a quiet machine.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from benchmarks.cold import first_answers
from benchmarks.contender import our_options, ours
from benchmarks.load import LoadGenerator, Request
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import ScriptService
from vinext_worker.project import Project
from vinext_worker.sites.site_build import SiteBuild

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.contender import Running, Store

ROUTES, TAGS, ENTRIES = 1_000_000, 1000, 5000
COLD_AT_MOST = 1.3

_TOKEN = "benchmark-token-0123456789-abcdefghijklmnopqrst"  # noqa: S105 - it protects nothing
_TURNS = 7
_FILES = 64
_PAGES = """export default { fetch(request) {
  const [, tags] = new URL(request.url).pathname.split("/");
  const own = Array.from({ length: Number(tags) }, (_, number) => `tag-${number}`).join(",");
  const headers = { "Content-Type": "text/html", "Cache-Control": "s-maxage=86400", "Cache-Tag": `${own},all` };
  return new Response(`<!DOCTYPE html><title>${request.url}</title>${"<p>a paragraph of a page</p>".repeat(70)}`, { headers });
} };"""
"""A page of 2 KB at `/TAGS/…`, with so many tags."""


@dataclass(frozen=True)
class Figure:
    """One measurement, and the same with few; `limit` is of their ratio."""

    what: str
    few: float
    many: float
    unit: str
    limit: float | None = None

    @property
    def is_within(self) -> bool:
        return self.limit is None or self.many <= self.few * self.limit


@click.command()
@click.option("--only", type=click.Choice(["routes", "tags", "invalidation"]), help="One part.")
@click.option("--routes", default=ROUTES, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(only: str | None, routes: int, json_file: Path | None) -> None:
    """Measure."""
    project = Project.find()
    parts: dict[str, Callable[[], list[Figure]]] = {
        "routes": lambda: copied_routes(routes) + cold_routes(project, routes),
        "tags": lambda: tags(project),
        "invalidation": lambda: invalidation(project),
    }
    figures = [figure for name, part in parts.items() if only in {None, name} for figure in part()]
    table = Table("", "few", "many", "ratio", "at most")
    for figure in figures:
        ratio = f"{figure.many / figure.few:.2f}" if figure.few else ""
        shown = (f"{figure.few:,.3g} {figure.unit}", f"{figure.many:,.4g} {figure.unit}")
        table.add_row(figure.what, *shown, ratio, "" if figure.limit is None else f"{figure.limit:g}")
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([vars(figure) for figure in figures], indent=1) + "\n")
    if beyond := [figure.what for figure in figures if not figure.is_within]:
        raise SystemExit("beyond the limit: " + "; ".join(beyond))


def copied_routes(routes: int) -> list[Figure]:
    """Copy a build of so many routes, in a process of its own, beside one with a hundredth of them.

    Every route has 1 KB of HTML, out of a few files, so that the index is what is measured.
    """
    found = []
    for count in (routes // 100, routes):
        with tempfile.TemporaryDirectory(prefix="limits-") as name:
            folder = Path(name)
            _generate(folder / "server", count)
            started = time.perf_counter()
            child = os.fork()
            if child == 0:
                server = folder / "server"
                built = SiteBuild(
                    folder,
                    "1.4.0",
                    server / "wrangler.json",
                    server / "client",
                    server / "vinext-prerender.json",
                    server / "prerendered-routes",
                )
                copy_build(built, folder / "assets")
                os._exit(0)
            _, status, usage = os.wait4(child, 0)
            if status != 0:
                raise click.ClickException(f"copying {count:,} routes failed; see above")
            files = sum(len(names) for _, _, names in os.walk(folder / "assets"))
            found.append((usage, time.perf_counter() - started, files, count))
    (few, few_s, few_files, few_count), (many, many_s, many_files, many_count) = found

    def cpu_us(usage: resource.struct_rusage, count: int) -> float:
        return (usage.ru_utime + usage.ru_stime) / count * 1e6

    of = f"copy, {few_count:,} and {many_count:,} routes"
    return [
        Figure(f"{of}: CPU of a route", cpu_us(few, few_count), cpu_us(many, many_count), "µs"),
        Figure(f"{of}: time", few_s, many_s, "s"),
        Figure(f"{of}: memory at most", few.ru_maxrss / 1024, many.ru_maxrss / 1024, "MB"),
        Figure(f"{of}: files of the assets", few_files, many_files, ""),
    ]


def cold_routes(project: Project, routes: int) -> list[Figure]:
    """The first answer of an isolate of a site with so many routes, beside one with ten."""
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        assets = our_options(project.root, None, Path(folder))
        few, many, _ = first_answers((10, routes), assets, Path(folder) / "cold", _TURNS)
    shares = [one / other for one, other in zip(many.thread_ms, few.thread_ms, strict=True)]
    few_ms = statistics.median(few.thread_ms)
    what = f"first answer of a cold isolate, 10 and {routes:,} routes: CPU of its thread"
    return [Figure(what, few_ms, few_ms * statistics.median(shares), "ms", COLD_AT_MOST)]


def tags(project: Project) -> list[Figure]:
    """A MISS and a HIT of a page with few tags and of one with many."""
    figures = []
    stores: tuple[tuple[Store, str], ...] = (("memory", "memory"), ("framed", "KV (framed)"), ("vinext", "KV (vinext layout)"))
    with LoadGenerator(project) as generator:
        for store, name in stores:
            with _worker(project, store) as running:
                few, many = [Request("/5/page")], [Request(f"/{TAGS}/page")]
                for requests in (few, many):
                    generator.run(running.url, requests, [0] * 300)
                turns = [[_hit_ms(generator, running, asked, [0] * 100) for asked in (few, many)] for _ in range(_TURNS)]
                medians = [statistics.median(column) for column in zip(*turns, strict=True)]
                figures.append(Figure(f"HIT, {name}, 5 and {TAGS:,} tags", medians[0], medians[1], "ms"))
    return figures


def invalidation(project: Project) -> list[Figure]:
    """The invalidation of a tag that one entry has, and of one that all entries have; then a HIT of a page that has neither."""
    found: dict[int, float] = {}
    after: dict[int, float] = {}
    variables = {"VINEXT_ADMIN_TOKEN": _TOKEN}
    with LoadGenerator(project) as generator:
        for entries in (1, ENTRIES):
            with _worker(project, "tiered", variables) as running:
                requests = [Request(f"/1/{number}") for number in range(entries)]
                generator.run(running.url, requests, range(entries))
                time.sleep(1)
                before = running.meter.cpu_seconds()
                _revalidate(running.url, "all")
                found[entries] = (running.meter.cpu_seconds() - before) * 1000
                generator.run(running.url, [Request("/1/new")], [0] * 100)
                after[entries] = _hit_ms(generator, running, [Request("/1/new")], [0] * 1000)
    return [
        Figure(f"an invalidation, of 1 and of {ENTRIES:,} entries: CPU", found[1], found[ENTRIES], "ms"),
        Figure("HIT of a new page after that", after[1], after[ENTRIES], "ms"),
    ]


@contextmanager
def _worker(project: Project, store: Store, variables: dict[str, str] | None = None) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        options = replace(
            our_options(project.root, None, Path(folder)), services={"PAGES": ScriptService(_PAGES)}, variables=variables or {}
        )
        with ours(store, options).start() as running:
            yield running


def _hit_ms(generator: LoadGenerator, running: Running, requests: Sequence[Request], order: Sequence[int]) -> float:
    before = running.meter.cpu_seconds()
    load = generator.run(running.url, requests, order)
    if load.answers["200 hit"] < 0.95 * load.requests:
        raise click.ClickException(f"{requests[0].path}: {dict(load.answers)}")
    return (running.meter.cpu_seconds() - before) * 1000 / load.requests


def _revalidate(url: str, tag: str) -> None:
    headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/__vinext/revalidate", json.dumps({"tags": [tag]}).encode(), headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own
        response.read()


def _generate(server: Path, routes: int) -> None:
    """Write a build as vinext 1.4.0 lays it out; its pages are links to a few files, which takes less long."""
    artifacts, bodies = server / "prerendered-routes", server / "bodies"
    artifacts.mkdir(parents=True)
    bodies.mkdir()
    (server / "client").mkdir()
    (server / "wrangler.json").write_text("{}")
    links_of_a_file = -(-routes // _FILES) if routes < _FILES * 60_000 else 60_000
    with (server / "vinext-prerender.json").open("w") as manifest:
        manifest.write('{"buildId": "limits", "trailingSlash": false, "pregeneratedConcretePaths": [], "routes": [')
        for number in range(routes):
            body = bodies / str(number // links_of_a_file)
            if number % links_of_a_file == 0:
                body.write_text(f"<!DOCTYPE html><title>{number}</title>" + "<p>a paragraph of a page</p>" * 35)
            path = f"/p{number // 1000}/{number}"
            file = artifacts / path[1:]
            if number % 1000 == 0:
                file.parent.mkdir()
            os.link(body, file.with_suffix(".html"))
            tags = [path, f"_N_T_{path}", "_N_T_/layout"]
            row = {"route": "/:a/:b", "path": path, "status": "rendered", "revalidate": 60, "router": "app", "tags": tags}
            manifest.write(f"{',' if number else ''}\n{json.dumps(row)}")
        manifest.write("]}")


if __name__ == "__main__":
    main()
