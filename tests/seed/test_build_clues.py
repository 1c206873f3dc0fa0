"""What vinext's client needs of an RSC payload, as the build tells it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from seed.output import BuildClues
from seed.routing import Routing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        pytest.param('{"buildId": "b", "deploymentId": "dpl_1"}', {"X-Nextjs-Deployment-Id": "dpl_1"}, id="named"),
        pytest.param('{"buildId": "b"}', {}, id="not named"),
        pytest.param('{"deploymentId": 1}', {}, id="no text"),
        pytest.param("[]", {}, id="no object"),
        pytest.param("", {}, id="no JSON"),
        pytest.param(None, {}, id="no file"),
    ],
)
def test_payloads_name_the_deployment_if_next_config_does(note: str | None, expected: dict[str, str], tmp_path: Path) -> None:
    if note is not None:
        (tmp_path / "vinext-prerender-paths.json").write_text(note)
    assert BuildClues().rsc_headers(tmp_path) == expected


@pytest.mark.parametrize(
    ("told", "shown", "expected"),
    [
        pytest.param(None, "/shop", "/shop", id="without the adapter"),
        pytest.param("", "/cdn", "", id="assetPrefix"),
        pytest.param("/shop", "/cdn", "/shop", id="both"),
    ],
)
def test_the_base_path_is_what_the_build_tells(told: str | None, shown: str, expected: str) -> None:
    document = {"version": 1, "buildId": "b", "rules": [], "headers": {"sets": [], "paths": {}}, "basePath": told}
    clues = BuildClues(Routing.from_json(json.dumps(document).encode(), "b", "the file").base_path)
    clues.learn(f'<script src="{shown}/_next/static/a.js"></script>'.encode())
    assert clues.base_path == expected
