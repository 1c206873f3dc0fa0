"""Pages that the build left out as dynamic: their requests cost no look-up, and what is for everybody is kept all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, dynamic, page, payload
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.keys import KeySchema
from isr.lookup import Lookup, classify
from isr.served_build import served_build
from seed.build import Build
from seed.manifest import is_dynamic, parse_route

if TYPE_CHECKING:
    from tests.fakes.kv import InMemoryKV

DYNAMIC = replace(BUILD, dynamic_paths=("/dash",))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({"status": "skipped", "reason": "dynamic"}, True, id="dynamic"),
        pytest.param({"status": "skipped", "reason": "dynamic", "route": "/p/:slug"}, False, id="a pattern"),
        pytest.param({"status": "skipped", "reason": "dynamic", "route": "/p/:slug", "path": "/p/a"}, True, id="a path of one"),
        pytest.param({"status": "skipped", "reason": "dynamic", "fallback": True}, False, id="a shell"),
        pytest.param({"status": "skipped", "reason": "api"}, False, id="a route handler"),
        pytest.param({"status": "rendered", "router": "app"}, False, id="rendered"),
        pytest.param({"status": "error", "error": "dynamic"}, False, id="an error"),
    ],
)
def test_rows(row: dict[str, object], expected: bool) -> None:  # noqa: FBT001
    assert is_dynamic(parse_route({"route": "/dash"} | row)) is expected


def test_a_build_keeps_them() -> None:
    assert Build.from_json(DYNAMIC.to_json().encode(), "build.json") == DYNAMIC


@pytest.mark.parametrize(("url", "expected"), [("/dash", True), ("/dash.rsc", True), ("/dash/a", False)])
def test_look_ups(url: str, expected: bool) -> None:  # noqa: FBT001
    from tests.fakes.requests import request  # noqa: PLC0415 - here alone

    found = classify(request(url), served_build(DYNAMIC, None, KeySchema.V2))
    assert isinstance(found, Lookup)
    assert found.is_dynamic is expected


async def opened(pages: FakePages, kv: InMemoryKV | None = None) -> FakeWorker:
    return await FakeWorker(FakeAssets(copied_build(DYNAMIC, record("/about"))), pages, kv=kv).open()


@pytest.mark.parametrize("headers", [{}, {"Cookie": "user=ann"}, {"RSC": "1"}])
async def test_the_first_request_reads_nothing(headers: dict[str, str]) -> None:
    worker = await opened(FakePages({"/dash": dynamic()}, {"/dash": payload("p", "no-store")}))
    assert worker.kv is not None
    worker.assets.fetched.clear()
    got = await worker.ask("/dash", headers)
    assert (got.status, got.state) == (200, None)
    assert worker.kv.operations == []
    await worker.settle()
    worker.clock.pass_seconds(60)
    await worker.ask("/dash", headers)
    assert worker.kv.operations == []
    await worker.settle()


async def test_no_request_waits_for_another_s_render() -> None:
    pages = FakePages({"/dash": dynamic()}, hold=asyncio.Event())
    worker = await opened(pages)
    both = [asyncio.create_task(worker.ask("/dash")) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(pages.answered) == 2
    assert pages.hold is not None
    pages.hold.set()
    assert [(await one).text for one in both] == ["dynamic", "dynamic"]
    await worker.settle()


async def test_a_page_that_is_for_everybody_after_all_is_kept_and_found() -> None:
    """A page whose render failed while the site was built, because it had no database."""
    worker = await opened(FakePages({"/dash": page("for all", vary="")}))
    assert (await worker.get("/dash")).state == "MISS"
    assert (await worker.get("/dash")).state == "HIT"
    # Another isolate renders it once too, then finds it.
    other = await opened(FakePages({"/dash": page("for all", vary="")}), kv=worker.kv)
    assert (await other.get("/dash")).state == "MISS"
    assert (await other.get("/dash")).state == "HIT"


async def test_what_the_page_handler_keeps_itself_is_looked_up() -> None:
    worker = await opened(FakePages({"/dash": page("theirs", "no-store", x_vinext_cache="MISS")}))
    assert worker.kv is not None
    await worker.get("/dash")
    assert worker.kv.operations == []
    await worker.get("/dash")
    assert worker.kv.count("get") > 0
