"""A Worker with `ctx.cache` in workerd, and the stand-in for Workers Cache in front of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker
from tests.fakes.workers_cache import WorkersCache
from tests.workerd.stubs import events

from isr.edge_policy import EDGE_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.local_runtime import LocalRuntime

ENTRY = """
import json

import js
from pyodide.ffi import to_js
from vinext import Page, revalidate_tag, use_function
from vinext.worker import Default as Front
from workers import Response

result = None


def of(fields):
    return to_js(fields, dict_converter=js.Object.fromEntries)


class Default(Front):
    def fetch(self, request):
        global result
        # A purge writes its options into its own result.
        result = result or of({"success": True, "errors": [{"code": 1134, "message": "rate limited"}]})
        result.success = "refused" not in request.url
        purge = js.Object.assign.bind(None, result)
        js.Object.defineProperty(self.ctx, "cache", of({"value": of({"purge": purge})}))
        return super().fetch(request)


async def pages(request):
    path = request.url.split("/", 3)[3]
    if path.startswith("invalidate/"):
        await revalidate_tag(path.removeprefix("invalidate/"))
        return Page(json.dumps(result.tags.to_py()), revalidate=0)
    if path == "own":
        return Response("own", headers={"Cloudflare-CDN-Cache-Control": "max-age=600"})
    return Page("page", revalidate=3600, tags=("a", "b c"))


use_function(pages)
"""


@dataclass
class Answered:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "src").mkdir()
    (folder / "wrangler.toml").write_text((FIXTURE / "wrangler.toml").read_text())
    (folder / "src" / "entry.py").write_text(ENTRY)
    with python_worker({"VINEXT_EDGE_CACHE": "on", "VINEXT_ADMIN_TOKEN": "secret"}, folder=folder) as started:
        yield started


async def ask(runtime: LocalRuntime, url: str, headers: dict[str, str], method: str) -> Answered:
    async with httpx.AsyncClient(base_url=runtime.url, trust_env=False) as client:
        answer = await client.request(method, url, headers=headers, content=b"{}" if method == "POST" else None)
    return Answered(answer.status_code, answer.headers.multi_items(), answer.content)


async def test_a_page_is_kept_under_its_tags_and_an_invalidation_purges_it(runtime: LocalRuntime) -> None:
    asked: list[str] = []

    async def worker(url: str, headers: dict[str, str], method: str) -> Answered:
        asked.append(url)
        return await ask(runtime, url, headers, method)

    edge = WorkersCache(worker, lambda: time.time_ns() // 1_000_000)
    await edge.fetch("/page")
    runtime.wait_for_log('"page.stored", "path": "/page"')
    states = [(await edge.fetch("/page")).cache for _ in range(3)]
    assert (states, asked) == (["MISS", "HIT", "HIT"], ["/page", "/page"])
    assert {"/page", "a", "b%20c"} <= edge.tags_of("/page")
    await edge.purge(json.loads((await ask(runtime, "/invalidate/a", {}, "GET")).body))
    assert (await edge.fetch("/page")).headers["x-vinext-cache"] == "MISS"


@pytest.mark.parametrize("url", ["/own", "/invalidate/b", "/__vinext/inspect", "/first", "/page?query"])
async def test_whatever_else_the_worker_answers_is_not_kept(runtime: LocalRuntime, url: str) -> None:
    answer = await ask(runtime, url, {}, "GET")
    assert [text for name, text in answer.headers if name == EDGE_HEADER.lower()] == ["no-store"]


async def test_a_purge_that_is_refused_is_one_line_with_the_reason(runtime: LocalRuntime) -> None:
    await ask(runtime, "/invalidate/refused", {}, "GET")
    runtime.wait_for_log("edge.purge_failed")
    (failure,) = events(runtime, "edge.purge_failed")
    assert (failure["tags"], failure["error"]) == (["refused"], "rate limited (1134)")
