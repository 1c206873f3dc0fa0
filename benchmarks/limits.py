"""`python -m benchmarks.limits`: many routes, many tags. Each part stands beside the same with few.

`--only routes` (and tags, invalidation) measures one part. All of it takes some minutes on a quiet machine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from benchmarks.cold import first_answers
from benchmarks.contender import ADMIN_TOKEN, our_options, ours
from benchmarks.load import LoadGenerator, Request
from cache.keys import kv_entry_prefix
from cache.stored import key_hash
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import ScriptService
from vinext_worker.project import Project
from vinext_worker.sites.site_build import SiteBuild

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.contender import Running, Store

ROUTES, TAGS, ENTRIES = 1_000_000, 1000, 1_000_000
COLD_AT_MOST = 1.3

_TURNS = 7
_FILES = 64
_TAGS_OF_ALL = tuple(f"all-{number}" for number in range(5))
_MISSES = 100
_SETTLED_SECONDS = 1.2
_STORED_SECONDS = 30
_PAGES = """export default { fetch(request) {
  const [, tags] = new URL(request.url).pathname.split("/");
  const [count, name] = tags === "all" ? [TAGS_OF_ALL, "all"] : [Number(tags), "tag"];
  const own = Array.from({ length: count }, (_, number) => `${name}-${number}`).join(",");
  const headers = { "Content-Type": "text/html", "Cache-Control": "s-maxage=86400", "Cache-Tag": own };
  return new Response(`<!DOCTYPE html><title>${request.url}</title>${"<p>a paragraph of a page</p>".repeat(70)}`, { headers });
} };""".replace("TAGS_OF_ALL", str(len(_TAGS_OF_ALL)))
"""A page of 2 KB at `/TAGS/…`, with so many tags; one at `/all/…` has those that all of these have."""


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
@click.option("--entries", default=ENTRIES, show_default=True, help="That have a tag which is invalidated.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(only: str | None, routes: int, entries: int, json_file: Path | None) -> None:
    """Measure."""
    project = Project.find()
    parts: dict[str, Callable[[], list[Figure]]] = {
        "routes": lambda: copied_routes(routes) + cold_routes(project, routes),
        "tags": lambda: tags(project),
        "invalidation": lambda: invalidation(project, entries),
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


def invalidation(project: Project, entries: int) -> list[Figure]:
    """The invalidation of a tag that one entry in KV has, and of one that all have; then the next requests.

    Each of several tags is invalidated on its own, because KV takes a write a second for a key. A page that has none of the tags
    is a HIT throughout; of the entries that have them, each is a MISS the first time.
    """
    found: dict[int, _Invalidated] = {}
    with LoadGenerator(project) as generator:
        for count in (1, entries):
            with tempfile.TemporaryDirectory(prefix="limits-") as state:
                found[count] = _invalidated(project, generator, Path(state), count)
    few, many = found[1], found[entries]
    of = f"a tag of 1 and of {entries:,} entries in KV"
    return [
        Figure(f"{of}: CPU of its invalidation", few.cpu_ms, many.cpu_ms, "ms"),
        Figure(f"{of}: keys that {len(_TAGS_OF_ALL)} invalidations added to KV", few.written, many.written, ""),
        Figure("entries in KV, before the invalidations and after", many.entries_before, many.entries_after, ""),
        Figure("HIT of a page without the tag, before and after", many.hit_before_ms, many.hit_after_ms, "ms"),
        Figure("a new page, and one whose entry was invalidated: MISS", many.new_ms, many.miss_ms, "ms"),
    ]


@dataclass(frozen=True)
class _Invalidated:
    """CPU time of an invalidation and of requests; how many keys the invalidations added, and how many entries KV has."""

    cpu_ms: float
    written: int
    entries_before: int
    entries_after: int
    hit_before_ms: float
    hit_after_ms: float
    new_ms: float
    miss_ms: float


def _invalidated(project: Project, generator: LoadGenerator, state: Path, entries: int) -> _Invalidated:
    variables = {"VINEXT_ADMIN_TOKEN": ADMIN_TOKEN}
    free, tagged = [Request("/1/free")], [Request(f"/all/{number}") for number in range(min(entries, _MISSES))]
    with _worker(project, "tiered", variables, state) as running:
        generator.run(running.url, [*free, Request("/all/0")], range(2))
        _wait_for_entries(running, 2)
    _fill(state, entries)
    with _worker(project, "tiered", variables, state) as running:
        generator.run(running.url, free, [0] * 300)
        running.invalidate({"tags": ["nobody's"]})
        last = generator.run(running.url, [Request(f"/all/{entries - 1}")], [0])
        if set(last.answers) != {"200 hit"}:
            raise click.ClickException(f"the last of {entries:,} entries: {dict(last.answers)}")
        hit_before_ms = _hit_ms(generator, running, free, [0] * 1000)
        before = _keys(state)
        costs = []
        for tag in _TAGS_OF_ALL:
            time.sleep(_SETTLED_SECONDS)
            started = running.meter.cpu_seconds()
            running.invalidate({"tags": [tag]})
            time.sleep(_SETTLED_SECONDS)  # what is written behind the answer counts
            costs.append((running.meter.cpu_seconds() - started) * 1000)
        after = _keys(state)
        hit_after_ms = _hit_ms(generator, running, free, [0] * 1000)
        new = [Request(f"/1/new-{number}") for number in range(_MISSES)]
        new_ms, miss_ms = (_miss_ms(generator, running, asked) for asked in (new, tagged))
    kept_before, kept_after = (len(_entries(keys)) for keys in (before, after))
    cost, written = statistics.median(costs), len(after - before)
    return _Invalidated(cost, written, kept_before, kept_after, hit_before_ms, hit_after_ms, new_ms, miss_ms)


def _wait_for_entries(running: Running, count: int) -> None:
    assert running.runtime is not None  # noqa: S101 - it is ours
    deadline = time.monotonic() + _STORED_SECONDS
    while len(_entries(running.runtime.kv().names())) < count:
        if time.monotonic() > deadline:
            raise click.ClickException("the pages are not in KV")
        time.sleep(0.05)


def _fill(state: Path, entries: int) -> None:
    """Copy the entry of `/all/0` to so many pages, in the database of the local KV.

    Each has a key, a head with its own tags and an expiration, as the Worker would have written them. A body is a file, which
    most of the entries share; those that are asked for have one each, because a new page takes the place of its file.
    """
    (database,) = [file for file in state.rglob("*.sqlite") if "KVNamespace" in str(file) and _rows(file, "all/0")]
    connection = sqlite3.connect(database)
    ((key, blob, expiration, metadata),) = _rows(database, "all/0")
    (body,) = state.rglob(blob)
    name = "all/0"
    head = json.loads(metadata)

    def rows() -> Iterator[tuple[str, str, int | None, str]]:
        for number in range(1, entries):
            own = f"all/{number}"
            of_row = key.replace(name, own)
            tags = [tag.replace(name, own) for tag in head["tags"]]
            text = json.dumps({**head, "tags": tags, "keyHash": key_hash(of_row)}, separators=(",", ":"))
            has_body = number < _MISSES or number == entries - 1
            if has_body:
                os.link(body, body.with_name(f"{blob}-{number}"))
            yield of_row, f"{blob}-{number}" if has_body else blob, expiration, text

    with closing(connection), connection:
        connection.executemany("INSERT INTO _mf_entries VALUES (?, ?, ?, ?)", rows())


def _rows(database: Path, name: str) -> list[tuple[str, str, int | None, str]]:
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):  # no database of entries
        return connection.execute("SELECT * FROM _mf_entries WHERE key LIKE ?", [f"%:/{name}:%"]).fetchall()
    return []


def _keys(state: Path) -> set[str]:
    """Return the keys that are in the local KV."""
    found: set[str] = set()
    for file in state.rglob("*.sqlite"):
        with closing(sqlite3.connect(file)) as connection, suppress(sqlite3.OperationalError):
            found.update(key for (key,) in connection.execute("SELECT key FROM _mf_entries"))
    return found


def _entries(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.startswith(kv_entry_prefix(""))]


def _miss_ms(generator: LoadGenerator, running: Running, requests: Sequence[Request]) -> float:
    before = running.meter.cpu_seconds()
    load = generator.run(running.url, requests, range(len(requests)))
    time.sleep(_SETTLED_SECONDS)
    if set(load.answers) != {"200 miss"}:
        raise click.ClickException(f"{requests[0].path}: {dict(load.answers)}")
    return (running.meter.cpu_seconds() - before) * 1000 / load.requests


@contextmanager
def _worker(
    project: Project, store: Store, variables: dict[str, str] | None = None, state: Path | None = None
) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        options = replace(
            our_options(project.root, None, Path(folder)),
            services={"PAGES": ScriptService(_PAGES)},
            variables=variables or {},
            state=state,
        )
        with ours(store, options).start() as running:
            yield running


def _hit_ms(generator: LoadGenerator, running: Running, requests: Sequence[Request], order: Sequence[int]) -> float:
    before = running.meter.cpu_seconds()
    load = generator.run(running.url, requests, order)
    if load.answers["200 hit"] < 0.95 * load.requests:
        raise click.ClickException(f"{requests[0].path}: {dict(load.answers)}")
    return (running.meter.cpu_seconds() - before) * 1000 / load.requests


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
