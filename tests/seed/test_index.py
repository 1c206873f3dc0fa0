from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.worker import BUILD

from cache.keys import KeySchema
from seed.build import Artifact, Build, ManifestError, RouteRecord, Slice, shard_count, shard_from_json, shard_of, shard_to_json

RECORD = RouteRecord(60, 600, ("/a", "b"), 404, {"link": "l"}, {"x": "y"}, {Artifact.HTML: "0a", Artifact.RSC: "0b"})
USUAL = RouteRecord(None, None, (), 200, {}, {}, {Artifact.ROUTE: "0c"})
TEXT = st.text(max_size=5)
HEADERS = st.dictionaries(TEXT, TEXT, max_size=2)
SLICES = st.builds(Slice, st.integers(0, 2**32), st.integers(0, 2**32))
RECORDS = st.builds(
    RouteRecord,
    revalidate_seconds=st.none() | st.integers(0, 10**9) | st.floats(0, 10**6),
    expire_seconds=st.none() | st.integers(0, 10**9),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    status=st.integers(200, 599),
    headers=HEADERS,
    rsc_headers=HEADERS,
    artifacts=st.dictionaries(st.sampled_from(list(Artifact)), TEXT),
    pack=TEXT,
    slices=st.dictionaries(st.sampled_from(list(Artifact)), SLICES),
)


def test_what_is_usual_takes_no_room() -> None:
    assert USUAL.to_document() == {"artifacts": {"route": "0c"}}
    assert set(RECORD.to_document()) == {"artifacts", "revalidate", "expire", "tags", "status", "headers", "rscHeaders"}


@given(st.dictionaries(st.text(max_size=10), RECORDS, max_size=4))
def test_a_shard_is_read_as_it_was_written(records: dict[str, RouteRecord]) -> None:
    text = shard_to_json(records).encode("utf-8", "surrogatepass")
    found = {path: RouteRecord.from_document(document, path) for path, document in shard_from_json(text, "0.json").items()}
    assert found == records


@given(TEXT, st.integers(0, 2**50), st.booleans(), HEADERS, TEXT)
def test_a_build_is_read_as_it_was_written(
    build_id: str,
    built_at_ms: int,
    trailing_slash: bool,  # noqa: FBT001 - given by hypothesis
    headers: dict[str, str],
    base_path: str,
) -> None:
    build = replace(
        BUILD, build_id=build_id, built_at_ms=built_at_ms, trailing_slash=trailing_slash, rsc_headers=headers, base_path=base_path
    )
    assert Build.from_json(build.to_json().encode("utf-8", "surrogatepass"), "build.json") == build


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"version": None},
        {"buildId": 1},
        {"keySchema": "v3"},
        {"keySchema": []},
        {"builtAt": -1},
        {"builtAt": 1.5},
        {"builtAt": True},
        {"shards": "3"},
        {"rscHeaders": []},
        {"rscHeaders": {"a": 1}},
        {"index": None},
        {"basePath": 3},
    ],
    ids=json.dumps,
)
def test_a_build_that_is_none_is_refused_and_named(change: dict[str, Any]) -> None:
    text = json.dumps(json.loads(BUILD.to_json()) | change).encode()
    with pytest.raises(ManifestError, match=r"^build\.json.*copy the build again"):
        Build.from_json(text, "build.json")


@pytest.mark.parametrize("name", ["version", "buildId", "keySchema", "builtAt", "rscHeaders", "index", "shards", "trailingSlash"])
def test_a_build_without_a_field_is_refused(name: str) -> None:
    document = json.loads(BUILD.to_json())
    del document[name]
    with pytest.raises(ManifestError, match="copy the build again"):
        Build.from_json(json.dumps(document).encode(), "build.json")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        {},
        {"artifacts": []},
        {"artifacts": {"css": "a"}},
        {"artifacts": {"html": 1}},
        {"artifacts": {}, "revalidate": -1},
        {"artifacts": {}, "revalidate": True},
        {"artifacts": {}, "expire": "1"},
        {"artifacts": {}, "tags": [1]},
        {"artifacts": {}, "tags": None},
        {"artifacts": {}, "status": "200"},
        {"artifacts": {}, "headers": {"a": []}},
        {"artifacts": {}, "rscHeaders": []},
        {"artifacts": {}, "pack": 1},
        {"artifacts": {}, "slices": []},
        {"artifacts": {}, "slices": {"css": [0, 1]}},
        {"artifacts": {}, "slices": {"html": 1}},
        {"artifacts": {}, "slices": {"html": [0]}},
        {"artifacts": {}, "slices": {"html": [0, -1]}},
        {"artifacts": {}, "slices": {"html": ["0", 1]}},
    ],
    ids=json.dumps,
)
def test_a_record_that_is_none_is_refused_and_named(document: object) -> None:
    with pytest.raises(ManifestError, match=r"^/about .*copy the build again"):
        RouteRecord.from_document(document, "/about")


@pytest.mark.parametrize(("routes", "expected"), [(0, 0), (1, 1), (32, 1), (33, 2), (65, 4), (100_000, 4096), (131_072, 4096)])
def test_shards_grow_in_number_and_not_in_size(routes: int, expected: int) -> None:
    assert shard_count(routes) == expected


def test_paths_are_spread_over_the_shards() -> None:
    sizes = [0] * 32
    for number in range(1024):
        sizes[shard_of(f"/blog/post-{number}", 32)] += 1
    assert max(sizes) < 64


@given(st.text(), st.integers(1, 5000))
def test_any_path_has_a_shard(path: str, shards: int) -> None:
    assert 0 <= shard_of(path, shards) < shards


def test_schemas_are_written_by_name() -> None:
    assert json.loads(replace(BUILD, schema=KeySchema.V1).to_json())["keySchema"] == "v1"
