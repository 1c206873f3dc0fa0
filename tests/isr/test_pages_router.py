"""Pages of the Pages Router behind the cache, where the app is one without stages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.builds import VINEXT
from tests.fakes.pages import FakePages, FakeResponse, dynamic, page, payload
from tests.fakes.stages import FakeStages, doing
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import CacheEntry, PagesValue, RedirectValue
from cache.handler import DEFAULT_GET
from core.body import BytesBody
from seed.build import Artifact
from seed.i18n import I18n
from seed.rules import STAGES_VERSION, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.pages import Line

    from cache.entry import CacheValue
    from cache.handler import GetContext
    from seed.build import Build, RouteRecord

    Built: TypeAlias = tuple[str, RouteRecord, Mapping[str, bytes]]

RECORDED = VINEXT / "pages-router"
HTML, DATA = ((RECORDED / name).read_bytes() for name in ("isr.html", "isr.json"))
OTHER, OTHER_DATA = ((RECORDED / f"block-two.{form}").read_bytes() for form in ("html", "json"))
SHELL = (RECORDED / "shell.html").read_bytes()
ALONE = replace(BUILD, routers=("pages",), rsc_headers={})
BESIDE = replace(BUILD, routers=("app", "pages"))
DATA_URL = "/_next/data/build-1/isr.json"
SHARED = "s-maxage=60, stale-while-revalidate=540"


def answer(body: bytes, status: int = 200, cache_control: str | None = SHARED, **headers: str) -> FakeResponse:
    """An answer as vinext sends it for a page of the Pages Router."""
    sent = {"content-type": "text/html; charset=utf-8", **headers}
    return FakeResponse(status, sent if cache_control is None else {**sent, "cache-control": cache_control}, body)


def data(body: bytes = DATA) -> FakeResponse:
    return replace(answer(body), headers={"content-type": "application/json", "cache-control": SHARED})


def built_page(path: str = "/isr", body: bytes = HTML) -> Built:
    _, given, contents = record(path, body, None)
    (name,) = contents
    return path, replace(given, artifacts={Artifact.PAGES: name}), contents


async def opened(
    *, build: Build = ALONE, documents: dict[str, Line] | None = None, records: tuple[Built, ...] | list[Built] = ()
) -> FakeWorker:
    files = copied_build(build, *records)
    return await FakeWorker(FakeAssets(files), pages=FakePages(documents=documents or {})).open()


async def stored(value: CacheValue) -> FakeWorker:
    """A worker whose cache another one has filled."""
    worker = await opened()
    entry = CacheEntry.make(value, (), worker.clock(), 60)
    await worker.cache.write(worker.site.key("/isr", Artifact.PAGES), entry)
    return worker


async def test_the_build_s_html_and_data_are_hits_with_the_headers_of_vinext() -> None:
    worker = await opened(records=[built_page()])
    page_answer, data_answer = await worker.get("/isr"), await worker.get(DATA_URL)
    assert (page_answer.state, page_answer.body) == ("HIT", HTML)
    assert (data_answer.state, data_answer.body) == ("HIT", DATA)
    assert page_answer.header("content-type") == "text/html; charset=utf-8"
    assert data_answer.header("content-type") == "application/json"
    assert data_answer.header("x-nextjs-matched-path") == "/isr"
    assert (page_answer.header("x-nextjs-matched-path"), page_answer.header("vary")) == (None, None)
    assert page_answer.header("etag") != data_answer.header("etag")
    assert not worker.pages.answered
    assert worker.stored_pages == ["cache:pages:v2:build-1:/isr"]
    again = await worker.get(DATA_URL, {"If-None-Match": data_answer.header("etag") or ""})
    assert (again.status, again.body) == (304, None)
    head = await worker.get(DATA_URL, method="HEAD")
    assert (head.headers, head.body) == (data_answer.headers, None)


async def test_one_render_keeps_html_and_data() -> None:
    worker = await opened(documents={"/isr": answer(HTML)})
    assert (await worker.get("/isr")).state == "MISS"
    assert ((await worker.get("/isr")).state, (await worker.get("/isr")).body) == ("HIT", HTML)
    kept = await worker.get(DATA_URL)
    assert (kept.state, kept.body) == ("HIT", DATA)
    assert len(worker.pages.answered) == 1
    assert worker.stored_pages == ["cache:pages:v2:build-1:/isr"]


async def test_a_request_for_data_has_the_page_rendered_for_the_cache() -> None:
    worker = await opened(documents={"/isr": answer(HTML), DATA_URL: data()})
    asked = await worker.get(DATA_URL)
    assert (asked.state, asked.body) == ("MISS", DATA)
    assert [request.path for request in worker.pages.rendered] == ["/isr"]
    assert (await worker.get(DATA_URL)).state == "HIT"
    assert (await worker.get("/isr")).state == "HIT"


async def test_data_with_a_query_are_read_and_have_the_page_rendered() -> None:
    worker = await opened(documents={"/isr": answer(HTML), DATA_URL: data()})
    assert (await worker.get(f"{DATA_URL}?slug=isr")).state is None
    assert (await worker.get(f"{DATA_URL}?slug=isr")).state == "HIT"


async def test_what_a_page_shows_before_its_data_is_there_does_not_keep_the_data_from_the_cache() -> None:
    worker = await opened(documents={"/isr": answer(SHELL, cache_control=None), DATA_URL: data()})
    assert (await worker.get("/isr")).state is None
    worker.pages.documents["/isr"] = answer(HTML)
    await worker.get(DATA_URL)
    assert (await worker.get("/isr")).state == "HIT"
    assert (await worker.get(DATA_URL)).state == "HIT"


async def test_html_that_does_not_tell_its_data_is_not_kept() -> None:
    worker = await opened(documents={"/isr": answer(b"<h1>no data</h1>")})
    await worker.get("/isr")
    assert worker.stored_pages == []
    assert (await worker.get("/isr")).status == 200


async def test_a_stale_page_is_made_again_with_its_data() -> None:
    worker = await opened(records=[built_page()], documents={"/isr": answer(OTHER)})
    worker.clock.pass_seconds(61)
    assert ((await worker.get(DATA_URL)).state, (await worker.get(DATA_URL)).body) == ("STALE", OTHER_DATA)
    assert (await worker.get("/isr")).body == OTHER
    assert [(request.path, request.rsc, request.is_stored) for request in worker.pages.rendered] == [("/isr", False, True)]


@pytest.mark.parametrize("build", [ALONE, BESIDE], ids=["alone", "beside-app"])
async def test_a_page_that_becomes_a_redirect_or_is_gone_takes_its_data_along(build: Build) -> None:
    worker = await opened(build=build, records=[built_page()])
    worker.pages.documents["/isr"] = answer(b"/to", 307, location="/to")
    worker.clock.pass_seconds(61)
    await worker.get("/isr")
    moved, moved_data = await worker.get("/isr"), await worker.get(DATA_URL)
    assert (moved.state, moved.status, moved.header("location"), moved.body) == ("HIT", 307, "/to", b"/to")
    assert (moved_data.status, moved_data.header("location")) == (200, None)
    assert moved_data.text == '{"pageProps":{"__N_REDIRECT":"/to","__N_REDIRECT_STATUS":307}}'
    worker.pages.documents["/isr"] = answer(b"gone", 404)
    worker.clock.pass_seconds(61)
    await worker.get("/isr")
    gone, gone_data = await worker.get("/isr"), await worker.get(DATA_URL)
    assert (gone.state, gone.status, gone.body) == ("HIT", 404, b"gone")
    assert (gone_data.status, gone_data.text) == (404, '{"notFound":true}')


async def test_a_page_that_becomes_dynamic_is_removed_with_its_data() -> None:
    worker = await opened(records=[built_page()], documents={"/isr": dynamic(), DATA_URL: data()})
    worker.clock.pass_seconds(61)
    assert (await worker.get("/isr")).state == "STALE"
    assert (await worker.get("/isr")).state is None
    assert (await worker.get(DATA_URL)).body == DATA


async def test_what_vinext_has_kept_is_read() -> None:
    worker = await stored(PagesValue(BytesBody(HTML), {"pageProps": {"at": "<1>"}}, status=200))
    assert ((await worker.get("/isr")).state, (await worker.get("/isr")).body) == ("HIT", HTML)
    assert (await worker.get(DATA_URL)).text == r'{"pageProps":{"at":"\u003c1\u003e"}}'


async def test_data_that_vinext_has_kept_alone_are_no_page() -> None:
    worker = await stored(PagesValue(BytesBody(b""), {"pageProps": {}}, generated_from_data_request=True))
    worker.pages.documents["/isr"] = answer(HTML)
    assert ((await worker.get(DATA_URL)).state, (await worker.get(DATA_URL)).text) == ("HIT", '{"pageProps":{}}')
    assert (await worker.get("/isr")).state == "MISS"
    assert (await worker.get(DATA_URL)).body == DATA


async def test_a_redirect_that_vinext_has_kept_is_answered_with_its_location() -> None:
    props = {"pageProps": {"__N_REDIRECT": "/to", "__N_REDIRECT_STATUS": 308}}
    worker = await stored(RedirectValue(props=props))
    got = await worker.get("/isr")
    assert (got.state, got.status, got.header("location"), got.header("refresh")) == ("HIT", 308, "/to", "0;url=/to")
    assert got.header("content-type") == "text/plain;charset=UTF-8"
    assert (await worker.get(DATA_URL)).text == '{"pageProps":{"__N_REDIRECT":"/to","__N_REDIRECT_STATUS":308}}'


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/_next/data/another/isr.json", {}),
        ("/_next/data/build-1/404.json", {}),
        ("/_next/data/build-1/isr.js", {}),
        (DATA_URL, {"Cookie": "__prerender_bypass=1"}),
    ],
)
async def test_what_the_cache_must_not_answer_is_passed_on(url: str, headers: dict[str, str]) -> None:
    worker = await opened(records=[built_page()], documents={url: answer(b"the app's", cache_control=None)})
    got = await worker.get(url, headers)
    assert (got.state, got.body) == (None, b"the app's")


async def test_beside_the_app_router_the_html_shows_which_router_made_a_page() -> None:
    worker = await opened(build=BESIDE, documents={"/isr": page(HTML.decode()), "/app": page("an app page")})
    worker.pages.payloads["/app"] = payload()
    for path in ("/isr", "/app"):
        assert (await worker.get(path)).state == "MISS"
        assert (await worker.get(path)).state == "HIT"
    assert "cache:pages:v2:build-1:/isr" in worker.stored_pages
    assert "cache:app:v2:build-1:/app:html" in worker.stored_pages
    assert (await worker.get(DATA_URL)).body == DATA


@pytest.mark.parametrize(("build", "reads"), [(BUILD, 2), (ALONE, 1), (BESIDE, 3)], ids=["app", "alone", "beside-app"])
async def test_a_path_that_nothing_is_known_of_costs_a_read_for_each_kind_of_page(
    build: Build, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await opened(build=build)
    asked: list[str] = []
    read = worker.cache.read

    async def counted(key: str, context: GetContext = DEFAULT_GET) -> CacheEntry | None:
        asked.append(key)
        return await read(key, context)

    monkeypatch.setattr(worker.cache, "read", counted)
    await worker.get("/isr")
    assert len(asked) == reads
    # Once a page of the Pages Router was found, it is looked up first.
    if build is BESIDE:
        await worker.cache.write(
            worker.site.key("/isr", Artifact.PAGES), CacheEntry.make(PagesValue(BytesBody(HTML), {}), (), worker.clock())
        )
        worker.clock.pass_seconds(11)
        await worker.get("/isr")
        asked.clear()
        assert (await worker.get("/isr")).state == "HIT"
        assert asked == [worker.site.key("/isr", Artifact.PAGES)]


async def test_the_root_in_several_languages_is_passed_on_to_a_visitor_of_another() -> None:
    languages = replace(ALONE, i18n=I18n(("en", "fr"), "en"))
    worker = await opened(build=languages, records=[built_page("/")], documents={"/": answer(b"", 307, None, location="/fr")})
    assert (await worker.get("/", {"Accept-Language": "fr"})).status == 307
    assert (await worker.get("/", {"Accept-Language": "en"})).state == "HIT"
    assert worker.stored_pages == ["cache:pages:v2:build-1:/::i18n=locale%3Aen"]


def revalidated(*pages: dict[str, str]) -> FakeResponse:
    """The answer to a request during which the app called `res.revalidate`."""
    headers = {"x-vinext-revalidated-tags": "_N_T_/isr", "x-vinext-revalidated-pages": quote(json.dumps(pages))}
    return FakeResponse(200, headers, b"done")


@pytest.mark.parametrize("is_ruled", [True, False])
async def test_a_page_that_the_app_wants_anew_is_made_before_the_answer_goes_out(*, is_ruled: bool) -> None:
    """By its URL if it is served without the request stage, so that it has the headers of next.config."""
    rules = (Rule("/isr", is_prefix=False, name="middleware.ts: /isr"),) if is_ruled else ()
    build = replace(ALONE, rules=rules, stages=STAGES_VERSION)
    pages = FakeStages(documents={"/isr": answer(OTHER)}, rules={"/isr": doing(part="pages")})
    worker = await FakeWorker(FakeAssets(copied_build(build, built_page())), pages).open()
    described = {"path": "/isr", "part": "pages", "tagPath": "/isr"}
    resource = {**described, "replay": json.dumps(described)}
    worker.pages.documents["/api/revalidate"] = revalidated(resource)
    assert (await worker.get("/isr")).body == HTML
    worker.clock.pass_seconds(1)
    got = await worker.ask("/api/revalidate", method="POST")
    assert (got.body, got.header("x-vinext-revalidated-pages")) == (b"done", None)
    assert [request.replay for request in worker.pages.rendered] == [resource["replay"] if is_ruled else None]
    assert all(request.path == "/isr" and (request.is_stored or is_ruled) for request in pages.rendered)
    after = await worker.get("/isr")
    assert (after.state, after.body) == ("HIT", OTHER)
    assert is_ruled or (await worker.get(DATA_URL)).body == OTHER_DATA


@pytest.mark.parametrize("resource", [{"path": "/isr"}, {"path": "/isr", "part": "page", "tagPath": "/isr", "replay": ""}])
async def test_a_wish_that_is_not_understood_is_one_line_in_the_log(resource: dict[str, str]) -> None:
    worker = await opened(documents={"/api/revalidate": revalidated(resource)})
    assert (await worker.get("/api/revalidate", method="POST")).body == b"done"
    assert not worker.pages.rendered
    assert "page.not_made" in worker.log.names()
