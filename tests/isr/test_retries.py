"""Several isolates, and the Durable Object that sees to it that a stale page is regenerated, once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, broken, dynamic, missing, page, payload
from tests.fakes.ports import FakeClock, FakeLog
from tests.fakes.requests import request
from tests.fakes.tag_objects import FakeTagObjects
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.due_pages import PageState, read_pages
from isr.job import Job, request_of
from isr.lookup import Lookup
from isr.settings import Settings
from pages.handler import PageError
from seed.build import Artifact

if TYPE_CHECKING:
    from tests.fakes.pages import Line

    from cache.due_pages import DuePage

TICK = record("/tick", b"built tick", b"built tick payload", revalidate=2)


@dataclass
class Site:
    """Isolates with one KV and one object, which regenerates pages by an isolate of its own."""

    clock: FakeClock = field(default_factory=FakeClock)
    pages: FakePages = field(default_factory=lambda: FakePages({"/tick": page("new")}, {"/tick": payload("new payload")}))

    def __post_init__(self) -> None:
        self.objects = FakeTagObjects(self.clock)
        self.log = FakeLog()
        self.first: FakeWorker | None = None

    async def isolate(self, build: str = "build-1", memory_bytes: int = Settings.memory_bytes) -> FakeWorker:
        assets = FakeAssets(copied_build(replace(BUILD, build_id=build), TICK))
        settings = Settings(memory_bytes=memory_bytes)
        worker = FakeWorker(assets, self.pages, self.clock, self.log, settings=settings, tag_objects=self.objects)
        if self.first is not None:
            worker.kv = self.first.kv
        await worker.open()
        self.first = self.first or worker
        return worker

    async def stale(self, count: int = 1) -> list[FakeWorker]:
        """Return isolates in which the page is stale."""
        isolates = [await self.isolate() for _ in range(count)]
        for isolate in isolates:
            assert (await isolate.get("/tick")).state == "HIT"
        self.clock.pass_seconds(2.1)
        return isolates

    async def wake(self, build: str = "build-1") -> None:
        """Do what the object's alarm does."""
        due_ms = self.objects.pages_due.due_ms
        assert due_ms is not None
        self.clock.now_ms = max(self.clock.now_ms, due_ms)
        own = await self.isolate(build, memory_bytes=0)
        for taken in self.objects.pages_due.take_up():
            self.objects.pages_due.ended(taken.key, taken.own_ms, await own.revalidator.again(taken.key, taken.job))
        await own.settle()

    @property
    def known(self) -> list[DuePage]:
        return read_pages(self.objects.pages_due.told())


async def test_a_popular_stale_page_is_rendered_once_for_twenty_isolates() -> None:
    site = Site()
    isolates = await site.stale(20)
    asked = len(site.objects.calls)
    answers = await asyncio.gather(*(isolate.ask("/tick") for isolate in isolates for _ in range(3)))
    for isolate in isolates:
        await isolate.settle()
    assert [answer.state for answer in answers] == ["STALE"] * 60
    assert [(request.path, request.rsc) for request in site.pages.rendered] == [("/tick", False), ("/tick", True)]
    calls = site.objects.calls[asked:]
    assert (calls.count("take"), calls.count("ended")) == (20, 1)
    assert site.known == []


async def test_a_hit_does_not_ask_for_leases() -> None:
    site = Site()
    (isolate,) = await site.stale()
    assert [(await isolate.get("/tick")).state for _ in range(3)] == ["STALE", "HIT", "HIT"]
    assert site.objects.calls.count("take") == site.objects.calls.count("ended") == 1


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        pytest.param(broken(), "status 500", id="status"),
        pytest.param(PageError("it did not answer"), "it did not answer", id="no answer"),
    ],
)
async def test_a_page_that_fails_is_regenerated_later_though_nobody_asks(failing: Line, error: str) -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.documents["/tick"] = failing
    await isolate.get("/tick")
    (failed,) = site.known
    assert (failed.state, failed.tries, failed.url, failed.error) == (PageState.FAILED, 1, "https://example.com/tick", error)
    await site.wake()
    assert site.known[0].tries == 2
    site.pages.documents["/tick"] = page("new")
    await site.wake()
    assert site.known == []
    site.clock.pass_seconds(0.1)
    assert (await isolate.get("/tick")).text == "new"
    assert (await isolate.get("/tick.rsc")).text == "new payload"


async def test_a_page_that_the_store_did_not_take_is_regenerated_later() -> None:
    site = Site()
    (isolate,) = await site.stale()
    assert isolate.kv is not None

    async def refuse(operation: str, key: str) -> None:
        if operation == "put":
            raise RuntimeError(f"no {operation} of {key}")

    isolate.kv.before = refuse
    assert (await isolate.get("/tick")).state == "STALE"
    assert "cache.write_failed" in site.log.names()
    assert site.known[0].error.startswith("the store did not take it: RuntimeError: no put of cache:")
    isolate.kv.before = None
    await site.wake()
    assert site.known == []
    assert (await (await site.isolate()).get("/tick")).text == "new"


async def test_a_payload_that_fails_beside_its_page_is_rendered_later() -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.documents["/tick"] = page("new", "s-maxage=3600")
    site.pages.payloads["/tick"] = broken()
    assert (await isolate.get("/tick")).state == "STALE"
    assert (await isolate.get("/tick")).text == "new"
    assert site.known[0].error == "status 500"
    site.pages.payloads["/tick"] = payload("new payload")
    await site.wake()
    assert site.known == []
    got = await (await site.isolate()).get("/tick.rsc")
    assert (got.text, got.state) == ("new payload", "HIT")


@pytest.mark.parametrize(
    "now_is",
    [
        pytest.param(missing(), id="deleted"),
        pytest.param(dynamic(), id="dynamic"),
    ],
)
async def test_a_page_that_becomes_something_else_while_it_fails_is_let_go(now_is: Line) -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.documents["/tick"] = broken()
    await isolate.get("/tick")
    site.pages.documents["/tick"] = now_is
    await site.wake()
    assert site.known == []
    assert (await (await site.isolate()).get("/tick")).state is None


async def test_why_and_the_lease_tell_of_a_failed_regeneration() -> None:
    site = Site()
    one, other = await site.stale(2)
    site.pages.documents["/tick"] = broken()
    await one.get("/tick")
    rendered = len(site.pages.rendered)
    assert (await other.get("/tick")).state == "STALE"
    assert len(site.pages.rendered) == rendered, "the object holds it back"
    steps = [step.to_document() for step in (await other.why.explain(request("/tick"))).steps]
    (step,) = [step for step in steps if step["step"] == "retry"]
    assert (step["state"], step["tries"]) == ("failed", 1)
    assert step["says"] == f"regenerating the page has failed once: status 500; it is tried again at {step['due']}"
    assert [page.tries for page in await other.lease.pages(state="failed")] == [1]
    assert await other.lease.pages(state="running") == []


async def test_a_page_whose_isolate_is_gone_is_regenerated_though_nobody_asks() -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.hold = asyncio.Event()
    assert (await isolate.ask("/tick")).state == "STALE"
    await site.pages.is_asked.wait()
    # From here on the platform has ended it: neither its timers nor its `finally` run.
    site.pages.hold = None
    await site.wake()
    assert site.known == []
    assert site.pages.rendered[-1].rsc
    assert (await (await site.isolate()).get("/tick")).text == "new"


async def test_what_was_stored_though_the_object_does_not_know_is_not_rendered_again() -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.hold = asyncio.Event()
    await isolate.ask("/tick")
    await site.pages.is_asked.wait()
    site.objects.fault = TimeoutError("VINEXT_TAGS did not answer within 1000 ms")
    site.pages.hold.set()
    await isolate.settle()
    assert "tags.unreachable" in site.log.names()
    site.objects.fault = None
    site.clock.now_ms = isolate.clock.now_ms
    rendered = len(site.pages.rendered)
    site.pages.documents["/tick"] = page("new", "s-maxage=3600")
    assert len(site.known) == 1
    await site.wake()
    assert (site.known, len(site.pages.rendered)) == ([], rendered)


async def test_a_page_of_the_build_before_is_let_go() -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.documents["/tick"] = broken()
    await isolate.get("/tick")
    rendered = len(site.pages.rendered)
    await site.wake("build-2")
    assert (site.known, len(site.pages.rendered)) == ([], rendered)


async def test_a_page_that_has_become_dynamic_is_no_failure() -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.pages.documents["/tick"] = dynamic()
    await isolate.get("/tick")
    assert site.known == []


async def test_without_the_objects_answer_everything_goes_on() -> None:
    site = Site()
    (isolate,) = await site.stale()
    site.objects.fault = TimeoutError("VINEXT_TAGS did not answer within 1000 ms")
    assert [(await isolate.get("/tick")).state for _ in range(2)] == ["STALE", "HIT"]
    assert "tags.unreachable" in site.log.names()


async def test_what_is_kept_of_a_page_is_enough_to_ask_for_it_again() -> None:
    build = (await Site().isolate()).site
    page_of = Lookup.of("/a b", "/docs/a b/", build, Artifact.HTML, Artifact.ROUTE)
    for wanted in (
        Job("https://shop.example:8443", page_of),
        Job("https://shop.example", page_of.of_variant((("accept-language", "de"),), build), '{"how": "é"}'),
    ):
        text = wanted.to_text()
        assert Job.read(text, build) == wanted
        assert request_of(text).host == "shop.example"
    assert not Job("https://shop.example", page_of, "x" * 10_000).to_text()
