from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.pages import FakeResponse, page, payload, route

from core.http import Period
from isr.admission import Admission, Refusal, admit, header_tags, revalidated_tags
from seed.build import Artifact, RouteRecord

RECORD = RouteRecord(
    revalidate_seconds=30,
    expire_seconds=90,
    tags=("/about", "_N_T_/about"),
    status=200,
    headers={},
    rsc_headers={},
    artifacts={},
)
STATIC_RECORD = replace(RECORD, revalidate_seconds=None, expire_seconds=None)
REDIRECTS = (301, 302, 303, 307, 308)


def redirect(status: int, **headers: str) -> FakeResponse:
    return FakeResponse(status, {"location": "/other", "cache-control": "s-maxage=60", **headers})


@dataclass(frozen=True)
class Kept:
    id: str
    rule: str
    response: FakeResponse
    period: Period = field(default_factory=lambda: Period(60, 600))
    artifact: Artifact = Artifact.HTML
    tags: tuple[str, ...] = ()
    record: RouteRecord | None = None
    rsc: bool = False


CDN = {"cdn_cache_control": "max-age=60, stale-while-revalidate=540"}
KEPT = [
    Kept("page", "s-maxage; stale-while-revalidate=S gives expire = N + S", page()),
    Kept("payload", "the RSC payload of a page", payload(), artifact=Artifact.RSC, rsc=True),
    Kept(
        "payload-with-charset",
        "0.0.38 says a charset",
        payload(content_type="text/x-component; charset=utf-8"),
        artifact=Artifact.RSC,
        rsc=True,
    ),
    Kept(
        "what browsers are told",
        "what vinext says to the shared cache stands for itself",
        route(cache_control="private, max-age=5", x_vinext_shared_cache_control="s-maxage=9"),
        Period(9, None),
        Artifact.ROUTE,
    ),
    Kept("route", "else the stored content type, for routes", route(), Period(60, None), Artifact.ROUTE),
    *(
        Kept(
            f"charset-{charset}",
            "HTML that is not UTF-8 is kept byte for byte, as a route's body is",
            page(content_type=f"text/html; charset={charset}"),
            artifact=artifact,
        )
        for charset, artifact in (
            ("UTF-8", Artifact.HTML),
            ('"utf-8"; x=y', Artifact.HTML),
            ("iso-8859-1", Artifact.ROUTE),
            ("Shift_JIS", Artifact.ROUTE),
        )
    ),
    Kept("content-type-in-capitals", "media types have no case", page(content_type="Text/HTML"), Period(60, 600)),
    Kept(
        "no-end",
        "stale-while-revalidate without a value has no end",
        page(cache_control="s-maxage=60, stale-while-revalidate"),
        Period(60, None),
    ),
    Kept("only-s-maxage", "Cache-Control: s-maxage", page(cache_control="s-maxage=60"), Period(60, None)),
    Kept(
        "never-stale",
        "what vinext says of a page without a period",
        page(cache_control="s-maxage=31536000, stale-while-revalidate"),
        Period(None, None),
    ),
    Kept(
        "year-with-end",
        "a year, and an end",
        page(cache_control="s-maxage=31536000, stale-while-revalidate=60"),
        Period(31_536_000, 31_536_060),
    ),
    Kept("swr-zero", "expire = N + S", page(cache_control="s-maxage=60, stale-while-revalidate=0"), Period(60, 60)),
    Kept("cdn", "CDN-Cache-Control: max-age", page(cache_control=None, **CDN)),
    Kept("cdn-before-cache-control", "CDN-Cache-Control: max-age, else", page(cache_control="s-maxage=5", **CDN)),
    Kept(
        "cdn-for-browser-private",
        "RFC 9213, 2.2: stands in for Cache-Control",
        page(cache_control="private, max-age=0, must-revalidate", **CDN),
    ),
    Kept("cdn-without-period", "else Cache-Control: s-maxage", page(cdn_cache_control="public"), Period(60, 600)),
    Kept(
        "public-quoted", "RFC 9111, 5.2: an argument may be quoted", page(cache_control='public, s-maxage="60"'), Period(60, None)
    ),
    Kept(
        "record",
        "no Cache-Control at all: the manifest's revalidate for that path",
        page(cache_control=None),
        Period(30, 90),
        record=RECORD,
        tags=RECORD.tags,
    ),
    Kept(
        "record-never-stale",
        "the manifest's revalidate for that path",
        page(cache_control=None),
        Period(None, None),
        record=STATIC_RECORD,
        tags=RECORD.tags,
    ),
    Kept(
        "record-tags",
        "an entry stores the union of tags",
        page(x_vinext_cache_tags="b,/about"),
        record=RECORD,
        tags=(*RECORD.tags, "b"),
    ),
    Kept(
        "tags",
        "X-Vinext-Cache-Tags, percent-encoded, comma-separated",
        page(x_vinext_cache_tags="a%2Cb, caf%C3%A9 ,c"),
        tags=("a,b", "café", "c"),
    ),
    Kept(
        "tags-before-cache-tag", "X-Vinext-Cache-Tags, else Cache-Tag", page(x_vinext_cache_tags="a", cache_tag="b"), tags=("a",)
    ),
    Kept("cache-tag", "else Cache-Tag", page(cache_tag="a,b"), tags=("a", "b")),
    Kept("tags-invalid", "an invalid tag is left out", page(x_vinext_cache_tags=f"{'x' * 257},,e%00f,g"), tags=("g",)),
    Kept(
        "tags-of-any-kind",
        "a colon or a backslash is part of a tag",
        page(x_vinext_cache_tags="item:1,c%5Cd"),
        tags=("item:1", "c\\d"),
    ),
    *(Kept(f"redirect-{status}", "status 301, 302, 303, 307, 308", redirect(status), Period(60, None)) for status in REDIRECTS),
    *(Kept(f"status-{status}", "status 404 or 410", replace(page(), status=status)) for status in (404, 410)),
    Kept("inner-miss", "0.0.38 shows the period as s-maxage on a MISS", page(x_vinext_cache="MISS")),
    Kept("inner-static", "an inner STATIC is a file", page(x_vinext_cache="STATIC")),
    Kept("vary", "Vary by what keys tell apart", page(vary="RSC, Accept-Encoding, Next-Url")),
    Kept("identity", "not compressed", page(content_encoding="identity")),
]


@pytest.mark.parametrize("rule", KEPT, ids=lambda rule: rule.id)
def test_an_answer_is_kept(rule: Kept) -> None:
    expected = Admission(rule.artifact, rule.period, rule.tags)
    assert admit(rule.response, rule.record, rsc=rule.rsc) == expected, rule.rule


@dataclass(frozen=True)
class Refused:
    id: str
    rule: str
    response: FakeResponse
    record: RouteRecord | None = None
    rsc: bool = False
    is_failure: bool = False
    has_own_cache: bool = False


REFUSED = [
    *(
        Refused(f"status-{status}", "status 200, 301, 302, 303, 307, 308, 404 or 410", replace(page(), status=status))
        for status in (201, 204, 206, 300, 304, 400, 401, 403, 405, 451)
    ),
    *(
        Refused(f"status-{status}", "a failure keeps the stale entry", replace(page(), status=status), is_failure=True)
        for status in (408, 409, 425, 429, 500, 502, 503, 504, 599)
    ),
    Refused(
        "status-500-with-record",
        "a failure is never stored",
        replace(page(cache_control=None), status=500),
        RECORD,
        is_failure=True,
    ),
    Refused("set-cookie", "no Set-Cookie on the answer", page(set_cookie="a=b")),
    Refused("set-cookie-empty", "no Set-Cookie on the answer", page(set_cookie="")),
    *(
        Refused(f"vary-{vary}", "Vary without *, Cookie or Authorization", page(vary=vary))
        for vary in ("*", "Cookie", "RSC, cookie", "Authorization,RSC", "RSC ,\tCOOKIE")
    ),
    *(
        Refused(f"forbidden-{name}", "no private, no-store or no-cache", page(cache_control=f"s-maxage=60, {name}"))
        for name in ("private", "no-store", "no-cache", "NO-STORE", 'private="x-a"', 'no-cache="set-cookie"')
    ),
    Refused("forbidden-with-record", "no private, no-store or no-cache", page(cache_control="no-store"), RECORD),
    Refused("forbidden-by-cdn", "no private, no-store or no-cache", page(cdn_cache_control="no-store")),
    Refused(
        "forbidden-behind-cdn",
        "a period of Cache-Control, so its word too",
        page(cache_control="private, s-maxage=60", cdn_cache_control="public"),
    ),
    Refused("cdn-zero", "CDN-Cache-Control: max-age, and no other then", page(cdn_cache_control="max-age=0")),
    Refused("cdn-unreadable", "CDN-Cache-Control: max-age, and no other then", page(cdn_cache_control="max-age=soon")),
    Refused("zero", "revalidate 0 stores nothing", page(cache_control="s-maxage=0, stale-while-revalidate")),
    Refused("no-period", "a known period", page(cache_control="public")),
    Refused("max-age", "a period for shared caches: s-maxage", page(cache_control="max-age=60")),
    Refused("unreadable-period", "a known period", page(cache_control="s-maxage=1e3")),
    Refused("negative-period", "a known period", page(cache_control="s-maxage=-60")),
    Refused("no-cache-control-no-record", "a known period", page(cache_control=None)),
    Refused(
        "record-but-cache-control", "only where the answer has no Cache-Control at all", page(cache_control="public"), RECORD
    ),
    Refused(
        "record-but-cdn",
        "only where the answer has no Cache-Control at all",
        page(cache_control=None, cdn_cache_control="public"),
        RECORD,
    ),
    *(
        Refused(f"inner-{state}", "its age is not known", page(x_vinext_cache=state), has_own_cache=True)
        for state in ("HIT", "STALE", "BYPASS", "hit")
    ),
    Refused(
        "inner-miss-no-store",
        "vinext writes its own entry once the page is proven static",
        page("p", "no-store, must-revalidate", x_vinext_cache="MISS"),
        has_own_cache=True,
    ),
    Refused("html-for-rsc", "the artifact that was asked for", page(), rsc=True),
    Refused("rsc-for-html", "the artifact that was asked for", payload()),
    Refused("json-for-rsc", "the artifact that was asked for", route(), rsc=True),
    Refused("redirect-for-rsc", "the 307 to the right URL is no payload", redirect(307), rsc=True),
    Refused("no-content-type", "a content type", FakeResponse(200, {"cache-control": "s-maxage=60"})),
    Refused("compressed", "the body as it is", page(content_encoding="br")),
    Refused("part", "a body is stored only whole", page(content_range="bytes 0-9/100")),
]


@pytest.mark.parametrize("location", ["/page", "https://example.com/page", "/page?a=1", "//other.example/page#part"])
def test_a_redirect_to_its_own_path_is_refused(location: str) -> None:
    response = redirect(301, location=location)
    assert isinstance(admit(response, None, rsc=False, path="/page"), Refusal)
    assert isinstance(admit(response, None, rsc=False, path="/page/"), Admission)


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.id)
def test_an_answer_is_refused(rule: Refused) -> None:
    refusal = admit(rule.response, rule.record, rsc=rule.rsc)
    assert isinstance(refusal, Refusal), rule.rule
    assert (refusal.is_failure, refusal.has_own_cache) == (rule.is_failure, rule.has_own_cache), rule.rule
    assert refusal.reason


HEADERS = ("cache-control", "cdn-cache-control", "vary", "content-type", "x-vinext-cache", "x-vinext-cache-tags", "cache-tag")


@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=30)),
    rsc=st.booleans(),
)
def test_any_answer_is_judged(*, status: int, headers: dict[str, str], rsc: bool) -> None:
    decision = admit(FakeResponse(status, headers), RECORD, rsc=rsc)
    assert isinstance(decision, Admission | Refusal)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("", ()),
        (",, ,", ()),
        ("a,b,a", ("a", "b")),
        ("_N_T_%2Fblog%2F%5Bslug%5D%2Fpage", ("_N_T_/blog/[slug]/page",)),
        ("products;expire=60,news", ("products", "news")),
        ("a%3Bb", ("a;b",)),
        ("bad%0Atag,item%3A1,good", ("item:1", "good")),
        ("%E0%A4%A", ("\ufffd%A",)),
    ],
    ids=repr,
)
def test_tags_are_read_from_a_header(value: str | None, expected: tuple[str, ...]) -> None:
    assert header_tags(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("", {}),
        ("a", {None: ("a",)}),
        ("a;expire=60,b, c ; expire=60 ,a", {60: ("a", "c"), None: ("b", "a")}),
        ("a;expire=0.5", {0.5: ("a",)}),
        ("a;expire=0,b;expire=-1,c;expire=,d;expire=soon,e;expire=nan,f;other=1", {None: ("a", "b", "c", "d", "e", "f")}),
        ("a;expire=Infinity", {float("inf"): ("a",)}),
        ("%2Fb%2Cc%3Bexpire=5;expire=9", {9: ("/b,c;expire=5",)}),
        ("bad%0Atag;expire=60", {}),
    ],
    ids=repr,
)
def test_revalidated_tags_are_read_with_the_time_for_which_their_pages_stay(
    value: str | None, expected: dict[float | None, tuple[str, ...]]
) -> None:
    assert revalidated_tags(value) == expected
