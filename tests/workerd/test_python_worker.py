"""The entrypoint of another Worker as the page handler, in workerd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.local_runtime import LocalRuntime

ENTRY = """
from urllib.parse import urlsplit

from worker_app import Default as Worker
from workers import Response

from vinext import cache_life, use_worker
from vinext.worker import Default  # noqa: F401


class Site(Worker):
    async def fetch(self, request, env, ctx):
        path = urlsplit(request.url).path
        if path == "/":
            cache_life("minutes")
        if path == "/given":
            return Response(f"{env.GREETING} {ctx is self.ctx}")
        return await super().fetch(request)


use_worker(Site)
"""

WORKER = """
from workers import Response, WorkerEntrypoint

LATER = []


class Default(WorkerEntrypoint):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.greeting = env.GREETING

    async def fetch(self, request):
        self.ctx.waitUntil(self.later())
        return Response(f"{self.greeting} {request.method} {len(LATER)}", headers={"X-Own": "yes"})

    async def later(self):
        LATER.append(1)
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "src").mkdir()
    (folder / "src" / "entry.py").write_text(ENTRY)
    (folder / "src" / "worker_app.py").write_text(WORKER)
    (folder / "wrangler.toml").write_text((FIXTURE / "wrangler.toml").read_text())
    with python_worker({"GREETING": "hello"}, folder=folder) as started:
        yield started


def test_its_pages_are_cached_where_they_say_a_period(runtime: LocalRuntime) -> None:
    with httpx.Client(base_url=runtime.url, trust_env=False) as client:
        first = client.get("/")
        runtime.wait_for_log('"page.stored", "path": "/"')
        second = client.get("/")
    assert [answer.headers["X-Vinext-Cache"] for answer in (first, second)] == ["MISS", "HIT"]
    assert first.text == second.text
    assert first.text.startswith("hello GET")


def test_it_gets_the_bindings_and_the_context_as_arguments_too(runtime: LocalRuntime) -> None:
    assert httpx.get(f"{runtime.url}/given", trust_env=False).text == "hello True"


def test_it_has_its_context_its_bindings_and_the_whole_request(runtime: LocalRuntime) -> None:
    with httpx.Client(base_url=runtime.url, trust_env=False) as client:
        before = client.post("/form", content=b"x")
        after = client.get("/other")
    assert "X-Vinext-Cache" not in before.headers
    assert before.headers["X-Own"] == "yes"
    assert before.text.startswith("hello POST")
    # What it gave to waitUntil has run since.
    assert int(after.text.split()[-1]) > int(before.text.split()[-1])
