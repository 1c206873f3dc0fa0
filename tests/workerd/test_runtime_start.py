"""The start of the local runtime: its snapshot of Python, and what it says about a source that does not import."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ImportFailedError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.project import Project
from vinext_worker.tools import Tools

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"

ENTRY = """
from dataclasses import dataclass
from html import escape

from workers import Response, WorkerEntrypoint

from words import word

@dataclass
class Text:
    text: str

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(escape(Text(word()).text))
"""

WORDS = """
def word():
    return "one"

def fail():
    raise ValueError("as asked for")
"""


@dataclass(frozen=True)
class ToolsApart(Tools):
    """Tools with a snapshot and bytecode of their own: the common ones are what other tests start from."""

    kept_in: Path = Path()

    @property
    def cache(self) -> Path:
        return self.kept_in


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return ToolsApart(Project.find().root, kept_in=tmp_path_factory.mktemp("cache"))


class Site:
    """A project whose sources change between starts."""

    def __init__(self, folder: Path, tools: Tools) -> None:
        shutil.copytree(FIXTURE, folder)
        self.folder = folder
        self.tools = tools
        self.write("entry", ENTRY)
        self.write("words", WORDS)

    def write(self, name: str, source: str) -> None:
        (self.folder / "src" / f"{name}.py").write_text(source)

    def runtime(self, **changes: object) -> LocalRuntime:
        config = WranglerConfig.read(self.folder / "wrangler.toml")
        return LocalRuntime(RuntimeOptions(config=config, tools=self.tools, **changes))  # type: ignore[arg-type]

    def start_and_stop(self, **changes: object) -> str:
        """Return what a start serves."""
        with self.runtime(**changes) as runtime:
            return answer(runtime)

    def snapshots(self) -> list[Path]:
        return sorted(self.tools.cache.glob("*.snapshot*"))

    def bytecode(self) -> tuple[int, int]:
        """Return when the bytecode was written, and its size."""
        [file] = self.tools.cache.glob("*.bytecode")
        return file.stat().st_mtime_ns, file.stat().st_size


def answer(runtime: LocalRuntime) -> str:
    return httpx.get(runtime.url, trust_env=False).text


@pytest.fixture
def site(tmp_path: Path, tools: Tools) -> Site:
    return Site(tmp_path / "site", tools)


def test_without_a_snapshot_none_is_made(site: Site) -> None:
    before = site.snapshots()
    assert site.start_and_stop(snapshot=False) == "one"
    assert site.snapshots() == before


def test_a_changed_source_is_what_the_next_start_serves(site: Site) -> None:
    assert site.start_and_stop() == "one"
    kept = site.bytecode()
    changed = WORDS.replace("one", "two")
    assert len(changed) == len(WORDS), "the size alone must not tell a source from another"
    site.write("words", changed)
    assert site.start_and_stop() == "two"
    assert site.bytecode() > kept
    kept = site.bytecode()
    site.write("words", WORDS)
    assert site.start_and_stop() == "one"
    assert site.bytecode() == kept, "both sources were compiled before"


def port_of_its_own() -> int:
    """A free port of those that no program gets without asking for it, so that it is still free a moment later."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def test_who_asks_while_it_starts_gets_the_first_answer_or_breaks_off(site: Site) -> None:
    port = port_of_its_own()
    is_over = threading.Event()
    statuses: list[int] = []

    def keep_asking(timeout_seconds: float) -> None:
        while not is_over.is_set():
            with suppress(httpx.TransportError):
                statuses.append(httpx.get(f"http://127.0.0.1:{port}", timeout=timeout_seconds, trust_env=False).status_code)
            time.sleep(0.02)

    with ThreadPoolExecutor(2) as threads:
        for timeout_seconds in (0.1, 30):
            threads.submit(keep_asking, timeout_seconds)
        try:
            assert site.start_and_stop(port=port) == "one"
        finally:
            is_over.set()
    assert set(statuses) == {200}


def test_runtimes_that_start_at_once_share_one_snapshot(site: Site) -> None:
    for file in site.snapshots():
        file.unlink()
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: site.start_and_stop(), range(2))) == ["one", "one"]
    assert [file.suffix for file in site.snapshots()] == [".snapshot"]


def test_the_snapshot_of_another_release_is_removed_a_day_later(site: Site) -> None:
    site.start_and_stop()
    [snapshot] = site.snapshots()
    old, recent = (snapshot.with_name(f"python-{name}.snapshot") for name in ("old", "recent"))
    snapshot.rename(old)
    recent.touch()
    os.utime(old, (0, 0))
    assert site.start_and_stop() == "one"
    assert site.snapshots() == sorted([snapshot, recent])


def test_a_traceback_names_the_lines_of_the_projects_modules(site: Site) -> None:
    site.write("entry", "from words import fail\n\nfail()\n")
    with pytest.raises(ImportFailedError) as failure:
        site.runtime().start()
    assert str(failure.value).splitlines() == [
        "Traceback (most recent call last):",
        '  File "src/entry.py", line 3, in <module>',
        "    fail()",
        "    ~~~~^^",
        '  File "src/words.py", line 6, in fail',
        '    raise ValueError("as asked for")',
        "ValueError: as asked for",
    ]


def test_a_source_that_is_not_python_is_named_with_its_line_and_nothing_of_the_runtime(site: Site) -> None:
    site.write("words", "def word():\n    return = 1\n")
    with pytest.raises(ImportFailedError) as failure:
        site.runtime().start()
    assert str(failure.value).splitlines() == [
        "Traceback (most recent call last):",
        '  File "src/entry.py", line 7, in <module>',
        "    from words import word",
        '  File "src/words.py", line 2',
        "    return = 1",
        "           ^",
        "SyntaxError: invalid syntax",
    ]


def test_a_module_that_fails_in_a_request_is_named_without_the_runtimes_frames(site: Site) -> None:
    site.write("late", "def word():\n    return = 1\n")
    site.write("entry", ENTRY.replace("        return", "        import late\n        return"))
    with site.runtime() as runtime:
        assert httpx.get(runtime.url, trust_env=False).status_code == 500
        line = runtime.wait_for_log("SyntaxError")
    assert line.message.splitlines() == [
        "Traceback (most recent call last):",
        '  File "src/entry.py", line 15, in fetch',
        "    import late",
        '  File "src/late.py", line 2',
        "    return = 1",
        "           ^",
        "SyntaxError: invalid syntax",
    ]
