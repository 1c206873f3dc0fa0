"""Why a request is a HIT or not: a situation for each reason there is, and the page cache then does what was said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakeResponse, broken, dynamic, missing, page
from tests.fakes.ports import FakeClock
from tests.fakes.requests import request
from tests.fakes.stages import FakeStages
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import AppPageValue, AppRouteValue
from cache.handler import SetContext
from cache.keys import KeySchema
from cache.look import Unserved
from cache.memory import MemoryCacheHandler
from core.body import BytesBody
from isr.lookup import Lookup, classify
from isr.reasons import Bypass, Inadmissible, Served, Unkept, Unlikely, Unselected, Unservable
from isr.settings import Settings
from isr.stopwatch import Stopwatch
from isr.story import GROUPS, Outcome, code_of, header_text
from isr.variants import SELECTED_HEADER
from pages.handler import PageError
from seed.i18n import I18n
from seed.look import Unseeded
from seed.rules import STAGES_VERSION, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from tests.fakes.pages import Line

    from isr.story import Story
    from seed.build import Build

HIT, STALE, MISS, PASSED = Outcome.HIT, Outcome.STALE, Outcome.MISS, Outcome.PASSED_ON
STALE_PERIOD = "s-maxage=60, stale-while-revalidate=540"
Prepare = Callable[[FakeWorker], Awaitable[object]]


@dataclass(frozen=True)
class Situation:
    """What a request meets. `shows` is a reason of the story; `decides` is the one that decides it, where that is another."""

    shows: StrEnum
    outcome: Outcome
    url: str = "/a"
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    worker: Callable[[], FakeWorker] = FakeWorker
    pages: Mapping[str, Line] = field(default_factory=dict)
    prepare: Prepare | None = None
    decides: StrEnum | None = None


def built(*records: str, **changes: object) -> Callable[[], FakeWorker]:
    """A worker with a build."""
    build: Build = replace(BUILD, **changes)  # type: ignore[arg-type]
    return lambda: FakeWorker(FakeAssets(copied_build(build, *map(record, records))))


def staged(**changes: object) -> Callable[[], FakeWorker]:
    build: Build = replace(BUILD, stages=STAGES_VERSION, **changes)  # type: ignore[arg-type]
    return lambda: FakeWorker(FakeAssets(copied_build(build)), FakeStages())


def with_settings(**settings: object) -> Callable[[], FakeWorker]:
    return lambda: FakeWorker(settings=Settings(**settings))  # type: ignore[arg-type]


def asked(url: str = "/a", headers: dict[str, str] | None = None, then: Prepare | None = None) -> Prepare:
    """Somebody has asked for the page."""

    async def prepare(worker: FakeWorker) -> None:
        await worker.get(url, headers)
        if then is not None:
            await then(worker)

    return prepare


def passing(seconds: float) -> Prepare:
    async def prepare(worker: FakeWorker) -> None:
        worker.clock.pass_seconds(seconds)

    return prepare


def lookup_of(worker: FakeWorker, url: str = "/a") -> Lookup:
    found = classify(request(url), worker.site)
    assert isinstance(found, Lookup)
    return found


def stored(headers: dict[str, str | list[str]], value: object = None) -> Prepare:
    """The page's key holds a value that somebody else has written."""

    async def prepare(worker: FakeWorker) -> None:
        given = AppPageValue(html=BytesBody(b"<p>"), headers=headers, status=200) if value is None else value
        tombstone = None if value == "tombstone" else given
        await worker.cache.set(lookup_of(worker).keys[0], tombstone, SetContext(revalidate=60))  # type: ignore[arg-type]
        await worker.settle()

    return prepare


def rewritten(change: Callable[[bytes], bytes], key: str = "") -> Prepare:
    """The entry in KV is another, and not in memory."""

    async def prepare(worker: FakeWorker) -> None:
        await worker.get("/a")
        assert worker.kv is not None
        (name,) = worker.stored_pages
        found = worker.kv.stored.pop(name)
        worker.kv.stored[name.replace("/a:", f"{key}:") if key else name] = replace(found, value=change(found.value))
        assert isinstance(worker.cache.__dict__["_front"], MemoryCacheHandler)
        for each in lookup_of(worker).keys:
            worker.cache.__dict__["_front"].drop(each)

    return prepare


async def invalidated_elsewhere(worker: FakeWorker) -> None:
    other = await FakeWorker(kv=worker.kv, clock=worker.clock).open()
    worker.clock.pass_seconds(1)
    await other.store.revalidate_tags(["_N_T_/a"])
    await other.settle()
    worker.clock.pass_seconds(6)


async def store_fails(worker: FakeWorker) -> None:
    async def fail(operation: str, key: str) -> None:
        raise OSError(f"{operation} {key}")

    assert worker.kv is not None
    worker.kv.before = fail


async def time_passes_while_kv_reads(worker: FakeWorker) -> None:
    """The entry expires between the look at it and the answer."""
    await rewritten(bytes)(worker)
    calls = iter(range(100))

    async def wait(operation: str, key: str) -> None:
        del key
        if operation == "get_texts" and next(calls) == 1:
            worker.clock.pass_seconds(10_000)

    assert worker.kv is not None
    worker.kv.before = wait


async def other_selection(worker: FakeWorker) -> None:
    await worker.get("/a", {"x-lang": "1"})
    variant = lookup_of(worker).of_variant((("x-lang", "2"),), worker.site)
    headers: dict[str, str | list[str]] = {"vary": "x-lang", SELECTED_HEADER: '{"x-lang":"3"}'}
    await worker.cache.set(variant.keys[0], AppPageValue(html=BytesBody(b"3"), headers=headers), SetContext(revalidate=60))
    await worker.settle()


async def fails_for_all(worker: FakeWorker) -> None:
    await asyncio.gather(worker.ask("/a"), worker.ask("/a"))
    await worker.settle()


def once(first: FakeResponse) -> Callable[[], FakeResponse]:
    answers = iter((first,))
    return lambda: next(answers, missing())


def refused(reason: Inadmissible, answer: Line, outcome: Outcome = MISS, **more: object) -> Situation:
    """The last answer could not be kept."""
    headers = more.pop("headers", {})
    return Situation(reason, outcome, pages={"/a": answer}, prepare=asked(headers=headers), headers=headers, **more)  # type: ignore[arg-type]


PAGE = {"/a": page(cache_control=STALE_PERIOD)}
NO_SUCH_FILE = {"/__prerender/build.json": copied_build(BUILD)["/__prerender/build.json"]}
LANGUAGES = I18n(("en", "fr"), "en")
VARYING = {"/a": page(vary="X-Lang")}


class OwnHandler(MemoryCacheHandler):
    """A cache handler of a site's own, which overrides a public method."""

    async def get(self, key: str, context: object = None) -> None:
        del key, context


def own_handler() -> FakeWorker:
    worker = FakeWorker()
    worker.handler = OwnHandler(1000, worker.clock)
    return worker


def missing_file() -> FakeWorker:
    files = copied_build(BUILD, record("/a", rsc=None))
    return FakeWorker(FakeAssets({name: body for name, body in files.items() if body != b"built page"}))


def only_payload() -> FakeWorker:
    return FakeWorker(FakeAssets(copied_build(BUILD, record("/a", html=None))))


def expiring_build() -> FakeWorker:
    return FakeWorker(FakeAssets(copied_build(BUILD, record("/a", expire=100))))


async def assets_fail(worker: FakeWorker) -> None:
    worker.assets.failure = "503 from the assets"


async def invalidate(worker: FakeWorker) -> None:
    await worker.store.revalidate_tags(["_N_T_/a"])


async def make_stale(worker: FakeWorker) -> None:
    await worker.store.revalidate_tags(["_N_T_/a"], 60)


SITUATIONS = [
    Situation(Bypass.PRIVATE_FOLDER, Outcome.NOT_FOUND, "/__prerender/build.json"),
    Situation(Bypass.STATIC_FILE, Outcome.FILE, "/robots.txt", worker=built(static_files=("/robots.txt",))),
    Situation(Bypass.STATIC_FILE, Outcome.FILE, "/shop/_next/static/a.js", worker=built(static_folders=("/shop/_next/static/",))),
    Situation(Bypass.METHOD, PASSED, "/robots.txt", method="POST", worker=built(static_files=("/robots.txt",))),
    Situation(Bypass.FRAMEWORK_FILE, PASSED, "/_next/static/a.js"),
    Situation(Bypass.LONG_PATH, PASSED, f"/{'a' * 5000}"),
    Situation(Bypass.NOT_CANONICAL, PASSED, "//a"),
    Situation(Bypass.NOT_DECODABLE, PASSED, "/%zz"),
    Situation(Bypass.QUERY, PASSED, "/a?b=c", worker=with_settings(key_schema=KeySchema.V1)),
    Situation(Bypass.OUTSIDE_BASE_PATH, PASSED, worker=built(base_path="/shop")),
    Situation(Bypass.OTHER_SLASH, PASSED, "/a/"),
    Situation(Bypass.RULE, PASSED, worker=built(rules=(Rule("/", is_prefix=True, name="middleware.ts"),))),
    Situation(
        Bypass.RULE,
        Outcome.RULED,
        worker=staged(rules=(Rule("/", is_prefix=True, name="middleware.ts"),)),
        decides=Unserved.ABSENT,
    ),
    Situation(Bypass.ERROR_PAGE_DATA, PASSED, "/_next/data/build-1/404.json", worker=built(routers=("pages",))),
    Situation(Bypass.METHOD, PASSED, method="POST"),
    Situation(Bypass.DRAFT_MODE, PASSED, headers={"cookie": "__prerender_bypass=x"}),
    Situation(Bypass.LANGUAGE, PASSED, "/", {"accept-language": "fr"}, worker=built(routers=("pages",), i18n=LANGUAGES)),
    Situation(Bypass.RSC_VARIANT, PASSED, "/a.rsc", {"x-vinext-mounted-slots": "slot"}),
    Situation(Bypass.WEBSOCKET, PASSED, headers={"upgrade": "websocket"}),
    Situation(Bypass.ACTION_BY_GET, PASSED, headers={"next-action": "x"}),
    Situation(Bypass.ACTION_BY_GET, HIT, headers={"next-action": "x"}, pages=PAGE, prepare=asked(), decides=Served.FRESH),
    Situation(Bypass.UPGRADE, PASSED, headers={"upgrade": "h2c"}),
    Situation(Unlikely.DYNAMIC_IN_BUILD, MISS, worker=built(dynamic_paths=("/a",)), pages=PAGE),
    Situation(
        Unlikely.DYNAMIC,
        PASSED,
        pages={"/a": dynamic()},
        prepare=asked(headers={"cookie": "a=b"}),
        decides=Inadmissible.NO_STORE,
    ),
    Situation(Unlikely.VISITORS_ANSWER, MISS, pages={"/a": dynamic()}, prepare=asked(), decides=Inadmissible.NO_STORE),
    Situation(Unlikely.FAILED, Outcome.FAILED, pages={"/a": broken()}, prepare=fails_for_all),
    Situation(Unservable.TOMBSTONE, MISS, pages=PAGE, prepare=stored({}, "tombstone")),
    Situation(Unservable.OTHER_KIND, MISS, pages=PAGE, prepare=stored({}, AppRouteValue(BytesBody(b""), 200, {}))),
    Situation(Unservable.BAD_HEADER, MISS, pages=PAGE, prepare=stored({"a b": "c"})),
    Situation(Unservable.EXPIRED, MISS, pages=PAGE, prepare=time_passes_while_kv_reads),
    Situation(Unselected.UNSELECTABLE, PASSED, headers={"x-lang": ""}, pages=VARYING, prepare=asked(headers={"x-lang": "1"})),
    Situation(Unselected.NOT_KEPT, PASSED, headers={"cookie": "a=b"}, pages=PAGE, prepare=stored({"vary": "Cookie"})),
    Situation(Unselected.OTHER_SELECTION, PASSED, headers={"x-lang": "2"}, pages=VARYING, prepare=other_selection),
    Situation(
        Unselected.NO_PLACE,
        PASSED,
        headers={"x-lang": "2"},
        worker=with_settings(variants=1),
        pages=VARYING,
        prepare=asked(headers={"x-lang": "1"}),
    ),
    Situation(Unselected.ABSENT, MISS, headers={"x-lang": "2"}, pages=VARYING, prepare=asked(headers={"x-lang": "1"})),
    Situation(Unkept.HEAD, PASSED, method="HEAD"),
    Situation(Unkept.QUERY, PASSED, "/a?b=c"),
    Situation(Unkept.AUTHORIZATION, PASSED, headers={"authorization": "x"}),
    Situation(Unkept.RANGE, PASSED, headers={"range": "bytes=0-1"}),
    Situation(Unkept.BODY, PASSED, headers={"content-length": "4"}),
    Situation(Unkept.ROUTER_STATE, PASSED, "/a.rsc", {"next-url": "/b"}),
    refused(Inadmissible.FAILED_STATUS, broken()),
    refused(Inadmissible.STATUS, FakeResponse(201, {"cache-control": "s-maxage=60"})),
    refused(Inadmissible.REDIRECT_TO_ITSELF, FakeResponse(307, {"location": "/a", "cache-control": "s-maxage=60"})),
    refused(Inadmissible.COOKIE, page(set_cookie="a=b")),
    refused(Inadmissible.COMPRESSED, page(content_encoding="gzip")),
    refused(Inadmissible.PART, page(content_range="bytes 0-1/2")),
    refused(Inadmissible.VARIES, page(vary="Cookie")),
    refused(Inadmissible.UNSELECTABLE, page(vary="X-Lang"), headers={"x-lang": ""}),
    refused(Inadmissible.OWN_SPELLING, once(page(vary="X-Lang")), headers={"x-lang": " a  b "}),
    refused(Inadmissible.OWN_CACHE, page(x_vinext_cache="HIT")),
    refused(Inadmissible.NO_STORE, page(cache_control="no-store")),
    refused(Inadmissible.PRIVATE, page(cache_control="private")),
    refused(Inadmissible.NO_CACHE, page(cache_control="no-cache")),
    refused(Inadmissible.NO_PERIOD, page(cache_control="public")),
    refused(Inadmissible.CONTENT_TYPE, FakeResponse(200, {"cache-control": "s-maxage=60"})),
    refused(Inadmissible.BROKEN, PageError("no answer")),
    refused(Inadmissible.TOO_LARGE, replace(page(), size_bytes=10**9)),
    refused(Inadmissible.OTHER_LENGTH, page(content_length="1")),
    refused(Inadmissible.NO_DATA, page(), worker=built(routers=("pages",))),
    refused(Inadmissible.OTHER_BUILD, page(x_vinext_app_build="build-2"), worker=built()),
    refused(Inadmissible.NOT_SHARED, dynamic(), worker=staged()),
    Situation(Served.FRESH, HIT, pages=PAGE, prepare=asked()),
    Situation(Served.FRESH, HIT, worker=built("/a")),
    Situation(Served.FRESH, HIT, pages=PAGE, prepare=asked(then=passing(6))),
    Situation(Served.PERIOD_OVER, STALE, pages=PAGE, prepare=asked(then=passing(61))),
    Situation(Served.STALE_BY_TAG, STALE, pages=PAGE, prepare=asked(then=make_stale)),
    Situation(Unserved.ABSENT, MISS, pages=PAGE),
    Situation(Unserved.ABSENT, MISS, pages=PAGE, prepare=asked(then=invalidate), decides=Unserved.INVALIDATED),
    Situation(Unserved.EXPIRED, MISS, pages=PAGE, prepare=asked(then=passing(601))),
    Situation(Unserved.INVALIDATED, MISS, pages=PAGE, prepare=asked(then=invalidated_elsewhere)),
    Situation(
        Unserved.COPY_INVALIDATED, MISS, pages=PAGE, prepare=asked(then=invalidated_elsewhere), decides=Unserved.INVALIDATED
    ),
    Situation(Unserved.COPY_NOT_FRESH, STALE, pages=PAGE, prepare=asked(then=passing(61)), decides=Served.PERIOD_OVER),
    Situation(Unserved.CORRUPT, MISS, pages=PAGE, prepare=rewritten(lambda _: b"{")),
    Situation(Unserved.OTHER_KEY, MISS, "/b", pages={**PAGE, "/b": page()}, prepare=rewritten(bytes, "/b")),
    Situation(Unserved.STORE_FAILED, MISS, pages=PAGE, prepare=store_fails),
    Situation(Unserved.OWN_HANDLER, MISS, worker=own_handler, pages=PAGE),
    Situation(Unseeded.NO_BUILD, MISS, pages=PAGE, decides=Unserved.ABSENT),
    Situation(Unseeded.NOT_IN_BUILD, MISS, worker=built("/other"), pages=PAGE, decides=Unserved.ABSENT),
    Situation(Unseeded.NO_ARTIFACT, MISS, worker=only_payload, pages=PAGE),
    Situation(Unseeded.INVALIDATED, MISS, worker=built("/a"), pages=PAGE, prepare=invalidate),
    Situation(Unseeded.EXPIRED, MISS, worker=expiring_build, pages=PAGE, prepare=passing(101)),
    Situation(Unseeded.FAILED, MISS, worker=built("/a"), pages=PAGE, prepare=assets_fail),
    Situation(Unseeded.MISSING_FILE, MISS, worker=missing_file, pages=PAGE),
]


def uses(worker: FakeWorker) -> object:
    """What a read of the cache would change in memory."""
    front = worker.cache.__dict__.get("_front")
    if front is None:
        return None
    kept = {key: (one.use.uses, one.use.used_here) for key, one in front._kept.items()}
    return kept, dict(worker.cache.__dict__["_checked_ms"]), dict(worker.cache.__dict__["_back"]._markers._read)


async def told(worker: FakeWorker, given: Situation) -> Story:
    """The story of a situation, which changes nothing."""
    assert worker.kv is not None
    done = len(worker.kv.operations)
    before = uses(worker), dict(worker.kv.stored), dict(worker.flight.cells), list(worker.log.lines)
    story = await worker.why.explain(request(given.url, given.headers, given.method))
    assert (uses(worker), dict(worker.kv.stored), dict(worker.flight.cells), list(worker.log.lines)) == before
    assert not worker.background.tasks
    assert {"put", "delete"}.isdisjoint(name for name, _ in worker.kv.operations[done:])
    return story


@pytest.mark.parametrize(
    "given",
    [pytest.param(one, id=f"{code_of(one.shows)} {number}") for number, one in enumerate(SITUATIONS)],
)
async def test_the_story_of_a_request_is_what_becomes_of_it(given: Situation) -> None:
    worker = given.worker()
    worker.pages.documents.update(given.pages)
    await worker.open()
    if given.prepare is not None:
        await given.prepare(worker)
        await worker.settle()
    story = await told(worker, given)
    shown = {story.reason, *(step.reason for step in story.steps)}
    assert given.shows in shown, story.to_document()
    assert (story.outcome, story.reason) == (given.outcome, given.decides or given.shows), story.to_document()
    assert header_text(story.line).isascii()
    got = await worker.get(given.url, given.headers, given.method)
    match story.outcome:
        case Outcome.HIT | Outcome.STALE:
            assert (got.state, worker.last_answer.reason) == (story.outcome.value, story.reason)
        case Outcome.MISS:
            assert got.state == "MISS" or isinstance(story.reason, Inadmissible)
        case Outcome.PASSED_ON:
            assert (got.state, got.is_cached) == (None, False)
            assert worker.last_answer.reason in shown
        case Outcome.NOT_FOUND | Outcome.FAILED:
            assert str(got.status) == story.outcome.value


def test_each_reason_has_a_situation() -> None:
    reasons = list(chain.from_iterable(GROUPS))
    assert len({reason.value for reason in reasons}) == len(set(map(code_of, reasons))) == len(reasons)
    assert set(reasons) - {one.shows for one in SITUATIONS} == set()
    assert len(SITUATIONS) >= 40


def test_the_page_for_operators_explains_each_reason_once() -> None:
    page = (Path(__file__).parents[2] / "docs" / "why-not-a-hit.md").read_text()
    codes = re.findall(r"^\| `([a-z]+\.[a-z-]+)` \| .+ \|$", page.partition("## Every reason")[2], re.MULTILINE)
    assert codes == [code_of(reason) for reason in chain.from_iterable(GROUPS)]


@pytest.mark.parametrize("worker", [FakeWorker, staged()], ids=["as a whole", "in stages"])
async def test_the_page_handler_is_timed_for_one_request(worker: Callable[[], FakeWorker]) -> None:
    served = await worker().open()
    served.pages.documents["/a"] = page()
    seconds = iter(range(100))
    watches = [Stopwatch(lambda: next(seconds)) for _ in range(2)]
    for watch in watches:
        await served.page_cache.timed(watch).answer(request("/a"))
        await served.settle()
    missed, hit = (watch.server_timing({"route": 0.12}) for watch in watches)
    assert missed.startswith("route;dur=0.1, handler;dur=")
    assert hit == "route;dur=0.1"
    assert (await served.get("/a")).state == "HIT"


async def test_an_answer_that_is_refused_is_in_its_own_story() -> None:
    worker = await FakeWorker().open()
    worker.pages.documents |= {"/a": dynamic(), "/b": page()}
    for url, outcome in [("/a", PASSED), ("/b", MISS), ("/b?c=d", HIT)]:
        asked_for, now_ms = request(url), worker.clock()
        story = await worker.why.explain(asked_for)
        is_kept = (await worker.get(url)).state == "MISS"
        assert worker.why.answered(asked_for, story, now_ms, is_kept=is_kept).outcome is outcome


async def test_a_visitor_who_is_turned_away_after_a_failure_has_the_reason_of_the_last_answer() -> None:
    clock = FakeClock()
    worker = await FakeWorker(clock=clock).open()
    worker.pages.documents["/a"] = broken()
    asked_for = request("/a")
    await worker.get("/a")
    clock.now_ms += 1
    story = await worker.why.explain(asked_for)
    told = worker.why.answered(asked_for, story, worker.clock(), is_kept=False)
    assert (told.outcome, told.reason, told.detail) == (PASSED, Inadmissible.FAILED_STATUS, story.detail)


async def test_a_story_says_who_is_rendering_the_page_just_now() -> None:
    clock = FakeClock()
    worker = await FakeWorker(clock=clock).open()
    worker.pages.documents |= PAGE
    claim = worker.flight.claim(f"answer {lookup_of(worker).keys[0]}")
    assert claim is not None
    story = await worker.why.explain(request("/a"))
    assert "another request is rendering the page just now" in str(story.steps[-1])
    claim.release()
    await worker.get("/a")
    clock.pass_seconds(61)
    other = await FakeWorker(kv=worker.kv, clock=clock, pages=worker.pages).open()
    worker.pages.documents |= {"/a": broken()}
    await other.get("/a")  # it takes the lease, and cannot render
    story = await worker.why.explain(request("/a"))
    assert story.outcome is STALE
    assert "another isolate has the lease" in str(story.steps[-1])
