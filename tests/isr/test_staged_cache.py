"""The page cache between the two stages of an app: what a rule does to a visitor's request, and what is kept."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, FakeResponse, broken, dynamic, missing, page, payload, route
from tests.fakes.ports import FakeClock
from tests.fakes.requests import request
from tests.fakes.stages import FakeStages, Stage, adding, doing
from tests.fakes.turns import let_others_run
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.keys import kv_key
from core.body import BytesBody
from pages.handler import PageError, WholeResponse
from pages.stages import Question, Resource, StagedAnswer
from seed.build import Artifact
from seed.rules import STAGES_VERSION, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.worker import Got

    from pages.request import PageRequest
    from pages.stages import Step

RULED = Rule("/ruled", is_prefix=True, name="middleware.ts: /ruled/:path*")
BUILT = record("/ruled", b"built ruled", b"built ruled payload", revalidate=60, expire=600)
STATIC = record("/ruled/static", b"built static", b"built static payload", revalidate=None)
TARGET = record("/target", b"built target", b"built target payload", revalidate=60, expire=600)
FREE = record("/free", b"built free", b"built free payload", revalidate=60, expire=600)
RSC = {"RSC": "1", "Accept": "text/x-component"}
SLOTS = "rsc:slots:" + "a" * 64


async def worker(pages: FakePages | None = None, *, clock: FakeClock | None = None, in_memory: bool = False) -> FakeWorker:
    build = replace(BUILD, rules=(RULED,), stages=STAGES_VERSION)
    assets = FakeAssets(copied_build(build, BUILT, STATIC, TARGET, FREE))
    pages = FakeStages() if pages is None else pages
    return await FakeWorker(assets, pages, clock or FakeClock(), in_memory=in_memory).open()


def app(**fields: object) -> FakeStages:
    """An app whose middleware puts a header and a cookie onto each page below /ruled."""
    documents = {url: page(f"live {url}") for url in ("/ruled", "/ruled/new", "/target", "/free", "/unbuilt", "/b%C3%BCcher")}
    payloads = {url: payload(f"live payload {url}") for url in documents}
    rules = {url: adding(x_nonce="abc", set_cookie="seen=1") for url in ("/ruled", "/ruled/new", "/ruled/static")}
    return FakeStages(**{"documents": documents, "payloads": payloads, "rules": rules, **fields})  # type: ignore[arg-type]


def stored(served: FakeWorker) -> list[str]:
    """The ends of the keys of the pages in KV."""
    return sorted(key.partition(":build-1:")[2] for key in served.stored_pages)


def entry_text(served: FakeWorker, path: str, part: str) -> str:
    assert served.kv is not None
    return str(served.kv.stored[kv_key(served.site.key(path, part))].value)


def log_of(served: FakeWorker, event: str) -> list[dict[str, object]]:
    return [fields for _, name, fields in served.log.lines if name == event]


# What the request stage answers itself


OWN = [
    ("401", FakeResponse(401, {"www-authenticate": "Basic"}, b"who are you?")),
    ("451", FakeResponse(451, {}, b"not in your country")),
    ("redirect", FakeResponse(307, {"location": "/login"})),
    ("a response of the middleware", FakeResponse(200, {"content-type": "application/json"}, b"{}")),
]


@pytest.mark.parametrize("own", [pytest.param(own, id=name) for name, own in OWN])
@pytest.mark.parametrize("url", ["/ruled", "/ruled.rsc"])
async def test_the_request_stage_s_own_response_is_the_answer_and_is_not_kept(own: FakeResponse, url: str) -> None:
    pages = app(rules={"/ruled": doing(own=own)})
    served = await worker(pages)
    for _ in range(2):
        got = await served.get(url)
        assert (got.status, got.state, got.body, got.is_cached) == (own.status, None, own.body, False)
    assert len(pages.served) == 2
    assert not pages.answered
    assert not pages.stage_rendered
    assert not [key for key in stored(served) if key.startswith("/ruled:") and "live" in key]


async def test_a_visitor_who_is_let_in_gets_the_page_from_cache_and_a_stranger_does_not() -> None:
    def guard(request: PageRequest) -> Stage:
        is_known = request.headers.get("cookie") == "session=ada"
        return Stage() if is_known else Stage(own=FakeResponse(401, {}, b"who are you?"))

    served = await worker(app(rules={"/ruled": guard}))
    for _ in range(2):
        known, stranger = await served.get("/ruled", {"Cookie": "session=ada"}), await served.get("/ruled")
        assert (known.status, known.state, known.text) == (200, "HIT", "built ruled")
        assert (stranger.status, stranger.state, stranger.text) == (401, None, "who are you?")


# From cache, with what the request stage adds


async def test_each_answer_has_what_the_request_stage_adds_and_no_entry_has_it() -> None:
    pages = app()
    served = await worker(pages)
    states = [shown(await served.get(url)) for url in ("/ruled/new", "/ruled/new", "/ruled/new.rsc")]
    served.clock.pass_seconds(61)
    states += [shown(await served.get("/ruled/new")) for _ in range(2)]
    assert states == [
        ("MISS", "live /ruled/new"),
        ("HIT", "live /ruled/new"),
        ("HIT", "live payload /ruled/new"),
        ("STALE", "live /ruled/new"),
        ("HIT", "live /ruled/new"),
    ]
    for part in ("html", "rsc"):
        assert not {"x-nonce", "set-cookie"} & set(entry_text(served, "/ruled/new", part).split('"'))
    assert pages.stage_rendered == [Resource("/ruled/new", "html", "/ruled/new")] * 2
    assert not pages.answered


def shown(got: Got) -> tuple[str | None, str]:
    assert (got.status, got.header("x-nonce"), got.header("set-cookie")) == (200, "abc", "seen=1")
    return got.state, got.text


async def test_a_page_of_the_build_is_a_hit_behind_a_rule_from_the_first_request_on() -> None:
    pages = app()
    served = await worker(pages)
    for url, text in (("/ruled", "built ruled"), ("/ruled.rsc", "built ruled payload"), ("/ruled/static", "built static")):
        assert shown(await served.get(url)) == ("HIT", text)
    assert (await served.get("/ruled.rsc")).header("X-Vinext-RSC-Compatibility-Id") == "compatible"
    assert not pages.questions
    assert not pages.stage_rendered


async def test_a_hit_behind_a_rule_costs_one_call_of_the_app() -> None:
    pages = app()
    served = await worker(pages)
    await served.get("/ruled")
    assert (len(pages.served), pages.questions, pages.answered, pages.rendered) == (1, [], [], [])


async def test_what_the_request_stage_makes_of_an_entry_s_headers_is_sent() -> None:
    pages = app(rules={"/ruled": adding(cache_control="private, no-store", content_type="text/html")})
    got = await (await worker(pages)).get("/ruled")
    assert (got.state, got.header("cache-control")) == ("HIT", "private, no-store")


async def test_the_age_of_a_hit_behind_a_rule_counts_from_the_build() -> None:
    served = await worker(app())
    served.clock.pass_seconds(12)
    assert (await served.get("/ruled")).header("age") == "12"


async def test_a_page_that_a_visitor_has_is_not_sent_again_behind_a_rule() -> None:
    served = await worker(app())
    first = await served.get("/ruled")
    etag = first.header("etag")
    assert etag is not None
    got = await served.get("/ruled", {"If-None-Match": etag})
    assert (got.status, got.body, got.state, got.header("x-nonce")) == (304, None, "HIT", "abc")
    assert got.header("content-type") is None
    assert got.header("etag") == etag
    other = await served.get("/ruled", {"If-None-Match": '"other"'})
    assert (other.status, other.text) == (200, "built ruled")


async def test_a_status_of_the_request_stage_is_no_304() -> None:
    """As that of a rewrite to a page with a status of its own."""
    pages = app()
    served = await worker(pages)
    etag = (await served.get("/ruled")).header("etag") or ""
    serve = pages.serve

    async def with_status(request: PageRequest, offer: str) -> Step:
        step = await serve(request, offer)
        assert isinstance(step, StagedAnswer)
        assert isinstance(step.response, FakeResponse)
        return replace(step, response=replace(step.response, status=403))

    pages.serve = with_status  # type: ignore[method-assign]
    got = await served.get("/ruled", {"If-None-Match": etag})
    assert (got.status, got.text) == (403, "built ruled")


async def test_a_head_request_behind_a_rule_is_answered_from_the_entry_and_renders_none() -> None:
    pages = app()
    served = await worker(pages)
    got = await served.get("/ruled", method="HEAD")
    assert (got.status, got.state, got.body, got.header("x-nonce")) == (200, "HIT", None, "abc")
    got = await served.get("/ruled/new", method="HEAD")
    assert (got.status, got.state) == (200, None)
    assert not pages.rendered
    assert not [key for key in stored(served) if key.startswith("/ruled/new")]


@pytest.mark.parametrize("query", ["utm=x", "_rsc=abc", "utm=x&_rsc=abc"])
async def test_a_query_is_ignored_when_the_cache_is_read(query: str) -> None:
    served = await worker(app())
    assert shown(await served.get(f"/ruled?{query}")) == ("HIT", "built ruled")


@pytest.mark.parametrize(
    ("method", "headers"),
    [("POST", {}), ("GET", {"Cookie": "__prerender_bypass=x"})],
    ids=["post", "draft"],
)
async def test_what_passes_the_cache_by_passes_it_behind_a_rule_too(method: str, headers: dict[str, str]) -> None:
    pages = app()
    served = await worker(pages)
    got = await served.get("/ruled", headers, method)
    assert (got.state, got.text) == (None, "live /ruled")
    assert (len(pages.answered), pages.served) == (1, [])


@pytest.mark.parametrize("headers", [{"Next-Action": "id"}, {"Upgrade": "websocket"}], ids=["action", "upgrade"])
async def test_a_get_that_is_no_action_and_upgrades_nothing_has_no_page_behind_a_rule_rendered(headers: dict[str, str]) -> None:
    pages = app()
    served = await worker(pages)
    assert shown(await served.get("/ruled", headers)) == ("HIT", "built ruled")
    assert not pages.answered
    assert (await served.get("/ruled/new", headers)).text == "live /ruled/new"
    assert len(pages.answered) == 1


async def test_without_kv_pages_behind_a_rule_are_kept_in_memory() -> None:
    served = await worker(app(), in_memory=True)
    assert [shown(await served.get("/ruled/new"))[0] for _ in range(2)] == ["MISS", "HIT"]


async def test_another_isolate_finds_what_one_has_stored() -> None:
    served = await worker(app())
    await served.get("/ruled/new")
    pages = app()
    another = await FakeWorker(served.assets, pages, served.clock, kv=served.kv).open()
    assert shown(await another.get("/ruled/new")) == ("HIT", "live /ruled/new")
    assert not pages.stage_rendered


# Rewrites and variants: entries of their own


async def test_a_rewrite_is_answered_with_the_page_that_it_leads_to_under_a_key_of_its_own() -> None:
    pages = app(rules={"/ruled": doing(rewrite="/target", key_path="/ruled/rewritten")})
    served = await worker(pages)
    assert [(got.state, got.text) for got in [await served.get("/ruled") for _ in range(2)]] == [
        ("MISS", "live /target"),
        ("HIT", "live /target"),
    ]
    assert [key for key in stored(served) if "live" not in key and "rewritten" in key] == [
        "/ruled/rewritten:html",
        "/ruled/rewritten:rsc",
    ]
    assert (await served.get("/target")).text == "built target"
    assert (await served.get("/ruled.rsc")).text == "live payload /target"


async def test_a_rewrite_to_a_page_of_the_build_is_answered_from_the_build() -> None:
    pages = app(rules={"/ruled": doing(rewrite="/target")})
    served = await worker(pages)
    got = await served.get("/ruled")
    assert (got.state, got.text) == ("HIT", "built target")
    assert pages.questions == [Resource("/target", "html", "/target")]
    assert not pages.stage_rendered


async def test_visitors_who_are_led_to_different_pages_get_those() -> None:
    def by_country(request: PageRequest) -> Stage:
        country = request.headers.get("cf-ipcountry")
        return Stage(rewrite="/target", key_path="/ruled/de") if country == "DE" else Stage()

    served = await worker(app(rules={"/ruled": by_country}))
    for _ in range(2):
        assert (await served.get("/ruled", {"CF-IPCountry": "DE"})).text == "live /target"
        assert (await served.get("/ruled")).text == "built ruled"


def app_with_feed() -> FakeStages:
    """An app whose middleware leads to a file that no rule touches at its own URL, as to a page of the Pages Router."""
    to_feed = doing(rewrite="/feed", part="route", adds={"x-nonce": "abc"})
    return app(documents={"/feed": route("feed")}, rules={"/ruled": to_feed, "/feed": doing(part="route", adds={"x-own": "1"})})


async def test_what_visitors_are_led_to_is_kept_as_its_own_url_shows_it() -> None:
    pages = app_with_feed()
    served = await worker(pages)
    assert [(got.state, got.header("x-nonce")) for got in [await served.get("/ruled") for _ in range(2)]] == [
        ("MISS", "abc"),
        ("HIT", "abc"),
    ]
    assert [(request.path, request.replay, request.is_stored) for request in pages.rendered] == [("/feed", None, True)]
    assert (await served.get("/feed")).state == "HIT"


async def test_what_visitors_are_led_to_is_rendered_again_as_its_own_url_shows_it() -> None:
    pages = app_with_feed()
    served = await worker(pages)
    assert (await served.get("/feed")).state == "MISS"
    served.clock.pass_seconds(61)
    pages.documents["/feed"] = route("newer")
    assert [(await served.get("/ruled")).text for _ in range(2)] == ["feed", "newer"]
    assert [(request.path, request.replay) for request in pages.rendered] == [("/feed", None)]


async def test_a_stale_page_that_another_isolate_has_kept_is_rendered_again_by_its_url() -> None:
    pages = app_with_feed()
    first = await worker(pages)
    await first.get("/feed")
    first.clock.pass_seconds(61)
    second = await FakeWorker(first.assets, pages, first.clock, kv=first.kv).open()
    assert (await second.get("/feed")).state == "STALE"
    assert [(request.path, request.replay) for request in pages.rendered] == [("/feed", None)]


async def test_a_rewritten_page_goes_with_the_tags_of_the_page_that_is_shown() -> None:
    served = await worker(app(rules={"/ruled": doing(rewrite="/target", key_path="/ruled/rewritten")}))
    assert [(await served.get("/ruled")).state for _ in range(2)] == ["MISS", "HIT"]
    served.clock.pass_seconds(1)
    await served.store.revalidate_tags(["/target"])
    assert (await served.get("/ruled")).state == "MISS"


async def test_a_rewritten_page_is_not_looked_up_in_the_build() -> None:
    """The build's page at that path is another one."""
    pages = app(rules={"/ruled": doing(rewrite="/target", key_path="/ruled/static")})
    served = await worker(pages)
    assert [(got.state, got.text) for got in [await served.get("/ruled") for _ in range(2)]] == [
        ("MISS", "live /target"),
        ("HIT", "live /target"),
    ]


async def test_a_payload_for_mounted_slots_has_an_entry_of_its_own() -> None:
    pages = app(variants={f"/ruled {SLOTS}": payload("with slots")})
    pages.rules["/ruled"] = lambda request: Stage(part=SLOTS if request.headers.get("x-vinext-mounted-slots") else None)
    served = await worker(pages)
    slots = {**RSC, "X-Vinext-Mounted-Slots": "slot:modal:/"}
    got = [await served.get("/ruled", slots) for _ in range(2)]
    assert [(one.state, one.text) for one in got] == [("MISS", "with slots"), ("HIT", "with slots")]
    assert (await served.get("/ruled", RSC)).text == "built ruled payload"
    assert [key for key in stored(served) if "slots" in key] == [f"/ruled:{SLOTS}"]
    assert got[1].header("X-Vinext-RSC-Compatibility-Id") == "compatible"


async def test_a_variant_of_a_path_that_no_rule_touches_passes_the_request_stage() -> None:
    pages = app(variants={f"/free {SLOTS}": payload("with slots")})
    pages.rules["/free"] = doing(part=SLOTS)
    served = await worker(pages)
    slots = {**RSC, "X-Vinext-Mounted-Slots": "slot:modal:/"}
    assert [(await served.get("/free", slots)).state for _ in range(2)] == ["MISS", "HIT"]
    assert len(pages.served) == 2


async def test_a_stale_variant_is_rendered_again_alone() -> None:
    pages = app(variants={f"/ruled {SLOTS}": payload("with slots")})
    pages.rules["/ruled"] = doing(part=SLOTS)
    served = await worker(pages)
    slots = {**RSC, "X-Vinext-Mounted-Slots": "slot:modal:/"}
    await served.get("/ruled", slots)
    pages.variants[f"/ruled {SLOTS}"] = payload("new with slots")
    served.clock.pass_seconds(61)
    assert [(await served.get("/ruled", slots)).text for _ in range(2)] == ["with slots", "new with slots"]
    assert [json.loads(request.replay or "")["part"] for request in pages.rendered] == [SLOTS]
    assert (await served.get("/ruled.rsc")).state != "MISS" or pages.stage_rendered[-1].part == SLOTS


async def test_a_route_handler_behind_a_rule() -> None:
    pages = app(documents={"/ruled/api": route('{"a": 1}')}, rules={"/ruled/api": doing(part="route", adds={"x-nonce": "abc"})})
    served = await worker(pages)
    got = [await served.get("/ruled/api") for _ in range(2)]
    assert [(one.state, one.text, one.header("x-nonce")) for one in got] == [
        ("MISS", '{"a": 1}', "abc"),
        ("HIT", '{"a": 1}', "abc"),
    ]
    assert got[1].header("content-type") == "application/json"
    assert [key for key in stored(served) if "/api" in key] == ["/ruled/api:route"]


OF_A_HANDLER = {
    "HTML": FakeResponse(200, {"content-type": "text/html"}, b"<h1>live</h1>"),
    "a redirect": FakeResponse(302, {"location": "/elsewhere"}),
    "no content type": FakeResponse(200, {}, b"live"),
    "an RSC payload's type": FakeResponse(200, {"content-type": "text/x-component"}, b"live"),
}


@pytest.mark.parametrize("url", ["/ruled/api", "/api"])
@pytest.mark.parametrize("given", OF_A_HANDLER.values(), ids=OF_A_HANDLER)
async def test_a_route_handler_s_response_is_kept_whatever_it_is(given: FakeResponse, url: str) -> None:
    shared = replace(given, headers={**given.headers, "cache-control": "s-maxage=60, stale-while-revalidate=540"})
    pages = app(documents={url: shared}, rules={url: doing(part="route")})
    served = await worker(pages)
    got = [await served.get(url, headers) for headers in ({}, {}, RSC)]
    assert [(one.status, one.state, one.header("content-type")) for one in got] == [
        (given.status, state, given.header("content-type")) for state in ("MISS", "HIT", "HIT")
    ]
    served.clock.pass_seconds(61)
    again = [await served.get(url) for _ in range(2)]
    assert [(one.status, one.state) for one in again] == [(given.status, "STALE"), (given.status, "HIT")]
    assert [key for key in stored(served) if "/api" in key] == [f"{url}:route"]


# What is not kept


async def test_a_page_that_turns_out_dynamic_is_not_kept_and_not_asked_for_again_soon() -> None:
    pages = app(documents={"/ruled/new": dynamic()})
    served = await worker(pages)
    for _ in range(3):
        got = await served.get("/ruled/new")
        assert (got.state, got.text, got.header("x-nonce")) == (None, "dynamic", "abc")
    assert not [key for key in stored(served) if key.startswith("/ruled/new")]
    assert log_of(served, "page.not_stored")[0]["reason"] == "the app rendered it for this request alone"


async def test_a_page_that_proves_dynamic_behind_its_first_byte_is_not_kept() -> None:
    pages = app(defers=True)
    served = await worker(pages)
    assert [(await served.get("/ruled/new")).state for _ in range(2)] == ["MISS", "HIT"]
    pages.documents["/ruled/later"] = dynamic()
    assert [(await served.get("/ruled/later")).state for _ in range(2)] == [None, None]


@pytest.mark.parametrize("fields", [{"is_personal": True}, {"unknown": "app-page of version 14"}], ids=["personal", "unknown"])
async def test_what_the_app_never_shares_is_not_kept(fields: dict[str, object]) -> None:
    pages = app(rules={"/ruled": doing(adds={"x-nonce": "abc"}, **fields)})
    served = await worker(pages)
    for _ in range(2):
        got = await served.get("/ruled")
        assert (got.state, got.text, got.header("x-nonce")) == (None, "live /ruled", "abc")
    assert not pages.rendered
    assert len(log_of(served, "stages.unknown")) == (2 if "unknown" in fields else 0)


async def test_a_response_to_a_request_that_middleware_has_changed_is_not_kept_but_the_page_is_rendered_for_all() -> None:
    pages = app(rules={"/ruled/new": doing(changes_request=True)})
    served = await worker(pages)
    first, second = await served.get("/ruled/new"), await served.get("/ruled/new")
    assert (first.state, first.text) == (None, "live /ruled/new")
    assert (second.state, second.text) == ("HIT", "live /ruled/new")
    assert [request.replay is not None for request in pages.rendered] == [True]
    assert [key for key in stored(served) if key.startswith("/ruled/new")] == ["/ruled/new:html", "/ruled/new:rsc"]


async def test_a_page_that_no_rule_touches_is_rendered_beside_by_its_url_so_that_it_has_the_headers_of_next_config() -> None:
    pages = app(rules={"/unbuilt": doing(changes_request=True)})
    served = await worker(pages)
    assert (await served.get("/unbuilt?q=1")).state is None
    assert [(request.path, request.replay) for request in pages.rendered] == [("/unbuilt", None)]
    assert (await served.get("/unbuilt")).state == "HIT"


@pytest.mark.parametrize(
    "urls", [("/unbuilt", "/unbuilt.rsc"), ("/unbuilt.rsc", "/unbuilt")], ids=["html first", "payload first"]
)
async def test_both_artifacts_of_a_page_that_no_rule_touches_keep_the_headers_of_next_config(urls: tuple[str, str]) -> None:
    pages = app(rules={"/unbuilt": adding(x_frame_options="DENY")})
    served = await worker(pages)
    got = [await served.get(url) for url in (*urls, *urls)]
    assert [one.state for one in got] == ["MISS", "HIT", "HIT", "HIT"]
    assert {one.header("x-frame-options") for one in got} == {"DENY"}
    assert len(pages.served) == 1


@pytest.mark.parametrize(
    ("url", "canonical"),
    [("/unbuilt.rsc", "/unbuilt"), ("/b%c3%bccher", "/b%C3%BCcher"), ("/b%c3%bccher.rsc", "/b%C3%BCcher")],
)
async def test_a_page_that_no_rule_touches_is_asked_for_at_its_canonical_url(url: str, canonical: str) -> None:
    """By another URL, vinext may put other headers of next.config onto what is kept."""
    pages = app()
    served = await worker(pages)
    assert (await served.get(url)).state == "MISS"
    [(request, _)] = pages.served
    assert request.kept_as is not None
    assert (request.kept_as.path, request.kept_as.rsc) == (canonical, url.endswith(".rsc"))
    assert (await served.get(canonical)).state == "HIT"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        pytest.param("/unbuilt.rsc", {"Next-Router-Prefetch": "1"}, id="the state of a router"),
        pytest.param("/b%c3%bccher?a=1", {}, id="a query"),
    ],
)
async def test_another_spelling_of_a_url_is_passed_on_if_the_page_s_own_will_not_do(url: str, headers: dict[str, str]) -> None:
    pages = app()
    served = await worker(pages)
    assert (await served.get(url, headers)).state is None
    assert not pages.served
    assert len(pages.answered) == 1


async def test_a_page_that_no_rule_touches_but_a_rewrite_is_kept_without_what_the_request_stage_adds() -> None:
    """Each request for it goes through that stage."""
    pages = app(rules={"/unbuilt": doing(rewrite="/target", key_path="/unbuilt/target", adds={"x-nonce": "abc"})})
    served = await worker(pages)
    assert [(await served.get("/unbuilt")).state for _ in range(2)] == ["MISS", "HIT"]
    assert "abc" not in entry_text(served, "/unbuilt/target", "html")


@pytest.mark.parametrize("url", ["/ruled/new", "/unbuilt"])
async def test_what_the_app_has_made_for_a_visitor_with_cookies_is_rendered_beside_for_everybody(url: str) -> None:
    pages = app(is_wary=True)
    served = await worker(pages)
    first = await served.get(url, {"Cookie": "session=ada"})
    assert (first.status, first.state) == (200, None)
    [request] = pages.rendered
    assert (request.replay is not None) is (url != "/unbuilt")
    for headers in ({}, {"Cookie": "session=bob"}):
        assert (await served.get(url, headers)).state == "HIT"


@pytest.mark.parametrize("cookies", [{}, {"Cookie": "session=ada"}])
async def test_a_dynamic_page_is_rendered_beside_once_in_a_while(cookies: dict[str, str]) -> None:
    pages = app(documents={"/ruled/new": dynamic()}, is_wary=True)
    served = await worker(pages)
    for _ in range(5):
        assert (await served.get("/ruled/new", cookies)).text == "dynamic"
    assert len(pages.rendered) == len(cookies)


REFUSED = [
    ("a cookie", page(set_cookie="session=abc")),
    ("varies by cookie", page(vary="RSC, Cookie")),
    ("500", replace(page(), status=500)),
]


@pytest.mark.parametrize("given", [pytest.param(given, id=name) for name, given in REFUSED])
async def test_what_the_app_shares_must_also_be_storable(given: FakeResponse) -> None:
    pages = app(documents={"/ruled/new": given}, rules={})
    served = await worker(pages)
    for _ in range(2):
        assert (await served.get("/ruled/new")).status == given.status
    assert not [key for key in stored(served) if key.startswith("/ruled/new")]


async def test_a_body_that_breaks_off_is_not_kept() -> None:
    pages = app(documents={"/ruled/new": replace(page(), breaks_off=True)})
    served = await worker(pages)
    await served.get("/ruled/new")
    assert not [key for key in stored(served) if key.startswith("/ruled/new")]
    pages.documents["/ruled/new"] = page("whole")
    served.clock.pass_seconds(2)
    assert [(await served.get("/ruled/new")).text for _ in range(2)] == ["whole", "whole"]


async def test_a_page_that_fails_once_is_kept_as_soon_as_it_does_not() -> None:
    pages = app(documents={"/ruled/new": broken()})
    served = await worker(pages)
    assert (await served.get("/ruled/new")).status == 500
    pages.documents["/ruled/new"] = page("mended")
    assert [(await served.get("/ruled/new")).state for _ in range(2)] == ["MISS", "HIT"]


async def test_a_page_that_is_missing_is_passed_on() -> None:
    got = await (await worker(app())).get("/ruled/nothing")
    assert (got.status, got.state, got.text) == (404, None, "not found")


async def test_what_is_not_found_may_be_kept() -> None:
    pages = app(documents={"/ruled/gone": replace(page("gone"), status=404)}, rules={"/ruled/gone": adding(x_nonce="abc")})
    served = await worker(pages)
    got = [await served.get("/ruled/gone") for _ in range(2)]
    assert [(one.status, one.state, one.header("x-nonce")) for one in got] == [(404, "MISS", "abc"), (404, "HIT", "abc")]


LINK_PREFETCH = {**RSC, "Next-Router-Prefetch": "1", "Next-Router-Segment-Prefetch": "1"}


async def test_the_prefetch_of_a_link_to_what_is_not_there_succeeds_so_that_the_client_shows_it() -> None:
    gone = {"/gone": replace(page("gone"), status=404)}
    served = await worker(app(documents=gone, payloads={"/gone": replace(payload("gone payload"), status=404)}))
    await served.get("/gone", RSC)
    prefetch = {name: text for name, text in LINK_PREFETCH.items() if name not in RSC}
    got = [await served.get("/gone", headers) for headers in (LINK_PREFETCH, RSC, {**RSC, "Next-Router-Prefetch": "1"}, prefetch)]
    assert [(one.status, one.state) for one in got] == [(200, "HIT"), (404, "HIT"), (404, "HIT"), (404, "HIT")]


@pytest.mark.parametrize("first", [{}, RSC], ids=["html first", "payload first"])
async def test_a_payload_may_have_another_status_than_its_page(first: dict[str, str]) -> None:
    """So it is with `cacheComponents`."""
    told = {"x_vinext_payload_status": "200"}
    gone = {"/gone": replace(page("gone", **told), status=404)}
    served = await worker(app(documents=gone, payloads={"/gone": replace(payload("gone payload", **told), status=404)}))
    await served.get("/gone", first)
    await served.get("/gone", {} if first else RSC)
    got = [await served.get("/gone", headers) for headers in ({}, RSC)]
    assert [(one.status, one.state) for one in got] == [(404, "HIT"), (200, "HIT")]
    assert [one.header("x-vinext-payload-status") for one in got] == [None, None]


async def test_the_request_stage_is_told_that_a_payload_is_of_a_page_that_is_not_there() -> None:
    gone = {"/ruled/gone": replace(page("gone"), status=404)}
    pages = app(documents=gone, payloads={"/ruled/gone": replace(payload("gone payload"), status=404)})
    served = await worker(pages)
    told = []
    for headers in ({}, {}, RSC, RSC):
        await served.get("/ruled/gone", headers)
        offer = json.loads(pages.served[-1][1] or "{}")
        told.append(offer.get("headers", {}).get("x-vinext-special-error-status"))
    assert told == [None, None, ["404"], ["404"]]


# Route handlers without a period

HANDLERS = pytest.mark.parametrize("url", ["/ruled/api", "/api"])


def handlers() -> FakeStages:
    """An app with a route handler behind a rule, and one that no rule touches."""
    urls = ("/ruled/api", "/api")
    rule = doing(part="route", has_no_period=True, adds={"x-nonce": "abc"})
    return app(documents={url: route("live", None) for url in urls}, rules=dict.fromkeys(urls, rule))


@HANDLERS
async def test_a_route_handler_without_a_period_runs_for_each_request_and_for_nobody_else(url: str) -> None:
    pages = handlers()
    served = await worker(pages)
    for query, headers in [("", {}), ("?q=1", {}), ("", {"Cookie": "user=ann"}), ("", {"Authorization": "Bearer x"}), ("", {})]:
        got = await served.get(f"{url}{query}", headers)
        assert (got.state, got.text, got.header("x-nonce")) == (None, "live", "abc")
    assert len(pages.stage_rendered) == 5
    assert not pages.rendered
    assert not pages.questions
    assert not [key for key in stored(served) if "/api" in key]


@HANDLERS
async def test_requests_for_one_wait_for_nobody(url: str) -> None:
    pages = handlers()
    served = await worker(pages)
    pages.hold = asyncio.Event()
    asked = [asyncio.ensure_future(served.ask(f"{url}{query}")) for query in ("", "?q=1", "", "?q=2")]
    await let_others_run()
    assert len(pages.stage_rendered) == 4
    pages.hold.set()
    assert [got.text for got in await asyncio.gather(*asked)] == ["live"] * 4
    await served.settle()


@HANDLERS
async def test_nobody_looks_for_its_entry_for_a_while(url: str) -> None:
    served = await worker(handlers())
    assert served.kv is not None
    await served.get(url)
    before = len(served.kv.operations)
    await served.get(url)
    assert len(served.kv.operations) == before
    served.clock.pass_seconds(11)
    await served.get(url)
    assert len(served.kv.operations) > before


async def test_a_rule_that_leads_some_to_one_says_nothing_of_the_page_for_the_others() -> None:
    def rule(request: PageRequest) -> Stage:
        is_some = request.headers.get("cookie") is not None
        return Stage(rewrite="/api", key_path="/ruled", part="route", has_no_period=True) if is_some else Stage()

    pages = handlers()
    pages.rules["/ruled"] = rule
    served = await worker(pages)
    for headers, text in [({"Cookie": "user=ann"}, "live"), ({}, "built ruled"), ({"Cookie": "user=ann"}, "live")]:
        assert (await served.get("/ruled", headers)).text == text
    assert not pages.questions


async def test_one_behind_a_rule_is_not_regenerated() -> None:
    served = await worker(handlers())
    key = served.site.key("/ruled/api", "route")
    assert await served.regeneration.regenerate(request("/ruled/api"), key, ()) == "the app rendered it for this request alone"


# Stages that fail


def nonsense_hit() -> Step:
    return StagedAnswer(FakeResponse(200), is_hit=True)


def question_for(part: str, path: str = "/ruled") -> Callable[[], Step]:
    async def resume(_offer: str) -> Step:
        return StagedAnswer(FakeResponse(200, {}, b"resumed"))

    return lambda: Question(Resource(path, part, path), resume)


async def failing(_offer: str) -> Step:
    raise PageError("the app broke down")


FAILURES = [
    ("fails", PageError("the app broke down"), "the app broke down"),
    ("hangs", PageError("the service PAGES did not begin to answer within 60000 ms"), "within 60000 ms"),
    ("does not parse", PageError("the app's request stage answered '<', which does not parse"), "does not parse"),
    ("fails after its question", lambda: Question(Resource("/x", "html", "/x"), failing), "the app broke down"),
    ("asks for no artifact", question_for("json"), "asks for"),
    ("asks for a variant that is no key", question_for("rsc:../../x"), "asks for"),
    ("speaks of an entry that it was not offered", nonsense_hit, "an entry that it was not offered"),
]


@pytest.mark.parametrize(("fault", "message"), [pytest.param(fault, text, id=name) for name, fault, text in FAILURES])
async def test_stages_that_fail_leave_the_request_to_the_app(fault: Exception | Callable[[], Step], message: str) -> None:
    url = "/ruled/new"
    pages = app(faults={url: fault})
    served = await worker(pages)
    got = await served.get(url)
    assert (got.status, got.state, got.text, got.header("x-nonce")) == (200, None, "live /ruled/new", "abc")
    assert len(pages.answered) == 1
    [line] = log_of(served, "stages.failed")
    assert message in str(line["error"])
    assert not [key for key in stored(served) if key.startswith(url)]
    pages.faults.clear()
    assert [(await served.get(url)).state for _ in range(2)] == ["MISS", "HIT"]


async def test_stages_that_fail_for_a_miss_of_a_path_without_rules_leave_it_to_the_app_too() -> None:
    pages = app(faults={"/unbuilt": PageError("the app broke down")})
    served = await worker(pages)
    assert [(await served.get("/unbuilt")).text for _ in range(2)] == ["live /unbuilt"] * 2
    assert served.log.names().count("stages.failed") == 2
    assert not [key for key in stored(served) if key.startswith("/unbuilt")]


async def test_an_app_that_fails_altogether_gives_no_page() -> None:
    pages = app(faults={"/ruled": PageError("down")}, rules={"/ruled": doing(own=PageError("down"))})
    served = await worker(pages)
    got = await served.get("/ruled")
    assert (got.status, got.state) == (500, None)


async def test_an_app_without_stages_answers_paths_that_a_rule_may_touch_itself() -> None:
    """The page handler is older than the build says, or Python's: it has no stages."""
    pages = FakePages({"/ruled": page("whole"), "/free": page()}, {"/ruled": payload()})
    served = await worker(pages)
    assert [(await served.get("/ruled")).text for _ in range(2)] == ["whole", "whole"]
    assert (await served.get("/free")).state == "HIT"
    assert len(pages.answered) == 2


@pytest.mark.parametrize("stages", [0, STAGES_VERSION + 1])
async def test_a_build_of_another_version_of_the_exchange_has_no_stages(stages: int) -> None:
    build = replace(BUILD, rules=(RULED,), stages=stages)
    pages = app()
    served = await FakeWorker(FakeAssets(copied_build(build, BUILT)), pages).open()
    got = await served.get("/ruled")
    assert (got.state, got.text) == (None, "live /ruled")
    assert (len(pages.answered), pages.served) == (1, [])


# Requests at the same time


async def test_a_page_behind_a_rule_is_rendered_once_for_all_concurrent_requests() -> None:
    pages = app()
    pages.rules["/ruled/new"] = lambda request: Stage(adds={"x-visitor": request.headers.get("x-name") or ""})
    served = await worker(pages)
    got = await asyncio.gather(*(served.ask("/ruled/new", {"X-Name": str(number)}) for number in range(20)))
    await served.settle()
    assert Counter(one.state for one in got) == {"MISS": 1, "HIT": 19}
    assert [one.header("x-visitor") for one in got] == [str(number) for number in range(20)]
    assert {one.text for one in got} == {"live /ruled/new"}
    assert len(pages.stage_rendered) == 1


async def test_a_stale_page_behind_a_rule_is_rendered_again_once() -> None:
    pages = app()
    served = await worker(pages)
    served.clock.pass_seconds(61)
    pages.hold = asyncio.Event()
    got = await asyncio.gather(*(served.ask(url) for url in ["/ruled", "/ruled.rsc"] * 10))
    assert Counter(one.state for one in got) == {"STALE": 20}
    pages.hold.set()
    await served.settle()
    assert len(pages.rendered) == 1
    assert [(await served.get(url)).text for url in ("/ruled", "/ruled.rsc")] == ["live /ruled", "live payload /ruled"]


async def test_a_request_stage_s_own_response_lets_no_other_request_wait() -> None:
    pages = app(documents={"/ruled/new": dynamic()})
    served = await worker(pages)
    got = await asyncio.gather(*(served.ask("/ruled/new") for _ in range(5)))
    await served.settle()
    assert Counter(one.state for one in got) == {None: 5}


@pytest.mark.parametrize("url", ["/ruled/new", "/unbuilt"])
async def test_requests_whose_answers_are_not_kept_wait_for_nobody(url: str) -> None:
    pages = app(rules={url: doing(changes_request=True)})
    served = await worker(pages)
    pages.hold = asyncio.Event()
    asked = [asyncio.ensure_future(served.ask(f"{url}?q={number}")) for number in range(4)]
    await let_others_run()
    assert len(pages.stage_rendered) == 4
    pages.hold.set()
    assert [got.state for got in await asyncio.gather(*asked)] == [None] * 4
    await served.settle()
    assert len(pages.rendered) == 1


@pytest.mark.parametrize("url", ["/ruled/new", "/unbuilt"])
@pytest.mark.parametrize(
    ("headers", "method"),
    [
        pytest.param({"Authorization": "Bearer x"}, "GET", id="credentials"),
        pytest.param({}, "HEAD", id="HEAD"),
    ],
)
async def test_nobody_waits_for_an_answer_that_is_not_kept(url: str, headers: dict[str, str], method: str) -> None:
    pages = app()
    served = await worker(pages)
    pages.hold = asyncio.Event()
    unkept = asyncio.ensure_future(served.ask(url, headers, method))
    await let_others_run()
    others = [asyncio.ensure_future(served.ask(url)) for _ in range(2)]
    await let_others_run()
    assert len(pages.stage_rendered) == 2
    pages.hold.set()
    assert [got.state for got in await asyncio.gather(unkept, *others)] == [None, "MISS", "HIT"]
    await served.settle()


async def test_an_answer_that_is_not_kept_may_still_be_an_entry() -> None:
    pages = app(rules={"/ruled": doing(changes_request=True)})
    served = await worker(pages)
    assert (await served.get("/ruled?q=1", {"Authorization": "Bearer x"})).text == "built ruled"
    assert not pages.stage_rendered


async def test_a_visitor_who_breaks_off_leaves_no_claim() -> None:
    pages = app(faults={"/ruled/new": lambda: Question(Resource("/ruled/new", "html", "/ruled/new"), failing)})
    served = await worker(pages)
    await served.get("/ruled/new")
    assert not served.flight.cells


# Invalidation


async def test_the_tags_that_a_request_invalidates_are_invalidated_before_its_answer() -> None:
    own = FakeResponse(303, {"location": "/ruled", "x-vinext-revalidated-tags": "posts,_N_T_%2Fruled"})
    pages = app(rules={"/ruled/act": doing(own=own), "/ruled": adding(x_nonce="abc")})
    served = await worker(pages)
    assert (await served.get("/ruled")).text == "built ruled"
    served.clock.pass_seconds(1)
    got = await served.ask("/ruled/act")
    assert got.header("x-vinext-revalidated-tags") is None
    got = await served.get("/ruled")
    assert (got.state, got.text) == ("MISS", "live /ruled")
    assert log_of(served, "cache.invalidated") == [{"tags": ("posts", "_N_T_/ruled")}]


@pytest.mark.parametrize("url", ["/ruled", "/ruled/new"])
async def test_the_tags_that_middleware_invalidates_are_on_no_answer_and_in_no_entry(url: str) -> None:
    """On a hit and on a miss."""
    pages = app(rules={url: adding(x_vinext_revalidated_tags="posts")})
    served = await worker(pages)
    got = await served.get(url)
    assert got.header("x-vinext-revalidated-tags") is None
    assert log_of(served, "cache.invalidated") == [{"tags": ("posts",)}]
    assert (await served.get(url)).state == "HIT"


@pytest.mark.parametrize("state", ["MISS", "HIT"])
async def test_headers_by_which_the_app_speaks_to_the_cache_are_for_nobody_else(state: str) -> None:
    pages = app(documents={"/ruled/new": page(x_vinext_cache_tags="posts")})
    served = await worker(pages)
    if state == "HIT":
        await served.get("/ruled/new")
    got = await served.get("/ruled/new")
    assert (got.state, got.header("x-vinext-cache-tags")) == (state, None)


async def test_the_tags_of_a_page_behind_a_rule_invalidate_it() -> None:
    served = await worker(app(documents={"/ruled/new": page(x_vinext_cache_tags="posts")}))
    assert [(await served.get("/ruled/new")).state for _ in range(2)] == ["MISS", "HIT"]
    served.clock.pass_seconds(1)
    await served.store.revalidate_tags(["posts"])
    assert (await served.get("/ruled/new")).state == "MISS"


# Rendering again


async def stale(pages: FakeStages) -> FakeWorker:
    served = await worker(pages)
    for url in ("/ruled", "/ruled.rsc"):
        assert (await served.get(url)).state == "HIT"
    served.clock.pass_seconds(61)
    return served


@pytest.mark.parametrize("url", ["/ruled", "/ruled.rsc"])
async def test_a_stale_page_is_rendered_again_as_the_request_stage_asked_for_it_with_both_artifacts(url: str) -> None:
    pages = app()
    served = await stale(pages)
    got = await served.get(url, {"Cookie": "session=abc"})
    assert got.state == "STALE"
    [request] = pages.rendered
    assert request.replay is not None
    assert "abc" not in request.replay
    assert not pages.answered
    for again, text in (("/ruled", "live /ruled"), ("/ruled.rsc", "live payload /ruled")):
        got = await served.get(again)
        assert (got.state, got.text, got.header("age")) == ("HIT", text, "0")


async def test_a_stale_page_that_no_rule_touches_is_rendered_again_by_its_url() -> None:
    pages = app()
    served = await worker(pages)
    served.clock.pass_seconds(61)
    assert (await served.get("/free")).state == "STALE"
    assert [(request.path, request.replay) for request in pages.rendered] == [("/free", None)]
    assert [(await served.get(url)).text for url in ("/free", "/free.rsc")] == ["live /free", "live payload /free"]
    assert not pages.served


REDIRECTS = [
    ("a redirect", replace(page("", location="/elsewhere"), status=307), 307),
    ("not found", replace(page("gone"), status=404), 404),
]


@pytest.mark.parametrize(("now", "status"), [pytest.param(now, status, id=name) for name, now, status in REDIRECTS])
async def test_what_a_page_becomes_its_payload_becomes_too(now: FakeResponse, status: int) -> None:
    pages = app(documents={"/ruled": now}, payloads={"/ruled": payload("NEXT_REDIRECT")})
    served = await stale(pages)
    assert (await served.get("/ruled")).text == "built ruled"
    document, rsc = await served.get("/ruled"), await served.get("/ruled.rsc")
    assert (document.status, document.state) == (status, "HIT")
    assert (rsc.state, rsc.text) == ("HIT", "NEXT_REDIRECT")
    assert len(pages.rendered) == 1
    assert document.header("location") == now.header("location")


@pytest.mark.parametrize(("now", "status"), [pytest.param(now, status, id=name) for name, now, status in REDIRECTS])
async def test_what_a_page_becomes_is_shown_soon_if_its_payload_is_asked_for_first(now: FakeResponse, status: int) -> None:
    pages = app(documents={"/ruled": now}, payloads={"/ruled": payload("NEXT_REDIRECT")})
    served = await stale(pages)
    assert [(await served.get("/ruled.rsc")).text for _ in range(2)] == ["built ruled payload", "NEXT_REDIRECT"]
    assert [(await served.get("/ruled")).status for _ in range(2)] == [200, status]


async def test_the_payload_of_a_page_that_becomes_a_redirect_without_one_does_not_live_on() -> None:
    pages = app(documents={"/ruled": replace(page("", location="/elsewhere", vary="Accept-Encoding"), status=307)}, payloads={})
    served = await stale(pages)
    await served.get("/ruled")
    assert (await served.get("/ruled")).status == 307
    assert (await served.get("/ruled.rsc")).text != "built ruled payload"


async def test_a_page_that_becomes_dynamic_is_in_the_cache_no_more() -> None:
    pages = app(documents={"/ruled": dynamic()}, payloads={"/ruled": payload("dynamic", "no-store")})
    served = await stale(pages)
    assert (await served.get("/ruled")).state == "STALE"
    for url in ("/ruled", "/ruled.rsc"):
        got = await served.get(url)
        assert (got.state, got.text) == (None, "dynamic")


async def test_a_failure_to_render_again_keeps_the_stale_page() -> None:
    pages = app(documents={"/ruled": PageError("down")})
    served = await stale(pages)
    for _ in range(2):
        assert shown(await served.get("/ruled")) == ("STALE", "built ruled")
    assert "page.not_made" in served.log.names()


async def test_an_error_page_keeps_the_stale_page() -> None:
    pages = app(documents={"/ruled": broken()})
    served = await stale(pages)
    assert [shown(await served.get("/ruled"))[1] for _ in range(2)] == ["built ruled"] * 2


# Paths that no rule touches


async def test_a_page_that_no_rule_touches_is_a_hit_without_a_call_of_the_app() -> None:
    pages = app()
    served = await worker(pages)
    assert [(await served.get(url)).state for url in ("/free", "/free.rsc")] == ["HIT", "HIT"]
    assert (pages.served, pages.answered) == ([], [])


async def test_an_entry_that_no_rule_touches_keeps_the_headers_of_next_config() -> None:
    """For such a path the request stage is asked for a miss only."""
    pages = app(rules={"/unbuilt": adding(x_frame_options="DENY")})
    served = await worker(pages)
    got = [await served.get(url) for url in ("/unbuilt", "/unbuilt", "/unbuilt.rsc")]
    assert [one.state for one in got] == ["MISS", "HIT", "HIT"]
    assert [one.header("x-frame-options") for one in got[:2]] == ["DENY", "DENY"]
    assert len(pages.served) == 1


async def test_an_entry_that_no_rule_touches_has_its_own_policy() -> None:
    pages = app(defers=True)
    served = await worker(pages)
    await served.get("/unbuilt")
    got = await served.get("/unbuilt")
    assert (got.state, got.header("cache-control")) == ("HIT", "s-maxage=60, stale-while-revalidate=540")


async def test_a_miss_of_a_path_that_no_rule_touches_is_rendered_once() -> None:
    pages = app()
    served = await worker(pages)
    got = await asyncio.gather(*(served.ask("/unbuilt") for _ in range(20)))
    await served.settle()
    assert Counter(one.state for one in got) == {"MISS": 1, "HIT": 19}
    assert len(pages.stage_rendered) == 1


async def test_a_miss_of_a_path_that_no_rule_touches_is_one_call_of_the_app_and_one_look_into_kv() -> None:
    pages = app()
    served = await worker(pages)
    await served.get("/free")  # reads the build's index
    assert served.kv is not None
    served.kv.operations.clear()
    assert (await served.get("/unbuilt")).state == "MISS"
    looked_up = [key.rpartition(":")[2] for name, key in served.kv.operations if name == "get" and "/unbuilt" in key]
    assert (looked_up, len(pages.served), pages.questions) == (["html"], 1, [])
    assert stored(served)[-2:] == ["/unbuilt:html", "/unbuilt:rsc"]


async def test_a_route_handler_that_no_rule_touches_is_looked_up_as_soon_as_the_app_asks_for_it() -> None:
    fields = {"documents": {"/unbuilt": route("{}")}, "rules": {"/unbuilt": doing(part="route")}}
    served = await worker(app(**fields))
    assert [(await served.get("/unbuilt")).state for _ in range(2)] == ["MISS", "HIT"]
    pages = app(**fields)
    another = await FakeWorker(served.assets, pages, served.clock, kv=served.kv).open()
    await another.get("/free")
    assert [((await another.get("/unbuilt")).state, len(pages.questions), len(pages.served)) for _ in range(2)] == [
        ("HIT", 1, 1),
        ("HIT", 1, 1),
    ]
    assert not pages.stage_rendered


async def test_a_route_handler_that_no_rule_touches_is_there_while_the_app_is_down() -> None:
    fields = {"documents": {"/unbuilt": route("{}")}, "rules": {"/unbuilt": doing(part="route")}}
    served = await worker(app(**fields))
    await served.get("/unbuilt")
    pages = app(faults={"/unbuilt": PageError("down")})
    another = await FakeWorker(served.assets, pages, served.clock, kv=served.kv).open()
    await another.get("/free")
    assert (await another.get("/unbuilt")).state == "HIT"
    assert (len(pages.served), pages.answered) == (1, [])


async def test_a_dynamic_page_that_no_rule_touches_goes_straight_to_the_app_for_a_while() -> None:
    pages = app(documents={"/unbuilt": dynamic()})
    served = await worker(pages)
    for _ in range(3):
        assert (await served.get("/unbuilt", {"Cookie": "session=ada"})).text == "dynamic"
    assert (len(pages.served), len(pages.rendered), len(pages.answered)) == (1, 1, 2)


async def test_a_missing_page_that_no_rule_touches() -> None:
    pages = app(documents={"/nothing": missing()})
    got = await (await worker(pages)).get("/nothing")
    assert (got.status, got.state) == (404, None)


# The values of the exchange


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        "html",
        {"path": "/a", "part": "html"},
        {"path": "a", "part": "html", "tagPath": "/a"},
        {"path": 1, "part": "html", "tagPath": "/a"},
        {"path": "/a", "part": None, "tagPath": "/a"},
    ],
)
def test_a_resource_that_is_none_is_refused(document: object) -> None:
    with pytest.raises(PageError, match="the app's request stage speaks of"):
        Resource.of(document)


async def test_a_page_with_a_payload_that_is_empty_is_whole() -> None:
    whole = WholeResponse(200, tuple(payload().headers.items()), BytesBody(b""), None)

    async def admitted() -> WholeResponse:
        return whole

    resource = Resource("/ruled/new", "rsc", "/ruled/new")

    async def resume(_offer: str) -> Step:
        return StagedAnswer(payload(""), made=resource, admitted=admitted)

    pages = app(faults={"/ruled/new": lambda: Question(resource, resume)})
    served = await worker(pages)
    await served.get("/ruled/new", RSC)
    assert f"/ruled/new:{Artifact.RSC}" in stored(served)
