"""Many first requests at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.workerd.builds import SmallBuild
from tests.workerd.stubs import FORBIDDEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workerd.worker_pool import ColdWorker

ROUTES = 40
REQUESTS = 200


def test_200_first_requests_to_40_routes_are_hits_and_share_what_they_fetch(either_worker: ColdWorker, tmp_path: Path) -> None:
    build = SmallBuild(tmp_path)
    paths = [f"/page-{number}" for number in range(ROUTES)]
    for path in paths:
        build.page(path)
    either_worker.assets.fill(build.copy())
    either_worker.pages.plan_for(FORBIDDEN)
    either_worker.assets.hold(held=True)
    asked = [paths[number % ROUTES] for number in range(REQUESTS)]
    answers = either_worker.visitor.ask_together(asked, lambda: either_worker.assets.hold(held=False))
    assert {(answer.status, answer.state) for answer in answers} == {(200, "HIT")}
    assert [answer.text for answer in answers] == [f"built {path}" for path in asked]
    counts = either_worker.assets.counts()
    packs = {path: times for path, times in counts.items() if "/packs/" in path}
    assert sum(packs.values()) < ROUTES, packs
    assert counts["/__prerender/build.json"] == 1
    shards = {path: times for path, times in counts.items() if "/index/" in path}
    assert set(shards.values()) == {1}, shards
    assert either_worker.pages.requests() == []
    payloads = either_worker.visitor.ask_together([f"{path}.rsc" for path in paths], lambda: None)
    assert [(each.state, each.text) for each in payloads] == [("HIT", f"built payload {path}") for path in paths]


def test_many_first_requests_to_a_page_nobody_has_are_one_render(either_worker: ColdWorker) -> None:
    either_worker.pages.plan_for({"*": {"headers": {"Cache-Control": "s-maxage=600"}}})
    either_worker.pages.hold("/new")
    answers = either_worker.visitor.ask_together(["/new"] * REQUESTS, either_worker.pages.hold)
    assert {answer.status for answer in answers} == {200}
    assert [answer.state for answer in answers].count("MISS") == 1
    assert len({answer.body for answer in answers}) == 1
    assert len(either_worker.pages.requests("/new", rsc=False)) == 1


def test_many_requests_to_a_page_that_may_not_be_kept_do_not_wait_for_each_other_in_turn(either_worker: ColdWorker) -> None:
    either_worker.pages.plan_for({"*": {"headers": {"Cache-Control": "no-store"}}})
    either_worker.pages.hold("/private")
    answers = either_worker.visitor.ask_together(["/private"] * REQUESTS, either_worker.pages.hold)
    assert {(answer.status, answer.state) for answer in answers} == {(200, None)}
    assert len({answer.body for answer in answers}) == REQUESTS
