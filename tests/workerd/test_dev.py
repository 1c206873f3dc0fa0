"""`vinext-worker dev` as a person sees it: in a process of its own, with its output and its signals."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.workerd.patience import eventually

from vinext_worker.dev.running import RunningDev

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"

# Other tests cover the preparation of the site; the rest is the same.
SERVE = """
import signal
import socket
import sys
from pathlib import Path
from rich.console import Console
from vinext_worker.dev.serve import serve
from vinext_worker.local_runtime import RuntimeOptions
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.tools import Tools

# As in a terminal: a parent in the background may have ignored the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
config = WranglerConfig.read(sys.argv[1])
serve(RuntimeOptions(config, Tools(config.folder), log_requests=True), Console(highlight=False, soft_wrap=True), config.folder)
"""


class Served:
    """A running command whose output is read line by line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        with self.output.open("wb") as output:
            command = [sys.executable, "-c", SERVE, str(folder / "wrangler.toml")]
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def wait_for(self, text: str, count: int = 1) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            output = self.output.read_text()
            if output.count(text) >= count:
                return output
            assert self.process.poll() is None, output
            time.sleep(0.05)
        raise AssertionError(f"{text!r} not seen in:\n{self.output.read_text()}")

    @property
    def url(self) -> str:
        return next(word for word in self.wait_for("Ready on").split() if word.startswith("http://"))

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False)

    def descendants(self) -> list[int]:
        """Return the processes this one started, and those they started."""
        parents = {int(pid): int(parent) for pid, parent in (row.split() for row in _ps("pid=,ppid="))}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found - {self.process.pid})


def _ps(columns: str) -> list[str]:
    return subprocess.run(["ps", "-eo", columns], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    shutil.copytree(FIXTURE, tmp_path / "project")
    started = Served(tmp_path / "project")
    started.wait_for("Ready on")
    yield started
    if started.process.poll() is None:
        started.process.terminate()
        started.process.wait(60)


def test_prints_the_address_requests_and_tracebacks_and_follows_the_sources(served: Served) -> None:
    assert served.get("/hello").text == "hello from blue"
    served.wait_for("GET  /hello  200  -  ")
    served.get("/failure")
    output = served.wait_for("ValueError: a failure in the handler")
    assert 'File "src/entry.py"' in output
    served.wait_for("GET  /failure  500")

    greeting = served.folder / "src" / "greeting" / "__init__.py"
    greeting.write_text("WORD = nothing")
    output = served.wait_for("NameError: name 'nothing' is not defined")
    assert "reloading: src/greeting/__init__.py changed …\nnot reloaded: the new sources do not start" in output
    assert served.get("/hello").text == "hello from blue"

    greeting.write_text("WORD = 'goodbye'")
    served.wait_for("reloaded in ")
    assert served.get("/hello").text == "goodbye from blue"

    configuration = served.folder / "wrangler.toml"
    configuration.write_text(configuration.read_text().replace('"blue"', '"red"'))
    texts = set()
    address = httpx.URL(served.url)
    with (
        httpx.Client(trust_env=False, headers={"Connection": "close"}) as visitor,
        socket.create_connection((address.host, address.port)) as early,
    ):
        while served.output.read_text().count("reloaded in ") < 2:
            texts.add(visitor.get(f"{served.url}/hello").text)
        early.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"goodbye from red" in b"".join(iter(lambda: early.recv(4096), b"")), "who connected before, asks after it"
    assert texts <= {"goodbye from blue", "goodbye from red"}, "nobody is refused meanwhile"
    assert "reloading: wrangler.toml changed …" in served.output.read_text()
    assert served.get("/hello").text == "goodbye from red"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_stops_every_process(served: Served, how: signal.Signals) -> None:
    started = served.descendants()
    assert len(started) >= 2
    served.get("/hello?a=b")
    served.wait_for("GET  /hello?a=b  200")
    dev = RunningDev.find(served.folder)
    assert dev is not None
    assert dev.url == served.url.rstrip("/")
    served.process.send_signal(how)
    assert served.process.wait(60) == 0
    output = served.output.read_text()
    assert output.endswith("Stopped\n")
    assert "requests: 1, for pages: 0\n" in output
    assert RunningDev.find(served.folder) is None
    eventually(lambda: _alive(started), lambda left: not left)


def test_killing_the_command_leaves_no_process_behind(served: Served) -> None:
    started = served.descendants()
    served.process.kill()
    served.process.wait()
    eventually(lambda: _alive(started), lambda left: not left)


def test_the_command_ends_when_its_runtime_does(served: Served) -> None:
    started = served.descendants()
    os.kill(started[0], signal.SIGKILL)
    assert served.process.wait(60) != 0
    assert "the local runtime ended unexpectedly" in served.output.read_text()
    # It killed what the dead host had started; a busy machine takes a moment to end it.
    eventually(lambda: _alive(started), lambda left: not left)


def _alive(processes: list[int]) -> list[int]:
    # A zombie has ended, and waits for its new parent.
    states = {int(pid): state for pid, state in (row.split() for row in _ps("pid=,stat="))}
    return [pid for pid in processes if pid in states and not states[pid].startswith("Z")]
