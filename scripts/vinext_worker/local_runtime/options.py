from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vinext_worker.checkout import Checkout
from vinext_worker.errors import ConfigurationError, ToolError
from vinext_worker.local_runtime.services import assets_to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import Variables, WranglerConfig
    from vinext_worker.local_runtime.services import Service

# What wrangler uploads from the folder of `main`, and what it leaves out of python_modules.
UPLOADED_SUFFIXES = (".py", ".txt", ".bin", ".html", ".sql")
_VENDORED = "python_modules"


@dataclass(frozen=True)
class RuntimeOptions:
    """What to run. Everything not named here is as the wrangler configuration says."""

    config: WranglerConfig
    checkout: Checkout = field(default_factory=Checkout.find)
    """Where the npm tools and python_modules are."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    state: Path | None = None
    """Where the key-value store is kept; None: in memory, until the runtime stops."""
    services: Mapping[str, Service] = field(default_factory=dict)
    """Binding to the service behind it; a service named like the assets' binding takes its place."""
    without: frozenset[str] = frozenset()
    """Bindings that the configuration has and this run has not."""
    assets_directory: Path | None = None
    """Instead of the configuration's."""
    variables: Variables = field(default_factory=dict)
    """Over the configuration's."""
    isolates: int = 1
    """How many times the Worker runs: each has its own heap and URL, all share the key-value store."""
    faults: bool = False
    """Whether bindings can be made to fail; it costs a little on every call."""
    log_requests: bool = False
    """Whether a Worker in front reports each request of the first isolate."""
    check_top_level: bool = True
    """Whether a module global that holds a JavaScript object fails the start, as it fails an upload."""
    snapshot: bool = True
    """Whether Python starts from the heap that an earlier start has kept; False: as a runtime without any, for measuring."""
    vendored: Path | None = None
    """The folder of vendored packages; None: `python_modules` beside the configuration, else the project's."""

    @property
    def source_root(self) -> Path:
        """The folder of `main`: what lies under it is the Worker's code."""
        return self._main.parent

    @property
    def _main(self) -> Path:
        main = self.config.main
        if main is None or not main.is_file():
            raise ConfigurationError(f"{self.config.path}: main ({main}) does not exist; name the Worker's entry module")
        return main

    @property
    def _vendored(self) -> Path:
        candidates = [self.vendored] if self.vendored else [self.config.folder / _VENDORED, self.checkout.root / _VENDORED]
        for folder in candidates:
            if (folder / "workers").is_dir():
                return folder
        raise ToolError(f"the Worker's packages are not installed in {candidates[0]}; run ./scripts/setup")

    def to_wire(self, token: str) -> dict[str, Any]:
        """Return the configuration for `host.mjs`; read anew each time, so that a reload sees changed files."""
        config, vendored = self.config, self._vendored
        assets = self._assets()
        return {
            "host": self.host,
            "port": self.port,
            "state": None if self.state is None else str(self.state),
            "cache": str(self.checkout.local / "cache"),
            "pyodide": str(self.checkout.node_modules / "pyodide"),
            "token": token,
            "isolates": self.isolates,
            "faults": self.faults,
            "front": self.log_requests,
            "checkTopLevel": self.check_top_level,
            "usesSnapshot": self.snapshot,
            "worker": {
                "name": config.name,
                "mainModule": self._main.stem,
                "compatibilityDate": config.compatibility_date,
                "compatibilityFlags": list(config.compatibility_flags),
                "folders": [str(self.source_root), str(vendored)],
                "files": self._files(vendored),
                "scripts": [
                    [f"{_VENDORED}/{path.relative_to(vendored).as_posix()}", str(path)]
                    for path in sorted((vendored / "workers").rglob("*.[jm]*"))
                    if path.suffix in {".js", ".mjs"}
                ],
                "kvNamespaces": {name: key for name, key in config.kv_namespaces.items() if name not in self.without},
                "assets": assets,
                "images": None if config.images_binding in self.without else config.images_binding,
                "variables": {**config.variables, **self.variables},
            },
            "services": {name: service.to_wire(assets) for name, service in self.services.items() if name not in self.without},
        }

    def _assets(self) -> dict[str, Any] | None:
        assets = self.config.assets
        if assets is None or assets.binding in self.without:
            return None
        wire = assets_to_wire(assets)
        return wire | {"directory": str(self.assets_directory)} if self.assets_directory else wire

    def _files(self, vendored: Path) -> list[list[str]]:
        """Path in the Worker and path here, of the code and of the vendored packages."""
        root = self.source_root
        own = [path for path in root.rglob("*") if path.suffix in UPLOADED_SUFFIXES]
        packages = [path for path in vendored.rglob("*") if path.suffix != ".pyc"]
        return [
            *([path.relative_to(root).as_posix(), str(path)] for path in sorted(own) if path.is_file()),
            *([f"{_VENDORED}/{path.relative_to(vendored).as_posix()}", str(path)] for path in sorted(packages) if path.is_file()),
        ]
