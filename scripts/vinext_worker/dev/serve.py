"""Serving a Worker in the local runtime until somebody stops it."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from watchfiles import watch

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import UserError
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.local_runtime.options import UPLOADED_SUFFIXES
from vinext_worker.terminal.log_lines import show_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from rich.console import Console

    from vinext_worker.local_runtime import RuntimeOptions

_POLL_MILLISECONDS = 300


def serve(options: RuntimeOptions, console: Console) -> None:
    """Run the Worker until Ctrl-C or SIGTERM, and reload it whenever its sources change."""
    signal.signal(signal.SIGTERM, _interrupt)
    sources = SourceWatch(options)
    try:
        with LocalRuntime(options, on_log=lambda line: show_line(line, console)) as runtime:
            console.print(f"Ready on [bold]{runtime.url}[/bold] (Ctrl-C stops it)")
            for changed in sources.changes(lambda: runtime.is_running):
                _reload(runtime, sources, changed, console)
            if not runtime.is_running:
                raise UserError(f"the local runtime ended unexpectedly: {runtime.last_words}")
    except KeyboardInterrupt:
        pass
    console.print("Stopped")


def _reload(runtime: LocalRuntime, sources: SourceWatch, changed: str, console: Console) -> None:
    try:
        sources.options = runtime.reload(sources.reread())
    except UserError as error:
        message = f"not reloaded ({changed} changed): the new sources do not start, so the old ones go on serving"
        console.print(message, style="yellow")
        console.print(str(error), markup=False)
    else:
        console.print(f"reloaded ({changed} changed)")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


class SourceWatch:
    """Watches the files of a running Worker: its sources, its configuration and its local variables."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.options = options
        self._configuration = self._stamps()

    def changes(self, is_running: Callable[[], bool]) -> Iterator[str]:
        """Yield one changed file for each burst of changes, relative to the project, until the runtime ends or Ctrl-C."""
        root = self.options.source_root
        waiting = watch(root, yield_on_timeout=True, rust_timeout=_POLL_MILLISECONDS, watch_filter=_is_source)
        for changes in waiting:
            if not is_running():
                return
            changed = min((path for _, path in changes), default=None) or self._changed_configuration()
            if changed is not None:
                yield self._name(changed)

    def reread(self) -> RuntimeOptions:
        """Return the options with the configuration read again; raise ConfigurationError."""
        return replace(self.options, config=WranglerConfig.read(self.options.config.path, self.options.config.environment))

    def _changed_configuration(self) -> str | None:
        # These files are next to node_modules and the like, so they are checked one by one instead of watching their folder.
        before, self._configuration = self._configuration, self._stamps()
        return next((str(path) for path, stamp in self._configuration.items() if before[path] != stamp), None)

    def _stamps(self) -> dict[Path, int | None]:
        config = self.options.config.path
        return {path: path.stat().st_mtime_ns if path.exists() else None for path in (config, config.with_name(".dev.vars"))}

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self.options.config.folder}/")


def _is_source(_change: object, path: str) -> bool:
    return path.endswith(UPLOADED_SUFFIXES) and "/." not in path.rpartition("/")[2]
