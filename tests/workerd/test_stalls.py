"""Bodies that begin and never go on: they are given up with one line, and hold nothing up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workerd.patience import eventually
from tests.workerd.stubs import PagesStub, events, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.project import Project

IDLE_MS = 800
"""Shorter than a body that comes slowly takes in all, and much longer than the pause between its parts."""


@pytest.fixture(scope="module")
def runtime(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": pages_service()},
        assets_directory=tmp_path_factory.mktemp("no-assets"),
        variables={"VINEXT_BODY_TIMEOUT_MS": str(IDLE_MS)},
    )
    with LocalRuntime(options) as started:
        yield started


@pytest.fixture
def visitor(runtime: LocalRuntime) -> Visitor:
    return Visitor(runtime.urls[0])


@pytest.fixture
def pages(runtime: LocalRuntime) -> PagesStub:
    return PagesStub(runtime)


def reasons(runtime: LocalRuntime, path: str) -> list[str]:
    found = events(runtime, "page.not_stored")
    return [str(event["reason"]) for event in found if event["path"] == path and "stalled" in event["reason"]]


def kept(seconds: int, **plan: str) -> dict[str, object]:
    return {"headers": {"Cache-Control": f"s-maxage={seconds}, stale-while-revalidate=3600"}, **plan}


def test_a_stale_page_whose_new_body_stalls_is_made_again_as_soon_as_it_can_be(
    runtime: LocalRuntime, visitor: Visitor, pages: PagesStub
) -> None:
    pages.plan(stale=kept(1))
    visitor.ask("/stale")
    eventually(lambda: visitor.ask("/stale"), lambda answer: answer.state == "HIT")
    pages.plan(stale=kept(1, fault="stall"))
    eventually(lambda: visitor.ask("/stale"), lambda answer: answer.state == "STALE")
    given_up = eventually(lambda: reasons(runtime, "/stale"))
    assert f"nothing came for {IDLE_MS} ms" in given_up[0]
    assert visitor.ask("/stale").state == "STALE"
    pages.plan(stale=kept(600))
    eventually(lambda: visitor.ask("/stale"), lambda answer: answer.state == "HIT")


def test_a_page_whose_body_stalls_on_its_way_to_a_visitor_does_not_hold_up_the_next(
    runtime: LocalRuntime, visitor: Visitor, pages: PagesStub
) -> None:
    pages.plan(new=kept(600, fault="stall"))
    visitor.leave("/new")
    eventually(lambda: reasons(runtime, "/new"))
    pages.plan(new=kept(600))
    eventually(lambda: visitor.ask("/new"), lambda answer: answer.state == "HIT")


def test_a_body_that_comes_slowly_is_stored(runtime: LocalRuntime, visitor: Visitor, pages: PagesStub) -> None:
    pages.plan(slow=kept(600, fault="trickle"))
    whole = visitor.ask("/slow")
    assert whole.state == "MISS"
    eventually(lambda: visitor.ask("/slow"), lambda answer: (answer.state, answer.body) == ("HIT", whole.body))
    assert not reasons(runtime, "/slow")
