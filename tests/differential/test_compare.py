"""What counts as a difference, and what a row of the table is like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.differential.client import rsc_parameter
from tests.differential.compare import Row, differences
from tests.differential.observe import Observation
from tests.differential.script import Ask
from tests.differential.words import Words

if TYPE_CHECKING:
    from tests.differential.compare import Difference

WORDS = Words("build-1", {"build-1": "<build>"})
TIME = "2026-11-28T05:09:18.214Z"


def seen(ask: Ask, **traits: str) -> Observation:
    return Observation(ask, {"status": "200", **traits}, 0, is_late=False)


def found(alone: list[Observation], ours: list[Observation]) -> list[Difference]:
    return list(differences("app", "kv", {"visit": alone}, {"visit": ours}))


def test_what_is_the_same_is_no_difference() -> None:
    answer = seen(Ask("/"), state="HIT", body="a")
    assert not found([answer], [answer])


def test_a_trait_that_one_side_lacks_is_a_difference() -> None:
    (difference,) = found([seen(Ask("/"), vary="RSC")], [seen(Ask("/"))])
    assert (difference.trait, difference.alone, difference.ours) == ("vary", "RSC", "-")


def test_another_status_is_the_only_difference_of_an_answer() -> None:
    ours = Observation(Ask("/"), {"status": "304", "etag": "<etag>"}, 0, is_late=False)
    assert [each.trait for each in found([seen(Ask("/"), body="a")], [ours])] == ["status"]


def test_a_row_may_be_about_the_first_answer_alone() -> None:
    alone, ours = seen(Ask("/"), state="MISS"), seen(Ask("/"), state="HIT")
    first, second = found([alone, alone], [ours, ours])
    row = Row("", "state", alone="MISS", ours="HIT", is_first=True)
    assert row.matches(first)
    assert not row.matches(second)


@pytest.mark.parametrize(
    "row",
    [
        Row("", "stat"),
        Row("", "state", alone="MIS"),
        Row("", "state", ours="MISS"),
        Row("", "state", apps=("other",)),
        Row("", "state", visit="other"),
        Row("", "state", request="GET /other"),
        Row("", "state", store="memory"),
        Row("", "state", steps=(2,)),
        Row("", "state", besides={"vary": "RSC"}),
        Row("", "state", besides_alone={"status": "404"}),
    ],
)
def test_a_row_is_like_nothing_that_differs_from_it_in_any_way(row: Row) -> None:
    (difference,) = found([seen(Ask("/"), state="MISS")], [seen(Ask("/"), state="HIT")])
    assert Row("", "state", alone="MISS", ours="HIT", apps=("app",), visit="visit", request="GET /", store="kv").matches(
        difference
    )
    assert not row.matches(difference)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"<h1>{TIME}</h1>", "<h1><time></h1>"),
        ("/_next/data/build-1/a.json", "/_next/data/<build>/a.json"),
        ("/shop/_next/static/chunks/9ZnRMFvP.js", "/shop/_next/static/chunks/<hash>.js"),
        ("http://127.0.0.1:1234/a", "http://<host>/a"),
        ("Expires=Sat, 28 Nov 2026 12:08:15 GMT", "Expires=<date>"),
        ("page-1", "page-1"),
    ],
)
def test_words_of_one_build_or_render_have_names(text: str, named: str) -> None:
    assert WORDS.replaced(text, "http://127.0.0.1:1234") == named


def test_the_times_of_a_render_are_not_the_identities_of_its_build() -> None:
    identity = "7914e5da-1111-4222-8333-444455556666"
    assert Words(identity, {identity: "<build>"}).of_a_render(f"{identity} {TIME}") == {TIME}


@pytest.mark.parametrize(
    ("headers", "parameter"),
    [
        ({"RSC": "1", "Accept": "text/x-component"}, ""),
        ({"X-Vinext-Rsc-State-Fingerprint": "1f2e3d"}, "fX2KZ_C6B7btlo3l"),
        ({"X-Vinext-Interception-Context": "/feed"}, "3eYwRPsFDC6uwRC6"),
    ],
)
def test_a_payload_is_asked_for_as_vinext_s_client_does(headers: dict[str, str], parameter: str) -> None:
    """vinext redirects a request with another value."""
    assert rsc_parameter(headers) == parameter
