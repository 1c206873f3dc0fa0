from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.fakes.pages import FakeResponse, page
from tests.fakes.ports import START_MS
from tests.fakes.requests import request

from cache.document import with_bodies
from cache.entry import AppPageValue, AppRouteValue, CacheEntry, FetchValue, Freshness, PagesValue
from cache.keys import KeySchema
from core.body import BytesBody
from isr.answer import cached_answer, passed_answer
from isr.page_headers import stored_headers
from isr.store import CachedPage, body_of
from seed.build import APP_ARTIFACTS, Artifact

if TYPE_CHECKING:
    from cache.entry import CacheValue, Headers
    from isr.answer import CachedAnswer

V1, V2 = KeySchema.V1, KeySchema.V2
BODY = BytesBody(b"a page")
RSC_VARY = "RSC, Next-Router-State-Tree, Next-Router-Prefetch, Next-Router-Segment-Prefetch, Next-Url,"
HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
OF_ONE_ANSWER = ("age", "date", "set-cookie", "content-length", "content-encoding", "server-timing", "expires", "alt-svc")
POLICY = (
    "cache-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "cache-tag",
    "x-vinext-cache-tags",
    "x-vinext-revalidated-tags",
)
STATE = ("x-vinext-cache", "x-nextjs-cache")
NOT_KEPT = (*HOP_BY_HOP, *OF_ONE_ANSWER, *POLICY, *STATE)


def found(
    artifact: Artifact = Artifact.HTML,
    headers: Headers | None = None,
    status: int | None = None,
    state: Freshness = Freshness.FRESH,
) -> CachedPage:
    value: CacheValue
    if artifact is Artifact.ROUTE:
        value = AppRouteValue(BODY, status or 200, headers or {})
    elif artifact is Artifact.RSC:
        value = AppPageValue(rsc_data=BODY, headers=headers, status=status)
    else:
        value = AppPageValue(html=BODY, headers=headers, status=status)
    return CachedPage(CacheEntry.make(value, (), START_MS, 60, 600), artifact, BODY, state)


def answer(given: CachedPage, headers: dict[str, str] | None = None, method: str = "GET", schema: KeySchema = V2) -> CachedAnswer:
    return cached_answer(request("/about", headers, method), given, schema, START_MS + 7900)


def named(given: CachedAnswer, name: str) -> list[str]:
    return [text for key, text in given.headers if key.lower() == name.lower()]


@pytest.mark.parametrize(("state", "shown"), [(Freshness.FRESH, "HIT"), (Freshness.STALE, "STALE")])
@pytest.mark.parametrize("artifact", list(Artifact))
def test_the_state_is_in_both_headers(artifact: Artifact, state: Freshness, shown: str) -> None:
    given = answer(found(artifact, state=state))
    assert named(given, "X-Vinext-Cache") == named(given, "x-nextjs-cache") == [shown]
    assert named(given, "Age") == ["7"]
    assert named(given, "Cache-Control") == ["s-maxage=60, stale-while-revalidate=540"]
    assert given.status == 200
    assert given.body is BODY


def test_an_entry_from_the_future_has_no_negative_age() -> None:
    given = cached_answer(request("/"), found(), V2, START_MS - 5000)
    assert named(given, "Age") == ["0"]


@pytest.mark.parametrize(
    ("schema", "artifact", "content_type", "vary"),
    [
        (V1, Artifact.HTML, ["text/html; charset=utf-8"], "RSC, Accept"),
        (V1, Artifact.RSC, ["text/x-component; charset=utf-8"], "RSC, Accept"),
        (V2, Artifact.HTML, ["text/html; charset=utf-8"], RSC_VARY),
        (V2, Artifact.RSC, ["text/x-component"], RSC_VARY),
        (V2, Artifact.ROUTE, [], RSC_VARY),
    ],
)
def test_content_type_and_vary_are_vinext_s_where_the_entry_has_none(
    schema: KeySchema, artifact: Artifact, content_type: list[str], vary: str
) -> None:
    given = answer(found(artifact), schema=schema)
    assert named(given, "Content-Type") == content_type
    assert len(named(given, "Vary")) == 1
    assert named(given, "Vary")[0].startswith(vary)


@pytest.mark.parametrize("artifact", list(Artifact))
def test_stored_headers_are_replayed(artifact: Artifact) -> None:
    stored: dict[str, str | list[str]] = {
        "Content-Type": "application/feed",
        "VARY": "RSC",
        "link": "</a.css>; rel=preload",
        "x-many": ["a", "b"],
    }
    given = answer(found(artifact, stored))
    assert named(given, "content-type") == ["application/feed"]
    assert named(given, "vary") == ["RSC"]
    assert named(given, "link") == ["</a.css>; rel=preload"]
    assert named(given, "x-many") == ["a", "b"]


@pytest.mark.parametrize("name", NOT_KEPT)
def test_a_header_of_one_answer_is_neither_replayed_nor_stored(name: str) -> None:
    given = answer(found(headers={name.upper(): "stored", name.title(): ["stored"]}))
    # A stored Cache-Control is the app's own; see below.
    assert name == "cache-control" or "stored" not in named(given, name)
    assert stored_headers(FakeResponse(200, {name.upper(): "x", "Link": "l"})) == {"link": "l"}


@pytest.mark.parametrize("state", [Freshness.FRESH, Freshness.STALE])
@pytest.mark.parametrize("artifact", APP_ARTIFACTS)
def test_a_cache_control_of_the_app_s_own_is_stored_and_sent(artifact: Artifact, state: Freshness) -> None:
    """vinext 1.4.0 keeps that of a route handler so in its own entries, `buildAppRouteCacheValue`."""
    headers = {"Cache-Control": "public, max-age=5", "X-Vinext-Shared-Cache-Control": "s-maxage=60"}
    stored = stored_headers(FakeResponse(200, headers))
    assert stored == {"cache-control": "public, max-age=5"}
    assert named(answer(found(artifact, stored, state=state)), "Cache-Control") == ["public, max-age=5"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_served_as_a_redirect(status: int) -> None:
    given = answer(found(headers={"location": "/about"}, status=status), {"If-None-Match": "*"})
    assert given.status == status
    assert named(given, "location") == ["/about"]


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("artifact", list(Artifact))
def test_an_error_is_served_with_its_status(status: int, artifact: Artifact) -> None:
    given = answer(found(artifact, status=status))
    assert given.status == status
    assert given.body is BODY


def test_an_entry_without_a_status_is_a_200() -> None:
    assert answer(found(status=None)).status == 200


@pytest.mark.parametrize(
    ("stored", "expected"), [({}, f'W/"{START_MS:x}-6"'), ({"ETag": '"own"'}, '"own"')], ids=["made", "stored"]
)
def test_every_answer_has_an_etag(stored: dict[str, str], expected: str) -> None:
    assert named(answer(found(headers=stored)), "ETag") == [expected]


def test_different_entries_have_different_etags() -> None:
    first = found()
    later = replace(first, entry=replace(first.entry, last_modified_ms=START_MS + 1))
    longer = replace(first, body=BytesBody(b"a page!"))
    assert len({named(answer(given), "ETag")[0] for given in (first, later, longer)}) == 3


def test_entries_that_share_headers_differ_in_headers_that_depend_on_the_body() -> None:
    first = found()
    other, longer = BytesBody(b"b page"), BytesBody(b"a longer page")
    for body in (other, longer, BODY):
        given = answer(replace(first, entry=with_bodies(first.entry, {"html": body}), body=body))
        assert given.body is body
        assert named(given, "ETag") == [f'W/"{START_MS:x}-{body.size_bytes:x}"']
    assert answer(replace(first, body=other)).fixed_headers is answer(first).fixed_headers


@dataclass(frozen=True)
class Match:
    id: str
    rule: str
    if_none_match: str
    is_match: bool
    stored: dict[str, str] = field(default_factory=lambda: {"etag": '"abc"'})
    status: int = 200


MATCHES = [
    Match("same", "RFC 9110, 13.1.2: the tag is listed", '"abc"', is_match=True),
    Match("other", "the tag is not listed", '"abd"', is_match=False),
    Match("weak-against-strong", "the weak comparison function", 'W/"abc"', is_match=True),
    Match("strong-against-weak", "the weak comparison function", '"abc"', is_match=True, stored={"etag": 'W/"abc"'}),
    Match("list", "any of the listed tags", '"x", W/"y" ,"abc"', is_match=True),
    Match("list-without", "any of the listed tags", '"x", "y"', is_match=False),
    Match("star", "* matches any", " * ", is_match=True),
    Match("empty", "no tag", "", is_match=False),
    Match("unquoted", "a tag is quoted", "abc", is_match=False),
    Match("prefix", "the whole tag", '"ab"', is_match=False),
    Match("not-found", "a condition holds for a 200 only", '"abc"', is_match=False, status=404),
    Match("redirect", "a condition holds for a 200 only", '"abc"', is_match=False, status=308),
]


@pytest.mark.parametrize("rule", MATCHES, ids=lambda rule: rule.id)
def test_if_none_match_gets_a_304(rule: Match) -> None:
    for method in ("GET", "HEAD"):
        given = answer(found(headers=rule.stored, status=rule.status), {"If-None-Match": rule.if_none_match}, method)
        assert given.status == (304 if rule.is_match else rule.status), (rule.rule, method)


def test_a_304_has_the_headers_a_cache_needs_and_no_body() -> None:
    stored = {
        "etag": '"abc"',
        "content-type": "text/html",
        "content-language": "de",
        "content-location": "/a",
        "vary": "RSC",
        "link": "l",
    }
    given = answer(found(headers=stored), {"If-None-Match": '"abc"'})
    assert given.body is None
    names = {name.lower() for name, _ in given.headers}
    # RFC 9110, 15.4.5: a 304 has those of these headers that a 200 would have had.
    assert {"etag", "cache-control", "vary", "content-location", "age", "x-vinext-cache"} <= names
    assert not names & {"content-type", "content-language", "content-length"}


@pytest.mark.parametrize("artifact", list(Artifact))
def test_head_is_the_get_without_its_body(artifact: Artifact) -> None:
    given = found(artifact, {"link": "l"})
    head, get = answer(given, method="HEAD"), answer(given)
    assert head.body is None
    assert (head.status, head.headers) == (get.status, get.headers)


NAMES = st.sampled_from(NOT_KEPT) | st.text("abcXY-", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.text(max_size=5) | st.lists(st.text(max_size=5))), st.sampled_from(list(Artifact)))
def test_no_header_is_sent_twice(stored: Headers, artifact: Artifact) -> None:
    # The app's own is sent as it was stored, which is one text.
    assume(not isinstance(stored.get("cache-control"), list))
    given = answer(found(artifact, stored))
    for name in ("Cache-Control", "X-Vinext-Cache", "x-nextjs-cache", "Age"):
        assert len(named(given, name)) == 1
    assert not named(given, "set-cookie")
    assert not any(named(given, name) for name in HOP_BY_HOP)


@dataclass(frozen=True)
class Passed:
    id: str
    state: str | None
    inner: dict[str, str]
    expected: dict[str, str]


KEPT_ON = {"vary": "RSC", "link": "l", "cdn-cache-control": "max-age=1", "set-cookie": "a=b"}
PASSED = [
    Passed("not-cacheable", None, KEPT_ON, KEPT_ON),
    Passed("miss", "MISS", KEPT_ON, KEPT_ON | {"X-Vinext-Cache": "MISS", "x-nextjs-cache": "MISS"}),
    Passed("inner-state", None, {"X-Vinext-Cache": "HIT", "X-Nextjs-Cache": "HIT"}, {}),
    Passed("inner-state-replaced", "MISS", {"x-vinext-cache": "STALE"}, {"X-Vinext-Cache": "MISS", "x-nextjs-cache": "MISS"}),
    Passed("inner-static", None, {"X-Vinext-Cache": "STATIC"}, {"X-Vinext-Cache": "STATIC"}),
    Passed("policy", None, {"X-Vinext-Cache-Tags": "a", "X-Vinext-Revalidated-Tags": "b"}, {}),
    Passed("policy-static", None, {"X-Vinext-Cache": "static", "X-Vinext-Cache-Tags": "a"}, {"X-Vinext-Cache": "static"}),
]


@pytest.mark.parametrize("rule", PASSED, ids=lambda rule: rule.id)
def test_the_page_handler_s_answer_is_passed_on(rule: Passed) -> None:
    response = FakeResponse(200, rule.inner)
    given = passed_answer(response, rule.state)
    assert given.response is response
    assert all(name == name.lower() for name in given.removed)
    seen = {name: text for name, text in rule.inner.items() if name.lower() not in given.removed} | dict(given.added)
    assert seen == rule.expected


def test_the_headers_of_a_page_are_stored() -> None:
    response = page("p", Link="l", X_Custom="c", Location="/a", ETag='"e"')
    assert stored_headers(response) == {
        "content-type": "text/html; charset=utf-8",
        "vary": "RSC, Next-Router-State-Tree",
        "link": "l",
        "x-custom": "c",
        "location": "/a",
        "etag": '"e"',
    }


@pytest.mark.parametrize(
    ("value", "bodies"),
    [
        (AppPageValue(html=BODY), {Artifact.HTML: BODY, Artifact.RSC: None, Artifact.ROUTE: None}),
        (AppPageValue(rsc_data=BODY), {Artifact.RSC: BODY, Artifact.ROUTE: None}),
        (AppRouteValue(BODY, 200, {}), {Artifact.HTML: None, Artifact.RSC: None, Artifact.ROUTE: BODY}),
        (
            PagesValue(BODY, {"a": "<"}),
            dict.fromkeys(APP_ARTIFACTS) | {Artifact.PAGES: BODY, Artifact.DATA: BytesBody(b'{"a":"\\u003c"}')},
        ),
        (
            PagesValue(BytesBody(b""), {}, generated_from_data_request=True),
            {Artifact.PAGES: None, Artifact.DATA: BytesBody(b"{}")},
        ),
        (FetchValue({}, "", ""), dict.fromkeys(Artifact)),
        (None, dict.fromkeys(Artifact)),
    ],
    ids=["html", "rsc", "route", "pages", "pages data alone", "fetch", "tombstone"],
)
def test_an_entry_gives_the_body_of_its_kind_only(value: CacheValue | None, bodies: dict[Artifact, BytesBody | None]) -> None:
    entry = CacheEntry.make(value, (), START_MS)
    assert {artifact: body_of(entry, artifact) for artifact in bodies} == bodies
