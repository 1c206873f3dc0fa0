"""How an answer is compared with the app's own."""

from __future__ import annotations

import re

import pytest

from seed.build import Artifact
from vinext_worker.check.comparison import AnswerGiven, Comparison, tokens_of


def answer(body: str = "<p>a</p>", status: int = 200, cookies: tuple[str, ...] = (), **headers: str) -> AnswerGiven:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return AnswerGiven(status, names, frozenset(cookies), body)


SAME = [
    pytest.param("<p>made 2026-11-28T11:59:02.123Z</p>", "<p>made 2025-01-01T00:00:00Z</p>", id="ISO times"),
    pytest.param("<p>1795867528361</p>", "<p>1795867529000</p>", id="epoch times"),
    pytest.param("<p>Sat Nov 28 2026 11:59:02 GMT+0000 (UTC)</p>", "<p>Fri Nov 27 2026 1:02:03 GMT+0100 (CET)</p>", id="dates"),
    pytest.param("<p>28 November 2026, 11:59</p>", "<p>1 May 2026, 9:15 PM</p>", id="dates of a person"),
    pytest.param("<p>3de3147d-7fe7-4a12-b4b8-2d31ce9e7b2c</p>", "<p>befe9e58-4ed0-4273-9b97-33ab73876b7b</p>", id="IDs"),
    pytest.param('<script nonce="a">1</script><p>a', '<script nonce="b">2</script><p>a', id="scripts"),
    pytest.param('<img src="/_next/static/a.1f.png">', '<img src="/_next/static/a.2e.png">', id="files"),
    pytest.param("<p>a<!-- -->b</p>", "<p>ab</p>", id="React's comments"),
    pytest.param("<p>a</p>\n<p>b</p>", "<p>a</p> <p>b</p>", id="blanks"),
]


@pytest.mark.parametrize(("ours", "theirs"), SAME)
def test_what_changes_with_each_render_is_no_difference(ours: str, theirs: str) -> None:
    assert Comparison().differences(Artifact.HTML, answer(ours), answer(theirs)) == ()


DIFFERENT = [
    pytest.param(answer(), answer(status=401), "status 200, but the app's own is 401", id="status"),
    pytest.param(answer(), answer("<p>b</p>"), "the body has 'a' where the app's own has 'b'", id="text"),
    pytest.param(answer(), answer("<p>a</p><p>b"), "the body has nothing where the app's own has 'b'", id="more text"),
    pytest.param(answer('<a href="/x">a'), answer('<a href="/y">a'), "the body has 'a href=/x' where", id="a link"),
    pytest.param(answer('<meta name="robots" content="all">'), answer(""), "where the app's own has nothing", id="the head"),
    pytest.param(
        answer(), answer(x_frame_options="DENY"), "x-frame-options is missing, but the app's own is 'DENY'", id="header"
    ),
    pytest.param(answer(link="</a>"), answer(), "link is '</a>', but the app's own is missing", id="header too many"),
    pytest.param(answer(), answer(x_own="1"), "x-own is missing, but the app's own is '1'", id="header of next.config"),
    pytest.param(answer(), answer(cookies=("seen",)), "the cookies (none), the app's own answer seen", id="cookie"),
    pytest.param(
        answer(), answer(x_nextjs_stale_time="30"), "x-nextjs-stale-time is missing, but the app's own is '30'", id="stale time"
    ),
    pytest.param(answer("<p>3 items</p>"), answer("<p>4 items</p>"), "the body has '3 items'", id="number"),
]


@pytest.mark.parametrize(("ours", "theirs", "difference"), DIFFERENT)
def test_a_difference_is_said(ours: AnswerGiven, theirs: AnswerGiven, difference: str) -> None:
    (found,) = Comparison().differences(Artifact.HTML, ours, theirs, ["X-Own"])
    assert difference in found


def test_nonces_of_a_policy_are_no_difference() -> None:
    ours, theirs = (answer(content_security_policy=f"script-src 'nonce-{nonce}' 'self'") for nonce in ("a1+/=", "b2"))
    assert Comparison().differences(Artifact.HTML, ours, theirs) == ()
    other = answer(content_security_policy="script-src 'nonce-c'")
    assert len(Comparison().differences(Artifact.HTML, ours, other)) == 1


def test_the_app_need_not_say_the_stale_time() -> None:
    ours = answer(x_nextjs_stale_time="30")
    assert Comparison().differences(Artifact.HTML, ours, answer(), ["x-nextjs-stale-time"]) == ()


def test_a_person_names_what_else_changes() -> None:
    ours, theirs = answer("<p>visitor 12</p>"), answer("<p>visitor 13</p>")
    assert len(Comparison().differences(Artifact.HTML, ours, theirs)) == 1
    assert Comparison((re.compile(r"visitor \d+"),)).differences(Artifact.HTML, ours, theirs) == ()


def test_a_payload_is_compared_by_its_headers_alone() -> None:
    assert Comparison().differences(Artifact.RSC, answer("0:a"), answer("1:b")) == ()
    assert len(Comparison().differences(Artifact.RSC, answer(link="a"), answer())) == 1


def test_a_route_handler_s_body_is_compared_as_text() -> None:
    ours, theirs = (answer(f'{{"at": "{at}", "n": 1}}') for at in ("2026-11-28T11:59:02Z", "2026-11-28T12:00:00Z"))
    assert Comparison().differences(Artifact.ROUTE, ours, theirs) == ()
    assert len(Comparison().differences(Artifact.ROUTE, ours, answer('{"n": 2}'))) == 1


WHOLE = "<main><h1>T</h1><!--$--><p>late <b>part</b></p><div>x</div><!--/$--><p>end</p></main>"
STREAMED = (
    '<main><h1>T</h1><!--$?--><template id="B:0"></template><p>loading…</p><!--/$--><p>end</p></main>'
    '<div hidden id="S:0"><p>late <b>part</b></p><div>x</div></div><script>$RC("B:0","S:0")</script>'
)
NESTED = (
    '<main><h1>T</h1><!--$?--><template id="B:0"></template><p>loading…</p><!--/$--><p>end</p></main>'
    '<div hidden id="S:0"><p>late <b>part</b></p><!--$?--><template id="B:1"></template><i>…</i><!--/$--></div>'
    '<script>$RC("B:0","S:0")</script><div hidden id="S:1"><div>x</div></div><script>$RC("B:1","S:1")</script>'
)


@pytest.mark.parametrize("html", [STREAMED, NESTED])
def test_a_streamed_part_stands_where_react_puts_it(html: str) -> None:
    assert tokens_of(html) == tokens_of(WHOLE) == ["T", "late", "part", "x", "end"]


def test_a_part_that_never_came_leaves_what_was_shown_meanwhile() -> None:
    html = '<p>a</p><!--$?--><template id="B:0"></template><p>loading…</p><!--/$--><p>end</p>'
    assert " ".join(tokens_of(html)) == "a loading… end"
