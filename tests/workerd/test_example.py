"""The built example behind the Worker, from the first request on: the build's pages, without the page handler."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.workerd.example import ServedExample
    from tests.workerd.visitor import Answer

NEVER_STALE = "s-maxage=31536000, stale-while-revalidate"
YEAR_SECONDS = 31_536_000

SLUGS = ["first-light", "stale-is-fine", "tags-not-timers", "one-render", "at-the-edge", "héllo wörld", "日本語", "a+b & c"]
LONG = "/docs/reference/a-path-that-is-rather-long/" + "/".join(f"and-goes-on-for-part-{number}" for number in range(1, 10))

# Path to the period in its Cache-Control.
PERIODS = {
    "/": None,
    "/about": None,
    "/big": None,
    "/blog": 600,
    **{f"/blog/{quote(slug, safe='')}": 3600 for slug in SLUGS},
    **dict.fromkeys(("/docs/intro", "/docs/caching/tags", "/docs/caching/tags/revalidate-a-path", LONG), 86400),
}
# One post with a plain name stands for the others.
ASKED = [path for path in PERIODS if path.removeprefix("/blog/") not in SLUGS[1:5]]
RSC = {"RSC": "1", "Accept": "text/x-component"}


def artifact_name(path: str) -> str:
    return "index" if path == "/" else path[1:]


def cache_control(path: str) -> str:
    period = PERIODS[path]
    return NEVER_STALE if period is None else f"s-maxage={period}, stale-while-revalidate={YEAR_SECONDS - period}"


def assert_hit(answer: Answer, path: str, body: bytes, content_type: str) -> None:
    assert (answer.status, answer.state, answer.headers["x-nextjs-cache"]) == (200, "HIT", "HIT")
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == cache_control(path)
    assert answer.headers["etag"]
    assert "RSC" in answer.headers["vary"]
    assert answer.body == body


def test_the_build_has_the_pages_that_these_tests_request(example: ServedExample) -> None:
    rendered = {row.get("path", row["route"]) for row in example.manifest()["routes"] if row["status"] == "rendered"}
    assert rendered == {*PERIODS, "/moved", "/tick", "/tagged", "/actions", "/404"}
    assert len(LONG) > 220
    assert len(example.artifact("big.html")) > 300_000


@pytest.mark.parametrize("path", ASKED)
def test_a_page_of_the_build_is_a_hit_at_once(example: ServedExample, path: str) -> None:
    html = example.artifact(f"{artifact_name(path)}.html")
    before = example.pages.requests(path)
    assert_hit(example.visitor.ask(path), path, html, "text/html; charset=utf-8")
    head = example.visitor.ask(path, "HEAD")
    assert_hit(head, path, b"", "text/html; charset=utf-8")
    assert_hit(example.visitor.ask(f"{path}?utm_source=letter"), path, html, "text/html; charset=utf-8")
    assert_hit(example.visitor.ask(path, headers={"Cookie": "session=1"}), path, html, "text/html; charset=utf-8")
    assert example.pages.requests(path) == before


@pytest.mark.parametrize("path", ASKED)
def test_its_rsc_payload_is_a_hit_at_once(example: ServedExample, path: str) -> None:
    payload = example.artifact(f"{artifact_name(path)}.rsc")
    suffixed = f"{path}.rsc"
    before = example.pages.requests(path) + example.pages.requests(suffixed)
    navigation = {**RSC, "X-Vinext-Rsc-State-Fingerprint": "f", "Next-Url": "/", "X-Vinext-Mounted-Layouts": "/"}
    for answer in (
        example.visitor.ask(suffixed),
        example.visitor.ask(f"{path}?_rsc=1a2b", headers=RSC),
        example.visitor.ask(f"{path}?_rsc=1a2b", headers=navigation),
    ):
        assert_hit(answer, path, payload, "text/x-component")
        assert answer.headers["x-vinext-rsc-compatibility-id"]
        assert answer.headers["x-vinext-rsc-build-id"] == (example.built.manifest.with_name("RSC_BUILD_ID")).read_text().strip()
        assert answer.headers["x-vinext-rendered-path-and-search"] == quote(path, safe="")
    assert_hit(example.visitor.ask(suffixed, "HEAD"), path, b"", "text/x-component")
    assert example.pages.requests(path) + example.pages.requests(suffixed) == before


def test_an_rsc_payload_names_the_compatibility_id_that_the_page_handler_names(example: ServedExample) -> None:
    seeded = example.visitor.ask("/about.rsc").headers["x-vinext-rsc-compatibility-id"]
    live = example.visitor.ask("/dash.rsc").headers["x-vinext-rsc-compatibility-id"]
    assert seeded == live


def test_the_route_s_parameters_go_with_its_rsc_payload(example: ServedExample) -> None:
    slug = example.visitor.ask("/blog/h%C3%A9llo%20w%C3%B6rld.rsc")
    assert slug.headers["x-vinext-params"] == quote('{"slug":"h%C3%A9llo%20w%C3%B6rld"}', safe="")
    rest = example.visitor.ask("/docs/caching/tags.rsc")
    assert rest.headers["x-vinext-params"] == quote('{"slug":["caching","tags"]}', safe="")
    assert "x-vinext-params" not in example.visitor.ask("/about.rsc").headers


def test_small_hexadecimal_digits_are_the_same_page(example: ServedExample) -> None:
    answer = example.visitor.ask("/blog/h%c3%a9llo%20w%c3%b6rld")
    assert (answer.state, answer.body) == ("HIT", example.artifact("blog/h%C3%A9llo%20w%C3%B6rld.html"))


def test_a_redirect_of_the_build_is_a_redirect(example: ServedExample) -> None:
    answer = example.visitor.ask("/moved")
    assert (answer.status, answer.state, answer.headers["location"]) == (308, "HIT", "/about")
    assert answer.body == example.artifact("moved.html")
    assert example.pages.requests("/moved", rsc=False) == []


@pytest.mark.parametrize("path", ["/", "/blog", "/about.rsc"])
def test_a_page_that_the_visitor_has_is_a_304(example: ServedExample, path: str) -> None:
    first = example.visitor.ask(path)
    etag = first.headers["etag"]
    for condition in (etag, f'"other", W/{etag}', "*"):
        again = example.visitor.ask(path, headers={"If-None-Match": condition})
        assert (again.status, again.body, again.state) == (304, b"", "HIT")
        assert {again.headers[name] == first.headers[name] for name in ("etag", "cache-control", "vary")} == {True}
        assert "content-type" not in again.headers
    assert example.visitor.ask(path, headers={"If-None-Match": '"other"'}).status == 200


SPELLINGS = [
    "/__prerender/{}",
    "//__prerender/{}",
    "/__prerender//{}",
    "/%5f_prerender/{}",
    "/%5F%5Fprerender/{}",
    "/%5f%5f%70%72%65%72%65%6e%64%65%72/{}",
    "/__PRERENDER/{}",
    "/%255f_prerender/{}",
    "/%25255f_prerender/{}",
    "/./__prerender/{}",
    "/x/../__prerender/{}",
    "/x/..%2f__prerender/{}",
    "/x/%2e%2e/__prerender/{}",
    "/x/%2E%2E%2F__prerender/{}",
    "/%2e%2e/__prerender/{}",
    "/x%2f..%2f__prerender/{}",
    "/x/%252e%252e/__prerender/{}",
    "/__prerender\\{}",
    "/\\__prerender/{}",
    "/x\\..\\__prerender\\{}",
    "/x/..%5c__prerender/{}",
    "/__prerender%2f{}",
    "/__prerender%5C{}",
    "/__prerender/x/../{}",
    "/_next/static/../../__prerender/{}",
    "/_next/static/%2e%2e/%2e%2e/__prerender/{}",
    "/_next/static/..%2f..%2f__prerender/{}",
    "/_next/static/..%2F..%2F%5F%5Fprerender/{}",
    "/_next/static/..%5c..%5c__prerender/{}",
    "/_next/static//../../..//__prerender/{}",
    "/_next/static/%252e%252e%252f%252e%252e%252f__prerender/{}",
    "/__prerender/{}?a=1",
    "/__prerender/{}.rsc",
    "/__prerender/{};a",
    "http://other.example/__prerender/{}",
]


# The folder is hidden before a store is asked.
@pytest.mark.parametrize("example", ["memory"], indirect=True)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_folder_of_the_pages_is_hidden_in_every_spelling(example: ServedExample, spelling: str) -> None:
    assets = example.runtime.options.assets_directory
    assert assets is not None
    folder = assets / "__prerender"
    for file in (folder / "build.json", next((folder / "packs").iterdir())):
        path = spelling.format(file.relative_to(folder).as_posix())
        for visitor in (example.visitor, example.direct):
            for method in ("GET", "HEAD", "POST"):
                answer = visitor.ask(path, method)
                assert file.read_bytes() not in answer.body
                assert answer.status == 404, answer


def test_hashed_static_files_are_served_and_kept_for_ever(example: ServedExample) -> None:
    client = example.built.client_directory
    files = [path for path in (client / "_next" / "static").rglob("*") if path.suffix in {".js", ".css"}]
    assert {path.suffix for path in files} == {".js", ".css"}
    for file in files:
        answer = example.visitor.ask(f"/{file.relative_to(client).as_posix()}")
        assert (answer.status, answer.body) == (200, file.read_bytes())
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.state is None


def test_a_missing_static_file_is_a_404(example: ServedExample) -> None:
    assert example.visitor.ask("/_next/static/chunks/none-0000.js").status == 404
