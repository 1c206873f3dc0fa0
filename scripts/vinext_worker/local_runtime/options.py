from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vinext_worker.errors import ConfigurationError, ToolError
from vinext_worker.local_runtime.dates import needed_flags
from vinext_worker.local_runtime.services import assets_to_wire, objects_to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import Variables, WranglerConfig
    from vinext_worker.local_runtime.services import Service
    from vinext_worker.tools import Tools

# The files that wrangler uploads from the folder of `main`.
UPLOADED_SUFFIXES = (".py", ".txt", ".bin", ".html", ".sql")
_VENDORED = "python_modules"

COVERAGE_FOLDER = "VINEXT_WORKER_COVERAGE"
"""The environment variable that names a folder for the lines that each isolate has run."""


@dataclass(frozen=True)
class RuntimeOptions:
    """The Worker to run. Everything that is not set here follows the wrangler configuration."""

    config: WranglerConfig
    tools: Tools
    host: str = "127.0.0.1"
    port: int = 0
    """0 means any free port."""
    state: Path | None = None
    """The folder of the key-value store; None keeps it in memory until the runtime stops."""
    services: Mapping[str, Service] = field(default_factory=dict)
    """Binding to the service behind it; a service with the name of the assets' binding replaces the assets."""
    without: frozenset[str] = frozenset()
    """Bindings of the configuration to leave out."""
    assets_directory: Path | None = None
    """Replaces the configuration's."""
    variables: Variables = field(default_factory=dict)
    """Override the configuration's."""
    isolates: int = 1
    """The number of isolates of the Worker: each has its own heap and URL, and they share the key-value store."""
    faults: bool = False
    """Whether bindings can be made to fail, which costs a little time on every call."""
    log_requests: bool = False
    """Whether a Worker in front of the first isolate reports each request. Its address stays when the sources are reloaded."""
    snapshot: bool = True
    """Whether the upload starts from a snapshot of Python without the project's code; False is for measuring."""
    vendored: Path | None = None
    """The folder of vendored packages; None means `python_modules` next to the configuration, else that of this checkout."""

    @property
    def source_root(self) -> Path:
        """The folder of `main`, which holds the Worker's code."""
        return self._main.parent

    @property
    def _main(self) -> Path:
        main = self.config.main
        if main is None or not main.is_file():
            raise ConfigurationError(f"{self.config.path}: main ({main}) does not exist; name the Worker's entry module")
        return main

    @property
    def _vendored(self) -> Path:
        candidates = [self.vendored or self.config.folder / _VENDORED]
        checkout = self.tools.installation.checkout
        if self.vendored is None and checkout is not None:
            candidates.append(checkout / _VENDORED)
        for folder in candidates:
            if (folder / "workers").is_dir():
                return folder
        raise ToolError(
            f"the Worker's packages are not installed in {candidates[0]}; run `vinext-worker dev`, which installs them"
        )

    def to_wire(self, token: str) -> dict[str, Any]:
        """Return the configuration for `host.mjs`. Files are read each time, so that a reload sees changes."""
        config, vendored = self.config, self._vendored
        assets = self._assets()
        return {
            "host": self.host,
            "port": self.port,
            "state": None if self.state is None else str(self.state),
            "cache": str(self.tools.cache),
            "pyodide": str(self.tools.node_modules / "pyodide"),
            "token": token,
            "isolates": self.isolates,
            "faults": self.faults,
            "front": self.log_requests,
            "countsLines": COVERAGE_FOLDER in os.environ,
            "usesSnapshot": self.snapshot,
            "worker": {
                "name": config.name,
                "mainModule": self._main.stem,
                "compatibilityDate": config.compatibility_date,
                "compatibilityFlags": needed_flags(config),
                "folders": [str(self.source_root), str(vendored)],
                "files": self._files(vendored),
                "scripts": [
                    [f"{_VENDORED}/{path.relative_to(vendored).as_posix()}", str(path)]
                    for path in sorted((vendored / "workers").rglob("*.[jm]*"))
                    if path.suffix in {".js", ".mjs"}
                ],
                "kvNamespaces": {name: key for name, key in config.kv_namespaces.items() if name not in self.without},
                "r2Buckets": {name: bucket for name, bucket in config.r2_buckets.items() if name not in self.without},
                "d1Databases": {name: key for name, key in config.d1_databases.items() if name not in self.without},
                "analyticsDatasets": {
                    name: dataset for name, dataset in config.analytics_datasets.items() if name not in self.without
                },
                "assets": assets,
                "durableObjects": self._objects(),
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

    def _objects(self) -> dict[str, Any]:
        config = self.config
        bound = {binding: name for binding, name in config.durable_objects.items() if binding not in self.without}
        for binding, name in bound.items():
            if name not in config.object_classes:
                raise ConfigurationError(
                    f"{config.path}: durable_objects binds {binding} to {name}, which no migration makes; "
                    f'add [[migrations]] with a tag and new_sqlite_classes = ["{name}"]'
                )
        return {binding: given for binding, given in objects_to_wire(config).items() if binding in bound}

    def _files(self, vendored: Path) -> list[list[str]]:
        """Return the path in the Worker and the path here of each file of the code and of the vendored packages."""
        root = self.source_root
        own = [path for path in root.rglob("*") if path.suffix in UPLOADED_SUFFIXES]
        packages = [path for path in vendored.rglob("*") if path.suffix != ".pyc"]
        return [
            *([path.relative_to(root).as_posix(), str(path)] for path in sorted(own) if path.is_file()),
            *([f"{_VENDORED}/{path.relative_to(vendored).as_posix()}", str(path)] for path in sorted(packages) if path.is_file()),
        ]
