"""Pages that are made of data, through the whole page cache."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pages import FakePages, FakeResponse
from tests.fakes.worker import FakeWorker

from datacache.cached import cached
from datacache.context import DataCache, enter_data_cache, revalidate_tag
from datacache.life import cache_life
from pages.policy import Rendering, rendering_as, with_policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pages.request import PageRequest, RenderRequest


class DataPages(FakePages):
    """Pages that show what a function returns, and that are never stale themselves."""

    data: Callable[[], Awaitable[str]]

    async def answer(self, request: PageRequest) -> FakeResponse:
        return await self._page(Rendering(request.path))

    async def render(self, request: RenderRequest) -> FakeResponse:
        return await self._page(Rendering(request.path, is_for_cache=True))

    async def _page(self, rendering: Rendering) -> FakeResponse:
        with rendering_as(rendering):
            text = await self.data()
        rendering.ask(math.inf, None)
        headers = with_policy(rendering, "GET", 200, (("content-type", "text/html; charset=utf-8"),), is_personal=False)
        return FakeResponse(200, dict(headers), text.encode())


class Site:
    def __init__(self, served: FakeWorker, pages: DataPages) -> None:
        self.served = served
        self.pages = pages
        self.value = "old"
        self.clock = served.clock

    async def get(self, path: str) -> tuple[str, str | None]:
        got = await self.served.get(path)
        assert got.header("x-vinext-stale-data") is None
        return got.text, got.state


@pytest.fixture(params=[True, False], ids=["in memory", "KV"])
async def site(request: pytest.FixtureRequest) -> Site:
    pages = DataPages()
    served = await FakeWorker(pages=pages, in_memory=request.param).open()
    enter_data_cache(DataCache(served.cache, served.runtime, served.site.schema))
    return Site(served, pages)


async def test_a_first_page_of_stale_data_is_rendered_again_for_the_cache(site: Site) -> None:
    @cached(tags=["posts"])
    async def posts() -> str:
        return site.value

    site.pages.data = posts
    assert await site.get("/a") == ("old", "MISS")
    site.clock.pass_seconds(60)
    site.value = "new"
    await revalidate_tag("posts", profile="max")
    site.clock.pass_seconds(5)
    assert await site.get("/b") == ("old", "MISS")
    assert await site.get("/b") == ("new", "HIT")
    assert await site.get("/a") == ("old", "STALE")
    assert await site.get("/a") == ("new", "HIT")


async def test_a_page_of_data_whose_period_is_over_is_rendered_again_too(site: Site) -> None:
    @cached(revalidate=60)
    async def posts() -> str:
        return site.value

    site.pages.data = posts
    await posts()
    site.clock.pass_seconds(61)
    site.value = "new"
    assert await site.get("/a") == ("old", "MISS")
    assert await site.get("/a") == ("new", "HIT")


async def test_a_page_expires_when_its_data_does(site: Site) -> None:
    @cached()
    async def price() -> str:
        cache_life("seconds")
        return site.value

    site.pages.data = price
    assert await site.get("/a") == ("old", "MISS")
    site.value = "new"
    site.clock.pass_seconds(61)
    assert await site.get("/a") == ("new", "MISS")


async def test_a_page_that_is_rendered_after_an_invalidation_has_no_data_of_before(site: Site) -> None:
    may_end = asyncio.Event()

    @cached(tags=["posts"])
    async def posts() -> str:
        found = site.value
        await may_end.wait()
        return found

    site.pages.data = posts
    first = asyncio.ensure_future(site.served.ask("/a"))
    await _a_turn()
    site.clock.pass_seconds(1)
    site.value = "new"
    await revalidate_tag("posts")
    site.clock.pass_seconds(1)
    second = asyncio.ensure_future(site.served.ask("/b"))
    await _a_turn()
    may_end.set()
    assert [got.text for got in await asyncio.gather(first, second)] == ["old", "new"]
    await site.served.settle()
    assert (await site.get("/a"))[0] == "new"
    assert await site.get("/b") == ("new", "HIT")


async def _a_turn() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
