"""An isolate's first answer, and its start."""

from __future__ import annotations

import hashlib
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.contender import ours
from benchmarks.process import Meter
from cache.keys import KeySchema
from cache.tags import path_tags
from seed.artifacts import Artifact
from seed.index import (
    BUILD_FILE,
    PRERENDER_FOLDER,
    Build,
    RouteRecord,
    artifact_file,
    shard_count,
    shard_file,
    shard_of,
    shard_to_json,
)
from vinext_worker.runtime import LocalRuntime
from vinext_worker.wrangler_config import WranglerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.runtime import RuntimeOptions

EMPTY, OURS = "empty", "ours"
WITHOUT_SNAPSHOT, KEPT, FIRST = "without a snapshot", "from snapshot and bytecode", "from snapshot, compiled anew"
# Of each way, whether there is a snapshot and whether there is bytecode.
_WAYS = {WITHOUT_SNAPSHOT: (False, False), KEPT: (True, True), FIRST: (True, False)}

_PAGE = b"<!DOCTYPE html><title>p</title>" + b"<p>a paragraph of a page</p>" * 290
_EMPTY_ENTRY = """from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return None
"""


@dataclass(frozen=True)
class FirstAnswer:
    """What the first answer of a cold isolate cost, by the size of the site."""

    routes: int
    cpu_ms: list[float]
    wall_ms: list[float]


@dataclass(frozen=True)
class Start:
    """What starts cost until Python has imported the Worker.

    Processor time of workerd, that of the thread that imports (V8's others optimize meanwhile what is run often), and the
    time one waits for it.

    `way`: `WITHOUT_SNAPSHOT`, Python starts from nothing and every module comes from its source; `KEPT`, from the heap of a
    started interpreter and from what an earlier start has compiled, as the local runtime does but the first time; `FIRST`, from
    such a heap, but from sources.
    """

    name: str
    way: str
    cpu_ms: list[float] = field(default_factory=list)
    thread_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)


def first_answers(sizes: Sequence[int], options: RuntimeOptions, folder: Path, rounds: int) -> list[FirstAnswer]:
    """Ask a new isolate for one page of a build of so many routes, in turn and repeatedly."""
    found = {size: FirstAnswer(size, [], []) for size in sizes}
    contenders = {size: ours("framed", replace(options, assets_directory=_build(folder / str(size), size))) for size in sizes}
    for _ in range(rounds):
        for size, contender in contenders.items():
            with contender.start() as running:
                before, start = running.meter.cpu_seconds(), time.perf_counter()
                with urllib.request.urlopen(f"{running.url}/page-{size // 2}", timeout=60) as response:  # noqa: S310 - our own
                    body = response.read()
                wall_ms = (time.perf_counter() - start) * 1000
                assert body == _PAGE  # noqa: S101 - else it is no figure
                found[size].cpu_ms.append((running.meter.cpu_seconds() - before) * 1000)
                found[size].wall_ms.append(wall_ms)
    return list(found.values())


def starts(options: RuntimeOptions, folder: Path, rounds: int) -> list[Start]:
    """Start the Worker and an empty one in each way, in turn and repeatedly.

    A snapshot has Python and the standard library, and nothing of the Worker in it. The local runtime's check of what modules
    hold is left out: it is no import, and production has none.
    """
    empty = folder / "empty"
    (empty / "src").mkdir(parents=True, exist_ok=True)
    (empty / "src" / "entry.py").write_text(_EMPTY_ENTRY)
    configuration = empty / "wrangler.toml"
    configuration.write_text(options.config.path.read_text())
    options = replace(options, check_top_level=False)
    named = {EMPTY: replace(options, config=WranglerConfig.read(configuration)), OURS: options}
    begun = []
    # Those that are compared follow each other, as the machine's pace changes.
    for way, (snapshot, bytecode) in _WAYS.items():
        pair = [(Start(name, way), replace(one, snapshot=snapshot, bytecode=bytecode)) for name, one in named.items()]
        for _, candidate in pair:
            _measure(candidate)  # what it leaves for the next start belongs to no figure
        for number in range(rounds):
            for start, candidate in pair[:: 1 if number % 2 == 0 else -1]:
                cpu_ms, thread_ms, wall_ms = _measure(candidate)
                start.cpu_ms.append(cpu_ms)
                start.thread_ms.append(thread_ms)
                start.wall_ms.append(wall_ms)
        begun += [start for start, _ in pair]
    return begun


def _measure(options: RuntimeOptions) -> tuple[float, float, float]:
    before = time.perf_counter()
    with LocalRuntime(options) as runtime:
        wall_ms = (time.perf_counter() - before) * 1000
        meter = Meter.of_child(runtime.host_pid, "workerd")
        return meter.cpu_seconds() * 1000, meter.main_thread_seconds() * 1000, wall_ms


def _build(folder: Path, routes: int) -> Path:
    """A copied build in which every page has the same body; made once."""
    root = folder / PRERENDER_FOLDER
    name = hashlib.sha256(_PAGE).hexdigest()[:32]
    build = Build("benchmark", KeySchema.V2, int(time.time() * 1000), False, "", {}, "i", shard_count(routes))  # noqa: FBT003 - a row
    if not (root / BUILD_FILE).is_file():
        shards: defaultdict[int, dict[str, RouteRecord]] = defaultdict(dict)
        for number in range(routes):
            path = f"/page-{number}"
            tags = path_tags(KeySchema.V2, path)
            shards[shard_of(path, build.shards)][path] = RouteRecord(None, None, tags, 200, {}, {}, {Artifact.HTML: name})
        (root / artifact_file(name)).parent.mkdir(parents=True, exist_ok=True)
        (root / artifact_file(name)).write_bytes(_PAGE)
        for number in range(build.shards):
            file = root / shard_file(build.index, number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(shard_to_json(shards[number]), encoding="utf-8")
        (root / BUILD_FILE).write_text(build.to_json(), encoding="utf-8")
    return folder
