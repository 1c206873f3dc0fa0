"""Compatibility dates that the local workerd does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError, ToolError
from vinext_worker.local_runtime.dates import newest_date, require_known_date

if TYPE_CHECKING:
    from pathlib import Path


def workerd(folder: Path, version: str) -> Path:
    (folder / "workerd").mkdir()
    (folder / "workerd" / "package.json").write_text(json.dumps({"version": version}))
    return folder


def test_the_newest_date_is_that_of_the_release(tmp_path: Path) -> None:
    assert newest_date(workerd(tmp_path, "1.20261117.1")) == "2026-11-17"


def test_a_version_without_a_date_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"workerd/package\.json: the version 2\.0\.0 has no date"):
        newest_date(workerd(tmp_path, "2.0.0"))


def test_a_later_date_is_one_line_with_the_date_to_use(tmp_path: Path) -> None:
    config = WranglerConfig(tmp_path / "wrangler.toml", "site", None, "2026-11-28")
    with pytest.raises(ConfigurationError) as raised:
        require_known_date(config, "2026-11-17")
    assert str(raised.value) == (
        f"{tmp_path}/wrangler.toml: the local runtime knows compatibility dates up to 2026-11-17; "
        'write compatibility_date = "2026-11-17" instead of 2026-11-28'
    )
    with pytest.raises(ConfigurationError, match=r"^own\.jsonc: "):
        require_known_date(config, "2026-11-17", tmp_path.joinpath("own.jsonc").relative_to(tmp_path))
    require_known_date(replace(config, compatibility_date="2026-11-17"), "2026-11-17")
