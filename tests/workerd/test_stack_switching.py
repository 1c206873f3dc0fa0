"""A site's own code may wait without `await` (`run_sync`) wherever the Worker calls it, in the first request and in others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.local_runtime import LocalRuntime

PAGES = """
import js
from pyodide.ffi import run_sync

from vinext import Page, cached, use_function


@cached(revalidate=60)
async def data(name):
    run_sync(js.scheduler.wait(1))
    return name


async def pages(request):
    path = request.url.partition("://")[2].partition("/")[2]
    if path == "method":
        import entry

        one, other = (object.__new__(entry.Default).fetch for _ in range(2))
        return Page(str(one is other))
    run_sync(js.scheduler.wait(1))
    text = await data(path)
    run_sync(js.scheduler.wait(1))
    again = await data(path)
    run_sync(js.scheduler.wait(1))
    if path == "raises":
        raise ValueError(path)
    return Page(f"<p>{text} {again}</p>", revalidate=1 if path == "brief" else 60)


use_function(pages)
"""
ENTRIES = {
    "as it is": "from vinext.worker import Default",
    "a subclass": """
import js
from pyodide.ffi import run_sync
from vinext.worker import Default as Worker


class Default(Worker):
    async def fetch(self, request):
        run_sync(js.scheduler.wait(1))
        return await super().fetch(request)
""",
    "a cache handler of its own": """
import time
import js
from pyodide.ffi import run_sync
from vinext import MemoryCacheHandler, set_cache_handler
from vinext.worker import Default


class Handler(MemoryCacheHandler):
    async def get(self, key, context=None):
        run_sync(js.scheduler.wait(1))
        return await super().get(key, context)


set_cache_handler(Handler(1_000_000, lambda: int(time.time() * 1000)))
""",
}


@pytest.fixture(scope="module", params=ENTRIES)
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "src").mkdir()
    (folder / "wrangler.toml").write_text((FIXTURE / "wrangler.toml").read_text())
    (folder / "src" / "own_pages.py").write_text(PAGES)
    (folder / "src" / "entry.py").write_text(f"import own_pages\n{ENTRIES[request.param]}\n")
    with python_worker(folder=folder) as started:
        yield started


def ask(runtime: LocalRuntime, path: str) -> httpx.Response:
    return httpx.get(f"{runtime.url}/{path}", trust_env=False)


def test_pages_wait_in_every_request(runtime: LocalRuntime) -> None:
    for path in ("a", "b", "c"):
        made, kept = ask(runtime, path), ask(runtime, path)
        assert (made.status_code, made.text, made.headers["X-Vinext-Cache"]) == (200, f"<p>{path} {path}</p>", "MISS")
        assert (kept.text, kept.headers["X-Vinext-Cache"]) == (made.text, "HIT")


def test_pages_wait_when_they_are_made_again(runtime: LocalRuntime) -> None:
    ask(runtime, "brief")
    eventually(lambda: ask(runtime, "brief").headers["X-Vinext-Cache"] == "STALE")
    runtime.wait_for_log('"event": "page.regenerated", "path": "/brief"')


def test_the_runtime_calls_the_same_method_for_each_request_unless_it_is_a_subclass_s(runtime: LocalRuntime) -> None:
    is_subclass = "class Default(" in (runtime.options.config.path.parent / "src" / "entry.py").read_text()
    assert ask(runtime, "method").text == str(not is_subclass)


def test_what_a_page_raises_is_told(runtime: LocalRuntime) -> None:
    assert ask(runtime, "raises").status_code == 500
    runtime.wait_for_log("raised ValueError: raises")


def test_requests_go_on_while_others_wait(runtime: LocalRuntime) -> None:
    paths = [f"together-{number % 20}" for number in range(200)]
    with ThreadPoolExecutor(16) as visitors:
        answers = list(visitors.map(lambda path: ask(runtime, path), paths))
    assert [answer.text for answer in answers] == [f"<p>{path} {path}</p>" for path in paths]
    assert {answer.headers["X-Vinext-Cache"] for answer in answers} == {"HIT", "MISS"}
