from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError
from vinext_worker.local_runtime.dates import needed_flags

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import AssetsConfig, Variables

# wrangler's rules for modules if a configuration has none.
_DEFAULT_RULES = (
    ("ESModule", ("*.js", "*.mjs")),
    ("CompiledWasm", ("*.wasm",)),
    ("Text", ("*.txt", "*.html")),
    ("Data", ("*.bin",)),
)


@dataclass(frozen=True)
class ScriptService:
    """A Worker in one JavaScript module, given as source.

    `services` are its own bindings to other services of the runtime, which are named by the runtime's bindings.
    """

    source: str
    variables: Variables = field(default_factory=dict)
    services: tuple[str, ...] = ()

    def to_wire(self, _assets: dict[str, Any] | None) -> dict[str, Any]:
        """Return the host's configuration of the service, which has no assets."""
        return {"script": self.source, "variables": dict(self.variables), "services": list(self.services)}


@dataclass(frozen=True)
class BuildService:
    """A built Worker; `configuration` is the wrangler.json of the build, such as vinext's dist/server/wrangler.json."""

    configuration: Path
    variables: Variables = field(default_factory=dict)

    def to_wire(self, assets: dict[str, Any] | None) -> dict[str, Any]:
        """Return the host's configuration of the service; `assets` are the Worker's, to which the build was copied."""
        config = WranglerConfig.read(self.configuration)
        if config.main is None or not config.main.is_file():
            raise ConfigurationError(f"{config.path} names no module that exists as main ({config.main}); build the site first")
        root = config.main.parent
        wire: dict[str, Any] = {
            "root": str(root),
            "modules": [[kind, str(path)] for kind, path in _modules(config.main, config.module_rules)],
            "compatibilityDate": config.compatibility_date,
            "compatibilityFlags": needed_flags(config),
            "variables": {**config.variables, **self.variables},
            "kvNamespaces": dict(config.kv_namespaces),
            "r2Buckets": dict(config.r2_buckets),
            "durableObjects": objects_to_wire(config),
            # A Worker may be bound to itself, as vinext is for its own revalidation.
            "selfBindings": [binding for binding, name in config.services.items() if name == config.name],
        }
        if config.images_binding is not None:
            wire["images"] = config.images_binding
        if config.assets is not None and config.assets.binding is not None and assets is not None:
            # Both Workers get the same folder: miniflare has one storage for assets, so a second folder would replace the first.
            wire["assets"] = assets_to_wire(config.assets) | {"directory": assets["directory"]}
        return wire


Service = ScriptService | BuildService


def objects_to_wire(config: WranglerConfig) -> dict[str, Any]:
    """Return miniflare's options for the Durable Objects of a Worker."""
    return {
        binding: {"className": name, "useSQLite": config.object_classes.get(name, False)}
        for binding, name in config.durable_objects.items()
    }


def assets_to_wire(assets: AssetsConfig) -> dict[str, Any]:
    """Return miniflare's options for `[assets]`, translated as `wrangler dev` does."""
    router: dict[str, Any] = {"has_user_worker": True, "invoke_user_worker_ahead_of_assets": assets.run_worker_first is True}
    if assets.worker_first:
        router["static_routing"] = {"user_worker": list(assets.worker_first), "asset_worker": list(assets.assets_first)}
    return {
        "directory": str(assets.directory),
        "binding": assets.binding,
        "routerConfig": router,
        "assetConfig": {"html_handling": assets.html_handling, "not_found_handling": assets.not_found_handling},
    }


def _modules(main: Path, rules: tuple[tuple[str, tuple[str, ...]], ...]) -> list[tuple[str, Path]]:
    """Return the main module first, because workerd takes the first as the entry, then all files that a rule's glob matches."""
    modules = [("ESModule", main)]
    for path in sorted(main.parent.rglob("*")):
        if path == main or not path.is_file():
            continue
        kind = _kind(path.relative_to(main.parent).as_posix(), rules or _DEFAULT_RULES)
        if kind is not None:
            modules.append((kind, path))
    return modules


def _kind(path: str, rules: tuple[tuple[str, tuple[str, ...]], ...]) -> str | None:
    for kind, globs in rules:
        if any(fnmatch(path, glob.removeprefix("**/")) for glob in globs):
            return kind
    return None
