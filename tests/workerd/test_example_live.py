"""The example behind the Worker, where its page handler has work to do."""

from __future__ import annotations

import re
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from tests.workerd.example import ServedExample
    from tests.workerd.visitor import Answer, Visitor

TOGETHER = 50
RSC = {"RSC": "1", "Accept": "text/x-component"}
# What the adapter tells the Worker, and nobody else.
INTERNAL = ("x-vinext-cache-tags", "x-vinext-revalidated-tags")

_numbers = count(1)


@pytest.fixture
def draft() -> str:
    """A post that the build does not know and nobody has asked for."""
    return f"/blog/draft-{next(_numbers)}"


def rendered_at(answer: Answer) -> str:
    found = re.search(r'data-rendered-at="([^"]+)"', answer.text)
    assert found is not None, answer
    return found[1]


def made_at(answer: Answer) -> str:
    found = re.search(r'data-made-at="([^"]+)"', answer.text)
    assert found is not None, answer
    return found[1]


def assert_not_cached(answer: Answer) -> None:
    assert answer.state is None
    assert "x-nextjs-cache" not in answer.headers
    assert not set(INTERNAL).intersection(answer.headers)


def test_a_stale_page_is_served_at_once_and_made_again_once(example: ServedExample) -> None:
    eventually(lambda: [len(example.pages.requests("/tick", rsc=rsc)) for rsc in (False, True)], lambda made: made[0] == made[1])
    before = len(example.pages.requests("/tick", rsc=False))
    example.pages.hold("/tick")
    try:
        stale = eventually(lambda: example.visitor.ask("/tick"), lambda answer: answer.state == "STALE")
        many = example.visitor.ask_together(["/tick"] * TOGETHER, lambda: None)
        payload = example.visitor.ask("/tick.rsc")
        renders = eventually(lambda: example.pages.requests("/tick", rsc=False)[before:])
    finally:
        example.pages.hold()
    assert [(each.status, each.state) for each in [*many, payload]] == [(200, "STALE")] * (TOGETHER + 1)
    assert {rendered_at(each) for each in many} == {rendered_at(stale)}
    assert stale.headers["cache-control"] == "s-maxage=2, stale-while-revalidate=31535998"
    assert len(renders) == 1
    eventually(lambda: example.visitor.ask("/tick"), lambda answer: rendered_at(answer) > rendered_at(stale))


def test_a_stale_page_is_a_hit_when_it_has_been_made(example: ServedExample) -> None:
    stale = eventually(lambda: example.visitor.ask("/tick"), lambda answer: answer.state == "STALE")
    fresh = eventually(lambda: example.visitor.ask("/tick"), lambda answer: answer.state == "HIT")
    assert rendered_at(fresh) > rendered_at(stale)
    assert fresh.headers["content-type"] == "text/html; charset=utf-8"


def test_the_one_who_makes_a_page_again_is_not_recognised(example: ServedExample) -> None:
    visitor = {"Cookie": "session=secret", "User-Agent": "someone"}
    before = len(example.pages.requests("/tick", rsc=False))
    eventually(lambda: example.visitor.ask("/tick", headers=visitor), lambda answer: answer.state == "STALE")
    renders = eventually(lambda: example.pages.requests("/tick", rsc=False)[before:])
    assert all(set(each.headers).isdisjoint(("cookie", "user-agent")) for each in renders)


@pytest.mark.parametrize("headers", [pytest.param({}, id="stranger"), pytest.param({"Cookie": "session=1"}, id="with a cookie")])
def test_a_page_that_was_not_pre_rendered_is_a_miss_then_a_hit(
    example: ServedExample, draft: str, headers: dict[str, str]
) -> None:
    miss = example.visitor.ask(draft, headers=headers)
    assert (miss.status, miss.state, miss.headers["content-type"]) == (200, "MISS", "text/html; charset=utf-8")
    assert not set(INTERNAL).intersection(miss.headers)
    hit = example.visitor.ask(draft, headers=headers)
    assert (hit.status, hit.state, hit.body) == (200, "HIT", miss.body)
    # It may turn out to be dynamic while it streams, and then no cache on the way may have it.
    assert miss.headers["cache-control"] == "no-store, must-revalidate"
    assert hit.headers["cache-control"] == "s-maxage=3600, stale-while-revalidate=31532400"
    assert not set(INTERNAL).intersection(hit.headers)
    assert example.visitor.ask(draft, "HEAD").state == "HIT"
    payload = eventually(lambda: example.visitor.ask(f"{draft}?_rsc=1", headers=RSC), lambda answer: answer.state == "HIT")
    assert payload.headers["content-type"] == "text/x-component"
    assert payload.headers["x-vinext-rsc-compatibility-id"]
    # One render makes both.
    assert [each.rsc for each in example.pages.requests(draft)] == [False]


def test_a_client_s_partial_payload_is_not_kept_but_the_page_s_own_is(example: ServedExample, draft: str) -> None:
    navigation = {**RSC, "X-Vinext-Rsc-State-Fingerprint": "f", "X-Vinext-Mounted-Layouts": "/"}
    redirect = example.visitor.ask(f"{draft}?_rsc=1", headers=navigation)
    assert_not_cached(redirect)
    assert redirect.status == 307
    location = redirect.headers["location"]
    example.visitor.ask(location, headers=navigation)
    payload = eventually(lambda: example.visitor.ask(location, headers=navigation), lambda answer: answer.state == "HIT")
    assert payload.headers["content-type"] == "text/x-component"
    assert payload.body == example.visitor.ask(f"{draft}.rsc").body
    assert b"RedirectBoundary" in payload.body
    page = eventually(lambda: example.visitor.ask(draft), lambda answer: answer.state == "HIT")
    assert page.headers["content-type"] == "text/html; charset=utf-8"


def test_a_page_asked_for_by_many_at_once_is_made_once(example: ServedExample, draft: str) -> None:
    example.pages.hold(draft)
    answers = example.visitor.ask_together([draft] * TOGETHER, example.pages.hold)
    states = [answer.state for answer in answers]
    assert (states.count("MISS"), states.count("HIT")) == (1, TOGETHER - 1)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


def test_a_route_handler_s_answer_is_a_miss_then_a_hit(example: ServedExample) -> None:
    miss = example.visitor.ask("/api/time")
    assert (miss.status, miss.state, miss.headers["content-type"]) == (200, "MISS", "application/json")
    assert "renderedAt" in miss.text
    # Its period is ten seconds, which may pass between any two lines here.
    for headers in ({}, {"Cookie": "session=1"}):
        hit = eventually(lambda: example.visitor.ask("/api/time", headers=headers), lambda answer: answer.state == "HIT")  # noqa: B023
        assert (hit.status, hit.headers["content-type"]) == (200, "application/json")
        assert "renderedAt" in hit.text
    assert example.visitor.ask("/api/time", "HEAD").body == b""


def test_a_route_handler_s_answer_to_a_cookie_is_not_kept_but_the_one_for_everybody_is(example: ServedExample) -> None:
    """vinext shares no answer of a route handler to a visitor with cookies. Its period is ten seconds."""
    if example.has_kv:
        kv = example.runtime.kv()
        for name in kv.names():
            if "/api/time" in name:
                kv.delete(name)
    isolate = example.other_isolate
    own = isolate.ask("/api/time", headers={"Cookie": "session=1"})
    assert own.status == 200
    hit = eventually(lambda: isolate.ask("/api/time", headers={"Cookie": "session=1"}), lambda answer: answer.state == "HIT")
    assert hit.body != own.body
    rendered = [each for each in example.pages.requests("/api/time") if each.call != "serve"]
    assert rendered
    assert all("cookie" not in each.headers for each in rendered)


def test_a_page_that_says_it_is_missing_is_kept_as_missing(example: ServedExample) -> None:
    path = f"/docs/not/listed/{next(_numbers)}"
    miss = example.visitor.ask(path)
    assert (miss.status, miss.state) == (404, "MISS")
    hit = example.visitor.ask(path)
    assert (hit.status, hit.state, hit.body) == (404, "HIT", miss.body)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/dash", "GET", 200, id="a dynamic page"),
        pytest.param("/search?q=shoes", "GET", 200, id="a page that reads the query"),
        pytest.param("/missing", "GET", 404, id="a missing page"),
        pytest.param("/about", "POST", None, id="POST"),
        pytest.param("/about", "DELETE", 405, id="DELETE"),
        pytest.param("/about/", "GET", 308, id="the other trailing slash"),
    ],
)
def test_what_is_not_for_the_cache_is_the_page_handler_s_own_answer(
    example: ServedExample, path: str, method: str, status: int | None
) -> None:
    bare = path.partition("?")[0]
    before = len(example.pages.requests(bare))
    for _ in range(2):
        answer = example.visitor.ask(path, method, body=b"" if method == "POST" else None)
        assert_not_cached(answer)
        assert status in {None, answer.status}
        assert answer.status < 500
    assert len(example.pages.requests(bare)) == before + 2


def test_a_dynamic_page_sees_its_visitor(example: ServedExample) -> None:
    example.visitor.ask("/dash", headers={"Cookie": "session=mine"})
    assert example.pages.requests("/dash")[-1].headers["cookie"] == "session=mine"
    assert "shoes" in example.visitor.ask("/search?q=shoes").text


def test_a_forged_cookie_of_draft_mode_is_as_if_it_were_not_there(example: ServedExample) -> None:
    before = len(example.pages.requests("/blog"))
    assert example.visitor.ask("/blog", headers={"Cookie": "__prerender_bypass=1"}).state == "HIT"
    assert len(example.pages.requests("/blog")) == before


def invalidate_by_tag(visitor: Visitor) -> Answer:
    return visitor.ask("/api/revalidate?tag=products")


def invalidate_by_post(visitor: Visitor) -> Answer:
    return visitor.ask("/api/revalidate?tag=products", "POST", body=b"")


def invalidate_by_path(visitor: Visitor) -> Answer:
    return visitor.ask("/api/revalidate?path=/tagged", "POST", body=b"")


def invalidate_by_action(visitor: Visitor) -> Answer:
    """The first button of /actions, as a browser without JavaScript sends it."""
    form = re.search(r"<form.*?</form>", visitor.ask("/actions").text, re.DOTALL)
    assert form is not None
    fields = re.findall(r'<input type="hidden" name="([^"]*)"(?: value="([^"]*)")?', form[0])
    assert fields, form[0]
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    body = "".join([*parts, "--b--\r\n"]).encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Origin": visitor.url.rstrip("/")}
    return visitor.ask("/actions", "POST", headers, body)


@pytest.mark.parametrize("invalidate", [invalidate_by_tag, invalidate_by_post, invalidate_by_path, invalidate_by_action])
def test_what_was_invalidated_is_made_anew_and_the_build_s_page_does_not_come_back(
    example: ServedExample, invalidate: object
) -> None:
    assert callable(invalidate)
    before = example.visitor.ask("/tagged")
    assert before.state in {"HIT", "MISS"}
    asked = len(example.pages.requests("/tagged", rsc=False))
    answer = invalidate(example.visitor)
    assert answer.status in {200, 303}, answer
    assert_not_cached(answer)
    miss = example.visitor.ask("/tagged")
    assert (miss.status, miss.state) == (200, "MISS")
    assert rendered_at(miss) > rendered_at(before)
    if invalidate is not invalidate_by_path:
        assert made_at(miss) > made_at(before)
    hit = example.visitor.ask("/tagged")
    assert (hit.state, hit.body) == ("HIT", miss.body)
    payload = eventually(lambda: example.visitor.ask("/tagged.rsc"), lambda answer: answer.state == "HIT")
    assert payload.body != example.artifact("tagged.rsc")
    assert len(example.pages.requests("/tagged", rsc=False)) == asked + 1


@pytest.mark.parametrize("url", ["/tagged", "/tagged.rsc"])
def test_what_a_profile_made_stale_is_served_once_more_and_then_made_of_new_data(example: ServedExample, url: str) -> None:
    before = eventually(lambda: example.visitor.ask("/tagged"), lambda answer: answer.state == "HIT")
    assert_not_cached(example.visitor.ask("/api/revalidate?tag=products&expire=3600", "POST", body=b""))
    stale = example.visitor.ask(url)
    assert (stale.status, stale.state) == (200, "STALE")
    hit = eventually(lambda: example.visitor.ask("/tagged"), lambda answer: answer.state == "HIT")
    assert made_at(hit) > made_at(before)
    payload = example.visitor.ask("/tagged.rsc")
    assert (payload.state, made_at(hit) in payload.text) == ("HIT", True)


def test_what_a_profile_made_stale_is_gone_after_its_time(example: ServedExample) -> None:
    before = eventually(lambda: example.visitor.ask("/tagged"), lambda answer: answer.state == "HIT")
    assert example.visitor.ask("/api/revalidate?tag=products&expire=0.5").status == 200
    time.sleep(0.6)  # no test can turn the clock of the runtime
    miss = example.visitor.ask("/tagged")
    assert (miss.status, miss.state) == (200, "MISS")
    assert made_at(miss) > made_at(before)


def test_what_was_invalidated_does_not_come_back_in_an_isolate_that_starts_later(example: ServedExample) -> None:
    if not example.has_kv:
        pytest.skip("without KV an isolate knows of its own invalidations only")
    assert example.visitor.ask("/actions").state in {"HIT", "MISS"}
    assert example.visitor.ask("/api/revalidate?path=/actions").status == 200
    other = example.other_isolate.ask("/actions")
    assert other.state == "MISS"
    assert other.body != example.artifact("actions.html")
    assert example.visitor.ask("/actions").state in {"HIT", "MISS"}
    # Not always the other isolate's page: by its clock alone, a page made this soon may be from before the invalidation.
    hit = eventually(lambda: example.visitor.ask("/actions"), lambda answer: answer.state == "HIT")
    assert hit.body != example.artifact("actions.html")


def test_the_worker_logs_no_fault(example: ServedExample) -> None:
    example.visitor.ask("/")
    assert [line for line in example.runtime.logs if line.level in {"error", "warn"}] == []
