"""What vinext's client needs of an RSC payload, as the build tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seed.output import BuildClues

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
