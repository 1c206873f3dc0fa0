"""The adapter inside a real vinext build, in workerd."""

from __future__ import annotations

import html
import json
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2
    from tests.adapters.conftest import PagesWorker

    from vinext_worker.sites.site_build import SiteBuild

YEAR = 31_536_000
STATIC = "s-maxage=31536000, stale-while-revalidate"
SLUGS = ["first-light", "stale-is-fine", "tags-not-timers", "one-render", "at-the-edge", "héllo wörld", "日本語", "a+b & c"]
RSC = {"RSC": "1", "Accept": "text/x-component"}
LONG = "/docs/reference/a-path-that-is-rather-long/" + "/".join(f"and-goes-on-for-part-{part}" for part in range(1, 10))


def policy(revalidate: int) -> str:
    return f"s-maxage={revalidate}, stale-while-revalidate={YEAR - revalidate}"


CACHEABLE = [
    ("/", STATIC, ["/", "_N_T_/layout", "_N_T_/page"]),
    ("/about", STATIC, ["/about", "_N_T_/about", "_N_T_/about/page"]),
    ("/about.rsc", STATIC, ["/about", "_N_T_/about", "_N_T_/about/page"]),
    ("/big", STATIC, ["/big"]),
    ("/blog", policy(600), ["/blog", "_N_T_/blog/layout"]),
    ("/blog/first-light", policy(3600), ["/blog/first-light", "_N_T_/blog/[slug]/page"]),
    ("/blog/" + quote("日本語"), policy(3600), ["/blog/" + quote("日本語"), "_N_T_/blog/layout"]),
    ("/blog/a%2Bb%20%26%20c", policy(3600), ["/blog/a+b & c"]),
    ("/blog/unknown-to-the-build", policy(3600), ["/blog/unknown-to-the-build"]),
    ("/docs/caching/tags", policy(86400), ["/docs/caching/tags", "_N_T_/docs/[...slug]/page"]),
    (LONG, policy(86400), [LONG]),
    ("/tick", policy(2), ["/tick"]),
    ("/tagged", STATIC, ["products", "catalogue"]),
    ("/actions", STATIC, ["/actions"]),
    ("/moved", STATIC, ["/moved"]),
    ("/api/time", "s-maxage=10, stale-while-revalidate", ["/api/time", "_N_T_/api/time/route"]),
]

REVALIDATIONS = [
    ("tag=products", "products"),
    ("tag=a%2Cb%3Bc", "a%2Cb%3Bc"),
    ("tag=products&expire=60", "products;expire=60"),
    ("path=/blog", "_N_T_%2Fblog"),
    ("path=/blog/", "_N_T_%2Fblog"),
    ("path=/", "_N_T_%2F"),
    ("path=/blog&type=layout", "_N_T_%2Fblog%2Flayout"),
    ("path=/blog/[slug]&type=page", "_N_T_%2Fblog%2F%5Bslug%5D%2Fpage"),
]


@pytest.mark.parametrize(("path", "cache_control", "tags"), CACHEABLE)
def test_a_cacheable_page_comes_with_its_policy_and_tags(
    pages: PagesWorker, path: str, cache_control: str, tags: list[str]
) -> None:
    staged = pages.serve(path)
    assert staged.kept is not None
    assert staged.kept.headers["Cache-Control"] == cache_control
    assert set(tags) <= staged.kept.tags
    assert "X-Vinext-Revalidated-Tags" not in staged.response.headers
    page = unquote(path).removesuffix(".rsc")
    resource = {"path": page, "part": part_of(path), "tagPath": page}
    assert staged.questions == [{**resource, "isStorable": True}]
    assert staged.about["made"] == resource


def part_of(path: str) -> str:
    return "route" if path.startswith("/api/") else "rsc" if path.endswith(".rsc") else "html"


@pytest.mark.parametrize("path", ["/", "/about", "/big", "/blog/first-light", "/docs/caching/tags", "/tick"])
def test_a_page_brings_the_payload_that_its_url_would_give(pages: PagesWorker, path: str) -> None:
    """In another order: a payload's rows are numbered, and each render writes them as it gets to know them."""
    staged = pages.serve(path)
    assert staged.kept is not None
    assert staged.kept.body == staged.response.body
    assert staged.response.body.rstrip().endswith("</html>")
    alone = pages.client.get(f"{path}?_rsc", headers=RSC).text
    assert_same_payload(staged.kept.payload, alone)


@pytest.mark.parametrize("path", ["/about", "/blog/first-light", "/tick"])
def test_a_payload_brings_the_page(pages: PagesWorker, path: str) -> None:
    staged = pages.serve(f"{path}?_rsc", headers=RSC)
    assert staged.kept is not None
    assert staged.kept.headers["Content-Type"].startswith("text/x-component")
    assert staged.kept.document is not None
    assert staged.kept.document.rstrip().endswith("</html>")
    assert staged.about["made"]["part"] == "rsc"


def test_a_page_that_redirects_brings_the_payload_that_does(pages: PagesWorker) -> None:
    staged = pages.serve("/moved")
    assert (staged.response.status, staged.response.headers["Location"]) == (308, "/about")
    assert staged.kept is not None
    assert (staged.kept.status, staged.kept.headers["Location"]) == (308, "/about")
    assert "NEXT_REDIRECT" in (staged.kept.payload or "")


def test_a_route_handler_brings_no_payload(pages: PagesWorker) -> None:
    kept = pages.serve("/api/time").kept
    assert kept is not None
    assert (kept.payload, kept.document) == (None, None)


def assert_same_payload(payload: str | None, other: str) -> None:
    assert payload is not None
    assert row_numbers(payload) == row_numbers(other)
    assert abs(len(payload) - len(other)) < 100


def row_numbers(payload: str) -> list[str]:
    return sorted(row.partition(":")[0] for row in payload.splitlines() if re.match(r"[0-9a-f]+:", row))


@pytest.mark.parametrize("path", ["/dash", "/search", "/search?q=tags", "/missing", "/api/revalidate"])
def test_a_dynamic_page_may_not_be_kept(pages: PagesWorker, path: str) -> None:
    staged = pages.serve(path)
    assert staged.kept is None
    assert "no-store" in staged.response.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/about?utm=x", "/about?utm=x&_rsc"])
def test_a_page_that_does_not_read_its_query_is_kept_for_all_queries(pages: PagesWorker, path: str) -> None:
    staged = pages.serve(path, headers=RSC if "_rsc" in path else {})
    assert staged.questions[0]["path"] == "/about"
    assert staged.kept is not None


def test_an_entry_that_will_be_served_without_the_request_stage_keeps_its_policy(pages: PagesWorker) -> None:
    kept = pages.serve("/about", unruled=True).kept
    assert kept is not None
    assert kept.headers["Cache-Control"] == STATIC
    assert "/about" in kept.tags


def test_an_entry_answers_in_place_of_a_render(pages: PagesWorker) -> None:
    offer = {"path": "/tick", "part": "html", "status": 200, "headers": {"content-type": ["text/html"], "x-own": ["1"]}}
    staged = pages.serve("/tick", offer=json.dumps({**offer, "isStale": True}))
    assert (staged.questions, staged.about["isHit"], staged.response.body) == ([], True, "")
    assert (staged.response.status, staged.response.headers["X-Own"]) == (200, "1")
    kept = pages.replay(staged.about["replay"])
    assert kept is not None
    assert (kept.status, kept.headers["Cache-Control"]) == (200, policy(2))
    fresh = pages.serve("/tick", entries={"/tick html": offer})
    assert (fresh.about, len(fresh.questions), fresh.response.headers["X-Own"]) == ({"isHit": True}, 1, "1")


@pytest.mark.parametrize("path", ["/about", "/blog/first-light", "/blog/unknown-to-the-build", "/tick", "/tagged"])
def test_a_page_is_rendered_for_the_cache_and_again(pages: PagesWorker, path: str) -> None:
    """From the request stage on, and from the description of an earlier request, with the policy of a visitor's response."""
    staged = pages.serve(path, headers={"Cookie": "session=abc"})
    assert "abc" not in staged.about["replay"]
    assert staged.kept is not None
    rendered, again = pages.render(path), pages.replay(staged.about["replay"])
    for kept in (rendered, again):
        assert kept is not None
        assert (kept.status, kept.headers["Cache-Control"]) == (200, staged.kept.headers["Cache-Control"])
        assert kept.tags == staged.kept.tags
        assert kept.body is not None
        assert kept.body.rstrip().endswith("</html>")
    assert rendered is not None
    assert again is not None
    assert_same_payload(rendered.payload, again.payload or "")


def test_a_payload_is_rendered_again_with_its_page(pages: PagesWorker) -> None:
    kept = pages.replay(pages.serve("/tick?_rsc", headers=RSC).about["replay"])
    assert kept is not None
    assert kept.headers["Content-Type"].startswith("text/x-component")
    assert (kept.document or "").rstrip().endswith("</html>")


def test_a_redirect_is_rendered_for_the_cache(pages: PagesWorker) -> None:
    kept = pages.render("/moved")
    assert kept is not None
    assert (kept.status, kept.headers["Location"], kept.headers["Cache-Control"]) == (308, "/about", STATIC)


@pytest.mark.parametrize("path", ["/dash", "/search", "/missing"])
def test_what_is_rendered_for_the_cache_in_vain_says_why(pages: PagesWorker, path: str) -> None:
    kept = pages.render(path)
    assert kept is not None
    assert "no-store" in kept.headers["Cache-Control"]
    assert kept.body is None


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_only_a_get_is_kept(pages: PagesWorker, method: str) -> None:
    staged = pages.serve("/api/revalidate" if method == "POST" else "/api/time", method)
    assert staged.kept is None


@pytest.mark.parametrize("path", ["/", "/about", "/about.rsc", "/tick", "/blog/first-light", "/moved"])
def test_whoever_asks_the_app_itself_gets_nothing_that_may_be_kept(pages: PagesWorker, path: str) -> None:
    answer = pages.client.get(path)
    assert answer.status_code in {200, 308}
    assert "s-maxage" not in answer.headers.get("Cache-Control", "")
    assert "X-Vinext-Cache-Tags" not in answer.headers
    assert "X-Vinext-Revalidated-Tags" not in answer.headers


OUTSIDE = [
    ("GET", "/serve", {}),
    ("POST", "/serve", {}),
    ("POST", "/render", {}),
    ("POST", "/replay", {}),
    ("GET", "/__vinext/serve", {}),
    ("POST", "/", {"Content-Type": "application/json-rpc"}),
    ("POST", "/", {"CF-Worker": "vinext-worker"}),
    ("GET", "/", {"X-Vinext-Offer": "{}", "X-Vinext-Props": "{}", "X-Vinext-Stage": "response", "X-Vinext-Wants-Payload": "1"}),
]


@pytest.mark.parametrize(("method", "path", "headers"), OUTSIDE)
def test_a_visitor_reaches_none_of_it(pages: PagesWorker, method: str, path: str, headers: dict[str, str]) -> None:
    document = json.dumps({"replay": pages.serve("/tick").about["replay"]})
    answer = pages.client.request(method, path, headers=headers, content=document if method == "POST" else None)
    assert answer.status_code in ({200, 405} if path == "/" else {404, 405})
    assert "isHit" not in answer.text
    assert answer.headers.get("X-Vinext-Payload-Bytes") is None
    if answer.status_code == 200:
        assert answer.text.rstrip().endswith("</html>")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("query", "expected"), REVALIDATIONS)
def test_a_route_handler_says_what_it_invalidated(pages: PagesWorker, method: str, query: str, expected: str) -> None:
    answer = pages.client.request(method, f"/api/revalidate?{query}")
    assert answer.status_code == 200
    assert answer.headers["X-Vinext-Revalidated-Tags"] == expected
    assert "no-store" in answer.headers["Cache-Control"]


ACTIONS = [
    ("refreshProducts", 200, "products"),
    ("refreshBlog", 200, "_N_T_%2Fblog%2Flayout"),
    ("refreshProductsAndShow", 303, "products"),
]


@pytest.mark.parametrize(("name", "status", "expected"), ACTIONS)
def test_a_server_action_says_what_it_invalidated(pages: PagesWorker, name: str, status: int, expected: str) -> None:
    headers = {"Next-Action": action_id(pages, name), "Accept": "text/x-component", "Content-Type": "text/plain;charset=UTF-8"}
    answer = pages.client.post("/actions", content="[]", headers=headers | same_origin(pages))
    assert (answer.status_code, answer.headers["X-Vinext-Revalidated-Tags"]) == (status, expected)


@pytest.mark.parametrize(("name", "status", "expected"), ACTIONS)
def test_a_form_without_javascript_says_what_it_invalidated(pages: PagesWorker, name: str, status: int, expected: str) -> None:
    files = {f"$ACTION_ID_{action_id(pages, name)}": (None, "")}
    answer = pages.client.post("/actions", files=files, headers={"Accept": "text/html"} | same_origin(pages))
    assert (answer.status_code, answer.headers["X-Vinext-Revalidated-Tags"]) == (status, expected)


def test_what_is_invalidated_after_the_response_is_written_to_kv(pages: PagesWorker) -> None:
    before = time.time() * 1000
    answer = pages.client.get("/api/revalidate?tag=afterwards&when=after")
    assert "X-Vinext-Revalidated-Tags" not in answer.headers
    for key in ("__tag:afterwards", "__last-invalidation"):
        assert float(eventually(pages, key)) >= before - 1


def test_what_becomes_stale_after_the_response_has_markers_of_its_own_in_kv(pages: PagesWorker) -> None:
    before = time.time() * 1000
    pages.client.get("/api/revalidate?tag=later&when=after&expire=60")
    at_ms, expire_at_ms = map(float, str(eventually(pages, "__swr:later")).split(" "))
    assert at_ms >= before - 1
    assert expire_at_ms == at_ms + 60_000
    for key in ("__last-invalidation", "__last-stale"):
        assert float(eventually(pages, key)) >= before - 1
    assert "__tag:later" not in pages.markers()


def test_what_a_response_carries_is_not_written_to_kv(pages: PagesWorker) -> None:
    pages.client.get("/api/revalidate?tag=carried")
    pages.client.get("/api/revalidate?tag=fence&when=after")
    eventually(pages, "__tag:fence")
    assert "__tag:carried" not in pages.markers()


def test_the_build_pre_rendered_the_static_routes(example: SiteBuild) -> None:
    manifest = json.loads(example.manifest.read_bytes())
    rendered = {route.get("path", route["route"]): route for route in manifest["routes"] if route["status"] == "rendered"}
    posts = {f"/blog/{quote(slug, safe='')}" for slug in SLUGS}
    docs = {"/docs/intro", "/docs/caching/tags", "/docs/caching/tags/revalidate-a-path", LONG}
    assert set(rendered) == {"/", "/about", "/actions", "/big", "/blog", "/moved", "/tagged", "/tick", "/404"} | posts | docs
    assert len(LONG) > 220
    assert {path: rendered[path]["revalidate"] for path in ("/about", "/blog", "/tick")} == {
        "/about": False,
        "/blog": 600,
        "/tick": 2,
    }
    assert (rendered["/moved"]["responseStatus"], rendered["/moved"]["headers"]["location"]) == (308, "/about")
    assert (example.artifacts_directory / "big.html").stat().st_size > 300_000


def test_the_ids_that_a_cached_payload_needs_can_be_read_from_the_build(pages: PagesWorker, example: SiteBuild) -> None:
    live: Mapping[str, str] = pages.client.get("/about.rsc").headers
    document = (example.artifacts_directory / "about.html").read_text()
    compatibility_id = re.search(r'compatibilityId:"([^"]+)"', document)
    assert compatibility_id is not None
    assert live["X-Vinext-RSC-Compatibility-Id"] == compatibility_id[1]
    assert live["X-Vinext-RSC-Build-Id"] == (example.server_config.parent / "RSC_BUILD_ID").read_text()


def test_what_is_given_to_be_kept_names_its_build_and_so_does_the_path_of_the_check(
    pages: PagesWorker, example: SiteBuild
) -> None:
    build_id = json.loads(example.manifest.read_bytes())["buildId"]
    for kept in (pages.serve("/about").kept, pages.render("/about")):
        assert kept is not None
        assert kept.headers["X-Vinext-App-Build"] == build_id
    checked = pages.client.post("/__vinext-worker-check")
    assert (checked.status_code < 500, checked.headers["X-Vinext-App-Build"]) == (True, build_id)
    assert "X-Vinext-App-Build" not in pages.serve("/about").response.headers


def action_id(pages: PagesWorker, name: str) -> str:
    page: httpx2.Response = pages.client.get("/actions")
    found = re.search(rf'name="\$ACTION_ID_([^"]+#{name})"', html.unescape(page.text))
    assert found is not None
    return found[1]


def same_origin(pages: PagesWorker) -> dict[str, str]:
    return {"Origin": str(pages.client.base_url).rstrip("/")}


def eventually(pages: PagesWorker, key: str) -> str:
    """Wait for work that a Worker does after its response; nothing else says when it is done."""
    deadline = time.monotonic() + 60
    while (value := pages.markers().get(key)) is None:
        assert time.monotonic() < deadline, f"{key} was not written"
        time.sleep(0.05)
    return value
