"""Pages that are in no cache: what one visitor gets does not decide what others get, and nothing is rendered for nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, FakeResponse, broken, dynamic, missing, page, payload
from tests.fakes.stages import FakeStages
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from pages.handler import PageError
from pages.stages import StagedAnswer
from seed.build import Artifact
from seed.rules import STAGES_VERSION, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.pages import Line
    from tests.fakes.worker import Got

    from pages.request import PageRequest, RenderRequest
    from pages.stages import Step

BOT = {"User-Agent": "bot"}
COOKIE = {"Cookie": "session=abc"}
FORBIDDEN = FakeResponse(403, {"content-type": "text/html", "cache-control": "no-store"}, b"no bots")


def is_bot(request: PageRequest) -> bool:
    return request.headers.get("user-agent") == "bot"


class PickyPages(FakePages):
    """Pages that one user agent gets otherwise: as `for_bots`."""

    for_bots: FakeResponse | PageError = FORBIDDEN

    async def answer(self, request: PageRequest) -> FakeResponse:
        made = await super().answer(request)
        if not is_bot(request):
            return made
        if isinstance(self.for_bots, PageError):
            raise self.for_bots
        return self.for_bots


class PickyStages(FakeStages):
    """The same in stages; it is the response stage that refuses."""

    for_bots: FakeResponse = FORBIDDEN

    async def serve(self, request: PageRequest, offer: str) -> Step:
        return self._picky(request, await super().serve(request, offer))

    def _picky(self, request: PageRequest, step: Step) -> Step:
        if not isinstance(step, StagedAnswer):
            resume = step.resume

            async def resumed(offer: str) -> Step:
                return self._picky(request, await resume(offer))

            return replace(step, resume=resumed)
        return step if step.is_hit or not is_bot(request) else replace(step, response=self.for_bots, admitted=nothing)


async def nothing() -> None:
    return None


RULED = Rule("/ruled", is_prefix=True, name="middleware.ts: /ruled/:path*")


async def opened(kind: str, document: Line, **fields: object) -> tuple[FakeWorker, str]:
    """Return a worker, and the path of a page that neither its cache nor its build has."""
    path = "/ruled/new" if kind == "ruled" else "/new"
    made = PickyPages if kind == "alone" else PickyStages
    pages = made({path: document}, {path: payload()}, **fields)  # type: ignore[arg-type]
    build = BUILD if kind == "alone" else replace(BUILD, rules=(RULED,), stages=STAGES_VERSION)
    return await FakeWorker(FakeAssets(copied_build(build, record("/about"))), pages).open(), path


def renders(served: FakeWorker) -> int:
    """How often the page was made, for a visitor or for everybody."""
    pages = served.pages
    return len(pages.stage_rendered) if isinstance(pages, FakeStages) else pages.documents_made


async def together(served: FakeWorker, path: str, count: int, first: Mapping[str, str] | None = None) -> list[Got]:
    """Let the page be made for a first visitor only when the others wait for it."""
    served.pages.hold = asyncio.Event()
    visits = [asyncio.create_task(served.ask(path, dict(first or {})))]
    await served.pages.is_asked.wait()
    visits += [asyncio.create_task(served.ask(path)) for _ in range(count - 1)]
    for _ in range(50):
        await asyncio.sleep(0)
    served.pages.hold.set()
    got = await asyncio.gather(*visits)
    await served.settle()
    return got


KINDS = ["alone", "in stages", "ruled"]
in_each_kind = pytest.mark.parametrize("kind", KINDS)


# One visitor and the others


@in_each_kind
async def test_a_visitor_who_is_refused_again_and_again_keeps_nobody_from_the_cache(kind: str) -> None:
    served, path = await opened(kind, page("for all"))
    assert (await served.get(path, BOT)).status == 403
    states: Counter[str | None] = Counter()
    for _ in range(240):
        await served.get(path, BOT)
        states[(await served.get(path)).state] += 1
        served.clock.pass_seconds(0.1)
    assert states == {"MISS": 1, "HIT": 239}


@in_each_kind
async def test_visitors_with_cookies_are_not_kept_from_the_cache_either(kind: str) -> None:
    """The app answers everybody with a cookie for that visitor alone."""
    served, path = await opened(kind, page("for all"), **({} if kind == "alone" else {"is_wary": True}))
    for _ in range(3):
        await served.get(path, BOT)
    await served.get(path, COOKIE)
    await served.get(path, BOT)
    assert (await served.get(path, COOKIE)).state == "HIT"


@in_each_kind
async def test_those_who_wait_for_a_visitor_that_is_refused_get_the_page_that_everybody_gets(kind: str) -> None:
    served, path = await opened(kind, page("for all"))
    bot, *got = await together(served, path, 51, BOT)
    assert bot.status == 403
    assert Counter((one.status, one.state) for one in got) == {(200, "HIT"): 50}
    assert renders(served) == 2


async def test_what_another_host_makes_of_a_page_says_nothing_of_it() -> None:
    served, _ = await opened("alone", dynamic())
    await served.get("https://evil.example/new", COOKIE)
    served.pages.documents["/new"] = page("for all")
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]


# Failures


@in_each_kind
@pytest.mark.parametrize("failure", [broken(), broken(503), PageError("no answer")], ids=["500", "503", "no answer"])
async def test_three_hundred_visitors_of_a_page_that_fails_are_not_three_hundred_renders(
    kind: str, failure: FakeResponse | PageError
) -> None:
    if kind != "alone" and isinstance(failure, PageError):
        pytest.skip("an app in stages that fails altogether is asked as a whole")
    served, path = await opened(kind, failure)
    got = await together(served, path, 300)
    assert all(one.status >= 500 for one in got)
    assert renders(served) == 2
    assert (await served.ask(path)).status == 500
    assert renders(served) == 2
    served.pages.documents[path] = page("mended")
    served.clock.pass_seconds(1.1)
    assert [(await served.get(path)).state for _ in range(2)] == ["MISS", "HIT"]


@in_each_kind
async def test_a_failure_of_one_visitor_s_alone_costs_the_others_nothing(kind: str) -> None:
    served, path = await opened(kind, page("for all"))
    served.pages.for_bots = broken()  # type: ignore[attr-defined]
    bot, *got = await together(served, path, 51, BOT)
    assert bot.status == 500
    assert Counter((one.status, one.state) for one in got) == {(200, "HIT"): 50}


async def test_a_visitor_with_credentials_is_asked_for_where_everybody_s_page_has_failed() -> None:
    served, _ = await opened("alone", broken())
    got = await together(served, "/new", 3)
    assert [one.text for one in got] == ["error", "", ""]
    assert (await served.get("/new", COOKIE)).text == "error"


@in_each_kind
async def test_a_failure_that_nobody_else_waits_for_is_not_tried_again(kind: str) -> None:
    served, path = await opened(kind, broken())
    for times in range(1, 4):
        assert (await served.get(path)).text == "error"
        assert renders(served) == times


async def test_nobody_waits_twice_for_a_page_that_takes_long() -> None:
    served, _ = await opened("alone", page("for all"))
    served.flight.wait_seconds = 0.01
    claim = served.flight.claim("answer " + served.store.key("/new", Artifact.HTML))
    assert claim is not None
    claim.go_on()
    got = await asyncio.gather(*(served.ask("/new") for _ in range(3)))
    assert [one.text for one in got] == ["for all"] * 3
    assert len(served.pages.answered) == 3
    claim.release()


class WaryOfStrangers(FakePages):
    """Pages that fail where a request has no user agent."""

    async def render(self, request: RenderRequest) -> FakeResponse:
        self.rendered.append(request)
        return broken()


async def test_a_page_that_fails_for_nobody_but_the_cache_costs_no_visitor_anything() -> None:
    served = await FakeWorker(pages=WaryOfStrangers({"/new": dynamic()}, {"/new": payload()})).open()
    # The client's router asks for a part of the payload. The page itself is rendered beside it, and fails.
    await served.get("/new?_rsc=a", {"RSC": "1", "Next-Router-State-Tree": "x"})
    assert (await served.get("/new")).text == "dynamic"
    for _ in range(3):
        assert (await served.get("/new", COOKIE)).text == "dynamic"
        assert (await served.get("/new")).text == "dynamic"
    got = await together(served, "/new", 10, COOKIE)
    assert {one.text for one in got} == {"dynamic"}
    assert {request.path for request in served.pages.rendered} == {"/new"}


# Dynamic pages


@in_each_kind
async def test_a_dynamic_page_is_made_once_for_each_visitor_without_cookies(kind: str) -> None:
    served, path = await opened(kind, dynamic())
    for _ in range(100):
        assert (await served.get(path)).text == "dynamic"
        served.clock.pass_seconds(1)
    assert renders(served) == 100


@in_each_kind
async def test_a_dynamic_page_is_made_once_more_for_visitors_with_cookies_and_then_no_more_for_minutes(kind: str) -> None:
    served, path = await opened(kind, dynamic())
    for _ in range(100):
        assert (await served.get(path, COOKIE)).text == "dynamic"
        served.clock.pass_seconds(2)
    assert renders(served) == 101
    served.clock.pass_seconds(100)
    await served.get(path, COOKIE)
    assert renders(served) == 103


@pytest.mark.parametrize("headers", [{}, COOKIE], ids=["a stranger", "a visitor with a cookie"])
async def test_a_page_that_the_build_calls_dynamic_is_never_rendered_beside(headers: dict[str, str]) -> None:
    build = replace(BUILD, dynamic_paths=("/dash",))
    served = await FakeWorker(FakeAssets(copied_build(build)), FakePages({"/dash": dynamic()})).open()
    for _ in range(20):
        await served.get("/dash", headers)
        served.clock.pass_seconds(20)
    assert (len(served.pages.answered), served.pages.rendered) == (20, [])


@in_each_kind
async def test_visitors_of_a_dynamic_page_at_the_same_time_each_get_their_own(kind: str) -> None:
    numbers = iter(range(1000))
    served, path = await opened(kind, lambda: dynamic(str(next(numbers))))
    got = await together(served, path, 50)
    assert len({one.text for one in got}) == 50
    # The render that tells those who wait that they need not.
    assert renders(served) == 51
    assert [(await served.ask(path)).state for _ in range(3)] == [None] * 3
    assert renders(served) == 54


async def test_what_is_missing_is_looked_for_again_soon() -> None:
    served, _ = await opened("alone", missing())
    await served.get("/new", COOKIE)
    assert len(served.pages.rendered) == 1
    served.pages.documents["/new"] = page("written meanwhile")
    served.clock.pass_seconds(11)
    assert [(await served.get("/new", COOKIE)).state for _ in range(2)] == ["MISS", "HIT"]


async def test_a_page_that_becomes_dynamic_may_soon_be_stored_again() -> None:
    served, _ = await opened("alone", page("for all", "s-maxage=1, stale-while-revalidate"))
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]
    served.pages.documents["/new"] = dynamic()
    served.clock.pass_seconds(1.1)
    assert [(await served.get("/new")).state for _ in range(2)] == ["STALE", None]
    served.pages.documents["/new"] = page("for all again")
    served.clock.pass_seconds(11)
    assert [(await served.get("/new")).state for _ in range(2)] == ["MISS", "HIT"]


async def test_many_who_are_not_waited_for_store_a_page_once() -> None:
    build = replace(BUILD, dynamic_paths=("/dash",))
    served = await FakeWorker(FakeAssets(copied_build(build)), FakePages({"/dash": page("for all", vary="")})).open()
    got = await asyncio.gather(*(served.ask("/dash") for _ in range(20)))
    await served.settle()
    assert {one.state for one in got} == {"MISS"}
    assert served.kv is not None
    assert [key for name, key in served.kv.operations if name == "put" and "/dash" in key] == [served.stored_pages[0]]
