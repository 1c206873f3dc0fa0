"""An isolate's first answer, beside an empty Worker's, and what its start imports."""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.contender import alone, ours
from benchmarks.process import Meter
from cache.keys import KeySchema, kv_last_invalidation_key
from cache.tags import path_tags
from core.paths import PRERENDER_FOLDER
from seed.build import (
    BUILD_FILE,
    Artifact,
    Build,
    RouteRecord,
    Slice,
    artifact_file,
    pack_file,
    shard_count,
    shard_file,
    shard_of,
    shard_to_json,
)
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.copy.pack import MAX_PACK_BYTES, content_name
from vinext_worker.local_runtime import LocalRuntime, LogLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.contender import Contender, Running
    from vinext_worker.local_runtime import RequestLine, RuntimeOptions

WITHOUT_SNAPSHOT, FROM_SNAPSHOT = "without a snapshot", "from a snapshot of Python"
# Each way to start, and whether it uses a snapshot.
_WAYS = {WITHOUT_SNAPSHOT: False, FROM_SNAPSHOT: True}

_PAGE = b"<!DOCTYPE html><title>p</title>" + b"<p>a paragraph of a page</p>" * 290
EMPTY, READER, FROM_KV, FROM_BUILD = (
    "an empty Worker",
    "a Worker of ten lines with the same reads",
    "a page from KV",
    "a page of the build",
)
_PATH = "/page-5"
_ROUTES = 10
_ISOLATES = 5
# Served by the assets without the Worker.
_STATIC_FILE = "_next/static/file.txt"

_EMPTY_ENTRY = """from js import Response
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.new("<p>page</p>")
"""

# The reads of this Worker's first answer from KV: the build, the time of the last invalidation, and the entry.
_READER_ENTRY = f"""from js import Response
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        env = self.env._env
        build = await env.ASSETS.fetch("https://assets.invalid/{PRERENDER_FOLDER}/{BUILD_FILE}")
        await build.arrayBuffer()
        await env.VINEXT_CACHE.get("{kv_last_invalidation_key()}", "text")
        entry = await env.VINEXT_CACHE.getWithMetadata("KEY", "stream")
        return Response.new(entry.value)
"""

_BEGIN, _END = "the Worker's imports begin", "the Worker's imports end"
_ENTRY = f"""import workers

print("{_BEGIN}")
from own_entry import Default
print("{_END}")
"""


@dataclass(frozen=True)
class FirstAnswer:
    """What the first answer of a cold isolate cost, by the size of the site, and whether its pages are in packs or in files.

    CPU time of all threads of workerd, and of the one that answers, which is less noisy; the time until the answer was there.
    """

    routes: int
    is_packed: bool
    cpu_ms: list[float] = field(default_factory=list)
    thread_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class ColdStart:
    """CPU time of the thread that answers, for the first answer of an isolate.

    `first_ms`: of the first isolate of a process, in which V8 compiles all of Python that runs. `further_ms`: of another isolate
    of a process in which the same answer was given before, as where a machine runs many Python Workers; compiled code is shared.
    KV and the assets, which are JavaScript in the same process, were asked before.
    """

    what: str
    first_ms: list[float] = field(default_factory=list)
    further_ms: list[float] = field(default_factory=list)


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
    """Ask a new isolate for one page of a build of so many routes, in turn and repeatedly.

    The pages are in packs; those of the smallest site also in a file each, as `vinext-worker copy` once wrote them.
    """
    answers = [FirstAnswer(size, is_packed=True) for size in sizes] + [FirstAnswer(sizes[0], is_packed=False)]
    contenders = [ours("framed", replace(options, assets_directory=_build(folder, answer))) for answer in answers]
    for _ in range(rounds):
        for answer, contender in zip(answers, contenders, strict=True):
            with contender.start() as running:
                before, thread_before = running.meter.cpu_seconds(), running.meter.main_thread_seconds()
                start = time.perf_counter()
                url = f"{running.url}/page-{answer.routes // 2}"
                with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - our own
                    body = response.read()
                wall_ms = (time.perf_counter() - start) * 1000
                assert body == _PAGE  # noqa: S101 - else it is no figure
                answer.cpu_ms.append((running.meter.cpu_seconds() - before) * 1000)
                answer.thread_ms.append((running.meter.main_thread_seconds() - thread_before) * 1000)
                answer.wall_ms.append(wall_ms)
    return answers


def cold_starts(options: RuntimeOptions, folder: Path, rounds: int, isolates: int = _ISOLATES) -> list[ColdStart]:
    """Measure first answers from KV and from the build, beside those of Workers that do nothing else; in turn and repeatedly.

    Of a process with `isolates`, all but the first are measured.
    """
    assets = _build(folder, FirstAnswer(_ROUTES, is_packed=True))
    (assets / _STATIC_FILE).parent.mkdir(parents=True, exist_ok=True)
    (assets / _STATIC_FILE).write_bytes(_PAGE)
    state = folder / "kv"
    shutil.rmtree(state, ignore_errors=True)
    seeded = replace(options, assets_directory=assets)
    stored = replace(seeded, state=state)
    with ours("framed", stored).start() as running:
        assert _asked(running.url) == _PAGE  # noqa: S101 - else it is no figure
        assert running.runtime is not None  # noqa: S101 - it is ours
        key = next(name for name in _stored_names(running.runtime) if name.endswith(f"{_PATH}:html"))
    workers = {
        EMPTY: _small(folder / "empty", _EMPTY_ENTRY, stored),
        READER: _small(folder / "reader", _READER_ENTRY.replace("KEY", key), stored),
        FROM_KV: stored,
        FROM_BUILD: seeded,
    }
    measured = [ColdStart(what) for what in workers]
    for _ in range(rounds):
        for start, given in zip(measured, workers.values(), strict=True):
            with _started(start.what, given) as running:
                start.first_ms.append(_first_ms(running, running.url))
            with _started(start.what, replace(given, isolates=isolates)) as running:
                assert running.runtime is not None  # noqa: S101 - it is local
                for url in running.runtime.direct_urls[:1] * 2:
                    _asked(url)
                start.further_ms.extend(_first_ms(running, url) for url in running.runtime.direct_urls[1:])
    return measured


def _stored_names(runtime: LocalRuntime) -> list[str]:
    """Wait until the page that was seeded is in KV."""
    deadline = time.monotonic() + 10
    while True:
        names = runtime.kv().names("cache:")
        if names or time.monotonic() > deadline:
            return names
        time.sleep(0.05)


def _small(folder: Path, entry: str, options: RuntimeOptions) -> RuntimeOptions:
    """A Worker with the bindings of this one, and nothing of its code."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src" / "entry.py").write_text(entry)
    configuration = folder / "wrangler.toml"
    configuration.write_text(options.config.path.read_text())
    return replace(options, config=WranglerConfig.read(configuration))


def _started(what: str, options: RuntimeOptions) -> AbstractContextManager[Running]:
    contender: Contender = alone(what, options) if what in {EMPTY, READER} else ours("framed", options)
    return contender.start()


def _first_ms(running: Running, url: str) -> float:
    assert running.runtime is not None  # noqa: S101 - it is local
    _asked(running.runtime.url, f"/{_STATIC_FILE}")
    running.runtime.kv().get("nothing")
    before = running.meter.main_thread_seconds()
    _asked(url)
    return (running.meter.main_thread_seconds() - before) * 1000


def _asked(url: str, path: str = _PATH) -> bytes:
    with urllib.request.urlopen(f"{url}{path}", timeout=60) as response:  # noqa: S310 - our own
        body: bytes = response.read()
        return body


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


def _build(folder: Path, wanted: FirstAnswer) -> Path:
    """A copied build in which every page has the same body, in a file or in the middle of a full pack; made once."""
    routes = wanted.routes
    folder /= f"{routes} in {'packs' if wanted.is_packed else 'files'}"
    root = folder / PRERENDER_FOLDER
    build = Build("benchmark", KeySchema.V2, int(time.time() * 1000), False, "", {}, "i", shard_count(routes))  # noqa: FBT003 - a row
    if not (root / BUILD_FILE).is_file():
        record, body_file, content = _packed_page() if wanted.is_packed else _page()
        shards: defaultdict[int, dict[str, RouteRecord]] = defaultdict(dict)
        for number in range(routes):
            path = f"/page-{number}"
            shards[shard_of(path, build.shards)][path] = replace(record, tags=path_tags(KeySchema.V2, path))
        (root / body_file).parent.mkdir(parents=True, exist_ok=True)
        (root / body_file).write_bytes(content)
        for number in range(build.shards):
            file = root / shard_file(build.index, number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(shard_to_json(shards[number]), encoding="utf-8")
        (root / BUILD_FILE).write_text(build.to_json(), encoding="utf-8")
    return folder


def _page() -> tuple[RouteRecord, str, bytes]:
    """The page's record without its tags, the file that has its body, and the file's content."""
    name = content_name(_PAGE)
    return RouteRecord(None, None, (), 200, {}, {}, {Artifact.HTML: name}), artifact_file(name), _PAGE


def _packed_page() -> tuple[RouteRecord, str, bytes]:
    record, _, content = _page()
    name = "pack"
    start = (MAX_PACK_BYTES - len(content)) // 2
    packed = replace(record, pack=name, slices={Artifact.HTML: Slice(start, len(content))})
    return packed, pack_file(name), (b"-" * start + content).ljust(MAX_PACK_BYTES, b"-")
