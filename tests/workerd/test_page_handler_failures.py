"""What the Worker answers while the page handler fails. The tests share one isolate, so each has pages of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from tests.workerd.worker_pool import ColdWorker, WorkerPool

KEPT = {"headers": {"Cache-Control": "s-maxage=600"}}

_numbers = count()


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    """A build with pages that are stale a second after it was made."""
    small = SmallBuild(tmp_path_factory.mktemp("small"))
    for number in range(10):
        small.page(f"/old-{number}", revalidate=1, expire=3600)
    return small


@pytest.fixture(scope="module")
def worker(kv_pool: WorkerPool, build: SmallBuild) -> ColdWorker:
    taken = kv_pool.take()
    taken.assets.fill(build.copy())
    return taken


@pytest.fixture
def old() -> str:
    """A page of the build that no other test has asked for."""
    return f"/old-{next(_numbers)}"


@pytest.fixture
def new() -> str:
    """A page that neither the build nor another test knows."""
    return f"/new-page-{next(_numbers)}"


def logged(worker: ColdWorker, path: str, *names: str) -> list[dict[str, object]]:
    return [event for name in names for event in worker.events(name) if event["path"] == path]


@pytest.mark.parametrize(
    ("plan", "status"),
    [
        pytest.param({"fault": "throw"}, 500, id="it throws"),
        pytest.param({"status": 500, "body": "no"}, 500, id="a 500"),
        pytest.param({**KEPT, "status": 503, "body": "later"}, 503, id="a 503 with a period"),
    ],
)
def test_the_page_handler_s_failure_is_passed_on_and_not_kept(
    worker: ColdWorker, build: SmallBuild, new: str, plan: dict[str, object], status: int
) -> None:
    worker.pages.plan_for({new: plan})
    for _ in range(2):
        answer = worker.visitor.ask(new)
        assert (answer.status, answer.state) == (status, None)
        if "body" in plan:
            assert answer.text == plan["body"]
    assert not worker.runtime.kv().names(f"cache:app:v2:{build.build_id}:{new}")
    if "fault" in plan:
        eventually(lambda: logged(worker, new, "page.failed"))
    assert len(logged(worker, new, "page.failed")) == (1 if "fault" in plan else 0)
    worker.pages.plan_for({"*": KEPT})
    eventually(lambda: worker.visitor.ask(new), lambda answer: answer.state == "HIT")


def test_a_page_that_breaks_off_is_not_kept(worker: ColdWorker, build: SmallBuild, new: str) -> None:
    worker.pages.plan_for({new: {**KEPT, "fault": "break"}})
    broken = worker.visitor.ask_raw(new)
    assert f"of {new}".encode() in broken
    assert not broken.endswith(b"0\r\n\r\n")
    eventually(lambda: logged(worker, new, "page.not_stored"))
    assert not worker.runtime.kv().names(f"cache:app:v2:{build.build_id}:{new}")
    worker.pages.plan_for({"*": KEPT})
    eventually(lambda: worker.visitor.ask(new), lambda answer: answer.state == "HIT")


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param({"fault": "throw"}, id="it throws"),
        pytest.param({"status": 500}, id="a 500"),
        pytest.param({**KEPT, "fault": "break"}, id="it breaks off"),
    ],
)
def test_a_stale_page_stays_while_it_cannot_be_made_again(worker: ColdWorker, old: str, plan: dict[str, object]) -> None:
    worker.pages.plan_for({old: plan})
    stale = eventually(lambda: worker.visitor.ask(old), lambda answer: answer.state == "STALE")
    assert stale.text == f"built {old}"
    eventually(lambda: logged(worker, old, "page.not_made", "page.not_stored"))
    again = worker.visitor.ask(old)
    assert (again.status, again.state, again.body) == (200, "STALE", stale.body)
    worker.pages.plan_for({"*": KEPT})
    hit = eventually(lambda: worker.visitor.ask(old), lambda answer: answer.state == "HIT")
    assert hit.text.startswith("page ")


def test_a_stale_page_that_is_no_longer_for_the_cache_goes(worker: ColdWorker, old: str) -> None:
    worker.pages.plan_for({old: {"headers": {"Cache-Control": "private"}}})
    eventually(lambda: worker.visitor.ask(old), lambda answer: answer.state == "STALE")
    gone = eventually(lambda: worker.visitor.ask(old), lambda answer: answer.state is None)
    assert gone.text.startswith("page ")
