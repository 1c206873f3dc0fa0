from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
from tests.fakes.ports import START_MS

from cache.document import with_bodies
from cache.entry import AppPageValue, CacheEntry, Freshness
from cache.keys import KeySchema
from core.body import BytesBody
from isr.lookup import Lookup
from isr.rsc_headers import route_pattern, with_client_headers
from isr.served_build import ServedBuild
from isr.store import CachedPage, body_of
from seed.build import Artifact

BUILD_HEADERS = {"X-Vinext-RSC-Compatibility-Id": "compatible", "X-Vinext-RSC-Build-Id": "rsc-1"}
SITE = ServedBuild("build-1", KeySchema.V2, trailing_slash=False, base_path="/shop", rsc_headers=BUILD_HEADERS)
TAGS = (
    "/blog/a b",
    "_N_T_/blog/a b",
    "_N_T_/layout",
    "_N_T_/blog/a b/page",
    "_N_T_/blog/[slug]/layout",
    "_N_T_/blog/[slug]/page",
)


def found(headers: dict[str, str] | None, artifact: Artifact = Artifact.RSC) -> CachedPage:
    body = BytesBody(b"payload")
    value = AppPageValue(rsc_data=body, headers=headers) if artifact is Artifact.RSC else AppPageValue(html=body, headers=headers)
    return CachedPage(CacheEntry.make(value, TAGS, START_MS, 60, None), artifact, body, Freshness.FRESH)


def headers_of(result: CachedPage) -> dict[str, object]:
    assert isinstance(result.entry.value, AppPageValue)
    return dict(result.entry.value.headers or {})


def lookup(artifact: Artifact = Artifact.RSC) -> Lookup:
    return Lookup.of("/blog/a b", "/shop/blog/a%20b", SITE, artifact)


def test_a_payload_that_vinext_wrote_gets_what_its_client_needs() -> None:
    assert headers_of(with_client_headers(found(None), lookup(), SITE)) == {
        **BUILD_HEADERS,
        "X-Vinext-Rendered-Path-And-Search": "%2Fblog%2Fa%2520b",
        "X-Vinext-Params": "%7B%22slug%22%3A%22a%2520b%22%7D",
    }


def test_the_path_has_the_slash_of_the_page_s_own_url() -> None:
    for url, path in (("/shop/blog/a/", "%2Fblog%2Fa%2F"), ("/shop/", "%2F"), ("/shop", "%2F")):
        at = Lookup.of("/blog/a", url, SITE, Artifact.RSC)
        assert headers_of(with_client_headers(found(None), at, SITE))["X-Vinext-Rendered-Path-And-Search"] == path


def test_what_was_kept_with_a_payload_stays() -> None:
    kept = {"x-own": "1", "x-vinext-rsc-compatibility-id": "older"}
    assert headers_of(with_client_headers(found(kept), lookup(), SITE)) == kept
    assert headers_of(with_client_headers(found({"x-own": "1"}), lookup(), SITE))["x-own"] == "1"


def test_entries_with_one_memo_have_what_is_made_once_and_each_its_own_body() -> None:
    first = found(None)
    completed = [with_client_headers(first, lookup(), SITE)]
    for data in (b"another payload", b"payload"):
        body = BytesBody(data)
        again = replace(first, entry=with_bodies(first.entry, {"rscData": body}), body=body)
        completed.append(with_client_headers(again, lookup(), SITE))
        assert completed[-1].body is body
        assert body_of(completed[-1].entry, Artifact.RSC) is body
        assert body_of(again.entry, Artifact.RSC) is body
    assert len({id(one.entry.identity) for one in completed}) == 1
    assert first.entry.identity is not completed[0].entry.identity
    assert completed[0].entry == completed[2].entry
    assert completed[0].body is first.body


def test_entries_with_one_memo_say_the_path_and_the_build_of_their_own() -> None:
    """Of two pages made in the same millisecond, with the same tags, all may be the same but the body."""
    given = found(None)
    other_site = replace(SITE, rsc_headers={"X-Vinext-RSC-Compatibility-Id": "other"})
    other_path = Lookup.of("/blog/c", "/shop/blog/c", SITE, Artifact.RSC)
    for _ in range(2):
        shown = [
            headers_of(with_client_headers(given, at, site))
            for at, site in ((lookup(), SITE), (other_path, SITE), (lookup(), other_site))
        ]
        assert [headers["X-Vinext-Rendered-Path-And-Search"] for headers in shown] == [
            "%2Fblog%2Fa%2520b",
            "%2Fblog%2Fc",
            "%2Fblog%2Fa%2520b",
        ]
        assert [headers["X-Vinext-RSC-Compatibility-Id"] for headers in shown] == ["compatible", "compatible", "other"]


def test_no_body_is_kept_with_what_is_made_once() -> None:
    body = BytesBody(b"payload of its own")
    given = found(None)
    entry = with_bodies(given.entry, {"rscData": body})
    with_client_headers(replace(given, entry=entry, body=body), lookup(), SITE)
    kept = weakref.ref(body)
    del body, entry
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("artifact", "site"),
    [
        pytest.param(Artifact.HTML, SITE, id="not a payload"),
        pytest.param(Artifact.RSC, ServedBuild("build-1", KeySchema.V2, trailing_slash=False), id="no build that tells"),
    ],
)
def test_anything_else_is_left_alone(artifact: Artifact, site: ServedBuild) -> None:
    given = found(None, artifact)
    assert with_client_headers(given, lookup(artifact), site) is given


@pytest.mark.parametrize(
    ("path", "tag", "pattern"),
    [
        pytest.param("/blog/a", "_N_T_/blog/[slug]/page", "/blog/:slug", id="one segment"),
        pytest.param("/docs/a/b", "_N_T_/docs/[...slug]/page", "/docs/:slug+", id="one or more"),
        pytest.param("/docs", "_N_T_/docs/[...slug]/page", "/docs", id="one or more, and there is none"),
        pytest.param("/docs", "_N_T_/docs/[[...slug]]/page", "/docs/:slug*", id="any number"),
        pytest.param("/a/b", "_N_T_/[lang]/[slug]/page", "/:lang/:slug", id="two of them"),
        pytest.param("/blog/a", "_N_T_/(site)/blog/@main/[slug]/page", "/blog/:slug", id="groups and slots"),
        pytest.param("/blog/a", "_N_T_/shop/[slug]/page", "/blog/a", id="another route"),
        pytest.param("/blog/a/b", "_N_T_/blog/[slug]/page", "/blog/a/b", id="a longer path"),
        pytest.param("/blog", "_N_T_/blog/[slug]/page", "/blog", id="a shorter path"),
        pytest.param("/%E6%97%A5/a", "_N_T_/%E6%97%A5/[slug]/page", "/%E6%97%A5/:slug", id="not ASCII"),
        pytest.param("/about", "_N_T_/about/page", "/about", id="no parameters"),
    ],
)
def test_the_route_is_read_from_the_tags(path: str, tag: str, pattern: str) -> None:
    assert route_pattern(path, ["_N_T_/layout", "[x]", tag]) == pattern
