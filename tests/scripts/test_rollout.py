"""Steps to new versions, and back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from vinext_worker.cloudflare.versions import Served, Uploaded, overrides
from vinext_worker.deploy.live import LiveError
from vinext_worker.deploy.rollout import Change, Rollout
from vinext_worker.errors import UserError
from vinext_worker.versions.pair import Pair, way_back

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHANGES = (Change("pages", "p1", "p2", has_steps=False), Change("front", "f1", "f2"))


@dataclass
class FakeServing:
    """Keeps what is asked, and refuses for the Workers in `refuses`."""

    refuses: set[str] = field(default_factory=set)
    asked: list[tuple[str, dict[str, float]]] = field(default_factory=list)

    def serve(self, worker: str, shares: Mapping[str, float], message: str) -> None:
        assert len(message) <= 100
        assert sum(shares.values()) == 100
        if worker in self.refuses:
            raise UserError("refused")
        self.asked.append((worker, dict(shares)))

    def now(self) -> dict[str, dict[str, float]]:
        return dict(self.asked)


def rollout(serving: FakeServing, check: Callable[[int], None], wait: Callable[[], None] = lambda: None) -> Rollout:
    return Rollout(CHANGES, (50, 10), serving, check, wait, lambda _: None)


def test_the_page_handler_reaches_all_visitors_before_the_worker_reaches_one() -> None:
    serving = FakeServing()
    seen: list[dict[str, dict[str, float]]] = []
    begun: list[int] = []

    def check(number: int) -> None:
        seen.append(serving.now())
        begun.append(number)

    rollout(serving, check).run()
    assert serving.asked == [
        ("pages", {"p1": 100, "p2": 0}),
        ("front", {"f1": 100, "f2": 0}),
        ("pages", {"p2": 100}),
        ("front", {"f1": 90, "f2": 10}),
        ("front", {"f1": 50, "f2": 50}),
        ("front", {"f2": 100}),
    ]
    # Before any visitor, and after each step; a new Worker never meets an old page handler.
    assert begun == [0, 1, 2, 2, 2]
    assert all(now["pages"] == {"p2": 100} for now in seen if now["front"].get("f2"))


def test_a_page_handler_behind_a_worker_that_is_new_takes_no_steps_either() -> None:
    serving = FakeServing()
    replace(rollout(serving, lambda _: None), changes=CHANGES[:1]).run()
    assert serving.asked == [("pages", {"p1": 100, "p2": 0}), ("pages", {"p2": 100})]


@pytest.mark.parametrize("good", range(5))
def test_a_red_check_takes_everything_back_the_worker_first(good: int) -> None:
    serving = FakeServing()
    checks = iter([True] * good)

    def check(_begun: int) -> None:
        if not next(checks, False):
            raise UserError("3 of 10 pages are wrong")

    with pytest.raises(UserError, match=r"^3 of 10 pages are wrong; all visitors have the versions from before again$"):
        rollout(serving, check).run()
    assert serving.asked[-2:] == [("front", {"f1": 100}), ("pages", {"p1": 100})]


def test_an_interruption_takes_everything_back() -> None:
    serving = FakeServing()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(UserError, match="it was interrupted; all visitors have the versions from before again"):
        rollout(serving, lambda _: None, interrupted).run()
    assert serving.now() == {"front": {"f1": 100}, "pages": {"p1": 100}}


def test_an_error_that_nobody_expects_takes_everything_back_too() -> None:
    serving, said = FakeServing(), list[str]()

    def check(begun: int) -> None:
        if begun == 2:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Rollout(CHANGES, (50,), serving, check, lambda: None, said.append).run()
    assert serving.now() == {"front": {"f1": 100}, "pages": {"p1": 100}}
    assert said[-1] == "all visitors have the versions from before again"


def test_a_second_interruption_does_not_leave_the_rest_as_it_is() -> None:
    class Interrupted(FakeServing):
        def serve(self, worker: str, shares: Mapping[str, float], message: str) -> None:
            if shares == {"f1": 100}:
                raise KeyboardInterrupt
            super().serve(worker, shares, message)

    serving = Interrupted()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(LiveError, match=r"it was interrupted; front could not be taken back \(it was interrupted\)"):
        rollout(serving, lambda _: None, interrupted).run()
    assert serving.now()["pages"] == {"p1": 100}


def test_what_could_not_be_taken_back_is_said() -> None:
    serving = FakeServing()

    def check(_begun: int) -> None:
        serving.refuses.add("front")
        raise UserError("wrong")

    with pytest.raises(
        UserError, match=r"wrong; front could not be taken back \(refused\); run `npx wrangler rollback f1 --name front`"
    ):
        rollout(serving, check).run()
    assert serving.now()["pages"] == {"p1": 100}


def test_the_header_names_each_workers_version() -> None:
    assert overrides({"front": "f2", "pages": "p2"}) == {"Cloudflare-Workers-Version-Overrides": 'front="f2", pages="p2"'}


def test_a_name_that_the_header_cannot_carry_is_refused() -> None:
    with pytest.raises(UserError, match="the Worker's name '2shop' must begin with a letter"):
        overrides({"2shop": "f2"})


def test_a_versions_address_tells_the_workers() -> None:
    assert Uploaded("x", "https://0a1b2c3d-front.example.workers.dev").live_url == "https://front.example.workers.dev"
    assert Uploaded("x").live_url is None


def served(*deployments: tuple[int, Mapping[str, float]]) -> list[Served]:
    """Deployments by their minute, the newest first."""
    return [Served(f"2026-11-28T10:{minute:02}:00Z", shares) for minute, shares in deployments]


# Three deploys, of which the last was in steps; each brings the page handler first.
FRONT = served((32, {"f3": 100}), (31, {"f2": 50, "f3": 50}), (21, {"f2": 100}), (11, {"f1": 100}))
PAGES = served((30, {"p3": 100}), (29, {"p2": 100, "p3": 0}), (20, {"p2": 100}), (10, {"p1": 100}))
# A second deploy that was taken back, the Worker first, and a third.
FRONT_AGAIN = served((40, {"f3": 100}), (30, {"f1": 100}), (20, {"f2": 100}), (10, {"f1": 100}))
PAGES_AGAIN = served((39, {"p3": 100}), (31, {"p1": 100}), (19, {"p2": 100}), (9, {"p1": 100}))
# The same in steps, of which the Worker has done none.
FRONT_STEPS = served((40, {"f3": 100}), (30, {"f1": 100}), (18, {"f1": 100, "f2": 0}), (10, {"f1": 100}))

WAYS: dict[str, tuple[list[Served], list[Served], str | None, list[tuple[str, str, str]]]] = {
    "to the one before": (FRONT, PAGES, None, [("front", "f3", "f2"), ("pages", "p3", "p2")]),
    "to a named one": (FRONT, PAGES, "f1", [("front", "f3", "f1"), ("pages", "p3", "p1")]),
    "out of a rollout": (FRONT[1:], PAGES, None, [("front", "f3", "f2"), ("pages", "p3", "p2")]),
    "out of one that no visitor has seen": (
        [*served((29, {"f2": 100, "f3": 0})), *FRONT[2:]],
        PAGES[1:],
        None,
        [("front", "f3", "f2"), ("pages", "p3", "p2")],
    ),
    "out of one that only the page handler has begun": (FRONT[2:], PAGES[1:], None, [("pages", "p3", "p2")]),
    "out of a rollout to a named one": (FRONT[1:], PAGES, "f1", [("front", "f2", "f1"), ("pages", "p3", "p1")]),
    "of the Worker alone": (FRONT, PAGES[2:], None, [("front", "f3", "f2")]),
    "to one that has come back before": (FRONT_AGAIN, PAGES_AGAIN, None, [("front", "f3", "f1"), ("pages", "p3", "p1")]),
    "to one whose first time is not listed": (
        FRONT_AGAIN[:2],
        PAGES_AGAIN[:3],
        None,
        [("front", "f3", "f1"), ("pages", "p3", "p1")],
    ),
    "to one that never was away": (FRONT_STEPS, PAGES_AGAIN, None, [("front", "f3", "f1"), ("pages", "p3", "p1")]),
    "to the one that serves already": (FRONT, PAGES, "f3", []),
}
MESSAGES: dict[str, dict[str, dict[str, str]]] = {
    "by the builds": {
        "front": {f"f{number}": f"build {number}" for number in (1, 2, 3)},
        "pages": {f"p{number}": f"build {number}" for number in (1, 2, 3)},
    },
    "by the time": {"front": {}, "pages": {}},
    "by the time, as all builds have one ID": {
        "front": dict.fromkeys(("f1", "f2", "f3"), "build x"),
        "pages": dict.fromkeys(("p1", "p2", "p3"), "build x"),
    },
}


def way(
    front: list[Served], pages: list[Served], version: str | None, messages: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str, str]]:
    backs = way_back(Pair("front", "pages"), {"front": front, "pages": pages}, messages, version)
    return [(back.worker, back.leaving, back.then) for back in backs]


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize(("front", "pages", "version", "expected"), WAYS.values(), ids=WAYS)
def test_the_way_back(
    front: list[Served],
    pages: list[Served],
    version: str | None,
    expected: list[tuple[str, str, str]],
    messages: Mapping[str, Mapping[str, str]],
) -> None:
    assert way(front, pages, version, messages) == expected


def test_a_page_handler_that_has_come_alone_is_taken_back_to_its_build() -> None:
    front, pages = FRONT_AGAIN[2:], PAGES_AGAIN[2:]
    later = served((30, {"p3": 100}))
    assert way(front, later + pages, None, MESSAGES["by the builds"]) == [("pages", "p3", "p2")]
    # Without builds it may belong there.
    assert way(front, later + pages, None, MESSAGES["by the time"]) == [("front", "f2", "f1"), ("pages", "p3", "p1")]


def test_a_worker_that_has_the_pages_in_it_goes_back_alone() -> None:
    (back,) = way_back(Pair("front", None), {"front": FRONT}, {"front": {}}, None)
    assert (back.worker, back.then) == ("front", "f2")


NO_WAYS: dict[str, tuple[list[Served], list[Served], str | None, str]] = {
    "never deployed": ([], PAGES, None, "front has never been deployed"),
    "deployed once": (FRONT[-1:], PAGES, None, "has no earlier version that has served all visitors"),
    "an unknown one": (FRONT, PAGES, "f9", "the version f9 of front has not served all visitors"),
    "an older page handler": (FRONT, PAGES[:1], "f1", "the version of pages that served with f1"),
    "a page handler in a rollout alone": (FRONT, served((30, {"p2": 50, "p3": 50})), "f1", "the version of pages that served"),
}


@pytest.mark.parametrize(("front", "pages", "version", "message"), NO_WAYS.values(), ids=NO_WAYS)
def test_no_way_back(front: list[Served], pages: list[Served], version: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        way(front, pages, version, MESSAGES["by the time"])
