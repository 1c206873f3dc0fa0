"""What Python tells the host to run: read off the configurations, with every problem named before anything starts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError, ToolError
from vinext_worker.installation import Installation
from vinext_worker.local_runtime import BuildService, RuntimeOptions, ScriptService
from vinext_worker.tools import Tools

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"
OBJECTS = Path(__file__).parents[1] / "fixtures" / "objects"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A built Worker, as bundlers write them."""
    config = {
        "name": "pages",
        "main": "index.js",
        "compatibility_date": "2026-09-30",
        "compatibility_flags": ["global_fetch_strictly_public"],
        "rules": [{"type": "ESModule", "globs": ["**/*.js"]}],
        "services": [{"binding": "SELF", "service": "pages"}, {"binding": "OTHER", "service": "other"}],
        "assets": {"directory": "../client", "binding": "ASSETS"},
        "kv_namespaces": [{"binding": "STORE", "id": "shared"}],
        "images": {"binding": "IMAGES"},
        "vars": {"A": "1", "B": "2"},
    }
    (tmp_path / "wrangler.json").write_text(json.dumps(config))
    for name in ("index.js", "chunks/one.js", "index.js.map", "page.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path / "wrangler.json"


def options(**changes: object) -> RuntimeOptions:
    return replace(RuntimeOptions(WranglerConfig.read(FIXTURE / "wrangler.toml"), Tools(FIXTURE)), **changes)  # type: ignore[arg-type]


def test_a_build_gives_its_modules_and_bindings(build: Path) -> None:
    wire = BuildService(build, {"B": "3"}).to_wire({"directory": "/files", "binding": "ASSETS"})
    folder = build.parent
    assert wire["modules"] == [["ESModule", str(folder / "index.js")], ["ESModule", str(folder / "chunks" / "one.js")]]
    assert (wire["compatibilityDate"], wire["compatibilityFlags"]) == ("2026-09-30", ["global_fetch_strictly_public"])
    assert wire["variables"] == {"A": "1", "B": "3"}
    assert wire["kvNamespaces"] == {"STORE": "shared"}
    assert wire["selfBindings"] == ["SELF"]
    assert wire["images"] == "IMAGES"
    assert wire["assets"]["directory"] == "/files"


def test_a_build_without_rules_has_wranglers_module_types(build: Path) -> None:
    build.write_text(json.dumps({"name": "pages", "main": "index.js", "compatibility_date": "2026-09-30"}))
    modules = [(kind, Path(path).name) for kind, path in BuildService(build).to_wire(None)["modules"]]
    assert modules == [("ESModule", "index.js"), ("ESModule", "one.js"), ("Text", "page.html")]


def test_a_build_without_its_module_is_named(build: Path) -> None:
    (build.parent / "index.js").unlink()
    with pytest.raises(ConfigurationError, match=r"names no module that exists as main .*; build the site first"):
        BuildService(build).to_wire(None)


def test_only_what_wrangler_uploads_is_mounted(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "project")
    (tmp_path / "project" / "src" / "notes.md").write_text("no module")
    (tmp_path / "project" / "src" / "greeting" / "words.txt").write_text("a text")
    wire = options(config=WranglerConfig.read(tmp_path / "project" / "wrangler.toml")).to_wire("token")
    names = [name for name, _ in wire["worker"]["files"]]
    assert [name for name in names if not name.startswith("python_modules/")] == [
        "entry.py",
        "greeting/__init__.py",
        "greeting/words.txt",
    ]
    assert "python_modules/workers/__init__.py" in names
    assert not [name for name in names if name.endswith(".pyc")]
    assert [name for name, _ in wire["worker"]["scripts"]] == ["python_modules/workers/workflows.js"]


def test_bindings_are_left_out_and_variables_are_laid_over() -> None:
    changed = options(
        without=frozenset({"STORE", "ASSETS", "PAGES"}), services={"PAGES": ScriptService("")}, variables={"COLOUR": "red"}
    )
    wire = changed.to_wire("token")
    assert (wire["worker"]["kvNamespaces"], wire["worker"]["assets"], wire["services"]) == ({}, None, {})
    assert wire["worker"]["variables"] == {"COLOUR": "red"}


def test_a_durable_object_without_a_migration_is_named() -> None:
    config = replace(WranglerConfig.read(OBJECTS / "wrangler.toml"), object_classes={"Other": True})
    with pytest.raises(ConfigurationError, match=r'ROOMS to Room, which no migration makes; .*classes = \["Room"\]'):
        options(config=config).to_wire("token")
    assert options(config=config, without=frozenset({"ROOMS"})).to_wire("token")["worker"]["durableObjects"] == {}


def test_a_missing_main_module_is_named() -> None:
    with pytest.raises(ConfigurationError, match="does not exist; name the Worker's entry module"):
        options(config=replace(WranglerConfig.read(FIXTURE / "wrangler.toml"), main=FIXTURE / "nowhere.py")).to_wire("token")


def test_missing_packages_are_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"packages are not installed in .*; run `vinext-worker dev`"):
        options(vendored=tmp_path).to_wire("token")
    with pytest.raises(ToolError, match=r"packages are not installed"):
        options(tools=Tools(tmp_path, Installation(tmp_path, tmp_path))).to_wire("token")
