"""The Worker without the private names of Python, Pyodide and the SDK: switched off by the setting, or where one is missing."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, fixture_packages, python_worker
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually
from tests.workerd.stubs import AssetsStub, PagesStub, assets_service, events, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from tests.workerd.worker_pool import ColdWorker

    from vinext_worker.project import Project

CLIENTS = FIXTURE.with_name("clients")

KEPT = {"headers": {"Cache-Control": "s-maxage=600", "X-Vinext-Cache-Tags": "shared"}}
BRIEF = {"headers": {"Cache-Control": "s-maxage=1, stale-while-revalidate=3600"}}
INVALIDATING = {"headers": {"Cache-Control": "no-store", "X-Vinext-Revalidated-Tags": "shared"}}

# Appended to the Worker's own entry: every private name raises or is gone, so that a use of one shows.
NO_PRIVATE_NAMES = """
import asyncio
from edge import app, loop


def forbidden(*_arguments, **_options):
    raise AssertionError("a private name was used")


loop.take_shortcuts = app.take_shortcuts = loop.begin = forbidden
loop._Settling.__init__ = loop._Requests.__init__ = loop._Begun.__init__ = forbidden
"""


@dataclass(frozen=True)
class Started:
    """A Worker with stubs beside it, and a copy of its own code."""

    runtime: LocalRuntime
    visitor: Visitor
    pages: PagesStub

    def fallbacks(self) -> list[str]:
        return [str(event["reason"]) for event in events(self.runtime, "loop.fallback")]


def copied_worker(project: Project, folder: Path) -> Path:
    """Copy the Worker's code and the SDK to a folder, where a test may change them."""
    shutil.copy(project.configuration, folder)
    for name in ("src", "python_modules"):
        shutil.copytree(project.root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@contextmanager
def started(project: Project, folder: Path, **variables: str) -> Iterator[Started]:
    """Run the copy of the Worker's code, with a build of one page."""
    build = SmallBuild(folder)
    build.page("/built")
    options = RuntimeOptions(
        config=WranglerConfig.read(folder / project.configuration.name),
        tools=project.tools,
        services={"PAGES": pages_service(), "ASSETS": assets_service()},
        variables={"VINEXT_TAG_CACHE_MS": "0", **variables},
    )
    with LocalRuntime(options) as runtime:
        AssetsStub(runtime).fill(build.copy())
        yield Started(runtime, Visitor(runtime.url), PagesStub(runtime))


@pytest.fixture(scope="module")
def off(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A Worker with the setting off, in which a use of a private name fails."""
    folder = copied_worker(project, tmp_path_factory.mktemp("off"))
    with (folder / "src" / "entry.py").open("a") as entry:
        entry.write(NO_PRIVATE_NAMES)
    with started(project, folder, VINEXT_DIRECT_AWAIT="off") as worker:
        yield worker


def asked_until(visitor: Visitor, path: str, state: str) -> str:
    return eventually(lambda: visitor.ask(path), lambda answer: answer.state == state).text


def test_off_a_page_of_the_build_is_a_hit(off: Started) -> None:
    assert [(answer.state, answer.text) for answer in (off.visitor.ask("/built"), off.visitor.ask("/built"))] == [
        ("HIT", "built /built")
    ] * 2


def test_off_a_page_is_rendered_once_and_kept_in_the_background(off: Started) -> None:
    off.pages.plan(kept=KEPT)
    made = off.visitor.ask("/kept")
    assert (made.status, made.state) == (200, "MISS")
    off.runtime.wait_for_log('"event": "page.stored", "path": "/kept"')
    assert asked_until(off.visitor, "/kept", "HIT") == made.text
    assert len(off.pages.requests("/kept", rsc=False)) == 1


def test_off_a_stale_page_is_answered_and_regenerated(off: Started) -> None:
    off.pages.plan(brief=BRIEF)
    made = off.visitor.ask("/brief")
    assert asked_until(off.visitor, "/brief", "STALE") == made.text
    off.runtime.wait_for_log('"event": "page.regenerated", "path": "/brief"')
    assert eventually(lambda: off.visitor.ask("/brief"), lambda answer: answer.text != made.text).status == 200


def test_off_an_invalidated_page_is_rendered_for_the_next_visitor(off: Started) -> None:
    off.pages.plan(shared=KEPT, invalidate=INVALIDATING)
    made = off.visitor.ask("/shared")
    asked_until(off.visitor, "/shared", "HIT")
    assert off.visitor.ask("/invalidate").status == 200
    assert off.visitor.ask("/shared").text != made.text


def test_off_many_visitors_wait_for_one_rendering(off: Started) -> None:
    off.pages.plan(together=KEPT)
    off.pages.hold("/together")
    answers = off.visitor.ask_together(["/together"] * 20, off.pages.hold)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(off.pages.requests("/together", rsc=False)) == 1


def test_off_nothing_is_logged_about_it(off: Started) -> None:
    off.visitor.ask("/built")
    assert off.fallbacks() == []
    assert events(off.runtime, "answer.failed") == events(off.runtime, "background.failed") == []


def test_off_a_python_site_asks_servers_without_await(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/text").respond_with_data("text")
    with python_worker({"VINEXT_DIRECT_AWAIT": "off"}, folder=CLIENTS, vendored=fixture_packages(CLIENTS)) as runtime:
        for client in ("requests", "urllib.request"):
            asked: dict[str, object] = {"client": client, "case": "once", "url": httpserver.url_for("/text"), "options": {}}
            answer = httpx.post(runtime.url, json=asked, trust_env=False, timeout=60).json()
            assert (answer["status"], bytes.fromhex(answer["body"])) == (200, b"text")


LOOP, SDK = "src/edge/loop.py", "python_modules/workers/rpc.py"


@dataclass(frozen=True)
class Change:
    """A text of the copied Worker or SDK that is another now, and the reason that the log gives for the fallback."""

    file: str
    old: str
    new: str
    reason: str

    def make(self, folder: Path) -> None:
        paths = [folder / self.file]
        if self.old == "_BindingWrapper":
            paths.append(folder / "python_modules" / "workers" / "entrypoints.py")
        for path in paths:
            text = path.read_text()
            assert self.old in text
            path.write_text(text.replace(self.old, self.new))


MISSING = {
    "a function of asyncio": Change(
        LOOP,
        "asyncio._set_running_loop(",
        "asyncio._no_such_function(",
        "AttributeError: module 'asyncio' has no attribute '_no_such_function'",
    ),
    "the mark of a future": Change(
        LOOP,
        "_asyncio_future_blocking",
        "_another_name",
        "RuntimeError: Task got bad yield",
    ),
    "eager tasks": Change(
        LOOP,
        "eager_start=True",
        "eager_start=False",
        "an eager task did not begin",
    ),
    "the option of eager tasks": Change(
        LOOP,
        "eager_start=True",
        "begin_now=True",
        "TypeError: ",
    ),
    "a promise's value": Change(
        LOOP,
        "self._result = result\n",
        "self._result = None\n",
        "a promise of 5104230 gave None",
    ),
    "the task to resume": Change(
        LOOP,
        "self._context.run(self._wake_up, self)",
        "pass",
        "a task did not resume when its promise settled",
    ),
    "the loop's create_task": Change(
        LOOP,
        "self._loop.create_task = self._begin",
        "self._loop.another_name = self._begin",
        "the loop's create_task is not called",
    ),
    "the coroutine of a request": Change(
        LOOP,
        "task.get_coro().cr_code",
        "task.get_coro().another_name",
        "has no attribute 'another_name'",
    ),
    "the SDK's wrapper": Change(
        SDK,
        "_BindingWrapper",
        "_AnotherName",
        "has no attribute '_BindingWrapper'",
    ),
    "what the SDK does with its wrapper": Change(
        SDK,
        "        return value._binding\n",
        "        return Object.new()\n",
        "the SDK does not pass on what its _BindingWrapper holds",
    ),
    "the SDK's raw bindings": Change(
        SDK,
        "self._env",
        "self._another_name",
        "the SDK's bindings have no _env",
    ),
}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_without_a_private_name_the_answers_are_right_and_the_log_says_so_once(
    project: Project, tmp_path: Path, missing: Change
) -> None:
    folder = copied_worker(project, tmp_path)
    missing.make(folder)
    with started(project, folder) as worker:
        worker.pages.plan(kept=KEPT, brief=BRIEF)
        for _ in range(2):
            answer = worker.visitor.ask("/built")
            assert (answer.status, answer.state, answer.text) == (200, "HIT", "built /built")
        made = worker.visitor.ask("/kept")
        assert made.state == "MISS"
        assert asked_until(worker.visitor, "/kept", "HIT") == made.text
        brief = worker.visitor.ask("/brief")
        assert asked_until(worker.visitor, "/brief", "STALE") == brief.text
        assert eventually(lambda: worker.visitor.ask("/brief"), lambda answer: answer.text != brief.text).status == 200
        (logged,) = worker.fallbacks()
        assert missing.reason in logged
        assert [line.level for line in worker.runtime.logs if "loop.fallback" in line.message] == ["warn"]


def test_with_all_private_names_as_they_were_nothing_falls_back(worker: ColdWorker) -> None:
    worker.assets.fill({})
    assert worker.visitor.ask("/page").status == 200
    assert worker.events("loop.fallback") == []
