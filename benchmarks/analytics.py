"""`python -m benchmarks.analytics`: what counting and data points for Analytics Engine add to a HIT from memory.

They cost so little that two Workers beside each other differ by more. So a Worker does the same many times in one request.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
import httpx2 as httpx
from rich.console import Console

from benchmarks.load import LoadGenerator, Request
from benchmarks.process import Meter
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.project import Project
from vinext_worker.sites.python_packages import install_python_packages
from vinext_worker.sites.python_project import PythonProject

_ENTRY = """
import sys
import time

from vinext import Page, use_function
from vinext.worker import Default  # noqa: F401

_hit = []


def _named(end):
    return next(module for name, module in sys.modules.items() if name.endswith(end))


async def handler(request):
    path, _, query = request.url.partition("://")[2].partition("/")[2].partition("?")
    if path != "repeat":
        return Page("x" * 8000, revalidate=86400)
    application, answers = _named("edge.app")._application, _named("isr.answer")
    analytics, numbers = application._analytics, next(iter(application._sites.values())).store.numbers
    what, _, times = query.partition("=")
    if what == "listen":
        answered = analytics.answered
        analytics.answered = lambda *given: (_hit.append(given), answered(*given))
        return Page(what, revalidate=0)
    analytics.__dict__.pop("answered", None)
    given = _hit[1]  # the first is of the request that began to listen
    answer = given[1]
    for _ in range(int(times)):
        if what == "count":
            started = time.perf_counter()
            took_ms = (time.perf_counter() - started) * 1000
            numbers.answered(answers.outcome_of(answer), answer.reason, answers.sent_bytes(answer), took_ms)
        else:
            if what == "new":
                analytics._points.clear()
            analytics.answered(*given)
    return Page(what, revalidate=0)


use_function(handler)
"""

_CONFIGURATION = """
name = "counted"
main = "src/entry.py"
compatibility_date = "2026-10-01"
compatibility_flags = ["python_workers"]
analytics_engine_datasets = [{ binding = "VINEXT_ANALYTICS", dataset = "pages" }]
"""

_HITS, _TIMES = 1500, 20_000

_LABELS = {"count": "counting", "points": "the data point of a page that was a HIT before", "new": "a new data point"}


@click.command()
@click.option("--rounds", type=int, default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure the processor time of the workerd process for a HIT of 8 KB, and for what is added to it."""
    project = Project.find()
    site = PythonProject.find(project.root / "tests" / "fixtures" / "python")
    if site is None:
        raise click.ClickException("there is no Python site whose packages could be used")
    install_python_packages(site, project.tools, Console(stderr=True))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "src").mkdir()
        (folder / "src" / "entry.py").write_text(_ENTRY)
        (folder / "wrangler.toml").write_text(_CONFIGURATION)
        config = WranglerConfig.read(folder / "wrangler.toml")
        runtime = stack.enter_context(LocalRuntime(RuntimeOptions(config, project.tools, vendored=site.packages)))
        client = stack.enter_context(httpx.Client(base_url=runtime.url, trust_env=False, timeout=120))
        generator = stack.enter_context(LoadGenerator(project))
        meter = Meter.of_child(runtime.host_pid, "workerd")

        def spent_us(work: str, times: int) -> float:
            before = meter.cpu_seconds()
            if work:
                client.get(f"/repeat?{work}={times}").raise_for_status()
            else:
                generator.run(runtime.direct_url, [Request("/page")], [0] * times)
            return (meter.cpu_seconds() - before) * 1e6

        spent_us("", 2 * _HITS)
        client.get("/repeat?listen").raise_for_status()
        client.get("/page").raise_for_status()
        hits: list[float] = []
        added: dict[str, list[float]] = {work: [] for work in _LABELS}
        for _ in range(rounds):
            hits.append(spent_us("", _HITS) / _HITS)
            for work, costs in added.items():
                costs.append((spent_us(work, _TIMES + 1) - spent_us(work, 1)) / _TIMES)
    hit_us = statistics.median(hits)
    Console().print(f"a HIT: {hit_us:.0f} µs")
    for work, label in _LABELS.items():
        Console().print(f"{label}: {statistics.median(added[work]):.1f} µs, {statistics.median(added[work]) / hit_us:.4f} of it")


if __name__ == "__main__":
    main()
