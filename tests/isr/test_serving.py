from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, FakeResponse, broken, dynamic, missing, page, payload, route
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.keys import KeySchema, kv_key
from cache.stored import Layout
from isr.settings import Settings, read_settings
from pages.handler import PageError
from seed.build import Artifact
from seed.routes import client_headers

ROUTER_STATE = {"RSC": "1", "Accept": "text/x-component", "X-Vinext-Rsc-State-Fingerprint": "1x", "Next-Url": "/"}
STATIC = record("/about", revalidate=None)
PERIODIC = record("/blog", b"built blog", b"built blog payload", expire=600)
ERROR = record("/404", b"no such page", None, revalidate=None, status=404)
REDIRECT = record("/moved", b"", b"", revalidate=None, status=307, headers={"location": "/about"})


async def worker(pages: FakePages | None = None, *, schema: KeySchema | None = None) -> FakeWorker:
    assets = FakeAssets(copied_build(BUILD, STATIC, PERIODIC, ERROR, REDIRECT))
    return await FakeWorker(assets, pages or FakePages(), settings=Settings(key_schema=schema)).open()


@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        ("/about", 200, "built page"),
        ("/about.rsc", 200, "built payload"),
        ("/blog", 200, "built blog"),
        ("/blog?_rsc=1", 200, "built blog"),
        ("/blog?utm_source=x", 200, "built blog"),
        ("/404", 404, "no such page"),
        ("/moved", 307, ""),
    ],
)
async def test_a_page_of_the_build_is_a_hit_from_the_first_request_on(url: str, status: int, text: str) -> None:
    served = await worker()
    for _ in range(2):
        got = await served.get(url)
        assert (got.status, got.state, got.text) == (status, "HIT", text)
        head = await served.get(url, method="HEAD")
        assert (head.status, head.headers, head.body) == (got.status, got.headers, None)
    assert not served.pages.answered
    assert not served.pages.rendered


async def test_a_redirect_of_the_build_has_its_location() -> None:
    got = await (await worker()).get("/moved")
    assert got.header("location") == "/about"


async def test_a_payload_of_the_build_has_the_headers_the_site_s_client_requires() -> None:
    got = await (await worker()).get("/about?_rsc=abc", ROUTER_STATE)
    assert (got.state, got.text) == ("HIT", "built payload")
    assert got.header("X-Vinext-RSC-Compatibility-Id") == "compatible"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        pytest.param("", "%2Fblog", id="none"),
        pytest.param("?_rsc=abc", "%2Fblog", id="that of the client's router"),
        pytest.param("?a=1&_rsc=abc", "%2Fblog%3Fa%3D1", id="one before it"),
        pytest.param("?_rsc&a=%20+&b&", "%2Fblog%3Fa%3D%2520%2B%26b", id="several after it"),
    ],
)
async def test_a_payload_says_the_search_of_the_visitor_s_url(query: str, shown: str) -> None:
    """vinext's client takes the `searchParams` of a client component from it."""
    built = record("/blog", rsc_headers=client_headers("/blog", "/blog"))
    pages = FakePages({"/blog": page("live")}, {"/blog": payload("live payload")})
    served = await FakeWorker(FakeAssets(copied_build(BUILD, built)), pages).open()
    for seconds in (0, 61, 0):
        served.clock.pass_seconds(seconds)
        got = await served.get(f"/blog{query}", {"RSC": "1"})
        assert (got.is_cached, got.header("X-Vinext-Rendered-Path-And-Search")) == (True, shown)
    assert (await served.get("/blog.rsc")).header("X-Vinext-Rendered-Path-And-Search") == "%2Fblog"
    assert (await served.get(f"/blog{query}")).header("X-Vinext-Rendered-Path-And-Search") is None


async def test_a_page_that_a_visitor_has_is_not_sent_again() -> None:
    served = await worker()
    etag = (await served.get("/about")).header("etag")
    assert etag is not None
    got = await served.get("/about", {"If-None-Match": etag})
    assert (got.status, got.body, got.state) == (304, None, "HIT")


async def test_age_counts_from_the_build() -> None:
    served = await worker()
    served.clock.pass_seconds(59)
    got = await served.get("/blog")
    assert (got.state, got.header("age")) == ("HIT", "59")


async def test_an_expired_page_of_the_build_is_a_miss() -> None:
    served = await worker(FakePages({"/blog": page("live")}))
    served.clock.pass_seconds(601)
    assert [(await served.get("/blog")).state for _ in range(2)] == ["MISS", "HIT"]
    assert (await served.get("/blog")).text == "live"


async def test_an_expired_entry_is_a_miss() -> None:
    served = await worker(FakePages({"/new": page("first", "s-maxage=1, stale-while-revalidate=1")}))
    await served.get("/new")
    served.clock.pass_seconds(2.1)
    served.pages.documents["/new"] = page("second")
    got = await served.get("/new")
    assert (got.state, got.text) == ("MISS", "second")


@pytest.mark.parametrize(
    ("given", "url", "content_type"),
    [
        (page("live"), "/new", "text/html; charset=utf-8"),
        (route('{"a": 1}'), "/api/time", "application/json"),
        (replace(page("gone"), status=410), "/gone", "text/html; charset=utf-8"),
        (replace(page("none"), status=404), "/nothing", "text/html; charset=utf-8"),
        (FakeResponse(307, {"location": "/about", "cache-control": "s-maxage=60"}), "/redirecting", None),
        (page("", Link="</a.css>; rel=preload"), "/empty", "text/html; charset=utf-8"),
    ],
    ids=["page", "route", "410", "404", "redirect", "empty"],
)
async def test_what_may_be_stored_is_a_miss_then_a_hit(given: FakeResponse, url: str, content_type: str | None) -> None:
    served = await worker(FakePages({url: given}))
    first, second = await served.get(url), await served.get(url)
    assert (first.state, second.state) == ("MISS", "HIT")
    assert first.header("cache-control") == given.header("cache-control")
    assert first.header("content-type") == given.header("content-type")
    assert first.status == second.status == given.status
    assert first.body == second.body == given.body
    if content_type is not None:
        assert second.header("content-type") == content_type
    for name in ("location", "link"):
        assert second.header(name) == given.header(name)
    assert len(served.pages.answered) == 1


async def test_a_known_route_handler_s_path_takes_one_read_a_request() -> None:
    shared = FakeSubject(kv)
    pages = FakePages({"/api/time": route("now")})
    served = await FakeWorker(FakeAssets(), pages, shared.clock, background=shared.background, handler=shared.handler).open()
    reads = []
    for state in ("MISS", "HIT", "HIT"):
        shared.kv.operations.clear()
        assert (await served.get("/api/time")).state == state
        reads.append([key for operation, key in shared.kv.operations if operation == "get"])
    page_key, route_key = (f"cache:{served.store.key('/api/time', artifact)}" for artifact in (Artifact.HTML, Artifact.ROUTE))
    assert reads == [[page_key, route_key], [page_key, route_key], [route_key]]


async def test_a_stored_page_has_an_etag_of_its_content() -> None:
    served = await worker(FakePages({"/a": page("same"), "/b": page("same"), "/c": page("other")}))
    etags = []
    for url in ("/a", "/b", "/c"):
        await served.get(url)
        etags.append((await served.get(url)).header("etag"))
    assert etags[0] == etags[1] != etags[2]


@pytest.mark.parametrize(
    "given", [dynamic(), missing(), broken(), page(set_cookie="a=b"), page(vary="Cookie"), page(cache_control="public")]
)
async def test_what_may_not_be_stored_is_passed_on_each_time(given: FakeResponse) -> None:
    served = await worker(FakePages({"/dash": given}))
    for times in range(1, 4):
        got = await served.get("/dash")
        assert (got.status, got.state, got.body, got.is_cached) == (given.status, None, given.body, False)
        assert len(served.pages.answered) == times
        # A page rendered for one visitor is not rendered a second time for the cache.
        assert not served.pages.rendered


async def test_an_answer_for_one_visitor_keeps_its_cookie_and_loses_the_inner_state() -> None:
    served = await worker(FakePages({"/dash": page(set_cookie="a=b", x_vinext_cache="MISS", x_vinext_cache_tags="t")}))
    got = await served.get("/dash")
    assert got.header("set-cookie") == "a=b"
    assert (got.state, got.header("x-vinext-cache-tags")) == (None, None)


@pytest.mark.parametrize(
    ("url", "headers", "method"),
    [
        ("/new", {}, "HEAD"),
        ("/new?page=2", {}, "GET"),
        ("/new?_rsc=1&page=2", {}, "GET"),
        ("/new", {"Authorization": "Bearer x"}, "GET"),
        ("/new", {"Range": "bytes=0-3"}, "GET"),
        ("/new", {}, "POST"),
        ("/new", {"Next-Action": "abc"}, "POST"),
        ("/new", {"Cookie": "__prerender_bypass=x"}, "GET"),
        ("/new", {"Upgrade": "websocket"}, "GET"),
        ("/new/", {}, "GET"),
        ("/_next/static/new", {}, "GET"),
    ],
    ids=["head", "query", "two-queries", "authorization", "range", "post", "action", "draft", "websocket", "slash", "framework"],
)
async def test_a_request_that_may_not_store_does_not(url: str, headers: dict[str, str], method: str) -> None:
    path = url.partition("?")[0]
    served = await worker(FakePages({path: page("live"), "/new": page("live")}))
    got = await served.get(url, headers, method)
    assert (got.status, got.state, got.is_cached) == (200, None, False)
    assert served.stored_pages == []


async def test_a_request_that_passes_the_cache_by_does_not_read_it() -> None:
    served = await worker(FakePages({"/about": dynamic("draft")}))
    assert (await served.get("/about")).state == "HIT"
    got = await served.get("/about", {"Cookie": "__prerender_bypass=x"})
    assert (got.state, got.text) == (None, "draft")


@pytest.mark.parametrize("headers", [{"Next-Action": "abc"}, {"Upgrade": "websocket"}, {"Upgrade": "h2c"}])
async def test_a_get_that_is_no_action_and_upgrades_nothing_has_no_page_in_the_cache_rendered(headers: dict[str, str]) -> None:
    served = await worker(FakePages({"/new": page("live")}))
    assert [(await served.get("/about", headers)).state for _ in range(10)] == ["HIT"] * 10
    assert not served.pages.answered
    # Without an entry, the page handler sees what it is, and nothing is kept.
    assert [(await served.get("/new", headers)).state for _ in range(2)] == [None, None]
    assert not any("/new" in key for key in served.stored_pages)


async def test_with_schema_v1_a_query_passes_the_cache_by() -> None:
    served = await worker(FakePages({"/about": dynamic("searched")}), schema=KeySchema.V1)
    assert (await served.get("/about?q=1")).text == "searched"
    assert (await served.get("/about?_rsc=1")).state == "HIT"


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer x"}, {"Cookie": "session=abc"}], ids=lambda headers: next(iter(headers))
)
async def test_a_visitor_with_credentials_gets_the_page_that_everybody_gets(headers: dict[str, str]) -> None:
    served = await worker()
    assert (await served.get("/about", headers)).state == "HIT"


async def test_a_page_may_be_stored_from_a_request_with_a_cookie() -> None:
    served = await worker(FakePages({"/new": page("live")}))
    assert (await served.get("/new", {"Cookie": "session=abc"})).state == "MISS"
    assert (await served.get("/new")).state == "HIT"


async def test_an_answer_made_private_by_a_cookie_starts_a_public_render() -> None:
    answers = iter([replace(dynamic(), body=b"Hello, Ada"), route("everybody"), route("again")])
    served = await worker(FakePages({"/api/time": lambda: next(answers)}))
    got = await served.get("/api/time", {"Cookie": "session=abc"})
    assert (got.state, got.text) == (None, "Hello, Ada")
    got = await served.get("/api/time", {"Cookie": "session=abc"})
    assert (got.state, got.text) == ("HIT", "everybody")
    assert all(request.headers.keys() == {"Accept"} for request in served.pages.rendered)


async def test_a_page_and_its_payload_are_stored_together_whichever_is_requested() -> None:
    script = FakePages({"/a": page("A"), "/b": page("B")}, {"/a": payload("a"), "/b": payload("b")})
    served = await worker(script)
    assert (await served.get("/a")).state == "MISS"
    assert (await served.get("/a.rsc")).state == "HIT"
    assert (await served.get("/b?_rsc", {"RSC": "1"})).state == "MISS"
    got = await served.get("/b")
    assert (got.state, got.text) == ("HIT", "B")
    assert [(request.path, request.rsc) for request in served.pages.rendered] == [("/a", True), ("/b", False)]


@pytest.mark.parametrize("given", [route(), page(vary="Accept-Encoding")], ids=["route", "page-without-a-payload"])
async def test_nothing_else_is_rendered_for_a_page_without_a_payload(given: FakeResponse) -> None:
    served = await worker(FakePages({"/new": given}))
    assert (await served.get("/new")).state == "MISS"
    assert not served.pages.rendered


async def test_a_payload_for_one_client_is_passed_on_and_starts_a_render_of_the_page_s_own() -> None:
    partial = payload("layouts left out", "no-store", x_vinext_cache="MISS")
    script = FakePages({"/new": page("live")}, {"/new": partial}, {"/new": payload("whole")})
    served = await worker(script)
    got = await served.get("/new?_rsc=abc", ROUTER_STATE)
    assert (got.text, got.state) == ("layouts left out", None)
    got = await served.get("/new?_rsc=abc", ROUTER_STATE)
    assert (got.text, got.state) == ("whole", "HIT")
    assert (await served.get("/new")).state == "HIT"
    assert [(request.url.partition("/new")[2], request.rsc) for request in script.rendered] == [("", False), ("?_rsc", True)]


async def test_a_variant_of_a_payload_is_neither_read_nor_stored() -> None:
    served = await worker(FakePages({}, {"/about": payload("slots"), "/new": payload("slots")}))
    for path in ("/about", "/new"):
        got = await served.get(f"{path}?_rsc=a", {"RSC": "1", "X-Vinext-Mounted-Slots": "modal"})
        assert (got.text, got.state) == ("slots", None)
    assert not served.pages.rendered
    assert (await served.get("/about.rsc")).text == "built payload"
    assert (await served.get("/new.rsc")).state == "MISS"


@pytest.mark.parametrize("document", [route(), dynamic(), page("live")], ids=["route", "dynamic", "page"])
async def test_a_request_for_a_missing_payload_does_not_affect_the_page(document: FakeResponse) -> None:
    redirect = FakeResponse(307, {"location": "/new?_rsc"})
    served = await worker(FakePages({"/new": document}, {"/new": redirect}))
    got = await served.get("/new", {"RSC": "1"})
    assert (got.status, got.state) == (307, None)
    states = [(await served.get("/new")).state for _ in range(2)]
    assert states == ([None, None] if b"dynamic" in document.body else ["MISS", "HIT"])


@pytest.mark.parametrize("count", [2, 50])
async def test_a_missing_page_is_rendered_once_for_all_concurrent_requests(count: int) -> None:
    served = await worker(FakePages({"/new": page("live")}, {"/new": payload()}))
    got = await asyncio.gather(*(served.ask("/new") for _ in range(count)))
    await served.settle()
    assert Counter(one.state for one in got) == {"MISS": 1, "HIT": count - 1}
    assert {one.text for one in got} == {"live"}
    assert served.pages.documents_made == 1


async def test_a_page_that_may_not_be_stored_is_rendered_for_each_request() -> None:
    numbers = iter(range(100))
    served = await worker(FakePages({"/dash": lambda: dynamic(str(next(numbers)))}))
    got = await asyncio.gather(*(served.ask("/dash") for _ in range(20)))
    await served.settle()
    assert {one.state for one in got} == {None}
    assert len({one.text for one in got}) == 20


async def test_two_hundred_first_requests_fetch_each_artifact_once() -> None:
    pages = [record(f"/p/{number}", f"page {number}".encode(), f"payload {number}".encode()) for number in range(40)]
    served = await FakeWorker(FakeAssets(copied_build(BUILD, *pages))).open()
    urls = [f"/p/{number}{suffix}" for number in range(40) for suffix in ("", ".rsc")] * 3
    got = await asyncio.gather(*(served.ask(url) for url in urls[:200]))
    await served.settle()
    assert {one.state for one in got} == {"HIT"}
    fetched = {path: times for path, times in served.assets.fetched.items() if "/artifacts/" in path}
    assert set(fetched.values()) == {1}
    assert len(fetched) == 80
    for url, one in zip(urls, got, strict=False):
        kind = "payload" if url.endswith(".rsc") else "page"
        assert one.text == f"{kind} {url.removeprefix('/p/').removesuffix('.rsc')}"


async def test_another_isolate_finds_what_this_one_stored() -> None:
    first = await worker(FakePages({"/new": page("live")}))
    await first.get("/new")
    second = await FakeWorker(first.assets, FakePages(), first.clock, kv=first.kv).open()
    assert (await second.get("/new")).state == "HIT"


@pytest.mark.parametrize("path", ["/__prerender/build.json", "/%5f_prerender/build.json", "/a/..%2f__prerender/build.json"])
async def test_the_folder_of_the_pages_is_a_404_without_asking_the_page_handler(path: str) -> None:
    served = await worker(FakePages({path: page("secret")}))
    got = await served.get(path)
    assert (got.status, got.state, got.header("cache-control")) == (404, None, "no-store")
    assert not served.pages.answered


async def test_a_worker_without_kv_keeps_pages_in_memory() -> None:
    served = await FakeWorker(pages=FakePages({"/new": page("live")}, {"/new": payload()}), in_memory=True).open()
    assert [(await served.get(url)).state for url in ("/new", "/new", "/new.rsc")] == ["MISS", "HIT", "HIT"]
    served.clock.pass_seconds(61)
    served.pages.documents["/new"] = page("newer")
    assert [(await served.get("/new")).text for _ in range(2)] == ["live", "newer"]
    assert len(served.memory) == 2


async def test_a_site_without_a_build_is_served_too() -> None:
    served = await FakeWorker(pages=FakePages({"/new": page("live")})).open()
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]


async def test_a_build_id_of_the_settings_is_in_every_key() -> None:
    served = await worker()
    own = await FakeWorker(served.assets, clock=served.clock, kv=served.kv, settings=Settings(build_id="other")).open()
    for _ in range(3):
        assert (await own.get("/about")).state == "HIT"
    assert own.assets.count("/artifacts/") == 1, "what was seeded is found again"
    assert served.stored_pages == [kv_key(own.site.key("/about", Artifact.HTML))]


async def test_a_page_handler_that_fails_is_a_500_and_nothing_is_stored() -> None:
    served = await worker(FakePages({"/new": PageError("no service is bound as PAGES")}))
    for _ in range(2):
        got = await served.get("/new")
        assert (got.status, got.state, got.header("cache-control")) == (500, None, "no-store")
    assert served.log.names() == ["page.failed"] * 2
    served.pages.documents["/new"] = page("live")
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]


@pytest.mark.parametrize(
    ("settings", "limit_bytes"),
    [
        (Settings(), 8 * 1024 * 1024),
        (Settings(kv_layout=Layout.FRAMED), 25 * 1024 * 1024),
        (Settings(max_page_bytes=100), 100),
        (Settings(kv_layout=Layout.FRAMED, max_page_bytes=100), 100),
    ],
)
async def test_a_page_above_the_limit_goes_on_and_is_not_stored(settings: Settings, limit_bytes: int) -> None:
    sizes = {f"/{size}": size for size in (limit_bytes, limit_bytes + 1)}
    served = await FakeWorker(pages=FakePages(), settings=settings).open()
    for path, size_bytes in sizes.items():
        served.pages.documents[path] = replace(route("<p>"), size_bytes=size_bytes)
        assert (await served.get(path)).text == "<p>"
    assert [(await served.get(path)).is_cached for path in sizes] == [True, False]
    refusals = [fields for level, event, fields in served.log.lines if (level, event) == ("warning", "page.not_stored")]
    reason = f"a body of more than {limit_bytes} bytes (VINEXT_MAX_PAGE_BYTES)"
    assert {(fields["path"], fields["reason"]) for fields in refusals} == {(f"/{limit_bytes + 1}", reason)}


async def test_a_query_may_make_another_page_of_python_and_makes_none_of_an_app() -> None:
    for handler, state in (("asgi:site:app", None), ("service:PAGES", "HIT")):
        settings = read_settings({"VINEXT_PAGE_HANDLER": handler})
        served = await FakeWorker(pages=FakePages({"/list": route("all")}), settings=settings).open()
        await served.get("/list")
        states = [(await served.get(url)).state for url in ("/list", "/list?below=10", "/list?")]
        assert states == ["HIT", state, "HIT"]


async def test_a_path_of_python_with_a_slash_at_its_end_is_another_page() -> None:
    redirect = replace(page("", location="/list/", vary=""), status=301)
    documents = {"/list": redirect, "/list/": page("list", vary="Accept-Language"), "/": page("home", vary="")}
    settings = read_settings({"VINEXT_PAGE_HANDLER": "wsgi:site:app"})
    served = await FakeWorker(pages=FakePages({**documents}), settings=settings).open()
    for _ in range(2):
        for language in ("en", "de"):
            got = [await served.get(path, {"Accept-Language": language}) for path in ("/", "/list", "/list/")]
            assert [(answer.status, answer.text) for answer in got] == [(200, "home"), (301, ""), (200, "list")]
    assert [answer.state for answer in got] == ["HIT"] * 3
    served.clock.now_ms += 61_000
    assert [(await served.get(path)).status for path in ("/list", "/list/", "/list", "/list/")] == [301, 200, 301, 200]
    await served.store.revalidate_tags(["_N_T_/list"])
    assert (await served.get("/list/", {"Accept-Language": "de"})).state == "MISS"


@pytest.mark.parametrize(
    ("path", "location"),
    [("/rel", "rel"), ("/rel", "?x=1"), ("/a(b)=c", "https://other.example/a%28b%29%3Dc"), ("/x/y", "../x/y"), ("/x/y", "y")],
)
async def test_a_redirect_that_leads_to_its_own_path_is_kept_for_nobody(path: str, location: str) -> None:
    served = await FakeWorker(pages=FakePages({path: replace(page("", location=location, vary=""), status=302)})).open()
    assert [(await served.get(path)).state for _ in range(2)] == [None, None]


async def test_a_body_that_is_not_as_long_as_its_headers_say_is_not_kept() -> None:
    served = await FakeWorker(pages=FakePages({"/short": route("short", content_length="5000")})).open()
    assert [(await served.get("/short")).is_cached for _ in range(2)] == [False, False]
    assert served.stored_pages == []


async def test_a_page_of_python_has_no_rsc_payload() -> None:
    settings = read_settings({"VINEXT_PAGE_HANDLER": "asgi:site:app"})
    served = await FakeWorker(pages=FakePages({"/data": route("data"), "/data.rsc": route("file")}), settings=settings).open()
    for _ in range(2):
        texts = [(await served.get(*asked)).text for asked in (("/data",), ("/data.rsc",), ("/data", {"RSC": "1"}))]
    assert served.pages.answered[0].kept_as is not None
    assert not any(request.rsc for request in served.pages.rendered)
    assert texts[0] == texts[2] == "data"
    assert (await served.get("/data")).header("Vary") is None
