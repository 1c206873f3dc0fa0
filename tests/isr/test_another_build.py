"""While a new build takes the place of an old one: its page handler renders for a Worker of the other build."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakeResponse, dynamic, page, payload
from tests.fakes.ports import FakeClock
from tests.fakes.stages import FakeStages, adding
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from seed.rules import Rule

OTHER = {"x_vinext_app_build": "build-2"}
OWN = {"x_vinext_app_build": "build-1"}
URLS = ["/ruled", "/free"]


def app(build: dict[str, str], text: str) -> FakeStages:
    pages = FakeStages(rules={"/ruled": adding(x_nonce="abc")})
    become(pages, build, text)
    return pages


def become(pages: FakeStages, build: dict[str, str], text: str) -> None:
    pages.documents.update({url: page(text, **build) for url in URLS})
    pages.payloads.update({url: payload(f"{text} payload", **build) for url in URLS})


async def worker(pages: FakeStages, *urls: str, revalidate: float = 60) -> FakeWorker:
    build = replace(BUILD, rules=(Rule("/ruled", is_prefix=True, name="proxy.ts"),))
    records = [record(url, b"built", b"built payload", revalidate=revalidate, expire=600) for url in urls]
    return await FakeWorker(FakeAssets(copied_build(build, *records)), pages, FakeClock()).open()


@pytest.mark.parametrize("url", URLS)
async def test_what_another_build_renders_is_sent_and_not_kept(url: str) -> None:
    pages = app(OTHER, "newer")
    served = await worker(pages)
    for asked, text in [(url, "newer"), (f"{url}.rsc", "newer payload")] * 2:
        got = await served.get(asked)
        assert (got.status, got.text, got.is_cached) == (200, text, False)
    assert not served.stored_pages
    become(pages, OWN, "own")
    served.clock.pass_seconds(11)
    assert [(await served.get(url)).state for _ in range(2)] == ["MISS", "HIT"]
    assert (await served.get(url)).header("X-Vinext-App-Build") is None


@pytest.mark.parametrize("url", URLS)
async def test_visitors_of_the_other_build_wait_for_nobody_and_are_all_answered(url: str) -> None:
    pages = app(OTHER, "newer")
    served = await worker(pages)
    for count in (5, 10):
        got = await asyncio.gather(*(served.ask(url) for _ in range(5)))
        await served.settle()
        assert {(one.status, one.text) for one in got} == {(200, "newer")}
        assert len(pages.stage_rendered) <= count + 1
    assert not served.flight.cells


NEWER = {
    "a page": page("newer", **OTHER),
    "a page that is dynamic now": replace(dynamic(), headers={**dynamic().headers, "x-vinext-app-build": "build-2"}),
    "a page that is no more": replace(page("gone", **OTHER), status=404),
    "vinext's answer to a replay of another build": FakeResponse(409, {"x-vinext-app-build": "build-1"}),
}


@pytest.mark.parametrize("newer", NEWER.values(), ids=NEWER)
@pytest.mark.parametrize("url", URLS)
async def test_a_stale_page_stays_until_its_own_build_renders_it_again(url: str, newer: FakeResponse) -> None:
    pages = app(OTHER, "newer")
    pages.documents[url] = newer
    served = await worker(pages, url)
    served.clock.pass_seconds(61)
    for _ in range(3):
        got = await served.get(url)
        assert (got.state, got.text) == ("STALE", "built")
        served.clock.pass_seconds(20)
    become(pages, OWN, "own")
    assert (await served.get(url)).state == "STALE"
    got = await served.get(url)
    assert (got.state, got.text) == ("HIT", "own")


async def test_the_pages_of_an_app_that_does_not_tell_its_build_are_kept() -> None:
    served = await worker(app({}, "own"))
    assert [(await served.get("/free")).state for _ in range(2)] == ["MISS", "HIT"]
