from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.kv import InMemoryKV
from tests.fakes.pages import FakePages, dynamic, page, payload, route
from tests.fakes.ports import FakeClock
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from isr.settings import Settings
from pages.selection import HandlerName

if TYPE_CHECKING:
    from tests.fakes.pages import FakeResponse

PRODUCTS = record("/products", b"built products", b"built products payload", revalidate=None, tags=("products",))
ABOUT = record("/about", revalidate=None)


def invalidation(tags: str) -> FakeResponse:
    """What vinext says when its code has called revalidateTag."""
    return route("{}", "no-store", x_vinext_revalidated_tags=tags)


async def worker(tags: str = "products") -> FakeWorker:
    script = FakePages({"/api/revalidate": invalidation(tags)})
    script.documents |= {
        "/products": page("new products"),
        "/about": page("new about"),
        "/new": page("live", x_vinext_cache_tags=tags),
    }
    script.payloads["/products"] = payload("new products payload")
    served = await FakeWorker(FakeAssets(copied_build(BUILD, PRODUCTS, ABOUT)), script).open()
    served.clock.pass_seconds(60)
    return served


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("seen_before", [True, False], ids=["seen-before", "never-seen"])
async def test_an_invalidated_page_is_a_miss_then_a_hit_and_the_build_s_does_not_come_back(
    method: str, *, seen_before: bool
) -> None:
    served = await worker()
    if seen_before:
        assert (await served.get("/products")).text == "built products"
        assert (await served.get("/products.rsc")).text == "built products payload"
    got = await served.get("/api/revalidate", method=method)
    assert (got.status, got.header("X-Vinext-Revalidated-Tags")) == (200, None)
    got = await served.get("/products")
    assert (got.state, got.text) == ("MISS", "new products")
    for url, text in (("/products", "new products"), ("/products.rsc", "new products payload")):
        got = await served.get(url)
        assert (got.state, got.text) == ("HIT", text)
    assert (await served.get("/about")).text == "built page"


@pytest.mark.parametrize(
    "from_others",
    [
        {"assets": FakeAssets(copied_build(replace(BUILD, stages=0), PRODUCTS))},
        {"settings": Settings(page_handler=HandlerName.parse("asgi:site:app"))},
    ],
    ids=["another-worker", "python"],
)
async def test_what_others_than_the_adapter_say_is_not_heeded(from_others: dict[str, Any]) -> None:
    """A Python app, or a Worker without the adapter, may pass on the headers of any other site."""
    wanted = [{"path": "/products", "part": "html", "tagPath": "/products", "replay": "{}"}]
    said = {"x_vinext_revalidated_tags": "products", "x_vinext_revalidated_pages": quote(json.dumps(wanted))}
    script = FakePages({"/upstream": route("{}", "no-store", **said), "/products": page("new products")})
    served = await FakeWorker(**{"assets": FakeAssets(copied_build(BUILD, PRODUCTS)), "pages": script, **from_others}).open()
    assert (await served.get("/products")).state == "HIT"
    got = await served.get("/upstream")
    assert not any(name.lower().startswith("x-vinext-revalidated") for name, _ in got.headers)
    got = await served.get("/products")
    assert (got.state, got.text) == ("HIT", "built products")


@pytest.mark.parametrize(
    ("tags", "reached"),
    [
        ("products", {"/products"}),
        ("_N_T_%2Fproducts", {"/products"}),
        ("_N_T_%2Fproducts%2Fpage", {"/products"}),
        ("_N_T_%2Flayout", {"/products", "/about"}),
        ("other", set()),
        ("other;expire=60,products", {"/products"}),
        ("", set()),
        ("bad%3Atag", set()),
    ],
)
async def test_a_tag_reaches_the_pages_that_carry_it(tags: str, reached: set[str]) -> None:
    served = await worker(tags)
    await served.get("/api/revalidate")
    states = {url: (await served.get(url)).state for url in ("/products", "/about")}
    assert {url for url, state in states.items() if state == "MISS"} == reached
    assert {url for url, state in states.items() if state == "HIT"} == states.keys() - reached


async def test_the_tags_of_an_answer_reach_its_entry() -> None:
    served = await worker("a%2Cb")
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]
    served.clock.pass_seconds(1)
    await served.get("/api/revalidate")
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]


async def test_an_invalidation_while_a_page_is_being_made_holds_against_it() -> None:
    served = await worker()
    script = served.pages
    await served.get("/api/revalidate")
    served.clock.pass_seconds(1)
    script.hold = asyncio.Event()
    script.is_asked.clear()
    script.documents["/products"] = page("made of old data")
    making = asyncio.ensure_future(served.ask("/products"))
    await script.is_asked.wait()
    served.clock.pass_seconds(1)
    await served.store.revalidate_tags(["products"])
    served.clock.pass_seconds(1)
    script.hold.set()
    assert (await making).text == "made of old data"
    await served.settle()
    script.documents["/products"] = page("made of new data")
    assert [(await served.get("/products")).text for _ in range(2)] == ["made of new data"] * 2


async def test_an_invalidation_while_a_page_is_being_made_again_holds_against_it() -> None:
    served = await worker("news")
    await served.get("/new")
    served.clock.pass_seconds(61)
    served.pages.hold = asyncio.Event()
    served.pages.is_asked.clear()
    served.pages.documents["/new"] = page("made of old data", x_vinext_cache_tags="news")
    assert (await served.ask("/new")).state == "STALE"
    await served.pages.is_asked.wait()
    served.clock.pass_seconds(1)
    await served.store.revalidate_tags(["news"])
    served.pages.hold.set()
    await served.settle()
    served.pages.documents["/new"] = page("made of new data")
    got = await served.get("/new")
    assert (got.state, got.text) == ("MISS", "made of new data")


async def test_a_page_that_is_made_in_the_millisecond_of_its_invalidation_is_kept() -> None:
    served = await worker()
    await served.get("/api/revalidate")
    assert [(await served.get("/products")).state for _ in range(3)] == ["MISS", "HIT", "HIT"]


async def test_fifty_who_ask_for_an_invalidated_page_have_it_made_once() -> None:
    served = await worker()
    await served.get("/products")
    await served.get("/api/revalidate")
    got = await asyncio.gather(*(served.ask("/products") for _ in range(50)))
    await served.settle()
    assert {one.text for one in got} == {"new products"}
    assert sum(request.path == "/products" for request in served.pages.answered) == 1


async def test_a_visitor_s_own_header_invalidates_nothing() -> None:
    served = await worker()
    served.pages.documents["/dash"] = dynamic()
    await served.get("/dash", {"X-Vinext-Revalidated-Tags": "products", "X-Vinext-Cache-Tags": "products"})
    assert (await served.get("/products")).text == "built products"


async def test_an_isolate_that_starts_afterwards_does_not_serve_the_build_s_page() -> None:
    clock = FakeClock()
    kv = InMemoryKV(clock)
    assets = FakeAssets(copied_build(BUILD, PRODUCTS))
    script = FakePages({"/api/revalidate": invalidation("products"), "/products": page("new products")})
    first = await FakeWorker(assets, script, clock, kv=kv).open()
    assert (await first.get("/products")).text == "built products"
    clock.pass_seconds(60)
    await first.get("/api/revalidate")
    clock.pass_seconds(2)
    second = await FakeWorker(assets, script, clock, kv=kv).open()
    got = await second.get("/products")
    assert (got.state, got.text) == ("MISS", "new products")
    third = await FakeWorker(assets, script, clock, kv=kv).open()
    got = await third.get("/products")
    assert (got.state, got.text) == ("HIT", "new products")
