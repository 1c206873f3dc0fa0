from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.requests import request

from cache.keys import KeySchema
from isr.lookup import CachedOnly, Hidden, Lookup, PassBy, classify, has_credentials, may_store
from isr.served_build import ServedBuild
from seed.build import Artifact

V1 = ServedBuild("build-1", KeySchema.V1, trailing_slash=False)
V2 = ServedBuild("build-1", KeySchema.V2, trailing_slash=False)
SLASH = ServedBuild("build-1", KeySchema.V2, trailing_slash=True)
BASE = ServedBuild("build-1", KeySchema.V2, trailing_slash=False, base_path="/shop")

DOCUMENT = (Artifact.HTML, Artifact.ROUTE)
PAYLOAD = (Artifact.RSC,)
# What the client of vinext 1.4.0 sends.
RSC = {"RSC": "1", "Accept": "text/x-component"}
PREFETCH = RSC | {
    "X-Vinext-Rsc-State-Fingerprint": "1x",
    "Next-Router-Prefetch": "1",
    "Next-Router-Segment-Prefetch": "/_tree",
    "Next-Router-State-Tree": "%5B%22%22%5D",
    "Next-Url": "/",
}
NAVIGATION = RSC | {
    "X-Vinext-Rsc-State-Fingerprint": "1x",
    "X-Vinext-Mounted-Layouts": "/",
    "X-Vinext-Rsc-Render-Mode": "navigation",
}


@dataclass(frozen=True)
class Rule:
    id: str
    rule: str
    url: str
    path: str
    artifacts: tuple[Artifact, ...] = DOCUMENT
    may_store: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    site: ServedBuild = V2
    url_path: str | None = None


LOOKUPS = [
    Rule("html", "else html, or route where the entry is one", "/about", "/about"),
    Rule("root", "else html", "/", "/"),
    Rule("rsc-suffix", ".rsc suffix: rsc", "/about.rsc", "/about", PAYLOAD),
    Rule("rsc-suffix-v1", ".rsc suffix: rsc", "/about.rsc", "/about", PAYLOAD, site=V1),
    Rule("rsc-suffix-of-root", "the root's payload", "/.rsc", "/", PAYLOAD),
    Rule("rsc-suffix-of-index", "index.rsc is the root's file, not its URL", "/index.rsc", "/index", PAYLOAD),
    Rule("rsc-suffix-and-header", ".rsc suffix: rsc", "/about.rsc", "/about", PAYLOAD, headers=RSC),
    Rule("rsc-header-v2", "RSC: 1 (v2): rsc", "/about", "/about", PAYLOAD, headers={"RSC": "1"}),
    Rule("rsc-header-other-value", "RSC: 1, and nothing else", "/about", "/about", headers={"RSC": "0"}),
    Rule("rsc-header-v1", "RSC: 1 is v2's", "/about", "/about", headers={"RSC": "1"}, site=V1),
    Rule(
        "accept-v1",
        "Accept: text/x-component (v1): rsc",
        "/about",
        "/about",
        PAYLOAD,
        headers={"Accept": "text/x-component"},
        site=V1,
    ),
    Rule("accept-v2", "Accept: text/x-component is v1's", "/about", "/about", headers={"Accept": "text/x-component"}),
    Rule("client-rsc", "_rsc is no query", "/about?_rsc=1abc", "/about", PAYLOAD, headers=RSC),
    Rule("client-rsc-bare", "_rsc is no query", "/about?_rsc", "/about", PAYLOAD, headers=RSC),
    Rule("client-rsc-v1", "_rsc is no query", "/about?_rsc=1abc", "/about", PAYLOAD, headers=RSC, site=V1),
    Rule("html-with-rsc-query", "_rsc is no query", "/about?_rsc=1", "/about"),
    Rule(
        "prefetch",
        "the page's one :rsc entry; never store it",
        "/about?_rsc=1abc",
        "/about",
        PAYLOAD,
        may_store=False,
        headers=PREFETCH,
    ),
    Rule(
        "navigation",
        "the page's one :rsc entry; never store it",
        "/about?_rsc=1abc",
        "/about",
        PAYLOAD,
        may_store=False,
        headers=NAVIGATION,
    ),
    *(
        Rule(
            f"state-{name}",
            "perhaps a partial payload: never store it",
            "/about.rsc",
            "/about",
            PAYLOAD,
            may_store=False,
            headers={name: "x"},
        )
        for name in sorted((PREFETCH | NAVIGATION).keys() - RSC.keys() - {"X-Vinext-Rsc-Render-Mode"})
    ),
    Rule("state-of-a-document", "an RSC request's state; a document has none", "/about", "/about", headers={"Next-Url": "/"}),
    Rule(
        "render-mode-navigation",
        "render mode other than navigation",
        "/about.rsc",
        "/about",
        PAYLOAD,
        headers={"X-Vinext-Rsc-Render-Mode": "navigation"},
    ),
    Rule(
        "variant-without-value",
        "a request that carries a value for one",
        "/about.rsc",
        "/about",
        PAYLOAD,
        headers={"X-Vinext-Mounted-Slots": ""},
    ),
    Rule("variant-of-a-document", "separate RSC entries", "/about", "/about", headers={"X-Vinext-Mounted-Slots": "a"}),
    Rule("query-v2", "v2: ignored on reading, and never writes", "/about?a=1", "/about", may_store=False),
    Rule(
        "query-v2-beside-rsc",
        "v2: ignored on reading, and never writes",
        "/about?_rsc=1&a=1",
        "/about",
        PAYLOAD,
        may_store=False,
        headers=RSC,
    ),
    Rule("query-of-nothing", "no parameter is no query", "/about?&", "/about"),
    Rule("query-of-nothing-v1", "no parameter is no query", "/about?", "/about", site=V1),
    Rule("head", "HEAD is answered from the GET entry; GET is stored", "/about", "/about", may_store=False, method="HEAD"),
    Rule(
        "authorization",
        "no Authorization on the request",
        "/about",
        "/about",
        may_store=False,
        headers={"Authorization": "Bearer x"},
    ),
    Rule("body", "no body on the request", "/about", "/about", may_store=False, headers={"Content-Length": "4"}),
    Rule("chunks", "no body on the request", "/about", "/about", may_store=False, headers={"Transfer-Encoding": "chunked"}),
    Rule("empty-body", "a length of nothing is no body", "/about", "/about", headers={"Content-Length": "0"}),
    Rule("encoded", "each segment percent-decoded", "/blog/h%C3%A9llo%20w%C3%B6rld", "/blog/héllo wörld"),
    Rule("encoded-lower-case", "each segment percent-decoded", "/blog/h%c3%a9llo", "/blog/héllo"),
    Rule("encoded-delimiters", "%2F %23 %3F %5C stay encoded", "/blog/a%2Fb%23c%3fd%5ce", "/blog/a%2Fb%23c%3Fd%5Ce"),
    Rule("encoded-tilde", "old clients encode it", "/%7Euser", "/~user"),
    Rule("plus", "a plus is no space in a path", "/blog/a+b", "/blog/a+b"),
    Rule("trailing-slash-site", "trailing slash stripped in keys", "/about/", "/about", site=SLASH),
    Rule("trailing-slash-root", "except for /", "/", "/", site=SLASH),
    Rule(
        "trailing-slash-rsc",
        "<path>.rsc (no trailing-slash form)",
        "/about.rsc",
        "/about",
        PAYLOAD,
        site=SLASH,
        url_path="/about/",
    ),
    Rule("trailing-slash-404", "404.html stays", "/sitemap.xml", "/sitemap.xml", site=SLASH),
    Rule("api", "/api is never redirected", "/api/feed", "/api/feed", site=SLASH),
    Rule("api-rsc", "/api is never redirected", "/api/page.rsc", "/api/page", PAYLOAD, site=SLASH),
    Rule("base-path", "below the base path", "/shop/about", "/about", site=BASE),
    Rule("base-path-root", "below the base path", "/shop", "/", site=BASE),
    Rule("base-path-rsc", "below the base path", "/shop/about.rsc", "/about", PAYLOAD, site=BASE),
    Rule("folder-of-a-like-name", "only the folder itself is hidden", "/__prerendered/about", "/__prerendered/about"),
    Rule("hidden-name-below", "only the folder at the top is hidden", "/blog/__prerender", "/blog/__prerender"),
]


@pytest.mark.parametrize("rule", LOOKUPS, ids=lambda rule: rule.id)
def test_a_request_is_for_an_artifact_of_a_path(rule: Rule) -> None:
    asked = request(rule.url, rule.headers, rule.method)
    found = classify(asked, rule.site)
    assert isinstance(found, Lookup), rule.rule
    assert (found.path, found.artifacts) == (rule.path, rule.artifacts), rule.rule
    assert may_store(asked, found) is rule.may_store, rule.rule
    assert found.url_path == (rule.url_path or rule.url.partition("?")[0].removesuffix(".rsc"))
    assert found.is_rsc is (rule.artifacts == PAYLOAD)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, False), ({"Cookie": "a=b"}, True), ({"X-Api-Key": "k"}, True), ({"Accept-Language": "de"}, False)],
    ids=str,
)
def test_credentials_are_recognized(headers: dict[str, str], *, expected: bool) -> None:
    asked = request("/about", headers)
    found = classify(asked, V2)
    assert isinstance(found, Lookup)
    assert has_credentials(asked) is expected
    assert may_store(asked, found), "a cookie alone does not keep a page out of the cache"


@dataclass(frozen=True)
class Passed:
    id: str
    rule: str
    url: str = "/about"
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    site: ServedBuild = V2


PASSED = [
    *(
        Passed(f"method-{method}", "a method other than GET or HEAD", method=method)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH")
    ),
    Passed("draft", "the cookie __prerender_bypass", headers={"Cookie": "a=b; __prerender_bypass=x"}),
    Passed("next-action-by-post", "a Server Action", headers={"Next-Action": "abc"}, method="POST"),
    Passed("query-v1", "schema v1 with a query", "/search?q=1", site=V1),
    Passed("query-v1-beside-rsc", "schema v1 with a query", "/search?_rsc=1&q=1", site=V1),
    *(
        Passed(f"variant-{name}", "a value for one of those: passed on", "/about.rsc", {name: "x"})
        for name in (
            "X-Vinext-Mounted-Slots",
            "X-Vinext-Interception-Context",
            "X-Vinext-Interception-Id",
            "X-Vinext-Rsc-Render-Mode",
        )
    ),
    Passed(
        "variant-by-header", "a value for one of those: passed on", "/about", RSC | {"X-Vinext-Interception-Context": "/feed"}
    ),
    Passed("trailing-slash", "the page handler redirects it", "/about/"),
    Passed("trailing-slash-rsc", "the page handler redirects the page's own URL", "/about/.rsc"),
    Passed("no-trailing-slash", "the page handler redirects it", "/about", site=SLASH),
    Passed("trailing-slash-file", "the page handler redirects it", "/a.b/", site=SLASH),
    Passed("trailing-slash-api-rsc", "no page has such a path", "/api/feed/.rsc"),
    *(
        Passed(f"encoded-{spelling}", "vinext knows no folder by this spelling", f"/about{spelling}")
        for spelling in ("%61", "%5A", "%7a", "%30", "%2d", "%2E", "/%2e", "%5f", "%2Ersc")
    ),
    Passed("rsc-suffix-twice", "what vinext makes of it is its own affair", "/about.rsc.rsc"),
    Passed("base-path-root-rsc", "not below the base path", "/shop.rsc", site=BASE),
    Passed("base-path-outside", "not below the base path", "/about", site=BASE),
    Passed("base-path-like", "not below the base path", "/shopping", site=BASE),
    Passed("framework", "the framework's own files", "/_next/static/a.js"),
    Passed("framework-below-base-path", "the framework's own files", "/shop/_next/static/a.js", site=BASE),
    Passed("framework-data", "the framework's own files", "/_next/data/build/about.json"),
    Passed("double-slash", "the page handler redirects it", "/blog//a"),
    Passed("not-decodable", "a segment that does not decode stays: /blog/%25zz has that key", "/blog/%zz"),
    Passed("not-utf8", "vinext answers 400", "/blog/%E0%A4%A"),
    Passed("backslash", "not canonical", "/blog\\a"),
    Passed("control-character", "not canonical", "/blog/a\x00b"),
    Passed("space", "not canonical", "/blog/a b"),
    Passed("too-long", "no page has such a path", f"/{'a' * 5000}"),
]


@pytest.mark.parametrize("rule", PASSED, ids=lambda rule: rule.id)
def test_the_cache_is_passed_by(rule: Passed) -> None:
    assert isinstance(classify(request(rule.url, rule.headers, rule.method), rule.site), PassBy), rule.rule


@pytest.mark.parametrize(
    ("headers", "site"),
    [
        ({"Next-Action": "abc"}, V2),
        ({"Next-Action": ""}, V1),
        ({"Upgrade": "h2c"}, V2),
        ({"Upgrade": "websocket"}, V2),
    ],
)
def test_only_a_page_in_the_cache_answers_what_may_be_for_something_else(headers: dict[str, str], site: ServedBuild) -> None:
    verdict = classify(request("/about", headers), site)
    assert isinstance(verdict, CachedOnly)
    assert (verdict.lookup.path, verdict.is_ruled) == ("/about", False)


@pytest.mark.parametrize(
    ("upgrade", "method", "site", "may_upgrade"),
    [
        ("websocket", "GET", V2, True),
        ("foo, WebSocket", "GET", V2, True),
        ("websocket", "HEAD", V2, False),
        ("h2c", "GET", V2, False),
        ("websocket", "GET", replace(V2, takes_upgrades=False), False),
    ],
)
def test_a_url_may_be_that_of_a_page_and_of_a_websocket(
    upgrade: str, method: str, site: ServedBuild, *, may_upgrade: bool
) -> None:
    verdict = classify(request("/about", {"Upgrade": upgrade}, method), site)
    assert isinstance(verdict, CachedOnly)
    assert verdict.may_upgrade is may_upgrade


@pytest.mark.parametrize(
    "path",
    [
        "/__prerender",
        "/__prerender/",
        "/__prerender/build.json",
        "/__prerender/index/abc/0.json",
        "/%5f%5fprerender/build.json",
        "/%5F_prerender/build.json",
        "/__PRERENDER/build.json",
        "/__pre%72ender/build.json",
        "//__prerender/build.json",
        "/.//__prerender/build.json",
        "/./__prerender/build.json",
        "/a/../__prerender/build.json",
        "/a/..%2f__prerender/build.json",
        "/a/%2e%2e/__prerender/build.json",
        "/a/%2E%2E%2F__prerender/build.json",
        "/..%2f__prerender/build.json",
        "/%2f__prerender/build.json",
        "/%2F%5f%5Fprerender/build.json",
        "/__prerender%2fbuild.json",
        "/__prerender%5cbuild.json",
        "/%5c__prerender/build.json",
        "\\__prerender\\build.json",
        "/%255f%255fprerender/build.json",
        "/%25255f_prerender/build.json",
        "/a%252f..%252f..%252f__prerender/build.json",
        "/__prerender/vinext-prerender.json",
        "/__prerender/about.rsc",
    ],
)
def test_the_folder_of_the_pages_is_hidden_in_any_spelling(path: str) -> None:
    headers = {"Cookie": "__prerender_bypass=1", "RSC": "1"}
    for site in (V1, V2, SLASH):
        for method in ("GET", "HEAD", "POST"):
            assert classify(request(path, method=method), site) == Hidden(), method
            assert classify(request(path, headers, method), site) == Hidden(), method


@pytest.mark.parametrize("site", [V2, SLASH])
def test_a_route_handler_below_api_has_an_entry_with_a_slash_and_one_without(site: ServedBuild) -> None:
    """As vinext keeps them: it redirects neither."""
    keys: list[str] = []
    for url in ("/api/feed", "/api/feed/"):
        lookup = classify(request(url), site)
        assert isinstance(lookup, Lookup)
        assert (lookup.path, lookup.canonical_path) == ("/api/feed", url)
        keys.append(lookup.keys[1])
    assert keys == [site.key("/api/feed", "route"), site.key("/api/feed", "route:trailing-slash")]


@given(st.text(max_size=40), st.sampled_from([V1, V2, SLASH, BASE]), st.sampled_from(["GET", "HEAD"]))
def test_any_path_is_looked_up(path: str, site: ServedBuild, method: str) -> None:
    found = classify(request(f"/{path}", method=method), site)
    if isinstance(found, Lookup):
        assert found.path.startswith("/")
        assert found.url_path.startswith("/")
        # A normalized path has a key.
        assert site.key(found.path, Artifact.HTML)


SPELLING = st.sampled_from(["_", "%5f", "%5F", "%255f"])


@given(SPELLING, SPELLING, st.sampled_from(["/", "//", "/./", "/a/../", "/a%2f..%2f", "/%2e/", "/%5C"]))
def test_a_spelling_of_the_hidden_folder_is_hidden(first: str, second: str, before: str) -> None:
    assert classify(request(f"{before}{first}{second}prerender/build.json"), V2) == Hidden()
