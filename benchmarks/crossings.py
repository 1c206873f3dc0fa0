"""`python -m benchmarks.crossings`: what one MISS and one STALE do, counted in the Worker."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import click
from rich.console import Console
from rich.table import Table

from benchmarks import sites
from benchmarks.contender import note_quiet, our_options, with_own_entry, with_store
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.project import Project

# The Worker with a door of its own: `/__count/on` counts from now on, `/__count/off` says what was counted.
_ENTRY = '''"""The Worker, and a path that counts what it does."""

import json
import sys
from collections import Counter

import js
from edge.app import Application, Default
from pyodide.ffi import JsProxy

__all__ = ["Default"]

answer = Application.answer
events, tool = sys.monitoring.events, sys.monitoring.PROFILER_ID
begun, called = Counter(), Counter()


def place(code):
    return f"{code.co_filename.removeprefix('/session/metadata/')}:{code.co_qualname}"


def on_start(code, _offset):
    begun[place(code)] += 1


def on_call(code, _offset, function, _first):
    # A function of JavaScript, or what Pyodide does with an object of it: `new`, `then`, `to_bytes`.
    if isinstance(function, JsProxy) or isinstance(getattr(function, "__self__", None), JsProxy):
        called[place(code)] += 1


async def answer_or_count(application, request):
    if not request.url.rpartition("/")[0].endswith("/__count"):
        return await answer(application, request)
    begins = request.url.endswith("/on")
    if sys.monitoring.get_tool(tool) is None:
        sys.monitoring.use_tool_id(tool, "crossings")
        sys.monitoring.register_callback(tool, events.PY_START, on_start)
        sys.monitoring.register_callback(tool, events.CALL, on_call)
    sys.monitoring.set_events(tool, events.PY_START | events.CALL if begins else 0)
    text = json.dumps([begun, called])
    begun.clear()
    called.clear()
    return js.Response.new(text)


Application.answer = answer_or_count
'''

_STALE_SECONDS = 1.2
_DONE_SECONDS = 0.3
_WARM_UP = 20
_REQUESTS = 20

_KV = "edge/bindings/kv.py:KVBinding."
_ROWS = {
    "calls of the app": ("edge/bindings/service.py:ServicePages._result",),
    "KV: reads of a value": (f"{_KV}get",),
    "KV: reads of texts (markers, a lease)": (f"{_KV}get_texts",),
    "KV: writes": (f"{_KV}put",),
    "KV: removals": (f"{_KV}delete",),
    "promises waited for": ("edge/loop.py:_Settling.__init__",),
    "pieces of background work": ("edge/runtime.py:RequestBackground.run",),
    "lines in the log": ("edge/runtime.py:ConsoleLog.event",),
}


@click.command()
@click.option("--places", type=int, default=0, help="Also the places in the code that do most, so many of them.")
def main(places: int) -> None:
    """Count what the Worker does for a page that is not there, and for a stale one: the mean of some requests, one at a time."""
    project = Project.find()
    console = Console(stderr=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        built = sites.build(sites.BEHIND, project, console)
        copy_build(built, folder / "assets")
        options = our_options(with_own_entry(project, folder, _ENTRY), built, folder / "assets")
        counted: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
        for store in ("tiered", "framed"):
            with LocalRuntime(with_store(store, options)) as runtime:
                note_quiet(runtime)
                for kind in ("miss", "stale"):
                    counted[f"{kind.upper()}, {store}"] = _counted(runtime.direct_url, kind)
    table = Table("of a request", *counted)
    for row, names in _ROWS.items():
        table.add_row(row, *(f"{sum(begun.get(name, 0) for name in names):g}" for begun, _ in counted.values()))
    table.add_row("calls of JavaScript", *(f"{sum(called.values()):g}" for _, called in counted.values()))
    table.add_row("calls of Python functions", *(f"{sum(begun.values()):g}" for begun, _ in counted.values()))
    out = Console(width=180)
    out.print(table)
    for column, (begun, called) in counted.items() if places else ():
        for title, counts in (("calls of JavaScript", called), ("calls of Python functions", begun)):
            out.print(f"[bold]{column}: {title}")
            for place, count in sorted(counts.items(), key=lambda item: -item[1])[:places]:
                out.print(f"{count:8g}  {place}", highlight=False)


def _counted(url: str, kind: str) -> tuple[dict[str, float], dict[str, float]]:
    folder = "brief" if kind == "stale" else "page"
    for number in range(_WARM_UP):
        _answer(f"{url}/{folder}/{9000 + number}")
    paths = [f"{url}/{folder}/{9500 + number}" for number in range(_REQUESTS)]
    if kind == "stale":
        for path in paths:
            _answer(path)
        time.sleep(_STALE_SECONDS)
    counts: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for path in paths:
        _answer(f"{url}/__count/on")
        own = json.loads(_answer(f"{url}/__count/off")[1])
        _answer(f"{url}/__count/on")
        state, _ = _answer(path)
        if state.lower() != kind:
            raise click.ClickException(f"{path} was a {state}")
        time.sleep(_DONE_SECONDS)
        for count, added, less in zip(counts, json.loads(_answer(f"{url}/__count/off")[1]), own, strict=True):
            count.update(added)
            count.subtract(less)
    begun, called = ({place: number / _REQUESTS for place, number in count.items()} for count in counts)
    return begun, called


def _answer(url: str) -> tuple[str, Any]:
    with urlopen(url) as response:  # noqa: S310 - the local runtime's
        return response.headers.get("X-Vinext-Cache", ""), response.read()


if __name__ == "__main__":
    main()
