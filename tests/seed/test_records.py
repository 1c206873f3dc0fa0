from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from tests.fakes.ports import START_MS
from tests.fakes.worker import BUILD

from cache.entry import AppPageValue, AppRouteValue
from cache.keys import KeySchema
from core.body import BytesBody
from seed.build import Artifact
from seed.entries import entry_of
from seed.manifest import parse_route
from seed.routes import record_of, route_parameters

V1, V2 = KeySchema.V1, KeySchema.V2
BOTH = {Artifact.HTML: "0a", Artifact.RSC: "0b"}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/", "/", {}),
        ("/about", "/about", {}),
        ("/blog/:slug", "/blog/a", {"slug": "a"}),
        ("/blog/:slug", "/blog/h%C3%A9llo", {"slug": "h%C3%A9llo"}),
        ("/:lang/blog/:slug", "/en/blog/a", {"lang": "en", "slug": "a"}),
        ("/docs/:slug+", "/docs/a", {"slug": ["a"]}),
        ("/docs/:slug+", "/docs/a/b%2Fc", {"slug": ["a", "b%2Fc"]}),
        ("/docs/:slug*", "/docs/a/b", {"slug": ["a", "b"]}),
        ("/docs/:slug*", "/docs", {}),
        ("/blog/:slug", "/blog", {}),
    ],
)
def test_parameters_are_told_by_the_pattern(pattern: str, path: str, expected: dict[str, Any]) -> None:
    assert route_parameters(pattern, path) == expected


def record(schema: KeySchema = V2, artifacts: dict[Artifact, str] | None = None, **fields: Any) -> Any:
    row = {
        "route": "/blog/:slug",
        "path": "/blog/h%C3%A9",
        "status": "rendered",
        "router": "app",
        "revalidate": 60,
        "expire": 600,
    }
    return record_of(parse_route(row | fields), schema, BOTH if artifacts is None else artifacts)


def test_a_record_has_the_union_of_the_tags_of_the_path_and_the_manifest() -> None:
    found = record(tags=["own", "_N_T_/blog/[slug]/page", "bad\0tag", "own"])
    assert found.tags == (
        "/blog/h%C3%A9",
        "_N_T_/blog/h%C3%A9",
        "_N_T_/layout",
        "_N_T_/blog/layout",
        "_N_T_/blog/h%C3%A9/layout",
        "_N_T_/blog/h%C3%A9/page",
        "own",
        "_N_T_/blog/[slug]/page",
    )
    assert "/blog/hé" in record(V1).tags


def test_a_payload_of_v2_says_what_it_is_for() -> None:
    headers = record().rsc_headers
    assert unquote(headers["X-Vinext-Rendered-Path-And-Search"]) == "/blog/h%C3%A9"
    assert json.loads(unquote(headers["X-Vinext-Params"])) == {"slug": "h%C3%A9"}
    row = {"route": "/blog/:slug", "path": "/blog/a", "status": "rendered", "router": "app"}
    at_slash = record_of(parse_route(row), V2, BOTH, trailing_slash=True).rsc_headers
    assert unquote(at_slash["X-Vinext-Rendered-Path-And-Search"]) == "/blog/a/"
    assert json.loads(unquote(at_slash["X-Vinext-Params"])) == {"slug": "a"}
    assert record(V1).rsc_headers == {}
    assert record(artifacts={Artifact.HTML: "0a"}).rsc_headers == {}


def test_a_redirect_is_one_in_both_forms() -> None:
    found = record(V1, headers={"location": "/other", "x-a": "b"}, responseStatus=307)
    assert (found.status, found.headers, found.rsc_headers) == (307, {"location": "/other", "x-a": "b"}, {"location": "/other"})


@pytest.mark.parametrize("artifact", [Artifact.HTML, Artifact.RSC])
def test_an_entry_has_the_time_of_the_build(artifact: Artifact) -> None:
    body = BytesBody(b"x")
    entry = entry_of(record(responseStatus=404, headers={"link": "l"}), BUILD, artifact, body, '"tag"')
    assert (entry.last_modified_ms, entry.revalidate_at_ms, entry.expire_at_ms) == (
        START_MS,
        START_MS + 60_000,
        START_MS + 600_000,
    )
    value = entry.value
    assert isinstance(value, AppPageValue)
    assert value.status == 404
    headers = value.headers or {}
    assert headers["etag"] == '"tag"'
    if artifact is Artifact.HTML:
        assert value.html is body
        assert headers["link"] == "l"
        assert "X-Vinext-RSC-Compatibility-Id" not in headers
    else:
        assert value.rsc_data is body
        assert headers["X-Vinext-RSC-Compatibility-Id"] == "compatible"
        assert "link" not in headers


def test_an_entry_of_a_route_handler() -> None:
    body = BytesBody(b"<urlset/>")
    given = record(artifacts={Artifact.ROUTE: "0c"}, headers={"content-type": "application/xml", "etag": '"own"'})
    value = entry_of(given, BUILD, Artifact.ROUTE, body, '"tag"').value
    assert value == AppRouteValue(body, 200, {"content-type": "application/xml", "etag": '"own"'})


def test_an_entry_without_an_etag_gets_none() -> None:
    value = entry_of(record(), BUILD, Artifact.HTML, BytesBody(b""), None).value
    assert isinstance(value, AppPageValue)
    assert "etag" not in (value.headers or {})


def test_a_tag_that_the_manifest_split_at_a_comma_is_whole() -> None:
    split = ["/blog/a", " b", "_N_T_/blog/a", " b/page"]
    found = record(path="/blog/a%2C%20b", tags=split)
    assert {"/blog/a, b", "_N_T_/blog/a, b", "_N_T_/blog/a, b/page"} <= set(found.tags)
