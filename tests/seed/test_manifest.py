from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import KeySchema
from seed.build import Artifact, ManifestError
from seed.manifest import parse_manifest, parse_route, skip_reason
from seed.routes import artifact_files

if TYPE_CHECKING:
    from seed.manifest import Route

V1, V2 = KeySchema.V1, KeySchema.V2


def row(**fields: Any) -> dict[str, Any]:
    return {"route": "/about", "status": "rendered", "router": "app", "revalidate": 60} | fields


@pytest.mark.parametrize(
    ("fields", "schema", "is_seeded"),
    [
        pytest.param({}, V1, True, id="rendered-app"),
        pytest.param({"path": "/x", "route": "/:slug"}, V2, True, id="concrete-path"),
        pytest.param({"status": "skipped"}, V2, False, id="skipped"),
        pytest.param({"status": "error", "error": "boom"}, V2, False, id="error"),
        pytest.param({"router": "pages"}, V2, True, id="pages-router"),
        pytest.param({"router": "pages", "route": "/404"}, V2, False, id="error-page-of-the-pages-router"),
        pytest.param({"router": "metadata"}, V2, True, id="metadata-v2"),
        pytest.param({"router": "metadata"}, V1, False, id="metadata-is-v2-s"),
        pytest.param({"fallback": True}, V2, False, id="fallback-shell"),
        pytest.param({"route": "/blog/[slug]"}, V2, False, id="brackets-without-the-flag"),
        pytest.param({"route": "/blog/:slug"}, V2, False, id="pattern-without-a-path"),
        pytest.param({"route": "/blog/[slug]", "fallback": False}, V2, True, id="brackets-and-no-shell"),
        pytest.param({"route": "/blog/:slug", "path": "/blog/a:b"}, V2, True, id="colon-in-a-path"),
        pytest.param({"revalidate": 0}, V2, False, id="period-zero"),
        pytest.param({"revalidate": False}, V2, True, id="never-stale"),
    ],
)
def test_a_route_is_seeded_or_there_is_a_reason(fields: dict[str, Any], schema: KeySchema, *, is_seeded: bool) -> None:
    reason = skip_reason(parse_route(row(**fields)), schema)
    assert (reason is None) is is_seeded
    assert reason is None or reason.strip()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"path": "/b"}, {"pattern": "/about", "path": "/b"}),
        ({}, {"path": "/about", "response_status": 200, "expire_seconds": None, "tags": (), "headers": {}}),
        ({"revalidate": None}, {"revalidate_seconds": None}),
        ({"revalidate": False, "expire": 90}, {"revalidate_seconds": None, "expire_seconds": 90}),
        ({"revalidate": 0.5}, {"revalidate_seconds": 0.5}),
        ({"route": "/404"}, {"response_status": 404}),
        ({"responseStatus": 308, "headers": {"location": "/"}}, {"response_status": 308, "headers": {"location": "/"}}),
        ({"tags": ["a", "b"]}, {"tags": ("a", "b")}),
    ],
)
def test_a_row_is_read(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    route = parse_route(row(**fields))
    assert {name: getattr(route, name) for name in expected} == expected


WRONG_ROWS: list[Any] = [
    None,
    [],
    "x",
    {},
    {"route": 1},
    row(route="about"),
    row(path="about"),
    row(path=None),
    row(path=5),
    row(status=1),
    row(router=[]),
    row(revalidate=-1),
    row(revalidate="60"),
    row(revalidate=True),
    row(expire=[]),
    row(tags="a"),
    row(tags=[1]),
    row(headers=[]),
    row(headers={"a": 1}),
    row(responseStatus="200"),
    row(responseStatus=99),
    row(responseStatus=600),
    row(responseStatus=True),
    row(reason=3),
]


@pytest.mark.parametrize("wrong", WRONG_ROWS, ids=json.dumps)
def test_a_row_that_cannot_be_read_is_named_and_the_rest_is_kept(wrong: object) -> None:
    manifest = parse_manifest(json.dumps({"buildId": "b", "routes": [row(), wrong, row(route="/last")]}), "m.json")
    assert [route.path for route in manifest.routes] == ["/about", "/last"]
    (line,) = manifest.unreadable
    assert line.startswith("m.json, route 1: ")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b'{"buildId": "b", "routes": [',
        b"\xff\xfe",
        b"[]",
        b"3",
        b'{"routes": []}',
        b'{"buildId": "", "routes": []}',
        b'{"buildId": 1, "routes": []}',
        b'{"buildId": "b"}',
        b'{"buildId": "b", "routes": {}}',
        b"[" * 100_000,
    ],
    ids=lambda text: text[:30].decode("latin-1"),
)
def test_a_manifest_that_is_none_is_refused_and_named(text: bytes) -> None:
    with pytest.raises(ManifestError, match=r"^m\.json .*build the site"):
        parse_manifest(text, "m.json")


@pytest.mark.parametrize(
    ("document", "schema", "trailing_slash"),
    [
        ({}, V1, False),
        ({"pregeneratedConcretePaths": []}, V2, False),
        ({"trailingSlash": True}, V1, True),
        ({"trailingSlash": "true"}, V1, False),
    ],
)
def test_what_holds_for_all_pages_is_read(document: dict[str, Any], schema: KeySchema, *, trailing_slash: bool) -> None:
    manifest = parse_manifest(json.dumps({"buildId": "b", "routes": []} | document), "m.json")
    assert (manifest.build_id, manifest.schema, manifest.trailing_slash) == ("b", schema, trailing_slash)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
ROW = st.dictionaries(
    st.sampled_from(
        ["route", "path", "status", "router", "revalidate", "expire", "tags", "headers", "responseStatus", "fallback"]
    ),
    JSON | st.just("/a") | st.just("rendered") | st.dictionaries(st.text(max_size=3), JSON, max_size=2),
)


@given(st.lists(ROW, max_size=3))
def test_any_rows_are_read_or_named(rows: list[dict[str, Any]]) -> None:
    manifest = parse_manifest(json.dumps({"buildId": "b", "routes": rows}), "m.json")
    assert len(manifest.routes) + len(manifest.unreadable) == len(rows)
    for route in manifest.routes:
        skip_reason(route, V2)


def route_at(path: str, router: str = "app") -> Route:
    return parse_route(row(route=path, router=router, fallback=False))


@pytest.mark.parametrize(
    ("path", "trailing_slash", "html", "rsc"),
    [
        ("/", False, "index.html", "index.rsc"),
        ("/", True, "index.html", "index.rsc"),
        ("/about", False, "about.html", "about.rsc"),
        ("/about", True, "about/index.html", "about.rsc"),
        ("/about/", False, "about.html", "about.rsc"),
        ("/404", False, "404.html", "404.rsc"),
        ("/404", True, "404.html", "404.rsc"),
        ("/blog/h%C3%A9llo", False, "blog/h%C3%A9llo.html", "blog/h%C3%A9llo.rsc"),
        ("/blog/slash%2Finside", False, "blog/slash%2Finside.html", "blog/slash%2Finside.rsc"),
        ("/index", False, "index/index.html", "index/index.rsc"),
        ("/index/a", False, "index/index/a.html", "index/index/a.rsc"),
        ("/blog/index", False, "blog/index.html", "blog/index.rsc"),
        ("/indexes", False, "indexes.html", "indexes.rsc"),
        ("/v1.2.3", False, "v1.2.3.html", "v1.2.3.rsc"),
        ("/a/...", False, "a/....html", "a/....rsc"),
    ],
)
def test_the_files_of_a_page(path: str, html: str, rsc: str, *, trailing_slash: bool) -> None:
    assert artifact_files(route_at(path), trailing_slash=trailing_slash) == {Artifact.HTML: html, Artifact.RSC: rsc}


def test_the_file_of_a_metadata_route() -> None:
    assert artifact_files(route_at("/sitemap.xml", "metadata"), trailing_slash=True) == {Artifact.ROUTE: "sitemap.xml.route"}


@pytest.mark.parametrize(
    "path", ["/../secret", "/a/../../secret", "/..", "/./a", "/a/..", "/a\\..\\b", "/a\0b", "//../a", "/../", "/index/../.."]
)
@pytest.mark.parametrize("router", ["app", "metadata"])
def test_a_path_that_leaves_the_folder_is_refused(path: str, router: str) -> None:
    with pytest.raises(ManifestError, match="leaves the folder"):
        artifact_files(route_at(path, router), trailing_slash=False)


@given(st.text(max_size=30), st.booleans())
def test_no_file_is_outside_the_folder(path: str, trailing_slash: bool) -> None:  # noqa: FBT001 - given by hypothesis
    try:
        files = artifact_files(route_at(f"/{path}"), trailing_slash=trailing_slash)
    except ManifestError:
        return
    for file in files.values():
        assert not file.startswith("/")
        assert ".." not in file.split("/")
