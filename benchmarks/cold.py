"""An isolate's first answer, and what its start imports."""

from __future__ import annotations

import hashlib
import shutil
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.contender import ours
from benchmarks.process import Meter
from cache.keys import KeySchema
from cache.tags import path_tags
from core.paths import PRERENDER_FOLDER
from seed.build import BUILD_FILE, Artifact, Build, RouteRecord, artifact_file, shard_count, shard_file, shard_of, shard_to_json
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, LogLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.local_runtime import RequestLine, RuntimeOptions

WITHOUT_SNAPSHOT, FROM_SNAPSHOT = "without a snapshot", "from a snapshot of Python"
# Each way to start, and whether it uses a snapshot.
_WAYS = {WITHOUT_SNAPSHOT: False, FROM_SNAPSHOT: True}

_PAGE = b"<!DOCTYPE html><title>p</title>" + b"<p>a paragraph of a page</p>" * 290
_BEGIN, _END = "the Worker's imports begin", "the Worker's imports end"
_ENTRY = f"""import workers

print("{_BEGIN}")
from own_entry import Default
print("{_END}")
"""


@dataclass(frozen=True)
class FirstAnswer:
    """What the first answer of a cold isolate cost, by the size of the site."""

    routes: int
    cpu_ms: list[float]
    wall_ms: list[float]


@dataclass(frozen=True)
class Imports:
    """The cost of the Worker's imports, above those of an empty entry, which has the SDK.

    Processor time of the thread that imports, of all threads of workerd (V8's other threads optimize hot code meanwhile), and the
    time until the Worker was ready, which includes everything before its imports.

    `way`: with `WITHOUT_SNAPSHOT` Python starts from nothing; with `FROM_SNAPSHOT`, as the local runtime does, it starts from the
    heap of a started interpreter, which has Python and the standard library and nothing of the Worker. Either way each module of
    the Worker is compiled from its source, once, in the upload. In production the imports are part of the snapshot, and cost a
    request nothing.
    """

    way: str
    thread_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    ready_ms: list[float] = field(default_factory=list)


def first_answers(sizes: Sequence[int], options: RuntimeOptions, folder: Path, rounds: int) -> list[FirstAnswer]:
    """Ask a new isolate for one page of a build of so many routes, in turn and repeatedly."""
    answers = {size: FirstAnswer(size, [], []) for size in sizes}
    contenders = {size: ours("framed", replace(options, assets_directory=_build(folder / str(size), size))) for size in sizes}
    for _ in range(rounds):
        for size, contender in contenders.items():
            with contender.start() as running:
                before, start = running.meter.cpu_seconds(), time.perf_counter()
                with urllib.request.urlopen(f"{running.url}/page-{size // 2}", timeout=60) as response:  # noqa: S310 - our own
                    body = response.read()
                wall_ms = (time.perf_counter() - start) * 1000
                assert body == _PAGE  # noqa: S101 - else it is no figure
                answers[size].cpu_ms.append((running.meter.cpu_seconds() - before) * 1000)
                answers[size].wall_ms.append(wall_ms)
    return list(answers.values())


def imports(options: RuntimeOptions, folder: Path, rounds: int) -> list[Imports]:
    """Start the Worker in each way, in turn and repeatedly, with an entry that says when its imports begin and end."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(options.source_root, folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src" / "entry.py").rename(folder / "src" / "own_entry.py")
    (folder / "src" / "entry.py").write_text(_ENTRY)
    configuration = folder / "wrangler.toml"
    configuration.write_text(options.config.path.read_text())
    options = replace(options, config=WranglerConfig.read(configuration))
    measured = {way: Imports(way) for way in _WAYS}
    _start(options, Imports(""))  # it leaves a snapshot for the others
    for _ in range(rounds):
        for way, snapshot in _WAYS.items():
            _start(replace(options, snapshot=snapshot), measured[way])
    return list(measured.values())


def _start(options: RuntimeOptions, measured: Imports) -> None:
    marks: dict[str, tuple[float, float]] = {}

    def mark(line: LogLine | RequestLine) -> None:
        if isinstance(line, LogLine) and line.message in {_BEGIN, _END}:
            meter = Meter.of_child(runtime.host_pid, "workerd")
            marks[line.message] = meter.main_thread_seconds(), meter.cpu_seconds()

    begin = time.perf_counter()
    runtime = LocalRuntime(options, mark)
    with runtime:
        measured.ready_ms.append((time.perf_counter() - begin) * 1000)
        runtime.wait_for_log(_END)
    for series, before, after in zip((measured.thread_ms, measured.cpu_ms), marks[_BEGIN], marks[_END], strict=True):
        series.append((after - before) * 1000)


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
