"""Many visitors at once: a page is made once for all of them, and nobody gets what was invalidated before they asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually
from tests.workerd.stubs import PagesStub, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workerd.visitor import Answer

    from vinext_worker.project import Project

TOGETHER = 50
INVALIDATE = "/invalidate"

_numbers = count(1)


@dataclass(frozen=True)
class TwoIsolates:
    runtime: LocalRuntime
    first: Visitor
    second: Visitor
    pages: PagesStub

    def serve(self, seconds: int) -> str:
        """A page that nobody has asked for, with a period and a tag of its own, which INVALIDATE invalidates. Return its path."""
        number = next(_numbers)
        path, tag = f"/page-{number}", f"tag-{number}"
        policy = {"Cache-Control": f"s-maxage={seconds}, stale-while-revalidate=3600", "X-Vinext-Cache-Tags": tag}
        invalidating = {"Cache-Control": "no-store", "X-Vinext-Revalidated-Tags": tag}
        self.pages.plan_for({path: {"headers": policy}, INVALIDATE: {"headers": invalidating}})
        return path

    def documents(self, path: str) -> int:
        """How often the page was made."""
        return len(self.pages.requests(path, rsc=False))


@pytest.fixture(scope="module")
def isolates(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoIsolates]:
    build = SmallBuild(tmp_path_factory.mktemp("build"))
    build.copy()
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": pages_service()},
        assets_directory=build.folder / "assets",
        variables={"VINEXT_TAG_CACHE_MS": "0"},
        isolates=2,
    )
    with LocalRuntime(options) as runtime:
        yield TwoIsolates(runtime, Visitor(runtime.urls[0]), Visitor(runtime.urls[1]), PagesStub(runtime))


def kept(visitor: Visitor, path: str) -> Answer:
    """The page from cache, with its payload there too."""
    visitor.ask(path)
    eventually(lambda: visitor.ask(f"{path}.rsc"), lambda answer: answer.state == "HIT")
    return eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")


def test_a_page_that_was_invalidated_is_made_once_for_all_who_ask_next(isolates: TwoIsolates) -> None:
    path = isolates.serve(3600)
    before = kept(isolates.first, path)
    assert isolates.first.ask(INVALIDATE).status == 200
    isolates.pages.hold(path)
    answers = isolates.first.ask_together([path] * TOGETHER, isolates.pages.hold)
    assert isolates.documents(path) == 2
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert before.body not in {answer.body for answer in answers}


@pytest.mark.parametrize("plan", [{"status": 500, "body": "no"}, {"fault": "throw"}], ids=["a 500", "it throws"])
def test_a_page_that_fails_is_not_made_for_each_of_those_who_wait(isolates: TwoIsolates, plan: dict[str, object]) -> None:
    path = isolates.serve(3600)
    isolates.pages.plan_for({path: plan})
    isolates.pages.hold(path)
    answers = isolates.first.ask_together([path] * TOGETHER, isolates.pages.hold)
    assert {answer.status for answer in answers} == {500}
    # One for a visitor and one for everybody, and the same again if some visitors came late.
    assert isolates.documents(path) <= 6
    isolates.pages.plan_for({path: {"headers": {"Cache-Control": "s-maxage=3600"}}})
    eventually(lambda: isolates.first.ask(path), lambda answer: answer.state == "HIT")


def test_a_dynamic_page_is_made_once_more_than_its_visitors_with_cookies_ask(isolates: TwoIsolates) -> None:
    path = isolates.serve(3600)
    isolates.pages.plan_for({path: {"headers": {"Cache-Control": "private, no-store"}}})
    assert {isolates.first.ask(path, headers={"Cookie": "user=ann"}).state for _ in range(10)} == {None}
    assert isolates.documents(path) in {10, 11}  # the other one comes behind the answer
    path = isolates.serve(3600)
    isolates.pages.plan_for({path: {"headers": {"Cache-Control": "private, no-store"}}})
    assert {isolates.first.ask(path).state for _ in range(10)} == {None}
    assert isolates.documents(path) == 10


def test_a_page_that_is_invalidated_while_it_is_made_is_made_again_and_no_more_than_once(isolates: TwoIsolates) -> None:
    path = isolates.serve(3600)
    isolates.pages.hold(path)

    def invalidate_and_let_go() -> None:
        # The first is being made, from what was true until now.
        eventually(lambda: isolates.documents(path) == 1)
        assert isolates.first.ask(INVALIDATE).status == 200
        isolates.pages.hold()

    asked_before = isolates.first.ask_together([path] * TOGETHER, invalidate_and_let_go)
    assert {answer.status for answer in asked_before} == {200}
    assert isolates.documents(path) <= 2
    # The stub numbers what it makes: the first was made from what was true before.
    first = min((answer.text for answer in asked_before), key=lambda text: int(text.split()[1]))
    after = eventually(lambda: isolates.first.ask(path), lambda answer: answer.state == "HIT")
    assert after.text != first
    assert isolates.documents(path) == 2


def test_nobody_who_asks_after_an_invalidation_gets_what_was_there_before(isolates: TwoIsolates) -> None:
    path = isolates.serve(3600)
    for _ in range(10):
        before = kept(isolates.first, path)
        with ThreadPoolExecutor(TOGETHER) as threads:
            # Some of these come before the invalidation, and some after it.
            meanwhile = [threads.submit(isolates.first.ask, path) for _ in range(TOGETHER)]
            assert isolates.first.ask(INVALIDATE).status == 200
            after = [threads.submit(isolates.first.ask, path) for _ in range(TOGETHER)]
            assert {each.result().status for each in [*meanwhile, *after]} == {200}
            assert before.body not in {each.result().body for each in after}


def test_a_stale_page_is_made_again_by_one_isolate_while_the_other_goes_on_with_it(isolates: TwoIsolates) -> None:
    path = isolates.serve(1)
    isolates.first.ask(path)
    for visitor in (isolates.first, isolates.second):
        # Each takes the lease for what the other made, and the other sees that. Before, both may have made a page that one made.
        eventually(lambda visitor=visitor: visitor.ask(path), lambda answer: answer.state == "STALE")  # type: ignore[misc]
        eventually(lambda visitor=visitor: visitor.ask(path), lambda answer: answer.state == "HIT")  # type: ignore[misc]
    isolates.pages.hold(path)
    try:
        made = isolates.documents(path)
        stale = eventually(lambda: isolates.first.ask(path), lambda answer: answer.state == "STALE")
        # The lease is taken before the page is asked for.
        eventually(lambda: isolates.documents(path) > made)
        for _ in range(20):
            assert isolates.second.ask(path).state == "STALE"
        isolates.second.ask_together([path] * TOGETHER, lambda: None)
        assert isolates.documents(path) == made + 1
    finally:
        isolates.pages.hold()
    for visitor in (isolates.first, isolates.second):
        eventually(lambda visitor=visitor: visitor.ask(path), lambda answer: answer.body != stale.body)  # type: ignore[misc]


def test_a_stale_page_that_is_asked_for_in_two_isolates_at_once_is_made_at_most_once_in_each(isolates: TwoIsolates) -> None:
    path = isolates.serve(1)
    for visitor in (isolates.first, isolates.second):
        eventually(lambda visitor=visitor: visitor.ask(path), lambda answer: answer.state == "STALE")  # type: ignore[misc]
    eventually(lambda: isolates.first.ask(path), lambda answer: answer.state == "HIT")
    isolates.pages.hold(path)
    try:
        eventually(lambda: isolates.first.ask(path), lambda answer: answer.state == "STALE")
        made = isolates.documents(path) - 1
        with ThreadPoolExecutor(TOGETHER) as threads:
            visitors = [isolates.first, isolates.second] * (TOGETHER // 2)
            assert {answer.status for answer in threads.map(lambda visitor: visitor.ask(path), visitors)} == {200}
        assert isolates.documents(path) <= made + 2
    finally:
        isolates.pages.hold()


def test_without_leases_stale_pages_are_still_made_again(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": pages_service()},
        assets_directory=tmp_path_factory.mktemp("no-assets"),
        faults=True,
    )
    with LocalRuntime(options) as runtime:
        visitor, pages = Visitor(runtime.url), PagesStub(runtime)
        pages.plan_for({"/page": {"headers": {"Cache-Control": "s-maxage=1, stale-while-revalidate=3600"}}})
        first = kept(visitor, "/page")
        runtime.fail("VINEXT_CACHE", "put")
        eventually(lambda: visitor.ask("/page"), lambda answer: answer.body != first.body)
