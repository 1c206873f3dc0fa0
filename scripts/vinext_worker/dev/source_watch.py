from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from watchfiles import watch

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime.options import UPLOADED_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vinext_worker.local_runtime.options import RuntimeOptions

_POLL_MILLISECONDS = 300


class SourceWatch:
    """Watches what a running Worker is made of: its sources, its configuration and its local variables."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.options = options
        self._configuration = self._stamps()

    def changes(self, is_running: Callable[[], bool]) -> Iterator[str]:
        """Yield one changed file, as the project names it, for each burst of changes, until the runtime ends or on Ctrl-C."""
        root = self.options.source_root
        waiting = watch(root, yield_on_timeout=True, rust_timeout=_POLL_MILLISECONDS, watch_filter=_is_source)
        for changes in waiting:
            if not is_running():
                return
            changed = min((path for _, path in changes), default=None) or self._changed_configuration()
            if changed is not None:
                yield self._name(changed)

    def reread(self) -> RuntimeOptions:
        """Return the options with the configuration as its file is now; raises ConfigurationError."""
        return replace(self.options, config=WranglerConfig.read(self.options.config.path))

    def _changed_configuration(self) -> str | None:
        # These lie among node_modules and the like, so they are looked at one by one instead of watching their folder.
        before, self._configuration = self._configuration, self._stamps()
        return next((str(path) for path, stamp in self._configuration.items() if before[path] != stamp), None)

    def _stamps(self) -> dict[Path, int | None]:
        config = self.options.config.path
        return {path: path.stat().st_mtime_ns if path.exists() else None for path in (config, config.with_name(".dev.vars"))}

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self.options.config.folder}/")


def _is_source(_change: object, path: str) -> bool:
    return path.endswith(UPLOADED_SUFFIXES) and "/." not in path.rpartition("/")[2]
