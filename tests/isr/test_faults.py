from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, broken, page, payload, route
from tests.fakes.requests import request
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import AppPageValue, CacheEntry
from cache.memory import MemoryCacheHandler
from core.body import text_body
from core.log import QuietLog
from isr.answer import NO_PAGE, NOT_FOUND, PassedAnswer
from isr.page_cache import PassThrough
from pages.handler import PageError

if TYPE_CHECKING:
    from cache.handler import CacheHandler, GetContext

ABOUT = record("/about")


class DownError(Exception):
    """What some store raises."""


class BrokenHandler:
    """A cache handler that raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        async def method(*_: object, **__: object) -> NoReturn:
            await asyncio.sleep(0)
            raise DownError(f"{name} is down")

        return method


def half_broken(served: FakeWorker, name: str) -> CacheHandler:
    """A cache handler one of whose methods raises."""
    handler = MemoryCacheHandler(1_000_000, served.clock)
    setattr(handler, name, getattr(BrokenHandler(), name))
    return handler


async def open_with(handler: CacheHandler | None, served: FakeWorker) -> FakeWorker:
    served.handler = handler
    return await served.open()


def worker() -> FakeWorker:
    script = FakePages({"/about": page("live about"), "/new": page("live")}, {"/about": payload("live payload")})
    script.documents["/api/revalidate"] = route("done", "no-store", x_vinext_revalidated_tags="products")
    return FakeWorker(FakeAssets(copied_build(BUILD, ABOUT)), script)


async def test_a_cache_that_fails_everywhere_costs_no_visitor_a_page() -> None:
    broken: Any = BrokenHandler()
    served = await open_with(broken, worker())
    for _ in range(3):
        for url, text in (
            ("/about", "live about"),
            ("/about.rsc", "live payload"),
            ("/new", "live"),
            ("/api/revalidate", "done"),
        ):
            got = await served.get(url)
            assert (got.status, got.text) == (200, text)
        served.clock.pass_seconds(2)
    assert {"cache.read_failed", "cache.write_failed", "cache.invalidation_failed"} <= set(served.log.names())


@pytest.mark.parametrize(
    ("name", "text"),
    [("get", "built page"), ("set", "built page"), ("is_invalidated", "live about"), ("revalidate_tag", "built page")],
)
async def test_a_method_that_fails_is_a_miss_or_a_lost_write(name: str, text: str) -> None:
    served = worker()
    await open_with(half_broken(served, name), served)
    for url in ("/api/revalidate", "/about", "/new"):
        got = await served.ask(url)
        assert got.status == 200
        await served.background.done()
    got = await served.ask("/about")
    await served.background.done()
    assert (got.state, got.text) == ("HIT", text)
    assert not served.flight.cells


async def test_a_cache_that_recovers_is_used_again() -> None:
    served = worker()
    handler = half_broken(served, "is_invalidated")
    await open_with(handler, served)
    served.pages.documents.clear()
    assert (await served.get("/about")).status == 404
    del handler.is_invalidated
    served.clock.pass_seconds(11)
    got = await served.get("/about")
    assert (got.state, got.text) == ("HIT", "built page")


async def test_assets_that_fail_cost_no_visitor_a_page_and_are_asked_again_a_second_later() -> None:
    served = await open_with(None, worker())
    served.pages.documents["/about"] = broken()
    served.assets.failure = "the assets answered 500"
    for _ in range(5):
        assert (await served.get("/about")).status == 500
    assert "seed.failed" in served.log.names()
    served.assets.failure = None
    served.clock.pass_seconds(1.1)
    assert (await served.get("/about")).state == "HIT"


async def test_a_handler_s_failure_is_a_500_and_its_claims_are_released() -> None:
    served = await open_with(None, worker())
    served.pages.documents["/new"] = PageError("the service PAGES failed")
    got = await asyncio.gather(*(served.ask("/new") for _ in range(20)))
    await served.settle()
    assert {one.status for one in got} == {500}
    assert {one.state for one in got} == {None}


async def test_a_fault_that_nobody_foresaw_holds_nothing_up() -> None:
    served = await open_with(None, worker())
    served.pages.documents["/new"] = RuntimeError("a mistake in a page handler")
    with pytest.raises(RuntimeError):
        await served.ask("/new")
    served.pages.documents["/new"] = page("live")
    assert (await served.get("/new")).state == "MISS"


def entry_with(**fields: Any) -> CacheEntry:
    return replace(CacheEntry.make(AppPageValue(html=text_body("kept")), (), 0, None, None), **fields)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("a page", id="a text"),
        pytest.param(AppPageValue(html=text_body("kept")), id="a value without its entry"),
        pytest.param(entry_with(value={"kind": "APP_PAGE"}), id="a document"),
        pytest.param(entry_with(value=AppPageValue(html="kept")), id="a body that is text"),  # type: ignore[arg-type]
        pytest.param(entry_with(value=AppPageValue(html=text_body("kept"), headers=["a"])), id="headers"),  # type: ignore[arg-type]
        pytest.param(entry_with(last_modified_ms="now"), id="a time that is text"),
        pytest.param(entry_with(revalidate_at_ms="soon"), id="a period that is text"),
        pytest.param(entry_with(tags=None), id="no tags"),
    ],
)
async def test_what_an_own_handler_returns_in_place_of_an_entry_is_a_miss_and_a_line(given: Any) -> None:
    served = worker()

    class Handler(MemoryCacheHandler):
        async def get(self, key: str, context: GetContext | None = None) -> Any:
            del key, context
            return given

    await open_with(Handler(1_000_000, served.clock), served)
    answer = await served.get("/new")
    assert (answer.status, answer.text) == (200, "live")
    assert "cache.read_failed" in served.log.names()


async def test_with_everything_down_there_is_one_line_for_each_kind_of_failure() -> None:
    served = worker()
    lines = served.log
    quiet: Any = QuietLog(lines, served.clock)
    served.log = quiet
    broken: Any = BrokenHandler()
    await open_with(broken, served)
    for _ in range(20):
        await served.get("/about")
        await served.get("/new")
    warned = [(event, fields["error"]) for level, event, fields in lines.lines if level in {"warning", "error"}]
    assert sorted(warned) == [
        ("cache.read_failed", "get is down"),
        ("cache.read_failed", "is_invalidated is down"),
        ("cache.write_failed", "set is down"),
    ]


async def test_an_invalidation_that_is_answered_without_the_cache_is_one_line_in_the_log() -> None:
    served = worker()
    served.pages.documents["/renew"] = page("done", x_vinext_revalidated_tags="a%20b,_N_T_%2Fnews;expire=60")
    answer = await PassThrough(served.pages, served.log).answer(request("/renew"))
    assert isinstance(answer, PassedAnswer)
    assert "x-vinext-revalidated-tags" in answer.removed
    assert [(name, fields["tags"]) for _, name, fields in served.log.lines] == [
        ("cache.invalidation_failed", ["a b", "_N_T_/news"])
    ]


async def test_without_knowing_the_build_every_request_is_passed_on() -> None:
    served = worker()
    answers = PassThrough(served.pages, served.log)
    for url in ("/about", "/new?a=1"):
        answer = await answers.answer(request(url))
        assert isinstance(answer, PassedAnswer)
        assert answer.added == ()
    assert await answers.answer(request("/%5f_prerender/build.json")) == NOT_FOUND
    served.pages.documents["/new"] = PageError("no answer")
    assert await answers.answer(request("/new")) == NO_PAGE
    assert served.log.names() == ["page.failed"]
