"""`python -m benchmarks.objects`: what the Durable Object of tags adds to a HIT, and what its own calls cost."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contender import with_a_door
from benchmarks.load import LoadGenerator, Request
from benchmarks.process import Meter
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.project import Project

_PAGES = """export default { fetch() {
  return new Response("x".repeat(8000), { headers: { "Content-Type": "text/html", "Cache-Control": "s-maxage=86400" } });
} };"""

# The Worker with a door of its own: `/__object/CALL/N` makes N calls of an object, one after the other, and `/__object/follow/N`
# has pages read without the object from now on, or with it again. So both are measured in one process: two that are alike differ
# by more.
_ENTRY = '''"""The Worker, and a path that calls the object."""

import json
import time

import js
from edge.app import Application, Default
from edge.tags import VinextTags

__all__ = ["Default", "VinextTags"]

answer = Application.answer


async def answer_or_call(application, request):
    if "/__object/" not in request.url:
        return await answer(application, request)
    _, call, count = request.url.rsplit("/", 2)
    if call == "follow":
        for site in application._sites.values():
            site.store._entries = site.entries if int(count) else site.entries._entries
        return js.Response.new("done")
    binding = application._parts.env.VINEXT_TAGS
    stub = binding.get(binding.idFromName("benchmark"))
    for number in range(int(count)):
        now_ms = int(time.time() * 1000)
        if call == "since":
            await stub.since(0, 0)
        elif call == "note":
            await stub.note(json.dumps([[f"tag-{number}"], 1, now_ms, 0]))
        else:
            await stub.take(f"key-{number}", 0, now_ms)
    return js.Response.new("done")


Application.answer = answer_or_call
'''

_BINDING = "VINEXT_TAGS"
_PAGE = "/blog/hello"
_WARM_UP, _HITS, _TURNS = 3000, 3000, 10
_CALLS = {"since": "what has changed?", "take": "a lease", "note": "an invalidation"}
_AT_A_TIME, _REQUESTS = 20, 40


@click.command()
@click.option("--rounds", type=int, default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure the processor time of the workerd process, as medians of rounds: the Worker, KV and the object are in it."""
    project = Project.find()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options = replace(with_a_door(project, folder, _ENTRY, _PAGES), variables={"VINEXT_KV_LAYOUT": "framed"})
        objects = {_BINDING: "VinextTags"}
        config = replace(options.config, durable_objects=objects, object_classes=dict.fromkeys(objects.values(), True))
        generator = stack.enter_context(LoadGenerator(project))
        runtime = stack.enter_context(LocalRuntime(replace(options, config=config)))
        meter = Meter.of_child(runtime.host_pid, "workerd")

        def spent(path: str, count: int, expected: str = "200 none") -> tuple[float, float]:
            """Return the CPU time and the time of `count` requests, in ms."""
            before = meter.cpu_seconds()
            load = generator.run(runtime.direct_url, [Request(path)], [0] * count)
            if set(load.answers) != {expected}:
                raise click.ClickException(f"{path}: {dict(load.answers)}")
            return (meter.cpu_seconds() - before) * 1000, load.seconds * 1000

        generator.run(runtime.direct_url, [Request(_PAGE)], [0] * _WARM_UP)
        hits: dict[bool, list[float]] = {False: [], True: []}
        calls: dict[str, list[tuple[float, float]]] = {call: [] for call in _CALLS}
        for number in range(rounds):
            cpu_ms = dict.fromkeys(hits, 0.0)
            for turn in range(_TURNS):
                for follows in (False, True) if (number + turn) % 2 == 0 else (True, False):
                    spent(f"/__object/follow/{int(follows)}", 1)
                    cpu_ms[follows] += spent(_PAGE, _HITS // _TURNS, "200 hit")[0]
            for follows, total in cpu_ms.items():
                hits[follows].append(total / _HITS)
            door_ms, _ = spent("/__object/since/0", _REQUESTS)
            for call in _CALLS:
                made_ms, took_ms = spent(f"/__object/{call}/{_AT_A_TIME}", _REQUESTS)
                many = _AT_A_TIME * _REQUESTS
                calls[call].append(((made_ms - door_ms) / many, many * 1000 / took_ms))
    console = Console()
    ratio = statistics.median(one / plain for one, plain in zip(hits[True], hits[False], strict=True))
    without, following = (statistics.median(hits[follows]) for follows in (False, True))
    console.print(
        f"a HIT of 8 KB from memory in front of KV: {without:.3f} ms, with {_BINDING} {following:.3f} ms, ratio {ratio:.3f}"
    )
    table = Table("a call of the object", "CPU, with the caller's, in ms", "calls a second, over four connections")
    for call, what in _CALLS.items():
        cpu, rate = (statistics.median(column) for column in zip(*calls[call], strict=True))
        table.add_row(f"{call}: {what}", f"{cpu:.2f}", f"{rate:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
