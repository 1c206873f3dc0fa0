"""Compatibility dates that the local workerd does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError, ToolError
from vinext_worker.local_runtime.dates import needed_flags, newest_date, require_known_date

if TYPE_CHECKING:
    from pathlib import Path


def test_the_newest_date_is_that_of_the_release() -> None:
    assert newest_date("1.20261117.1") == "2026-11-17"


def test_a_version_without_a_date_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"workerd's version 2\.0\.0 has no date"):
        newest_date("2.0.0")


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


@pytest.mark.parametrize(
    ("date", "flags"),
    [("2026-08-03", ["nodejs_compat", "global_fetch"]), ("2026-08-04", ["global_fetch"])],
)
def test_flags_that_the_date_makes_the_default_are_left_out(tmp_path: Path, date: str, flags: list[str]) -> None:
    config = WranglerConfig(tmp_path / "wrangler.toml", "site", None, date, ("nodejs_compat", "global_fetch"))
    assert needed_flags(config) == flags
