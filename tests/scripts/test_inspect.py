"""`vinext-worker inspect` and what `dev` does for it: links that sign in once, and the summary at the end of `dev`."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.fakes.ports import FakeClock
from tests.fakes.requests import request

from core.paths import INSPECT_URL
from isr.inspect_session import Sessions
from vinext_worker.dev.keys import pressed_keys
from vinext_worker.dev.running import RunningDev
from vinext_worker.dev.summary import summary
from vinext_worker.local_runtime.logs import RequestLine
from vinext_worker.main import cli

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

TOKEN = "of this very dev"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "wrangler.toml").write_text('name = "w"\nmain = "src/entry.py"\ncompatibility_date = "2026-09-08"\n')
    (tmp_path / ".vinext").mkdir()
    return tmp_path


def inspect(project: Path, *arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(cli, ["inspect", "--print", "--config", str(project / "wrangler.toml"), *arguments])
    return ended.exit_code, ended.output.strip() or str(ended.exception)


def answer_as_the_inspector(server: HTTPServer) -> None:
    headers = {"WWW-Authenticate": "Bearer", "Content-Type": "text/html; charset=utf-8"}
    server.expect_request(INSPECT_URL).respond_with_data("Sign in", 401, headers)


def test_the_link_to_a_running_dev_signs_in_and_has_no_token_in_it(project: Path, httpserver: HTTPServer) -> None:
    answer_as_the_inspector(httpserver)
    dev = RunningDev(httpserver.url_for("").replace("localhost", "127.0.0.1"), TOKEN)
    dev.note(project / ".vinext")
    assert stat.S_IMODE((project / ".vinext" / "dev.json").stat().st_mode) == 0o600
    status, link = inspect(project)
    assert (status, link.startswith(f"{dev.url.rstrip('/')}{INSPECT_URL}?once="), TOKEN in link) == (0, True, False)
    clock = FakeClock()
    clock.now_ms = (int(link.partition("=")[2].partition(".")[0]) - 30) * 1000
    asked = request("/", {}, "GET", origin=dev.url.rstrip("/"))
    assert Sessions(TOKEN, clock).cookie_for_link(asked, link.partition("=")[2]) is not None
    RunningDev.forget(project / ".vinext")
    assert RunningDev.find(project / ".vinext") is None
    assert "no `vinext-worker dev` runs in this project" in inspect(project)[1]


def test_a_dev_that_was_killed_is_not_taken_for_a_running_one(project: Path) -> None:
    RunningDev("http://127.0.0.1:1", TOKEN).note(project / ".vinext")
    noted = project / ".vinext" / "dev.json"
    noted.write_text(noted.read_text().replace(str(os.getpid()), str(2**22 - 1)))
    assert RunningDev.find(project / ".vinext") is None


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {"WWW-Authenticate": "Bearer", "Content-Type": "application/json"}, "is older than the inspector; deploy it again"),
        (404, {}, "has no inspector (status 404): its Worker has no secret VINEXT_ADMIN_TOKEN, or is not vinext-worker"),
        (200, {"Content-Type": "text/html"}, "vinext-worker does not answer at"),
    ],
    ids=["an older Worker", "without a token", "another server"],
)
def test_what_has_no_inspector_is_said_to_have_none(
    project: Path, httpserver: HTTPServer, status: int, headers: dict[str, str], said: str
) -> None:
    httpserver.expect_request(INSPECT_URL).respond_with_data("" if status == 404 else "{}", status, headers)
    assert said in inspect(project, httpserver.url_for(""))[1]


def test_an_address_that_is_none_is_said_to_be_none(project: Path) -> None:
    assert "write it as https://HOST" in inspect(project, "example.com")[1]
    assert "would send the token unencrypted" in inspect(project, "http://example.com")[1]
    assert "does not answer" in inspect(project, "http://127.0.0.1:1")[1]


def test_the_address_of_another_worker_has_no_link_unless_its_token_is_known(project: Path, httpserver: HTTPServer) -> None:
    answer_as_the_inspector(httpserver)
    url = httpserver.url_for("").rstrip("/")
    assert inspect(project, f"{url}/some/page?a=b") == (0, f"{url}{INSPECT_URL}")
    (project / ".dev.vars").write_text("VINEXT_ADMIN_TOKEN=local\n")
    assert inspect(project, url)[1].startswith(f"{url}{INSPECT_URL}?once=")


KEYS = """
import os
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the terminal of this session now
from vinext_worker.dev.keys import pressed_keys
with pressed_keys() as keys:
    print("ready", flush=True)
    while not (pressed := keys()):
        pass
    print("pressed", pressed, flush=True)
"""


def test_a_key_at_the_terminal_is_heard_without_enter() -> None:
    keyboard, terminal = pty.openpty()
    said = b""
    with subprocess.Popen([sys.executable, "-c", KEYS], stdin=terminal, stdout=terminal, start_new_session=True):
        while b"ready" not in said:
            said += os.read(keyboard, 100)
        os.write(keyboard, b"o")
        while b"pressed o" not in said:
            said += os.read(keyboard, 100)
    os.close(keyboard)
    os.close(terminal)


def test_without_a_terminal_nobody_presses_keys() -> None:
    with pressed_keys() as keys:
        assert keys is None


def line(path: str, cache: str | None = None, milliseconds: int = 1, kind: str = "text/html", method: str = "GET") -> RequestLine:
    return RequestLine(method, path, 200, cache, milliseconds, kind, "localhost:8787")


def test_the_summary_says_how_the_cache_did_and_why_pages_were_never_kept() -> None:
    requests = [
        line("/", "MISS", 90),
        line("/", "HIT"),
        line("/a?_rsc=1", "STALE", kind="text/x-component"),
        line("/dash?a=b", None, 40),
        line("/dash?a=b", None, 30),
        line("/app.js", kind="text/javascript"),
        line("/act", method="POST"),
        line("/__vinext/inspect"),
    ]
    asked: list[tuple[str, str]] = []

    def why(path: str, host: str) -> str:
        asked.append((path, host))
        return "no-store (answer.no-store)"

    lines = [str(one) for one in summary(requests, why)]
    assert lines[:2] == [
        "requests: 7, for pages: 5 (2 not kept, 1 MISS, 1 HIT, 1 STALE)",
        "from the cache: 40 % of the pages",
    ]
    assert lines[3] == "      90 ms  MISS   GET /"
    assert lines[-2:] == ["never kept:", "       2 x   200  /dash?a=b  no-store (answer.no-store)"]
    assert asked == [("/dash?a=b", "localhost:8787")]
    assert summary([line("/__vinext/inspect")], why) == []
    many = [str(one) for one in summary([line(f"/{number}") for number in range(8)], lambda *_: "")]
    assert (many[-2], many[-1]) == ("       1 x   200  /4", "  and 3 others; vinext-worker why PATH tells of each")
