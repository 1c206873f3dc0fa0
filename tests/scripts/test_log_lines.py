from __future__ import annotations

import io

import pytest
from rich.console import Console

from vinext_worker.local_runtime import LogLine, RequestLine
from vinext_worker.local_runtime.logs import parse_log
from vinext_worker.terminal.log_lines import show_line

TRACEBACK = """Traceback (most recent call last):
  File "host.py", line 81, in handle
    return python_to_rpc(await result if isawaitable(result) else result)
                         ^^^^^^^^^^^^
  File "/session/metadata/isr/engine.py", line 4, in fetch
    raise ValueError("no")
  File "/session/metadata/python_modules/workers/rpc.py", line 1, in f
    g()
ValueError: no
"""


def test_a_traceback_names_the_projects_files_and_leaves_the_hosts_out() -> None:
    line = parse_log("error", TRACEBACK)
    assert line == LogLine(
        "error",
        "Traceback (most recent call last):\n"
        '  File "src/isr/engine.py", line 4, in fetch\n    raise ValueError("no")\n'
        '  File "python_modules/workers/rpc.py", line 1, in f\n    g()\n'
        "ValueError: no",
    )


@pytest.mark.parametrize(
    "start",
    [
        "Uncaught exception: workerd/jsg/value.h:1456: failed: remote.jsg.Error: PythonError: ",
        "Uncaught (in promise) PythonError: ",
    ],
)
def test_what_workerd_says_a_second_time_is_left_out(start: str) -> None:
    assert parse_log("error", start + TRACEBACK) is None


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param(RequestLine("GET", "/about?a=1", 200, "HIT", 3), "GET  /about?a=1  200  HIT    3 ms", id="a request"),
        pytest.param(RequestLine("POST", "/[x]", 500, None, 12), "POST /[x]  500  -      12 ms", id="without a cache state"),
        pytest.param(LogLine("warn", '{"event": "kv.failed", "key": "[a]"}'), "warn  kv.failed  key=[a]", id="an event"),
        pytest.param(LogLine("log", "just [text]"), "just [text]", id="text"),
        pytest.param(LogLine("log", "[1, 2]"), "[1, 2]", id="JSON that is no event"),
    ],
)
def test_a_line_is_shown_as_it_is(line: LogLine | RequestLine, shown: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    show_line(line, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == shown + "\n"


def test_a_request_of_the_worker_in_front_is_told_from_a_log() -> None:
    message = '{"vinextRequest":{"method":"GET","path":"/","status":200,"cache":null,"milliseconds":1}}'
    assert parse_log("log", message) == RequestLine("GET", "/", 200, None, 1)


def test_what_workerd_says_of_its_own_scripts_is_left_out() -> None:
    noise = "NOSENTRY per-isolate bootstrap compile cache failed its compatibility check; scripts will be compiled from source"
    assert parse_log("error", noise) is None
