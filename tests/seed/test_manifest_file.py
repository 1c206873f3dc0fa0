"""A manifest read row by row says the same as one that is read as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.builds import VERSIONS, VINEXT

from seed import manifest_file
from seed.build import ManifestError, Skipped
from seed.manifest import parse_manifest
from seed.manifest_file import ManifestFile

if TYPE_CHECKING:
    from pathlib import Path

ROWS: list[Any] = [
    {"route": "/", "status": "rendered", "router": "app", "revalidate": False},
    {"route": '/日本 "quoted" \\ \n', "status": "rendered", "router": "app", "revalidate": 1.5, "tags": ["a", "é"]},
    {"no": "route"},
    {"route": "/x", "status": 5},
    None,
    "text",
    123456,
]


def read(file: Path) -> tuple[Any, list[Any]]:
    found = ManifestFile(file)
    return found.head, list(found.routes())


@pytest.mark.parametrize("version", VERSIONS)
def test_real_manifests(version: str) -> None:
    file = VINEXT / version / "vinext-prerender.json"
    whole = parse_manifest(file.read_bytes(), "it")
    head, routes = read(file)
    assert (head.build_id, head.schema, head.trailing_slash) == (whole.build_id, whole.schema, whole.trailing_slash)
    assert routes == list(whole.routes)


@given(
    rows=st.lists(st.sampled_from(ROWS), max_size=30),
    order=st.permutations(["buildId", "trailingSlash", "routes", "pregeneratedConcretePaths", "other"]),
    indent=st.sampled_from([None, 2]),
    chunk=st.integers(1, 40),
    ascii_only=st.booleans(),
)
def test_any_manifest_whatever_its_order_and_however_it_is_cut_up(  # noqa: PLR0913 - drawn ones
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    order: list[str],
    indent: int | None,
    chunk: int,
    *,
    ascii_only: bool,
) -> None:
    values = {
        "buildId": "b",
        "trailingSlash": True,
        "routes": rows,
        "pregeneratedConcretePaths": [["/", ["/"]]],
        "other": -12.5e3,
    }
    text = json.dumps({name: values[name] for name in order}, indent=indent, ensure_ascii=ascii_only)
    file = tmp_path_factory.getbasetemp() / "manifest.json"
    file.write_text(text, encoding="utf-8")
    whole = parse_manifest(text, "it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_file, "_CHUNK_CHARACTERS", chunk)
        head, routes = read(file)
        assert ManifestFile(file).rows == len(rows)
    assert (head.build_id, head.schema, head.trailing_slash) == (whole.build_id, whole.schema, whole.trailing_slash)
    assert [route for route in routes if not isinstance(route, Skipped)] == list(whole.routes)
    assert len([route for route in routes if isinstance(route, Skipped)]) == len(whole.unreadable)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "ends too early", id="empty"),
        pytest.param("{", "ends too early", id="open"),
        pytest.param('{"buildId": "b", "routes": [{"route": "/"}', "ends too early", id="in the list"),
        pytest.param('{"buildId": "b", "routes": [{"rou', "is not JSON", id="in a row"),
        pytest.param("[]", "is not JSON", id="a list"),
        pytest.param("nonsense", "is not JSON", id="nonsense"),
        pytest.param("{}", "has no buildId", id="nothing"),
        pytest.param('{"buildId": "", "routes": []}', "has no buildId", id="empty build ID"),
        pytest.param('{"buildId": 5, "routes": []}', "has no buildId", id="number"),
        pytest.param('{"buildId": "b"}', "has no list of routes", id="no routes"),
        pytest.param('{"buildId": "b", "routes": {}}', "has no list of routes", id="routes are an object"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(text)
    with pytest.raises(ManifestError, match=message):
        ManifestFile(file)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b'{"buildId": "\xff"}')
    with pytest.raises(ManifestError, match="not UTF-8"):
        ManifestFile(tmp_path / "m.json")
    with pytest.raises(ManifestError, match="cannot be read"):
        ManifestFile(tmp_path / "none.json")
