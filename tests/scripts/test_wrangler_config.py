from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vinext_worker.cloudflare.wrangler_config import AssetsConfig, WranglerConfig
from vinext_worker.errors import ConfigurationError
from vinext_worker.local_runtime.services import assets_to_wire
from vinext_worker.project import Project

if TYPE_CHECKING:
    from pathlib import Path

TOML = """
name = "a-worker"
main = "src/entry.py"
compatibility_date = "2026-10-01"
compatibility_flags = ["python_workers"]
kv_namespaces = [{ binding = "STORE", id = "abc" }, { binding = "NEW" }]
services = [{ binding = "PAGES", service = "pages" }]
d1_databases = [{ binding = "DB", database_name = "db", database_id = "def" }, { binding = "NEW", database_name = "new" }]
analytics_engine_datasets = [{ binding = "POINTS", dataset = "pages" }, { binding = "OTHER" }]
[assets]
directory = "public"
binding = "ASSETS"
html_handling = "none"
run_worker_first = ["/*", "!/static/*"]
[images]
binding = "IMAGES"
[vars]
COLOUR = "blue"
LIMITS = { bytes = 3 }
[durable_objects]
bindings = [{ name = "ROOM", class_name = "Room" }, { name = "OTHER", class_name = "Room", script_name = "another-worker" }]
[[migrations]]
tag = "v1"
new_classes = ["Old", "Gone"]
new_sqlite_classes = ["Room"]
[[migrations]]
tag = "v2"
renamed_classes = [{ from = "Old", to = "New" }]
deleted_classes = ["Gone"]
[[rules]]
type = "ESModule"
globs = ["**/*.js"]
[cache]
enabled = false
cross_version_cache = true
[exports.default]
type = "worker"
cache = { enabled = true }
"""

JSONC = """
{
  // the same
  "name": "a-worker", "main": "src/entry.py",
  "compatibility_date": "2026-10-01",
  "compatibility_flags": ["python_workers"], /* and more */
  "kv_namespaces": [{ "binding": "STORE", "id": "abc" }, { "binding": "NEW" }],
  "services": [{ "binding": "PAGES", "service": "pages" }],
  "d1_databases": [{ "binding": "DB", "database_id": "def" }, { "binding": "NEW", "database_name": "new" }],
  "analytics_engine_datasets": [{ "binding": "POINTS", "dataset": "pages" }, { "binding": "OTHER" }],
  "assets": { "directory": "public", "binding": "ASSETS", "html_handling": "none", "run_worker_first": ["/*", "!/static/*"] },
  "images": { "binding": "IMAGES" },
  "vars": { "COLOUR": "blue", "LIMITS": { "bytes": 3 } },
  "durable_objects": {
    "bindings": [
      { "name": "ROOM", "class_name": "Room" },
      { "name": "OTHER", "class_name": "Room", "script_name": "another-worker" },
    ],
  },
  "migrations": [
    { "tag": "v1", "new_classes": ["Old", "Gone"], "new_sqlite_classes": ["Room"] },
    { "tag": "v2", "renamed_classes": [{ "from": "Old", "to": "New" }], "deleted_classes": ["Gone"] },
  ],
  "rules": [{ "type": "ESModule", "globs": ["**/*.js"] }],
  "cache": { "enabled": true, "cross_version_cache": true },
  "exports": { "Other": { "type": "worker", "cache": { "enabled": false } } },
}
"""


@pytest.mark.parametrize(("name", "text"), [("wrangler.toml", TOML), ("wrangler.jsonc", JSONC)], ids=["toml", "jsonc"])
def test_reads_every_format_alike(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    assert WranglerConfig.read(file) == WranglerConfig(
        path=file,
        name="a-worker",
        main=tmp_path / "src" / "entry.py",
        compatibility_date="2026-10-01",
        compatibility_flags=("python_workers",),
        kv_namespaces={"STORE": "abc", "NEW": "NEW"},
        services={"PAGES": "pages"},
        d1_databases={"DB": "def", "NEW": "new"},
        analytics_datasets={"POINTS": "pages", "OTHER": "OTHER"},
        assets=AssetsConfig(tmp_path / "public", "ASSETS", "none", "none", ("/*", "!/static/*")),
        images_binding="IMAGES",
        variables={"COLOUR": "blue", "LIMITS": {"bytes": 3}},
        deployed_variables={"COLOUR": "blue", "LIMITS": {"bytes": 3}},
        durable_objects={"ROOM": "Room"},
        object_classes={"Room": True, "New": False},
        module_rules=(("ESModule", ("**/*.js",)),),
        is_cached=True,
        shares_cache=True,
    )


def test_local_secrets_come_over_the_variables(tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / ".dev.vars").write_text('# local\nCOLOUR=red\nVINEXT_ADMIN_TOKEN="a $b c"\nNO_VALUE\n', encoding="utf-8")
    variables = WranglerConfig.read(tmp_path / "wrangler.toml").variables
    assert variables == {"COLOUR": "red", "LIMITS": {"bytes": 3}, "VINEXT_ADMIN_TOKEN": "a $b c"}


@pytest.mark.parametrize(
    ("environment", "colour"), [(None, "red"), ("staging", "green"), ("production", "red")], ids=["none", "its own", "the common"]
)
def test_an_environment_has_local_secrets_of_its_own_if_there_is_such_a_file(
    tmp_path: Path, environment: str | None, colour: str
) -> None:
    (tmp_path / "wrangler.toml").write_text(f"{TOML}\n[env.staging.vars]\n[env.production.vars]\n", encoding="utf-8")
    (tmp_path / ".dev.vars").write_text("COLOUR=red\nCOMMON=1\n", encoding="utf-8")
    (tmp_path / ".dev.vars.staging").write_text("COLOUR=green\n", encoding="utf-8")
    variables = WranglerConfig.read(tmp_path / "wrangler.toml", environment).variables
    assert variables["COLOUR"] == colour
    assert ("COMMON" in variables) == (environment != "staging"), "one file has them all, as in wrangler"


def test_as_deployed_local_secrets_add_only_what_no_environment_has_as_a_variable(tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(f"{TOML}\n[env.staging.vars]\nAPI = 'https://staging'\n", encoding="utf-8")
    secrets = "API=http://localhost\nCOLOUR=red\nKEY=secret\nVINEXT_ADMIN_TOKEN=token\n"
    (tmp_path / ".dev.vars").write_text(secrets, encoding="utf-8")
    common, staging = (WranglerConfig.read(tmp_path / "wrangler.toml", name).as_deployed() for name in (None, "staging"))
    assert common.variables == {"COLOUR": "blue", "LIMITS": {"bytes": 3}, "KEY": "secret"}
    assert staging.variables == {"API": "https://staging", "KEY": "secret"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name = ", "does not parse", id="not toml"),
        pytest.param('name = "a"', "compatibility_date is missing", id="no date"),
        pytest.param("compatibility_date = 2026", "compatibility_date must be a string, not 2026", id="a date of the wrong type"),
        pytest.param('compatibility_date = "d"\nvars = 3', "vars must be a table", id="vars"),
        pytest.param(
            'compatibility_date = "d"\ncompatibility_flags = "x"', "compatibility_flags must be a list of strings", id="flags"
        ),
        pytest.param('compatibility_date = "d"\n[cache]\nenabled = 1', "cache.enabled must be true or false", id="a number"),
        pytest.param('compatibility_date = "d"\nservices = ["x"]', "services must be a list of tables", id="services"),
        pytest.param(
            'compatibility_date = "d"\n[[kv_namespaces]]\nid = "x"',
            "kv_namespaces[0].binding is missing",
            id="a namespace without binding",
        ),
        pytest.param(
            'compatibility_date = "d"\n[assets]\nbinding = "A"', "assets.directory is missing", id="assets without a folder"
        ),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong_in_it(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "wrangler.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as failure:
        WranglerConfig.read(file)
    assert message in str(failure.value)
    assert str(file) in str(failure.value)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "wrangler.toml"
    file.write_text(TOML, encoding="utf-8-sig")
    assert WranglerConfig.read(file).name == "a-worker"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "wrangler.toml"
    file.write_text(f"# Café\n{TOML}", encoding=encoding)
    with pytest.raises(ConfigurationError, match=r"wrangler.toml cannot be read .*; save it as a text in UTF-8"):
        WranglerConfig.read(file)


def test_variables_of_this_machine_in_another_encoding_are_named(tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / ".dev.vars").write_text("SECRET=é", encoding="utf-8-sig")
    assert WranglerConfig.read(tmp_path / "wrangler.toml").variables["SECRET"] == "é"
    (tmp_path / ".dev.vars").write_text("SECRET=é", encoding="utf-16")
    with pytest.raises(ConfigurationError, match=r"\.dev\.vars cannot be read .*; save it as a text in UTF-8"):
        WranglerConfig.read(tmp_path / "wrangler.toml")


def test_a_missing_file_and_one_without_a_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        WranglerConfig.read(tmp_path / "wrangler.toml")
    (tmp_path / "wrangler.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must contain a table of settings"):
        WranglerConfig.read(tmp_path / "wrangler.json")


@pytest.mark.parametrize(
    ("first", "router"),
    [
        pytest.param(False, {"invoke_user_worker_ahead_of_assets": False}, id="assets first"),
        pytest.param(True, {"invoke_user_worker_ahead_of_assets": True}, id="Worker first"),
        pytest.param(
            ("/*", "!/static/*"),
            {
                "invoke_user_worker_ahead_of_assets": False,
                "static_routing": {"user_worker": ["/*"], "asset_worker": ["/static/*"]},
            },
            id="rules",
        ),
    ],
)
def test_who_is_asked_first_is_translated_as_wrangler_does(tmp_path: Path, first: bool | tuple[str, ...], router: object) -> None:  # noqa: FBT001
    wire = assets_to_wire(AssetsConfig(tmp_path, "ASSETS", run_worker_first=first))
    assert wire["routerConfig"] == {"has_user_worker": True} | router  # type: ignore[operator]


def test_this_projects_worker_keeps_prerendered_pages_private() -> None:
    config = WranglerConfig.read(Project.find().configuration)
    assert config.compatibility_flags == ("python_workers",)
    assert config.assets is not None
    assert (config.assets.html_handling, config.assets.not_found_handling) == ("none", "none")
    assert config.assets.worker_first == ("/*",)
    assert config.assets.assets_first == ("/_next/static/*",)
