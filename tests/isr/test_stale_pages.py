"""Pages that an invalidation has made stale: `revalidateTag(tag, profile)`, and the same from elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.kv import KVError
from tests.fakes.pages import FakePages, broken, page, payload, route
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from core.body import BytesBody
from isr.settings import Settings
from pages.handler import WholeResponse
from pages.stages import Resource, StagedAnswer, no_entry
from seed.rules import STAGES_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from pages.request import PageRequest
    from pages.stages import Step

PRODUCTS = record("/products", b"built products", b"built payload", revalidate=None, tags=("products",))
ABOUT = record("/about", revalidate=None)

CACHES: dict[str, Callable[[FakeWorker], None]] = {
    "kv and memory": lambda served: None,
    "kv": lambda served: _set(served, Settings(memory_bytes=0)),
    "framed and memory": lambda served: _set(served, Settings(kv_layout=Layout.FRAMED)),
    "framed": lambda served: _set(served, Settings(kv_layout=Layout.FRAMED, memory_bytes=0)),
    "memory": lambda served: setattr(served, "in_memory", True),
    "a site's own": lambda served: setattr(served, "handler", Own(10_000_000, served.clock)),
}


def _set(served: FakeWorker, settings: Settings) -> None:
    served.settings = settings


class Own(MemoryCacheHandler):
    """A handler that is used through the methods of the protocol alone."""

    async def revalidate_tag(self, tags: object, *, expire_seconds: float | None = None) -> None:
        await super().revalidate_tag(tags, expire_seconds=expire_seconds)  # type: ignore[arg-type]


async def worker(cache: str = "kv and memory", expire: str = ";expire=3600") -> FakeWorker:
    script = FakePages(gives_both=True)
    script.documents |= {
        "/products": page("new products", x_vinext_cache_tags="products"),
        "/new": page("live", x_vinext_cache_tags="products"),
        "/api/stale": route("{}", "no-store", x_vinext_revalidated_tags=f"products{expire}"),
        "/api/gone": route("{}", "no-store", x_vinext_revalidated_tags="products"),
    }
    script.payloads |= {"/products": payload("new payload"), "/new": payload("live payload")}
    served = FakeWorker(FakeAssets(copied_build(BUILD, PRODUCTS, ABOUT)), script)
    CACHES[cache](served)
    await served.open()
    served.clock.pass_seconds(60)
    return served


async def answers(served: FakeWorker, *urls: str) -> list[tuple[str | None, str]]:
    got = [await served.get(url) for url in urls]
    return [(one.state, one.text) for one in got]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("seen_before", [True, False], ids=["seen-before", "never-seen"])
async def test_a_page_is_stale_once_and_then_a_hit_with_the_new_content(cache: str, *, seen_before: bool) -> None:
    served = await worker(cache)
    if seen_before:
        await answers(served, "/products", "/products.rsc", "/about")
    got = await served.get("/api/stale", method="POST")
    assert (got.status, got.header("X-Vinext-Revalidated-Tags")) == (200, None)
    if cache == "a site's own" and not seen_before:
        # Such a handler does not say that the build's page is stale before it has the page.
        assert await answers(served, "/products") == [("HIT", "built products")]
    assert await answers(served, "/products") == [("STALE", "built products")]
    assert await answers(served, "/products.rsc", "/products") == [("HIT", "new payload"), ("HIT", "new products")]
    assert await answers(served, "/about") == [("HIT", "built page")]
    for seconds in (10, 3600 * 24):
        served.clock.pass_seconds(seconds)
        assert (await answers(served, "/products"))[0][1] == "new products"
    assert ("info", "cache.invalidated", {"tags": ("products",), "stale_seconds": 3600.0}) in served.log.lines


@pytest.mark.parametrize("cache", CACHES)
async def test_a_payload_is_stale_with_its_page(cache: str) -> None:
    served = await worker(cache)
    await answers(served, "/products", "/products.rsc")
    await served.get("/api/stale")
    assert await answers(served, "/products.rsc") == [("STALE", "built payload")]
    assert await answers(served, "/products", "/products.rsc") == [("HIT", "new products"), ("HIT", "new payload")]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("seen_before", [True, False], ids=["seen-before", "never-seen"])
async def test_after_its_time_a_page_is_a_miss(cache: str, *, seen_before: bool) -> None:
    served = await worker(cache, ";expire=60")
    if seen_before:
        await answers(served, "/products", "/products.rsc")
    await served.get("/api/stale")
    served.clock.pass_seconds(61)
    assert await answers(served, "/products", "/products", "/products.rsc") == [
        ("MISS", "new products"),
        ("HIT", "new products"),
        ("HIT", "new payload"),
    ]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("order", [("/api/stale", "/api/gone"), ("/api/gone", "/api/stale")], ids=["stale first", "gone first"])
async def test_an_invalidation_without_a_time_wins(cache: str, order: tuple[str, str]) -> None:
    served = await worker(cache)
    await answers(served, "/products")
    for url in order:
        await served.get(url)
        served.clock.pass_seconds(1)
    assert (await answers(served, "/products"))[0] == ("MISS", "new products")


@pytest.mark.parametrize("expire", ["", ";expire=0", ";expire=x"])
async def test_without_a_time_a_page_is_gone_at_once(expire: str) -> None:
    served = await worker(expire=expire)
    await answers(served, "/products")
    await served.get("/api/stale")
    assert await answers(served, "/products") == [("MISS", "new products")]


@pytest.mark.parametrize("cache", ["kv and memory", "framed and memory", "kv", "framed"])
async def test_another_isolate_serves_the_stale_page_and_finds_the_new_one(cache: str) -> None:
    served = await worker(cache)
    other = FakeWorker(served.assets, served.pages, served.clock, kv=served.kv, settings=served.settings)
    await other.open()
    for isolate in (served, other):
        await answers(isolate, "/new", "/new")
    await served.get("/api/stale")
    served.clock.pass_seconds(6)
    served.pages.documents["/new"] = page("newer", x_vinext_cache_tags="products")
    assert await answers(other, "/new") == [("STALE", "live")]
    served.clock.pass_seconds(5)
    for isolate in (served, other):
        assert await answers(isolate, "/new") == [("HIT", "newer")]
    assert sum(not request.rsc for request in served.pages.rendered) == 1


async def test_a_page_that_was_regenerated_just_before_is_regenerated_again() -> None:
    """The lease that another isolate took for its period says nothing about the invalidation."""
    served = await worker()
    other = await FakeWorker(served.assets, served.pages, served.clock, kv=served.kv).open()
    await answers(served, "/new")
    served.clock.pass_seconds(61)
    assert await answers(other, "/new") == [("STALE", "live")]
    served.clock.pass_seconds(1)
    await served.get("/api/stale")
    served.pages.documents["/new"] = page("newer", x_vinext_cache_tags="products")
    assert [state for state, _ in await answers(served, "/new")] == ["STALE"]
    assert await answers(served, "/new") == [("HIT", "newer")]


async def test_a_stale_page_that_cannot_be_made_is_served_until_its_time_is_over() -> None:
    served = await worker(expire=";expire=60")
    await answers(served, "/products")
    await served.get("/api/stale")
    served.pages.documents["/products"] = broken()
    for _ in range(3):
        assert await answers(served, "/products") == [("STALE", "built products")]
        served.clock.pass_seconds(15)
    served.clock.pass_seconds(30)
    assert (await served.get("/products")).status == 500


async def test_an_invalidation_while_a_page_is_being_made_again_makes_it_stale_again() -> None:
    served = await worker()
    await answers(served, "/new")
    await served.get("/api/stale")
    served.pages.hold = asyncio.Event()
    served.pages.is_asked.clear()
    served.pages.documents["/new"] = page("made of old data", x_vinext_cache_tags="products")
    assert (await served.ask("/new")).state == "STALE"
    await served.pages.is_asked.wait()
    served.clock.pass_seconds(1)
    await served.store.revalidate_tags(["products"], 3600)
    served.pages.hold.set()
    await served.settle()
    served.pages.documents["/new"] = page("made of new data", x_vinext_cache_tags="products")
    assert await answers(served, "/new", "/new") == [("STALE", "made of old data"), ("HIT", "made of new data")]


async def test_a_stale_invalidation_that_cannot_be_written_is_a_line_in_the_log() -> None:
    served = await worker()

    async def before(operation: str, key: str) -> None:
        if operation == "put" and key.startswith("__swr:"):
            raise KVError("500 no")

    assert served.kv is not None
    served.kv.before = before
    assert (await served.get("/api/stale")).status == 200
    (line,) = (fields for _, event, fields in served.log.lines if event == "cache.invalidated")
    assert (line["tags"], line["stale_seconds"], line["unwritten"]) == (("products",), 3600.0, ("products",))
    (line,) = (fields for _, event, fields in served.log.lines if event == "cache.invalidation_lost")
    assert line["keys"] == ["__swr:products"]


@dataclass
class StagedPages(FakePages):
    """An app in stages: what it renders for a visitor may be of stale data, and what it renders again never is."""

    kept_headers: dict[str, str] = field(default_factory=dict)

    def staged(self) -> StagedPages:
        return self

    async def serve(self, request: PageRequest, offer: str) -> Step:
        resource = Resource(request.path, "html", request.path)
        assert offer == no_entry(resource, is_unruled=True)
        made = page("of stale data", x_vinext_cache="MISS")
        headers = tuple((dict(made.headers) | self.kept_headers).items())
        kept = WholeResponse(200, headers, BytesBody(made.body), BytesBody(b"payload"))

        async def admitted() -> WholeResponse:
            return kept

        return StagedAnswer(made, made=resource, replay="again", admitted=admitted)


@pytest.mark.parametrize("is_stale", [True, False])
async def test_a_page_that_was_rendered_of_stale_data_for_a_visitor_is_rendered_again_for_the_cache(*, is_stale: bool) -> None:
    pages = StagedPages(gives_both=True, kept_headers={"x-vinext-stale-data": "1"} if is_stale else {})
    pages.documents["/new"] = page("of fresh data")
    pages.payloads["/new"] = payload("payload")
    assets = FakeAssets(copied_build(replace(BUILD, stages=STAGES_VERSION), ABOUT))
    served = await FakeWorker(assets, pages).open()
    assert await answers(served, "/new", "/new") == [
        ("MISS", "of stale data"),
        ("HIT", "of fresh data" if is_stale else "of stale data"),
    ]
    assert [(request.path, request.replay) for request in pages.rendered] == ([("/new", None)] if is_stale else [])
    assert (await served.get("/new")).header("X-Vinext-Stale-Data") is None
