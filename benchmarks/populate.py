"""Populating a large site: entries a second and memory, beside `wrangler kv bulk put` driven as vinext and OpenNext drive it.

Everything is on this machine: a generated build, and a stand-in of Cloudflare's REST interface in a process of its own.

    .venv/bin/python benchmarks/populate.py [--routes 100000] [--json FILE]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from vinext_worker.project import Project

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "b" * 32
_HTML_BYTES = 10_000
_RSC_BYTES = 3_000
_WRANGLER_BATCH = 25
_ROUTES_A_FOLDER = 1000


@dataclass(frozen=True)
class Figures:
    """One way to write entries; `measured_entries` are those that were really written, `seconds` is for `entries`."""

    name: str
    entries: int
    measured_entries: int
    seconds: float
    peak_mebibytes: float | None
    cpu_seconds: float | None = None
    """Of the process alone: what the machine's other work does not change."""

    @property
    def rate(self) -> float:
        return self.entries / self.seconds

    def to_document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "entries": self.entries,
            "measuredEntries": self.measured_entries,
            "seconds": round(self.seconds, 2),
            "entriesPerSecond": round(self.rate, 1),
            "cpuSeconds": self.cpu_seconds,
            "peakMebibytes": self.peak_mebibytes and round(self.peak_mebibytes, 1),
        }


@click.command
@click.option("--routes", default=100_000, show_default=True, help="Each of 10 KB of HTML and 3 KB of RSC payload: two entries.")
@click.option("--wrangler-runs", default=3, show_default=True, help="Processes of wrangler that are timed; 0 leaves it out.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures there.")
def main(routes: int, wrangler_runs: int, json_file: Path | None) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="vinext-populate-") as folder:
        figures = measure(Path(folder), routes, wrangler_runs)
    table = Table(
        "", "entries", "of them measured", "seconds", "entries/s", "CPU seconds", "peak MiB", title=f"{routes} routes of 10 KB"
    )
    for row in figures:
        peak = "" if row.peak_mebibytes is None else f"{row.peak_mebibytes:.0f}"
        computed = "" if row.cpu_seconds is None else f"{row.cpu_seconds:.1f}"
        numbers = (str(row.entries), str(row.measured_entries), f"{row.seconds:.1f}", f"{row.rate:.0f}")
        table.add_row(row.name, *numbers, computed, peak)
    Console().print(table)
    document: dict[str, object] = {"routes": routes, "cores": os.cpu_count(), "figures": [row.to_document() for row in figures]}
    if wrangler_runs:
        ratio = figures[0].rate / figures[-1].rate
        Console().print(f"wrangler is extrapolated from {wrangler_runs} processes; vinext-worker is {ratio:.0f} times as fast")
        document["timesWrangler"] = round(ratio, 1)
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=2) + "\n")


def measure(folder: Path, routes: int, wrangler_runs: int) -> list[Figures]:
    """Build a site, populate it, again, and with wrangler."""
    generate(folder / "dist" / "server", routes)
    (folder / "wrangler.toml").write_text(
        f'name = "bench"\ncompatibility_date = "2026-10-01"\n[[kv_namespaces]]\nbinding = "VINEXT_CACHE"\nid = "{NAMESPACE}"\n'
    )
    server = [sys.executable, str(ROOT / "tests" / "fakes" / "cloudflare.py")]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
        environment = {
            **os.environ,
            "CLOUDFLARE_API_BASE_URL": process.stdout.readline().strip(),
            "CLOUDFLARE_API_TOKEN": "test-token-0123456789-abcdefghijklmnopqrst",
        }
        command = [sys.executable, "-m", "vinext_worker", "populate", "--json"]
        command += ["--config", str(folder / "wrangler.toml"), "--from", str(folder / "dist" / "server")]
        names = ("vinext-worker populate", "again, nothing changed")
        figures = [run(name, command, environment, routes * 2) for name in names]
        figures += [wrangler(folder, environment, routes, wrangler_runs)] if wrangler_runs else []
        process.communicate("")
    return figures


def run(name: str, command: list[str], environment: dict[str, str], entries: int) -> Figures:
    """Run a command to its end; its memory is what it says itself."""
    started = time.perf_counter()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if finished.returncode != 0:
        raise SystemExit(finished.stderr or finished.stdout)
    report = json.loads(finished.stdout)
    if report["written"] + report["unchanged"] != entries:
        raise SystemExit(f"{name}: {report['written']} written and {report['unchanged']} unchanged of {entries}")
    return Figures(name, entries, entries, seconds, report["peakBytes"] / 2**20, report["cpuSeconds"])


def wrangler(folder: Path, environment: dict[str, str], routes: int, runs: int) -> Figures:
    """Time a few processes of 25 entries each, one after the other, as vinext and OpenNext start them."""
    pairs = [{"key": f"cache:app:v2:build:/p/{number}:html", "value": page(number)} for number in range(_WRANGLER_BATCH)]
    file = folder / "bulk.json"
    file.write_text(json.dumps(pairs))
    tools = Project.find().tools
    command = [
        str(tools.node),
        str(tools.wrangler),
        "kv",
        "bulk",
        "put",
        str(file),
    ]
    command += ["--namespace-id", NAMESPACE, "--remote"]
    environment = environment | {"CLOUDFLARE_ACCOUNT_ID": "a" * 32, "WRANGLER_SEND_METRICS": "false", "CI": "1"}
    started = time.perf_counter()
    for _ in range(runs):
        finished = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            raise SystemExit(f"wrangler: {finished.stdout}{finished.stderr}")
    seconds = (time.perf_counter() - started) / runs
    entries = routes * 2
    extrapolated = seconds * entries / _WRANGLER_BATCH
    return Figures("wrangler kv bulk put, 25 a process", entries, runs * _WRANGLER_BATCH, extrapolated, None)


def generate(server: Path, routes: int) -> None:
    """Write a build as vinext 1.4.0 lays it out."""
    artifacts = server / "prerendered-routes"
    artifacts.mkdir(parents=True)
    with (server / "vinext-prerender.json").open("w") as manifest:
        manifest.write('{"buildId": "bench", "trailingSlash": false, "pregeneratedConcretePaths": [], "routes": [')
        for number in range(routes):
            path = f"/p{number // _ROUTES_A_FOLDER}/{number}"
            file = artifacts / path[1:]
            if number % _ROUTES_A_FOLDER == 0:
                file.parent.mkdir()
            file.with_suffix(".html").write_text(page(number))
            file.with_suffix(".rsc").write_text(f'0:["{number}"]\n' + "x" * (_RSC_BYTES - 20))
            tags = [path, f"_N_T_{path}", "_N_T_/layout"]
            row = {"route": "/:a/:b", "path": path, "status": "rendered", "revalidate": 60, "router": "app", "tags": tags}
            manifest.write(f"{',' if number else ''}\n{json.dumps(row)}")
        manifest.write("]}")


def page(number: int) -> str:
    """About 10 KB of HTML, different on each page."""
    item = f'<li class="item"><a href="/p/{number}">„Straße“ &amp; more — number {number}</a></li>\n'
    head = f'<!DOCTYPE html><html lang="en"><head><title>{number}</title></head><body><ul>'
    return head + item * ((_HTML_BYTES - len(head)) // len(item.encode())) + "</ul></body></html>"


if __name__ == "__main__":
    main()
