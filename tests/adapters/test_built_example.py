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
    answer = pages.client.get(path)
    assert answer.headers["Cache-Control"] == cache_control
    assert set(tags) <= {unquote(tag) for tag in answer.headers["X-Vinext-Cache-Tags"].split(",")}
    assert "X-Vinext-Revalidated-Tags" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/about", "/big", "/blog/first-light", "/docs/caching/tags", "/tick"])
def test_a_page_brings_the_payload_that_its_url_would_give(pages: PagesWorker, path: str) -> None:
    """In another order: a payload's rows are numbered, and each render writes them as it gets to know them."""
    both = pages.client.get(path, headers={"X-Vinext-Wants-Payload": "1"})
    size = int(both.headers["X-Vinext-Payload-Bytes"])
    html, payload = both.content[:-size], both.content[-size:]
    assert html.rstrip().endswith(b"</html>")
    assert pages.client.get(path).content.rstrip().endswith(b"</html>")
    alone = pages.client.get(f"{path}?_rsc", headers={"RSC": "1", "Accept": "text/x-component"}).content
    assert row_numbers(payload) == row_numbers(alone)
    assert abs(len(payload) - len(alone)) < 100


def row_numbers(payload: bytes) -> list[bytes]:
    return sorted(row.partition(b":")[0] for row in payload.splitlines() if re.match(rb"[0-9a-f]+:", row))


@pytest.mark.parametrize("path", ["/dash", "/search", "/missing", "/moved", "/api/time", "/about?_rsc"])
def test_nothing_else_brings_a_payload(pages: PagesWorker, path: str) -> None:
    rsc = {"RSC": "1", "Accept": "text/x-component"} if "_rsc" in path else {}
    assert "X-Vinext-Payload-Bytes" not in pages.client.get(path, headers={"X-Vinext-Wants-Payload": "1", **rsc}).headers


@pytest.mark.parametrize("path", ["/dash", "/search", "/search?q=tags", "/missing", "/api/revalidate"])
def test_a_dynamic_page_may_not_be_kept(pages: PagesWorker, path: str) -> None:
    answer = pages.client.get(path)
    assert "no-store" in answer.headers["Cache-Control"]
    assert "X-Vinext-Cache-Tags" not in answer.headers


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
