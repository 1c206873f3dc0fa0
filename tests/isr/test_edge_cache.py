"""The cache in front of the Worker: what it may keep, for how long, and how invalidations reach it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.kv import InMemoryKV
from tests.fakes.pages import FakePages, FakeResponse, dynamic, page, payload, route
from tests.fakes.ports import START_MS, FakeClock
from tests.fakes.requests import request
from tests.fakes.stages import FakeStages
from tests.fakes.tag_objects import FakeTagObjects
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record
from tests.fakes.workers_cache import BUCKET, WorkersCache

from cache.purging import MAX_PURGED
from core.body import BytesBody
from core.errors import InvalidationError
from core.runtime import WORK_MS
from isr.admin import Admin, AdminCache, RevalidateRequest, revalidate
from isr.edge_policy import EDGE_HEADER
from isr.settings import EdgeCache, Settings
from isr.tenants import read_tenants
from pages.selection import HandlerName
from seed.build import Artifact
from seed.rules import Rule

if TYPE_CHECKING:
    from tests.fakes.worker import Got

    from seed.build import Build

ON = Settings(edge_cache=EdgeCache.ON)
STATIC = record("/about", revalidate=None)
BLOG = record("/blog", expire=600, tags=("posts",))
RULED = Rule("/ruled", is_prefix=False, name="middleware.ts: /ruled")
DAY = 86_400


@dataclass
class Site:
    """A Worker with the cache in front of it; `asked` are the URLs that have reached the Worker."""

    worker: FakeWorker
    edge: WorkersCache
    asked: list[str]

    async def get(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> str:
        """Ask often enough for a page to be kept: the Worker renders it, then has it. Return the last answer and its state."""
        for _ in range(2):
            await self.edge.fetch(url, headers, method)
        answer = await self.edge.fetch(url, headers, method)
        return f"{answer.body.decode()} {answer.cache}"


async def opened(settings: Settings = ON, *, build: Build = BUILD, pages: FakePages | None = None, **stores: Any) -> Site:
    """Open a Worker with two pages of the build, and those that are rendered."""
    asked: list[str] = []
    clock = stores.pop("clock", None) or FakeClock()

    async def ask(url: str, headers: dict[str, str], method: str) -> Got:
        asked.append(url)
        return await worker.get(url, headers, method)

    edge = WorkersCache(ask, clock)
    assets = FakeAssets(copied_build(build, STATIC, BLOG))
    worker = FakeWorker(assets, pages or FakePages(), clock=clock, settings=settings, purger=edge, **stores)
    return Site(await worker.open(), edge, asked)


def shared(clock: FakeClock) -> dict[str, Any]:
    """The stores of a Worker whose isolates learn of invalidations when they next ask."""
    return {"clock": clock, "kv": InMemoryKV(clock), "tag_objects": FakeTagObjects(clock)}


async def test_a_page_that_is_kept_costs_the_worker_nothing() -> None:
    site = await opened()
    first = await site.edge.fetch("/about")
    for _ in range(3):
        again = await site.edge.fetch("/about")
        assert (again.body, again.cache) == (b"built page", "HIT")
        assert again.headers["cache-control"] == "public, max-age=0, must-revalidate"
        assert not {"cache-tag", EDGE_HEADER.lower()} & again.headers.keys()
        assert (await site.edge.fetch("/about", method="HEAD")).cache == "HIT"
        assert (await site.edge.fetch("/about", {"If-None-Match": first.headers["etag"]})).status == 304
    assert site.asked == ["/about"]


async def test_what_has_no_body_is_not_kept_in_its_place() -> None:
    site = await opened()
    etag = (await site.worker.get("/about")).header("etag")
    assert (await site.edge.fetch("/about", {"If-None-Match": etag or ""})).status == 304
    assert (await site.worker.get("/about", method="HEAD")).header(EDGE_HEADER) == "no-store"
    assert (await site.edge.fetch("/about")).body == b"built page"


async def test_a_page_with_a_vary_of_its_own_is_not_taken_for_its_payload() -> None:
    own = FakePages({"/own": page("html", vary="Accept-Encoding")}, {"/own": payload()})
    site = await opened(pages=own)
    assert (await site.get("/own")).endswith("HIT")
    assert (await site.edge.fetch("/own", {"RSC": "1"})).body == b"payload"
    assert (await site.edge.fetch("/own")).headers["vary"] == "Accept-Encoding, RSC"


OFF = {
    "/about": page(),
    "/new": page("new", "s-maxage=600, stale-while-revalidate"),
    "/own": page("own", "public, max-age=600"),
    "/for-all-caches": page("own", "public", CDN_Cache_Control="max-age=600", Cloudflare_CDN_Cache_Control="max-age=600"),
    "/without-a-policy": page("own", None),
    "/dynamic": dynamic(),
    "/ruled": page("ruled"),
}


@pytest.mark.parametrize("settings", [Settings(), replace(ON, tenants=read_tenants("example.com=a"))])
async def test_nothing_is_kept_without_the_setting_or_for_several_hosts(settings: Settings) -> None:
    build = replace(BUILD, rules=(RULED,))
    site = await opened(settings, pages=FakeStages(documents=dict(OFF)), build=build)
    for url in OFF:
        for method in ("GET", "HEAD"):
            assert not (await site.get(url, method=method)).endswith("HIT"), url
        assert (await site.edge.fetch(url)).headers.get("age") in {None, "0"}
    assert not site.edge.kept
    assert site.worker.log.names().count("edge.unusable") == (1 if settings.tenants else 0)


async def test_only_what_everybody_may_get_is_kept() -> None:
    build = replace(BUILD, rules=(RULED,), draft_digest="")
    pages = {
        **OFF,
        "/data": route(),
        "/languages": FakeResponse(
            200, {"content-type": "text/html", "cache-control": "s-maxage=60", "vary": "Accept-Language"}, b"Hello"
        ),
        "/shy": page("shy", "no-store", X_Vinext_Shared_Cache_Control="s-maxage=600"),
        "/long": page("long", "public, max-age=900", X_Vinext_Shared_Cache_Control="s-maxage=600"),
    }
    site = await opened(pages=FakePages(documents=dict(pages), payloads={"/new": page("payload")}), build=build)
    for url in [*pages, "/about?utm_source=x", "/about.rsc", "/nowhere"]:
        await site.get(url)
    assert (await site.get("/about", {"RSC": "1"})) == "built payload BYPASS"
    assert (await site.get("/blog", {"Authorization": "Bearer x"})) == "built page BYPASS"
    assert site.edge.kept == {"/about", "/new", "/data", "/long", "/for-all-caches"}
    assert (await site.edge.fetch("/long")).headers["cache-control"] == "public, max-age=900"
    draft = {"Cookie": "__prerender_bypass=x"}
    assert (await site.get("/blog", draft)).endswith("BYPASS")
    site.worker.pages.documents["/about"] = dynamic("draft")
    assert (await site.get("/about?preview", draft)) == "draft BYPASS"


async def test_visitors_with_cookies_may_be_left_to_the_worker() -> None:
    site = await opened(Settings(edge_cache=EdgeCache.WITHOUT_COOKIES), pages=FakePages(documents={"/data": route()}))
    for url in ("/about", "/data"):
        assert (await site.get(url, {"Cookie": "a=b"})).endswith("BYPASS")
        assert (await site.get(url)).endswith("HIT")
        assert (await site.get(url, {"Cookie": "a=b"})).endswith("BYPASS")
    assert (await site.edge.fetch("/about")).headers["vary"].startswith("RSC, ")
    site.worker.pages.documents["/about"] = dynamic("draft")
    assert (await site.get("/about", {"Cookie": "__prerender_bypass=x"})) == "draft BYPASS"


@pytest.mark.parametrize(
    ("url", "is_sure", "seconds"),
    [
        pytest.param("/about", True, 365 * DAY, id="never stale"),
        pytest.param("/blog", True, 50, id="what is left of the period"),
        pytest.param("/blog", False, 50, id="less than a minute"),
        pytest.param("/about", False, 60, id="isolates learn of invalidations from KV"),
    ],
)
async def test_a_page_is_kept_for_what_is_left_of_its_period(url: str, *, is_sure: bool, seconds: int) -> None:
    clock = FakeClock()
    stores = shared(clock) if is_sure else {"clock": clock}
    site = await opened(pages=FakePages(documents={"/blog": page()}), **stores)
    clock.pass_seconds(10)
    await site.edge.fetch(url)
    clock.pass_seconds(seconds - 1)
    assert (await site.edge.fetch(url)).cache == "HIT"
    clock.pass_seconds(2)
    assert (await site.edge.fetch(url)).cache == ("MISS" if url == "/about" else "BYPASS")
    assert (await site.edge.fetch(url)).headers["x-vinext-cache"] == "HIT"


async def test_while_the_objects_do_not_answer_a_page_is_kept_for_a_minute() -> None:
    clock = FakeClock()
    stores = shared(clock)
    site = await opened(**stores)
    stores["tag_objects"].fault = TimeoutError("slow")
    await site.worker.get("/blog")
    await site.edge.fetch("/about")
    clock.pass_seconds(61)
    assert (await site.edge.fetch("/about")).cache == "MISS"


@pytest.mark.parametrize(
    "wanted",
    [
        {"tags": ["posts"]},
        {"tags": ["posts"], "stale": 60},
        {"paths": ["/blog"]},
        {"paths": [{"path": "/", "type": "layout"}]},
        {"prefixes": ["/blog"]},
        {"prefixes": ["/"]},
    ],
)
async def test_an_invalidation_reaches_what_is_kept(wanted: dict[str, object]) -> None:
    site = await opened()
    assert (await site.get("/blog")).endswith("HIT")
    site.worker.pages.documents["/blog"] = page("new")
    await revalidate(site.worker.store, RevalidateRequest.parse(json.dumps(wanted).encode()), site.worker.log)
    answer = await site.edge.fetch("/blog")
    assert (answer.cache, answer.headers["x-vinext-cache"]) == ("BYPASS", "STALE" if "stale" in wanted else "MISS")
    assert (await site.get("/blog")) == "new HIT"


async def test_a_page_that_is_regenerated_at_once_takes_the_place_of_what_is_kept() -> None:
    site = await opened(pages=FakePages(documents={"/blog": page("new")}, payloads={"/blog": payload()}))
    await site.get("/blog")
    key = site.worker.site.key("/blog", Artifact.HTML)
    assert await site.worker.regeneration.regenerate(request("/blog"), key, ()) is None
    assert not site.edge.kept
    assert (await site.get("/blog")) == "new HIT"


async def test_an_invalidation_of_something_else_does_not() -> None:
    site = await opened()
    await site.get("/blog")
    await site.worker.store.revalidate_tags(["products"])
    await site.worker.store.revalidate_path_prefix("/blo")
    assert (await site.edge.fetch("/blog")).cache == "HIT"


async def test_a_page_that_another_isolate_lets_in_after_the_purge_does_not_stay() -> None:
    clock = FakeClock()
    stores = shared(clock)
    site, other = await opened(**stores), await opened(**stores)
    await other.worker.get("/blog")
    await site.worker.store.revalidate_tags(["posts"])
    site.edge.worker = other.worker.get
    assert (await site.edge.fetch("/blog")).headers["x-vinext-cache"] == "HIT"
    assert site.edge.kept == {"/blog"}
    other.worker.pages.documents["/blog"] = page("new")
    await site.worker.settle()
    assert site.edge.purges == [("posts",), ("posts",)]
    assert clock() - START_MS >= ON.tag_cache_ms
    assert (await site.get("/blog")) == "new HIT"


async def test_a_purge_comes_again_when_objects_that_did_not_answer_have_been_told() -> None:
    clock = FakeClock()
    stores = shared(clock)
    site = await opened(**stores)
    stores["tag_objects"].fault = TimeoutError("slow")
    await site.worker.store.revalidate_tags(["posts"])
    stores["tag_objects"].fault = None
    await site.worker.settle()
    assert site.edge.purges == [("posts",), ("posts",)]
    assert clock() - START_MS >= WORK_MS


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_purge_comes_again_when_a_marker_that_was_late_is_written(*, is_late: bool) -> None:
    clock = FakeClock()
    bucket = InMemoryKV(clock)
    site = await opened(clock=clock, bucket=bucket)
    begun_ms = clock()

    async def refuse(operation: str, key: str) -> None:
        if operation == "put" and is_late and clock() == begun_ms:
            raise RuntimeError(f"no {operation} of {key}")

    bucket.before = refuse
    assert await site.worker.store.revalidate_tags(["posts"]) == (("posts",) if is_late else ())
    await site.worker.settle()
    assert site.edge.purges == [("posts",), ("posts",)]
    assert (clock() - begun_ms >= WORK_MS) is is_late


async def test_a_purge_that_fails_is_one_line_and_is_told_to_who_has_asked() -> None:
    site = await opened(pages=FakePages(documents={"/blog": page()}))
    site.edge.fault = "rate limited (1134)"

    async def sent(_: int) -> BytesBody:
        return BytesBody(json.dumps({"tags": ["posts", "ä b"], "prefixes": ["/docs"]}).encode())

    async def cache() -> AdminCache:
        return AdminCache(site.worker.cache, site.worker.store, site.worker.why, site.worker.lease)

    asked = request("/__vinext/revalidate", {"authorization": "Bearer secret"}, "POST")
    told = await Admin("secret", site.worker.log).answer(asked, sent, cache)
    assert told.body is not None
    assert (told.status, json.loads(told.body.to_bytes())["unpurged"]) == (202, ["rate limited (1134)"])
    failures = [fields for _, name, fields in site.worker.log.lines if name == "edge.purge_failed"]
    assert [failure["tags"] for failure in failures] == [["posts", "%C3%A4%20b"], ["_N_T_/docs/layout", "/docs", "_N_T_/docs"]]
    assert (await site.worker.get("/blog")).state == "MISS"


async def test_what_was_invalidated_before_a_failure_is_purged() -> None:
    """Below a prefix the pages' own tags are invalidated, and then those that a listing shows."""
    site = await opened()

    async def refuse(operation: str, key: str) -> None:
        if operation == "list":
            raise RuntimeError(f"no {operation} of {key}")

    assert site.worker.kv is not None
    site.worker.kv.before = refuse
    await site.get("/blog")
    with pytest.raises(InvalidationError):
        await site.worker.store.revalidate_path_prefix("/blog")
    assert not site.edge.kept


async def test_many_tags_are_purged_in_as_few_calls_as_cloudflare_allows() -> None:
    site = await opened()
    await site.worker.store.revalidate_tags([f"tag-{number}" for number in range(2 * MAX_PURGED + 1)])
    assert [len(tags) for tags in site.edge.purges] == [MAX_PURGED, MAX_PURGED, 1]
    for number in range(BUCKET):
        await site.worker.store.revalidate_tags([f"{number}"])
    assert site.worker.log.names().count("edge.purge_failed") == 3


async def test_tags_are_within_cloudflare_s_limits() -> None:
    tags = ["a,b", "ü", "x" * 256, "Ä" * 40, "with space"]
    pages = {
        "/tagged": page("tagged", X_Vinext_Cache_Tags=",".join(map(quote, tags))),
        "/all": page("all", X_Vinext_Cache_Tags=",".join(f"{number:0>60}" for number in range(900))),
    }
    site = await opened(pages=FakePages(documents=dict(pages)))
    for tag in tags:
        assert (await site.get("/tagged")).endswith("HIT")
        await site.worker.store.revalidate_tags([tag])
        assert not site.edge.kept
    await site.get("/tagged")
    assert {"/tagged", "_n_t_/tagged", "a%2cb"} <= site.edge.tags_of("/tagged")
    assert (await site.get("/all")).endswith("BYPASS")


async def test_without_the_adapter_nobody_says_what_is_invalidated() -> None:
    site = await opened(build=replace(BUILD, stages=0))
    assert (await site.get("/about")).endswith("BYPASS")
    assert site.worker.log.names().count("edge.unusable") == 1
    python = await opened(replace(ON, page_handler=HandlerName.parse("asgi:site:app")), build=replace(BUILD, stages=0))
    assert (await python.get("/about")).endswith("HIT")


@pytest.mark.parametrize("url", sorted(OFF))
async def test_the_entrypoint_seals_whatever_the_site_says(url: str) -> None:
    """A site's own Cloudflare-CDN-Cache-Control is one of the headers that let an answer in."""
    site = await opened(Settings(), pages=FakePages(documents=dict(OFF)))
    got = await site.worker.get(url)
    assert got.header(EDGE_HEADER) == "no-store"
