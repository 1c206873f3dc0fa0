from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.copy.static_folders import assets_advice, public_files, static_folders
from vinext_worker.errors import UserError

FIRST = ["/__prerender/*"]
ROOT = "/_next/static/"
SHOP = "/shop/_next/static/"


def config(folder: Path, rules: str) -> WranglerConfig:
    file = folder / "wrangler.toml"
    assets = f'[assets]\ndirectory = "assets"\n{rules}' if rules != "no assets" else ""
    file.write_text(f'name = "w"\ncompatibility_date = "2026-10-01"\n{assets}')
    return WranglerConfig.read(file)


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        pytest.param(["_next/static/chunks/a.js", "static/b.js"], [ROOT], id="no prefix"),
        pytest.param(["shop/_next/static/css/a.css"], [SHOP], id="basePath"),
        pytest.param(["cdn/v1/_next/static/a.js", "shop/_next/static/b.js"], ["/cdn/v1/_next/static/", SHOP], id="two"),
        pytest.param(["my_next/static/a.js", "hello.txt"], [], id="others"),
    ],
)
def test_the_folders_are_those_in_the_build(files: list[str], folders: list[str], tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list(static_folders(tmp_path)) == folders


@pytest.mark.parametrize(
    ("rules", "folders", "wanted"),
    [
        pytest.param('["/*", "!/_next/static/*"]', [ROOT], None, id="right"),
        pytest.param('["/*", "!/_next/static/*", "!/shop/*"]', [SHOP], None, id="right for a wider folder"),
        pytest.param('["/*", "!/_next/static/*"]', [SHOP], ["/*", "!/_next/static/*", "!/shop/_next/static/*"], id="basePath"),
        pytest.param("true", [ROOT], ["/*", "!/_next/static/*"], id="every file"),
        pytest.param("false", [ROOT], ["/*", "!/_next/static/*"], id="files first, so private ones too"),
        pytest.param('["/api/*"]', [], ["/*"], id="the Worker first elsewhere"),
        pytest.param('["/*", "!/__prerender/*"]', [], ["/*"], id="private files by an exception"),
        pytest.param('["/__prerender/*"]', [ROOT], None, id="only private files"),
    ],
)
def test_advice_has_the_line_to_write(rules: str, folders: list[str], wanted: list[str] | None, tmp_path: Path) -> None:
    advice = assets_advice(config(tmp_path, f"run_worker_first = {rules}"), folders)
    if wanted is None:
        assert advice == []
        return
    (text,) = advice
    assert json.loads(text.partition("run_worker_first = ")[2]) == wanted
    assert str(tmp_path / "wrangler.toml") in text
    assert assets_advice(config(tmp_path, f"run_worker_first = {json.dumps(wanted)}"), folders) == []


def test_the_files_of_a_python_site_have_the_paths_of_urls(tmp_path: Path) -> None:
    for name in ("robots.txt", "images/with space é.png", "100%.txt", "__prerender/build.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert public_files(tmp_path) == ("/100%25.txt", "/images/with%20space%20%C3%A9.png", "/robots.txt")
    assert public_files(tmp_path / "nowhere") == ()


def test_a_file_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9.txt")).touch()
    with pytest.raises(UserError, match=r"has a file whose name is not UTF-8 \('caf\\udce9.txt'\), .*; rename it"):
        public_files(tmp_path)


@pytest.mark.parametrize(
    ("rules", "said", "wanted"),
    [
        pytest.param('["/__prerender/*"]', "", None, id="right"),
        pytest.param('["/__prerender/*", "/a/*"]', "", None, id="a folder of the Worker's own"),
        pytest.param(
            '["/*", "!/a/*"]', "the Worker answers for 2 files of public/ (/b.txt, /c.txt)", FIRST, id="files by folder"
        ),
        pytest.param("true", "the Worker answers for 3 files of public/ (/a/1.png, /b.txt, /c.txt)", FIRST, id="every file"),
        pytest.param("false", "/__prerender/ is public", FIRST, id="private files too"),
        pytest.param('["/api/*"]', "/__prerender/ is public", [*FIRST, "/api/*"], id="an API"),
    ],
)
def test_files_of_a_python_site_come_before_the_worker(rules: str, said: str, wanted: list[str] | None, tmp_path: Path) -> None:
    files = ("/a/1.png", "/b.txt", "/c.txt")
    advice = assets_advice(config(tmp_path, f"run_worker_first = {rules}"), [], files)
    assert [text.startswith(said) for text in advice] == ([] if wanted is None else [True])
    if wanted is not None:
        assert json.loads(advice[0].partition("run_worker_first = ")[2]) == wanted
        assert assets_advice(config(tmp_path, f"run_worker_first = {json.dumps(wanted)}"), [], files) == []


def test_private_files_are_public_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    (text,) = assets_advice(config(tmp_path, ""), [])
    assert text.startswith("/__prerender/ is public")


def test_without_assets_there_is_nothing_to_advise(tmp_path: Path) -> None:
    assert assets_advice(config(tmp_path, "no assets"), [SHOP]) == []
