"""The embedded runtime against the native one: small programs whose results there are known (`native/`)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import httpx2 as httpx
import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ImportFailedError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"
NATIVE = Path(__file__).with_name("native")


class Program(TypedDict):
    name: str
    module_level: str
    in_a_request: str
    native: str


def programs(name: str) -> list[Program]:
    rows: list[Program] = json.loads((NATIVE / f"{name}.json").read_text())
    return rows


IN_REQUESTS = programs("request-time")
TOP_LEVEL = programs("top-level")
LIVE_REFERENCES = [program for program in TOP_LEVEL if "createUnserializableObjectError" in program["native"]]
RAISING = [program for program in TOP_LEVEL if program["native"].startswith("REJECT") and program not in LIVE_REFERENCES]
ACCEPTED = [program for program in TOP_LEVEL if program["native"].startswith("ok: ")]

INCIDENTAL = {
    "time": r"ok: 0\.\d+",
    "datetime": r"ok: '1970-01-01 00:00:00(\.\d+)?'",
    "stat_mtime": r"os\.stat_result\(st_mode=33133, .* st_mtime=0, st_ctime=0\)",
    "process_env": r"'COLOUR,VINEXT_X'",
}
"""Where a number or an order says nothing, a pattern of the result."""

LISTED = {"cwd"}

# The embedded runtime says what is wrong and what to do, in words of its own.
REASONS = {
    "random": "random.random is not allowed at module level",
    "Random_noseed": "random.Random() is not allowed at module level",
    "uuid4": "os.urandom is not allowed at module level",
    "secrets": "os.urandom is not allowed at module level",
    "urandom": "os.urandom is not allowed at module level",
    "js_randomUUID": "Disallowed operation called within global scope",
    "response_new": "Disallowed operation called within global scope",
    "set_timeout": "Disallowed operation called within global scope",
    "call_later": "Disallowed operation called within global scope",
}

ENTRY = """
import importlib
import json

import js
from workers import Response, WorkerEntrypoint

NAMES = {names!r}
FAILED = {{}}
MODULES = {{}}

for name in NAMES:
    try:
        MODULES[name] = importlib.import_module(f"program_{{name}}")
    except Exception as error:
        FAILED[name] = f"REJECT {{type(error).__name__}}: {{error}}"

def run(name, code):
    names = {{"js": js}} | vars(MODULES[name]) | {{"__file__": __file__}}
    try:
        return repr(eval(code, names))
    except Exception as error:
        return f"RAISED {{error!r}}"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        given = await request.json()
        return Response(json.dumps({{name: FAILED.get(name) or run(name, code) for name, code in given.items()}}))
"""


def options(folder: Path, given: Sequence[Program]) -> RuntimeOptions:
    """A project with a module for each program."""
    shutil.copytree(FIXTURE, folder, dirs_exist_ok=True)
    for program in given:
        (folder / "src" / f"program_{program['name']}.py").write_text(program["module_level"] + "\n")
    (folder / "src" / "entry.py").write_text(ENTRY.format(names=[program["name"] for program in given]))
    config = WranglerConfig.read(folder / "wrangler.toml")
    return RuntimeOptions(config, Tools(folder), without=frozenset({"PAGES"}), variables={"VINEXT_X": "1"})


CLOCKS = """
import email.utils, importlib, logging, time
from datetime import date
from time import time_ns as nanoseconds
A = nanoseconds()
B = email.utils.localtime()
C = [date.today() for _ in range(3)]
D = time.localtime(5)
E = time.monotonic()
importlib.reload(logging)
def in_a_request():
    return time.time()
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """One upload of every program that the native runtime accepts, and of those that raise when they are imported."""
    clocks = Program(name="clocks", module_level=CLOCKS, in_a_request="in_a_request() > 1_000_000_000", native="True")
    with LocalRuntime(options(tmp_path_factory.mktemp("accepted"), [*ACCEPTED, *RAISING, *IN_REQUESTS, clocks])) as started:
        yield started


@pytest.fixture(scope="module")
def results(runtime: LocalRuntime) -> dict[str, str]:
    codes = {program["name"]: program["in_a_request"] for program in [*ACCEPTED, *RAISING, *IN_REQUESTS]}
    answers: dict[str, str] = httpx.post(runtime.url, json=codes, trust_env=False).json()
    return answers


@pytest.mark.parametrize("program", IN_REQUESTS, ids=[program["name"] for program in IN_REQUESTS])
def test_a_request_gives_what_it_gives_natively(program: Program, results: dict[str, str]) -> None:
    check(program, results[program["name"]])


@pytest.mark.parametrize("program", ACCEPTED, ids=[program["name"] for program in ACCEPTED])
def test_what_is_accepted_natively_gives_the_same_here(program: Program, results: dict[str, str]) -> None:
    check(program, f"ok: {results[program['name']]}")


def check(program: Program, result: str) -> None:
    expected = INCIDENTAL.get(program["name"])
    if expected is not None:
        assert re.fullmatch(expected, result)
    elif program["name"] in LISTED:
        assert sorted(re.findall(r"[\w/.]+", result)) == sorted(re.findall(r"[\w/.]+", program["native"]))
    else:
        assert result == program["native"]


@pytest.mark.parametrize("program", RAISING, ids=[program["name"] for program in RAISING])
def test_what_raises_natively_raises_here(program: Program, results: dict[str, str]) -> None:
    assert results[program["name"]].startswith("REJECT ")
    assert REASONS[program["name"]] in results[program["name"]]


@pytest.mark.parametrize("what", ["/x.txt was written", "src/entry.py was opened", "/z was opened", "globalThis.myThing was set"])
def test_what_is_lost_behind_the_snapshot_is_warned_of(runtime: LocalRuntime, what: str) -> None:
    line = runtime.wait_for_log(f"{what} at module level, and is lost behind the snapshot: do it in a request")
    assert line.level == "warn"


def test_a_clock_that_is_read_at_module_level_is_warned_of_once(runtime: LocalRuntime) -> None:
    warning = re.compile(r"src/program_(\w+)\.py, line (\d+): ([\w.]+)\(\) at module level, where it is 1970 in production")
    runtime.wait_for_log("globalThis.myThing was set")  # it comes after them
    lines = [(line.level, found.groups()) for line in runtime.logs if (found := warning.search(line.message))]
    assert sorted(lines) == [
        ("warn", place)
        for place in (
            ("clocks", "5", "time.time_ns"),
            ("clocks", "6", "datetime.now"),
            ("clocks", "7", "date.today"),
            ("datetime", "2", "datetime.now"),
            ("time", "2", "time.time"),
        )
    ]


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of the error of an upload with every program that keeps a JavaScript object."""
    with pytest.raises(ImportFailedError) as failure:
        LocalRuntime(options(tmp_path_factory.mktemp("references"), LIVE_REFERENCES)).start()
    return str(failure.value).splitlines()


WAYS = {
    "fn_proto_get": "X holds a JavaScript object (function get() { [native code] })",
    "fn_bind": "X holds a JavaScript object (function bind() { [native code] })",
    "headers_new": "X holds a JavaScript object ([object Headers]); make it in the first request",
    "to_js": "X holds a JavaScript object (1)",
    "create_proxy": "X holds a JavaScript object (<function <lambda> at ",
    "in_closure": "X -> the variable h that it uses holds a JavaScript object ([object Headers])",
    "in_default_arg": "f -> a default argument holds a JavaScript object ([object Headers])",
    "in_partial": "X -> tuple[0] holds a JavaScript object ([object Headers])",
    "in_lru_cache": "f -> dict[()] holds a JavaScript object ([object Headers])",
    "in_stdlib_obj": "X[0] holds a JavaScript object ([object Headers])",
    "in_instance_slots": "X.h holds a JavaScript object ([object Headers])",
    "in_dataclass_field_other_module_obj": "X.h holds a JavaScript object ([object Headers])",
    "js_exception_kept": "X holds a JavaScript object (SyntaxError: Expected property name",
}


@pytest.mark.parametrize("program", LIVE_REFERENCES, ids=[program["name"] for program in LIVE_REFERENCES])
def test_a_live_reference_is_refused_and_its_way_named(program: Program, refusal: list[str]) -> None:
    [line] = [line for line in refusal if f"src/program_{program['name']}.py: " in line]
    assert WAYS[program["name"]] in line
