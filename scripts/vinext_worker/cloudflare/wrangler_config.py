from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonc
from dotenv import dotenv_values

from vinext_worker.errors import ConfigurationError

# Source: https://developers.cloudflare.com/workers/wrangler/configuration/#non-inheritable-keys
_NOT_INHERITED = frozenset(
    {"ai", "analytics_engine_datasets", "browser", "d1_databases", "define", "durable_objects", "env", "hyperdrive"}
    | {"kv_namespaces", "mtls_certificates", "queues", "r2_buckets", "secrets_store_secrets", "send_email", "services"}
    | {"tail_consumers", "unsafe", "vars", "vectorize", "workflows"}
    | {"dispatch_namespaces", "images", "pipelines", "version_metadata"}
)

_SETTING = "VINEXT_"

ASSETS_BINDING = "ASSETS"
"""The Worker's name for its assets."""

Variables = Mapping[str, Any]
"""Variable name to its value: text, or anything JSON can hold."""


@dataclass(frozen=True)
class AssetsConfig:
    """`[assets]`: the static files, and whether the Worker or the files come first.

    Source: https://developers.cloudflare.com/workers/static-assets/ and wrangler's own translation for local development.
    """

    directory: Path
    binding: str | None = None
    html_handling: str = "auto-trailing-slash"
    not_found_handling: str = "none"
    run_worker_first: bool | tuple[str, ...] = False

    @property
    def worker_first(self) -> tuple[str, ...]:
        """The paths for which the Worker comes before the files."""
        rules = self.run_worker_first
        return () if isinstance(rules, bool) else tuple(rule for rule in rules if not rule.startswith("!"))

    @property
    def assets_first(self) -> tuple[str, ...]:
        """The exceptions from these paths: rules that begin with `!`."""
        rules = self.run_worker_first
        return () if isinstance(rules, bool) else tuple(rule[1:] for rule in rules if rule.startswith("!"))


@dataclass(frozen=True)
class WranglerConfig:
    """One Worker in wrangler.toml (or .json, .jsonc). Relative paths are resolved against the file's folder."""

    path: Path
    name: str
    main: Path | None
    compatibility_date: str
    compatibility_flags: tuple[str, ...] = ()
    kv_namespaces: Mapping[str, str] = field(default_factory=dict)
    """Binding to namespace id."""
    r2_buckets: Mapping[str, str] = field(default_factory=dict)
    """Binding to the name of the bucket."""
    r2_jurisdictions: Mapping[str, str] = field(default_factory=dict)
    """Binding to the jurisdiction of the bucket, if it has one."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Binding to the name of the Worker behind it."""
    d1_databases: Mapping[str, str] = field(default_factory=dict)
    """Binding to the database's id, or its name until there is one."""
    analytics_datasets: Mapping[str, str] = field(default_factory=dict)
    """Binding to the name of the dataset of Analytics Engine."""
    assets: AssetsConfig | None = None
    images_binding: str | None = None
    variables: Variables = field(default_factory=dict)
    """`[vars]`, overridden by the file of local secrets beside the configuration (`dev_variables_files`)."""
    durable_objects: Mapping[str, str] = field(default_factory=dict)
    """Binding to the class behind it, for the classes of this Worker."""
    object_classes: Mapping[str, bool] = field(default_factory=dict)
    """The classes of Durable Objects that the migrations make, and whether their storage is SQLite."""
    is_cached: bool = False
    """Whether Workers Cache is in front of the default entrypoint."""
    shares_cache: bool = False
    """Whether versions of the Worker share what it keeps."""
    module_rules: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """`[[rules]]`: a module type, and the globs of the files that are modules of that type."""
    account_id: str | None = None
    domains: tuple[str, ...] = ()
    """The hosts of `route` and `routes`, without wildcards, in order."""
    deployed_variables: Variables = field(default_factory=dict)
    """`[vars]` only, as in the deployed Worker."""
    local_secrets: Variables = field(default_factory=dict)
    """What stands here for the secrets of the deployed Worker: of the file of local secrets, all that no `vars` of the
    configuration has and that is no setting of this library."""
    environment: str | None = None
    """The environment that was read, None for the top level of the file."""

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent

    @property
    def assets_directory(self) -> Path:
        """The folder of the pages and static files; raises ConfigurationError if there is none, or the Worker cannot read it."""
        if self.assets is None:
            raise ConfigurationError(
                f"{self.path} has no [assets], which hold the pages and the static files; `vinext-worker init` adds it"
            )
        if self.assets.binding != ASSETS_BINDING:
            raise ConfigurationError(
                f'{self.path}: write binding = "{ASSETS_BINDING}" in [assets], by which the Worker finds its pages'
            )
        return self.assets.directory

    def as_deployed(self) -> WranglerConfig:
        """Return the configuration with the variables of the deployed Worker, to which only `local_secrets` are added."""
        return replace(self, variables={**self.local_secrets, **self.deployed_variables})

    @classmethod
    def read(cls, path: Path | str, environment: str | None = None) -> WranglerConfig:
        """Read the file for an environment; raise ConfigurationError, which names the file and what is wrong."""
        file = Path(path).resolve()
        table = whole = _Table(file, parse_configuration(file))
        if environment:
            table = _in_environment(table, environment)
        local = _dev_variables(file, environment)
        main = table.text("main", None)
        return cls(
            path=file,
            name=table.text("name", None) or file.parent.name,
            main=None if main is None else file.parent / main,
            compatibility_date=table.required("compatibility_date"),
            compatibility_flags=tuple(table.texts("compatibility_flags")),
            kv_namespaces=_read_kv_namespaces(table),
            r2_buckets=_read_r2_buckets(table),
            r2_jurisdictions={
                row.required("binding"): place for row in table.rows("r2_buckets") if (place := row.text("jurisdiction", None))
            },
            services={row.required("binding"): row.required("service") for row in table.rows("services")},
            d1_databases={
                (name := row.required("binding")): row.text("database_id", None) or row.text("database_name", None) or name
                for row in table.rows("d1_databases")
            },
            analytics_datasets={
                (name := row.required("binding")): row.text("dataset", None) or name
                for row in table.rows("analytics_engine_datasets")
            },
            assets=_read_assets(table),
            images_binding=images.required("binding") if (images := table.table("images")) else None,
            variables={**table.mapping("vars"), **local},
            account_id=table.text("account_id", None),
            domains=_read_domains(table),
            deployed_variables=table.mapping("vars"),
            local_secrets=_secrets(local, whole),
            environment=environment or None,
            durable_objects=_read_durable_objects(table),
            object_classes=_read_object_classes(table),
            is_cached=_is_cached(table),
            shares_cache=(cache := table.table("cache")) is not None and cache.flag("cross_version_cache"),
            module_rules=tuple((row.required("type"), tuple(row.texts("globs"))) for row in table.rows("rules")),
        )


def parse_configuration(file: Path) -> dict[str, Any]:
    """Return the settings of the file as they are written; raise ConfigurationError if there are none."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}); name an existing wrangler configuration") from error
    except ValueError as error:
        raise ConfigurationError(f"{file} cannot be read ({error}); save it as a text in UTF-8") from error
    try:
        parsed = tomllib.loads(text) if file.suffix == ".toml" else jsonc.loads(text)
    except ValueError as error:  # both parsers' errors are ValueErrors
        raise ConfigurationError(f"{file} does not parse: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigurationError(f"{file} must contain a table of settings, not a {type(parsed).__name__}")
    return parsed


def _in_environment(table: _Table, name: str) -> _Table:
    """Return the settings of `[env.NAME]` with those of the top level, except bindings and variables, which are not inherited."""
    environments = table.mapping("env")
    if name not in environments:
        known = ", ".join(environments) or "there are none"
        raise ConfigurationError(f"{table.file} has no environment {name!r} ({known}); add [env.{name}]")
    own = table.table("env")
    values = own.table(name) if own else None
    if values is None:
        raise ConfigurationError(f"{table.file}: env.{name} is empty; add its settings")
    inherited = {key: value for key, value in table.values.items() if key not in _NOT_INHERITED}
    given = table.text("name", None)
    return _Table(table.file, {**inherited, **({"name": f"{given}-{name}"} if given else {}), **values.values}, f"env.{name}.")


def _read_domains(table: _Table) -> tuple[str, ...]:
    rows = table.values.get("routes", [])
    if not isinstance(rows, list):
        raise ConfigurationError(f"{table.file}: {table.where}routes must be a list, not {rows!r}")
    patterns = [table.text("route", None), *(row.get("pattern") if isinstance(row, dict) else row for row in rows)]
    hosts = (re.sub(r"^(https?://)?(\*\.?)?", "", pattern).partition("/")[0] for pattern in patterns if isinstance(pattern, str))
    return tuple(dict.fromkeys(host for host in hosts if "." in host))


def dev_variables_files(configuration: Path, environment: str | None) -> tuple[Path, ...]:
    """Return where local secrets may be: the first of the files that exists has all of them.

    Source: https://developers.cloudflare.com/workers/configuration/secrets/#local-development-with-secrets.
    """
    names = (f".dev.vars.{environment}", ".dev.vars") if environment else (".dev.vars",)
    return tuple(configuration.parent / name for name in names)


def _dev_variables(configuration: Path, environment: str | None) -> dict[str, str]:
    file = next((file for file in dev_variables_files(configuration, environment) if file.is_file()), None)
    try:
        values = {} if file is None else dotenv_values(file, interpolate=False, encoding="utf-8-sig")
    except ValueError as error:
        raise ConfigurationError(f"{file} cannot be read ({error}); save it as a text in UTF-8") from error
    # A name without `=` has no value. wrangler omits it too.
    return {name: value for name, value in values.items() if value is not None}


def _secrets(local: Mapping[str, str], table: _Table) -> dict[str, str]:
    environments = table.table("env")
    tables = (table, *(environments.table(name) for name in environments.values)) if environments else (table,)
    stated = {name for one in tables if one is not None for name in one.mapping("vars")}
    return {name: value for name, value in local.items() if name not in stated and not name.startswith(_SETTING)}


def _read_assets(table: _Table) -> AssetsConfig | None:
    assets = table.table("assets")
    if assets is None:
        return None
    first = assets.values.get("run_worker_first", False)
    return AssetsConfig(
        directory=table.file.parent / assets.required("directory"),
        binding=assets.text("binding", None),
        html_handling=assets.text("html_handling", None) or "auto-trailing-slash",
        not_found_handling=assets.text("not_found_handling", None) or "none",
        run_worker_first=first if isinstance(first, bool) else tuple(assets.texts("run_worker_first")),
    )


def _is_cached(table: _Table) -> bool:
    """Source: https://developers.cloudflare.com/workers/cache/configuration/#per-entrypoint-caching."""
    exports = table.table("exports")
    default = exports.table("default") if exports else None
    cache = (default.table("cache") if default else None) or table.table("cache")
    return cache is not None and cache.flag("enabled")


def _read_kv_namespaces(table: _Table) -> dict[str, str]:
    # wrangler makes up an id if there is none yet.
    return {(name := row.required("binding")): row.text("id", None) or name for row in table.rows("kv_namespaces")}


def _read_r2_buckets(table: _Table) -> dict[str, str]:
    # wrangler makes up a name, too.
    return {(name := row.required("binding")): row.text("bucket_name", None) or name.lower() for row in table.rows("r2_buckets")}


def _read_durable_objects(table: _Table) -> dict[str, str]:
    objects = table.table("durable_objects")
    rows = objects.rows("bindings") if objects else []
    own = table.text("name", None)
    return {row.required("name"): row.required("class_name") for row in rows if row.text("script_name", None) in {None, own}}


def _read_object_classes(table: _Table) -> dict[str, bool]:
    """Follow the migrations, as a deploy does (https://developers.cloudflare.com/durable-objects/reference/durable-objects-migrations/)."""
    classes: dict[str, bool] = {}
    for migration in table.rows("migrations"):
        classes |= dict.fromkeys(migration.texts("new_classes"), False)
        classes |= dict.fromkeys(migration.texts("new_sqlite_classes"), True)
        for row in migration.rows("renamed_classes"):
            classes[row.required("to")] = classes.pop(row.required("from"), False)
        # Whether their storage is SQLite, the other Worker's configuration says. All new classes have it.
        classes |= {row.required("to"): True for row in migration.rows("transferred_classes")}
        for name in migration.texts("deleted_classes"):
            classes.pop(name, None)
    return classes


@dataclass(frozen=True)
class _Table:
    """A table of the file; reading a value checks its type."""

    file: Path
    values: Mapping[str, Any]
    where: str = ""

    def text(self, key: str, default: str | None) -> str | None:
        value = self.values.get(key, default)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def required(self, key: str) -> str:
        value = self.text(key, None)
        if not value:
            raise ConfigurationError(f"{self.file}: {self.where}{key} is missing; add it")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of strings")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "a table")
        return value

    def table(self, key: str) -> _Table | None:
        return _Table(self.file, self.mapping(key), f"{self.where}{key}.") if self.values.get(key) is not None else None

    def rows(self, key: str) -> list[_Table]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, "a list of tables")
        return [_Table(self.file, item, f"{self.where}{key}[{index}].") for index, item in enumerate(value)]

    def _wrong(self, key: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{self.file}: {self.where}{key} must be {wanted}, not {self.values.get(key)!r}")
