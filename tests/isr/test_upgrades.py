"""WebSockets at the URLs of cached pages of a Python site."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, FakeResponse, page
from tests.fakes.worker import BUILD, FakeWorker, copied_build

from isr.settings import Settings
from pages.handler import PageError
from pages.selection import HandlerName

if TYPE_CHECKING:
    from pages.request import PageRequest

WEBSOCKET = {"Upgrade": "websocket"}

SIGNED_IN = {"Cookie": "session=abc"}


@dataclass
class Site(FakePages):
    """A page handler with pages that takes WebSockets, too, at `/live`, and at `/private` from visitors with a cookie."""

    async def answer(self, request: PageRequest) -> FakeResponse:
        made = await super().answer(request)
        is_taken = request.path == "/live" or (request.path == "/private" and request.headers.get("cookie") is not None)
        return FakeResponse(101) if is_taken and request.headers.get("upgrade") else made

    @property
    def asked(self) -> int:
        return len(self.answered)


@pytest.fixture
async def site() -> tuple[FakeWorker, Site]:
    pages = Site({path: page(path) for path in ("/page", "/live", "/private", "/dash")})
    settings = Settings(page_handler=HandlerName("function", "site", "answer"))
    served = await FakeWorker(FakeAssets(copied_build(BUILD)), pages, settings=settings).open()
    for path in ("/page", "/live", "/private"):
        assert [(await served.get(path)).state for _ in range(2)] == ["MISS", "HIT"]
    pages.answered.clear()
    return served, pages


@pytest.mark.parametrize("headers", [WEBSOCKET, {"Upgrade": "foo, WebSocket"}, WEBSOCKET | SIGNED_IN])
async def test_a_page_where_no_websocket_is_taken_is_rendered_once_a_second_at_most(
    site: tuple[FakeWorker, Site], headers: dict[str, str]
) -> None:
    served, pages = site
    assert (await served.get("/page", headers)).text == "/page"
    got = [await served.get("/page", headers) for _ in range(100)]
    assert ({answer.state for answer in got}, {answer.text for answer in got}, pages.asked) == ({"HIT"}, {"/page"}, 1)
    served.clock.pass_seconds(1)
    await served.get("/page", headers)
    assert pages.asked == 2


async def test_visitors_at_once_have_a_page_that_takes_no_websocket_rendered_once(site: tuple[FakeWorker, Site]) -> None:
    served, pages = site
    got = await asyncio.gather(*(served.ask("/page", WEBSOCKET) for _ in range(300)))
    assert ({answer.text for answer in got}, pages.asked) == ({"/page"}, 1)
    await served.settle()


async def test_a_page_that_takes_websockets_takes_every_one(site: tuple[FakeWorker, Site]) -> None:
    served, pages = site
    got = await asyncio.gather(*(served.ask("/live", WEBSOCKET) for _ in range(300)))
    assert ({answer.status for answer in got}, pages.asked) == ({101}, 300)
    assert (await served.get("/live", WEBSOCKET)).status == 101
    assert (await served.get("/live")).state == "HIT", "the page itself is cached"


async def test_a_visitor_who_may_have_no_websocket_keeps_it_from_nobody(site: tuple[FakeWorker, Site]) -> None:
    served, _ = site
    assert (await served.get("/private", WEBSOCKET)).status == 200
    assert (await served.get("/private", WEBSOCKET | SIGNED_IN)).status == 101
    assert (await served.get("/private", WEBSOCKET)).status == 200


async def test_what_is_in_no_cache_is_the_page_handlers(site: tuple[FakeWorker, Site]) -> None:
    served, pages = site
    assert [(await served.get("/dash", WEBSOCKET)).state for _ in range(3)] == [None, None, None]
    assert pages.asked == 3


async def test_a_page_handler_that_fails_leaves_the_page_in_the_cache(site: tuple[FakeWorker, Site]) -> None:
    served, pages = site
    pages.documents["/page"] = PageError("it raised")
    assert [(await served.get("/page", WEBSOCKET)).state for _ in range(2)] == ["HIT", "HIT"]
    assert pages.asked == 1


async def test_a_head_request_is_for_no_websocket(site: tuple[FakeWorker, Site]) -> None:
    served, pages = site
    assert ((await served.get("/live", WEBSOCKET, "HEAD")).state, pages.asked) == ("HIT", 0)
