from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from tests.cache.subjects import FakeSubject, kv, tiered
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, FakeResponse, broken, dynamic, missing, page, payload, route
from tests.fakes.turns import let_others_run
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import AppPageValue
from cache.handler import SetContext
from core.body import text_body
from pages.handler import PageError
from seed.build import Artifact

TICK = record("/tick", b"built tick", b"built tick payload", revalidate=2)
TOO_LARGE = 25 * 1024 * 1024 + 1


async def stale(document: FakeResponse | Exception, rsc: FakeResponse | Exception | None = None) -> FakeWorker:
    """Return a worker whose page /tick is stale, and whose page handler now returns these answers."""
    script = FakePages({"/tick": document}, {} if rsc is None else {"/tick": rsc})
    served = await FakeWorker(FakeAssets(copied_build(BUILD, TICK)), script).open()
    assert (await served.get("/tick")).state == "HIT"
    assert (await served.get("/tick.rsc")).state == "HIT"
    served.clock.pass_seconds(2.1)
    return served


async def test_a_stale_page_is_served_at_once_and_regenerated_after_the_answer() -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    served.pages.hold = asyncio.Event()
    got = await served.ask("/tick")
    assert (got.state, got.text) == ("STALE", "built tick")
    assert got.header("cache-control") == "s-maxage=0, stale-while-revalidate"
    served.pages.hold.set()
    await served.settle()
    for url, text in (("/tick", "new tick"), ("/tick.rsc", "new tick payload")):
        got = await served.get(url)
        assert (got.state, got.text, got.header("age")) == ("HIT", text, "0")


async def test_a_page_of_the_build_is_stale_if_it_is_first_requested_after_its_period() -> None:
    served = await FakeWorker(FakeAssets(copied_build(BUILD, TICK)), FakePages({"/tick": page("new")})).open()
    served.clock.pass_seconds(3600)
    assert [(await served.get("/tick")).state for _ in range(2)] == ["STALE", "HIT"]


async def test_a_request_for_a_stale_payload_regenerates_the_whole_page() -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    got = await served.get("/tick.rsc")
    assert (got.state, got.text) == ("STALE", "built tick payload")
    assert [(request.path, request.rsc) for request in served.pages.rendered] == [("/tick", False), ("/tick", True)]
    assert (await served.get("/tick")).text == "new tick"
    assert (await served.get("/tick.rsc")).text == "new tick payload"


@pytest.mark.parametrize("count", [2, 50])
async def test_a_stale_page_is_regenerated_once_for_all_concurrent_requests(count: int) -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    served.pages.hold = asyncio.Event()
    got = await asyncio.gather(*(served.ask(url) for url in ["/tick", "/tick.rsc"] * count))
    assert Counter(one.state for one in got) == {"STALE": 2 * count}
    served.pages.hold.set()
    await served.settle()
    assert served.pages.documents_made == 1
    assert len(served.pages.rendered) == 2
    assert (await served.get("/tick")).state == "HIT"


async def test_a_page_whose_regeneration_is_ended_without_a_word_is_regenerated_by_who_asks_half_a_minute_later() -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    served.pages.hold = asyncio.Event()
    assert (await served.ask("/tick")).state == "STALE"
    await served.pages.is_asked.wait()
    await let_others_run()
    # From here on the platform has ended it: neither its timers nor its `finally` run.
    ((_, ended),) = served.background.tasks
    served.background.tasks.clear()
    served.pages.hold = None
    served.log.lines.clear()
    for _ in range(29):
        served.clock.pass_seconds(1)
        assert (await served.ask("/tick")).state == "STALE"
    assert len(served.pages.rendered) == 1
    served.clock.pass_seconds(1)
    assert [(await served.get("/tick")).state for _ in range(2)] == ["STALE", "HIT"]
    assert served.log.names() == ["claim.ended", "page.regenerated", "page.regenerated"]
    ended.cancel()


async def test_an_isolate_that_made_a_stale_page_itself_writes_no_lease_before_it_sees_another_s() -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    await served.get("/tick")  # of the build: somebody else may serve it, too
    another = await FakeWorker(served.assets, served.pages, served.clock, kv=served.kv).open()
    assert served.kv is not None
    leases = []
    for one in (served, another, served, served):
        served.clock.pass_seconds(61)
        served.kv.operations.clear()
        assert [(await one.get("/tick")).state for _ in range(2)] == ["STALE", "HIT"]
        leases.append(sum(operation == "put" and "__lease" in key for operation, key in served.kv.operations))
    assert leases == [0, 1, 1, 1]


async def test_two_isolates_that_find_a_page_stale_have_it_made_once() -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    another = await FakeWorker(served.assets, served.pages, served.clock, kv=served.kv).open()
    assert [(await one.ask("/tick")).state for one in (served, another)] == ["STALE", "STALE"]
    await served.settle()
    await another.settle()
    assert [request.rsc for request in served.pages.rendered] == [False, True]
    assert (await served.get("/tick")).text == "new tick"


async def test_a_page_is_regenerated_without_any_data_of_the_visitor() -> None:
    served = await stale(page("new tick"), payload())
    await served.get("/tick", {"Cookie": "session=abc", "Authorization": "Bearer x", "X-Forwarded-Host": "evil.example"})
    for request in served.pages.rendered:
        assert request.origin == "https://example.com"
        assert {name.lower() for name in request.headers} <= {"accept", "rsc"}
    assert not served.pages.answered


@pytest.mark.parametrize("url", ["/tick", "/tick.rsc"])
async def test_one_render_that_returns_both_artifacts_is_not_followed_by_another(url: str) -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    served.pages.gives_both = True
    assert (await served.get(url)).state == "STALE"
    assert [(request.path, request.rsc) for request in served.pages.rendered] == [("/tick", False)]
    got = await served.get("/tick")
    assert (got.state, got.text) == ("HIT", "new tick")
    got = await served.get("/tick.rsc")
    assert (got.state, got.text) == ("HIT", "new tick payload")
    assert got.header("content-type") == "text/x-component"
    assert got.header("x-vinext-rsc-compatibility-id") == "compatible"
    assert got.header("x-vinext-rendered-path-and-search") == "%2Ftick"
    assert got.header("cache-control") == (await served.get("/tick")).header("cache-control")


async def test_a_payload_that_came_with_its_page_ages_and_is_invalidated_with_it() -> None:
    served = await stale(page("new tick"), payload("new tick payload"))
    served.pages.gives_both = True
    await served.get("/tick")
    for _ in range(2):
        assert [(await served.ask(url)).state for url in ("/tick", "/tick.rsc")] == ["HIT", "HIT"]
        served.clock.pass_seconds(59)
    served.clock.pass_seconds(2)
    assert (await served.ask("/tick.rsc")).state == "STALE"
    await served.settle()
    await served.store.revalidate_tags(["/tick"])
    assert (await served.ask("/tick.rsc")).state == "MISS"


async def test_a_payload_that_came_with_its_page_states_its_stale_time() -> None:
    served = await stale(page("new tick", x_nextjs_stale_time="45"), payload("new tick payload"))
    served.pages.gives_both = True
    await served.get("/tick")
    assert (await served.get("/tick.rsc")).header("x-nextjs-stale-time") == "45"


async def test_without_the_build_s_headers_a_payload_is_rendered_separately() -> None:
    """A separate answer has the headers that vinext's client requires; the page's answer does not."""
    unknown = replace(BUILD, rsc_headers={})
    script = FakePages({"/tick": page("new tick")}, {"/tick": payload("new payload")}, gives_both=True)
    served = await FakeWorker(FakeAssets(copied_build(unknown, TICK)), script).open()
    served.clock.pass_seconds(2.1)
    await served.get("/tick")
    assert [request.rsc for request in served.pages.rendered] == [False, True]


async def test_a_head_request_regenerates_a_stale_page() -> None:
    served = await stale(page("new tick"), payload())
    assert (await served.get("/tick", method="HEAD")).state == "STALE"
    assert (await served.get("/tick")).text == "new tick"


@pytest.mark.parametrize(
    "failure",
    [broken(), broken(503), PageError("no answer"), replace(page("cut off"), breaks_off=True)],
    ids=["500", "503", "no-answer", "broken-stream"],
)
async def test_a_page_that_fails_stays_stale_and_is_retried_once_a_second(failure: FakeResponse | Exception) -> None:
    served = await stale(failure)
    for tries in range(1, 4):
        for _ in range(5):
            got = await served.get("/tick")
            assert (got.state, got.text) == ("STALE", "built tick")
        assert len(served.pages.rendered) == tries
        served.clock.pass_seconds(1.1)
    assert set(served.log.names()) <= {"page.not_made", "page.not_stored"}
    served.pages.documents["/tick"] = page("mended")
    assert (await served.get("/tick")).state == "STALE"
    assert (await served.get("/tick")).text == "mended"


@pytest.mark.parametrize(
    "refused",
    [dynamic(), missing(), page(set_cookie="a=b"), page(vary="Cookie"), replace(page(), size_bytes=TOO_LARGE)],
    ids=["dynamic", "missing", "set-cookie", "vary", "too-large"],
)
async def test_a_page_that_may_no_longer_be_stored_is_removed_and_not_seeded_again(refused: FakeResponse) -> None:
    served = await stale(refused, payload("payload", "no-store"))
    assert (await served.get("/tick")).state == "STALE"
    assert len(served.pages.rendered) == 1
    for _ in range(3):
        got = await served.get("/tick")
        assert (got.is_cached, got.text) == (False, refused.body.decode())
        assert not (await served.get("/tick.rsc")).is_cached
        served.clock.pass_seconds(5)
    another = await FakeWorker(served.assets, served.pages, served.clock, kv=served.kv).open()
    assert (await another.get("/tick")).text == refused.body.decode()
    assert (await another.get("/tick.rsc")).text == "payload"


async def test_a_page_that_may_be_stored_again_is_stored() -> None:
    served = await stale(dynamic())
    await served.get("/tick")
    served.pages.documents["/tick"] = page("static again")
    served.clock.pass_seconds(11)
    assert [(await served.get("/tick")).state for _ in range(2)] == ["MISS", "HIT"]


async def test_a_page_that_became_a_404_is_served_as_a_404() -> None:
    served = await stale(replace(page("gone"), status=404))
    assert (await served.get("/tick")).status == 200
    got = await served.get("/tick")
    assert (got.status, got.state, got.text) == (404, "HIT", "gone")


@pytest.mark.parametrize("refused", [dynamic(), missing()], ids=["dynamic", "missing"])
async def test_a_route_handler_s_answer_that_may_no_longer_be_stored_is_removed(refused: FakeResponse) -> None:
    served = await FakeWorker(pages=FakePages({"/api/time": route("first")})).open()
    assert [(await served.get("/api/time")).state for _ in range(2)] == ["MISS", "HIT"]
    served.clock.pass_seconds(61)
    served.pages.documents["/api/time"] = refused
    assert (await served.get("/api/time")).state == "STALE"
    for _ in range(3):
        assert (await served.get("/api/time")).state is None
        served.clock.pass_seconds(11)


async def test_a_route_handler_s_answer_is_regenerated_without_a_payload() -> None:
    served = await FakeWorker(pages=FakePages({"/api/time": route("first")})).open()
    await served.get("/api/time")
    await served.get("/api/time")
    served.clock.pass_seconds(61)
    served.pages.documents["/api/time"] = route("second")
    assert (await served.get("/api/time")).text == "first"
    assert (await served.get("/api/time")).text == "second"
    assert [request.rsc for request in served.pages.rendered] == [False]


async def test_a_route_that_redirected_and_now_answers_is_served_as_an_answer() -> None:
    redirect = FakeResponse(307, {"location": "/", "cache-control": "s-maxage=2"})
    served = await FakeWorker(pages=FakePages({"/api/time": redirect})).open()
    assert [(await served.get("/api/time")).status for _ in range(2)] == [307, 307]
    served.clock.pass_seconds(2.1)
    served.pages.documents["/api/time"] = route("now")
    assert (await served.get("/api/time")).status == 307
    got = await served.get("/api/time")
    assert (got.status, got.state, got.text) == (200, "HIT", "now")


async def test_a_payload_that_may_not_be_stored_leaves_the_page_in_the_cache() -> None:
    served = await stale(page("new tick"), payload("for one", "private"))
    assert (await served.get("/tick")).state == "STALE"
    got = await served.get("/tick")
    assert (got.state, got.text) == ("HIT", "new tick")
    got = await served.get("/tick.rsc")
    assert (got.state, got.text) == (None, "for one")


async def test_nothing_is_removed_if_the_page_handler_has_its_own_cache() -> None:
    own = page("its own copy", "no-store, must-revalidate", x_vinext_cache="MISS")
    served = await stale(own)
    for tries in range(1, 3):
        got = await served.get("/tick")
        assert (got.state, got.text) == ("STALE", "built tick")
        assert len(served.pages.rendered) == tries
    assert own.is_dropped
    assert not own.is_copied


async def test_a_page_regenerated_by_the_page_handler_s_own_cache_is_served_next() -> None:
    """The copy in memory was checked a moment ago, and would be served for five seconds more."""
    shared = FakeSubject(tiered)
    script = FakePages({"/tick": page("new tick", "no-store, must-revalidate", x_vinext_cache="HIT")})
    assets = FakeAssets(copied_build(BUILD, TICK))
    served = await FakeWorker(assets, script, shared.clock, background=shared.background, handler=shared.handler).open()
    assert (await served.get("/tick")).state == "HIT"
    served.clock.pass_seconds(2.1)
    regenerated = AppPageValue(html=text_body("new tick"), status=200)
    await kv(shared).set(served.store.key("/tick", Artifact.HTML), regenerated, SetContext(revalidate=2))
    got = [await served.get("/tick") for _ in range(2)]
    assert [(each.state, each.text) for each in got] == [("STALE", "built tick"), ("HIT", "new tick")]


async def test_a_body_that_is_not_stored_is_dropped() -> None:
    refused = dynamic()
    served = await stale(refused)
    await served.get("/tick")
    assert refused.is_dropped


@pytest.mark.parametrize(
    "given", [replace(page("cut off"), breaks_off=True), replace(page("huge"), size_bytes=TOO_LARGE)], ids=["broken", "too-large"]
)
async def test_an_incomplete_or_too_large_body_is_not_stored(given: FakeResponse) -> None:
    served = await FakeWorker(pages=FakePages({"/new": given})).open()
    got = await served.get("/new")
    assert (got.status, got.body) == (200, given.body)
    assert served.log.names() == ["seed.nothing", "page.not_stored"]
    served.pages.documents["/new"] = page("whole")
    served.clock.pass_seconds(11)
    assert [(await served.get("/new")).text for _ in range(2)] == ["whole"] * 2
    assert (await served.get("/new")).state == "HIT"


async def test_requests_that_wait_for_a_page_that_breaks_off_do_not_each_have_it_made() -> None:
    served = await FakeWorker(pages=FakePages({"/new": replace(page("cut off"), breaks_off=True)})).open()
    got = await asyncio.gather(*(served.ask("/new") for _ in range(10)))
    await served.settle()
    assert Counter(one.status for one in got) == {200: 1, 500: 9}
    assert served.pages.documents_made == 2


async def test_memory_for_failed_paths_is_bounded() -> None:
    served = await FakeWorker(pages=FakePages()).open()
    for number in range(10_050):
        await served.ask(f"/junk/{number}")
    assert 1_000 < len(served.revalidator._refused) <= 10_000
    assert served.stored_pages == []
