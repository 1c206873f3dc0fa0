"""Serving a Worker in the local runtime until somebody stops it.

Its Worker has a token in any case: where the project sets none, one that nobody knows but the commands on this machine.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from watchfiles import watch

from vinext_worker.cloudflare.worker_admin import TOKEN_VARIABLE
from vinext_worker.cloudflare.wrangler_config import WranglerConfig, dev_variables_files
from vinext_worker.dev.changed_site import forget_pages
from vinext_worker.dev.keys import pressed_keys
from vinext_worker.dev.running import RunningDev
from vinext_worker.dev.summary import reason_of, summary
from vinext_worker.errors import UserError
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.local_runtime.options import UPLOADED_SUFFIXES
from vinext_worker.terminal.browser import opens_in_browser
from vinext_worker.terminal.interruption import end_as_by_ctrl_c
from vinext_worker.terminal.log_lines import show_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.local_runtime import RuntimeOptions

_POLL_MILLISECONDS = 300
_PAGES = "; pages are rendered anew"


def serve(options: RuntimeOptions, console: Console, folder: Path | None = None, *, opens: bool = False) -> None:
    """Run the Worker until Ctrl-C or an end from outside, and reload it whenever its sources change.

    Other commands find it by the project's own `folder`. With `opens`, the inspector is opened at the start; a key does it later.
    """
    end_as_by_ctrl_c()
    options = with_token(options)
    sources = SourceWatch(options)
    runtime = LocalRuntime(options, on_log=lambda line: show_line(line, console))
    try:
        with console.status("starting the Worker …"):
            runtime.start()
        with pressed_keys() as keys, ExitStack() as stack:
            if folder is not None:
                _running(runtime).note(folder)
                stack.callback(RunningDev.forget, folder)
            hint = "" if keys is None else "; o opens the inspector"
            console.print(f"Ready on [bold]{runtime.url}[/bold] (Ctrl-C stops it{hint})")
            if opens:
                _open(runtime, console)

            def goes_on() -> bool:
                if keys is not None and "o" in keys():
                    _open(runtime, console)
                return runtime.is_running

            for changed in sources.changes(goes_on):
                _reload(runtime, sources, changed, console)
                if folder is not None:
                    _running(runtime).note(folder)
        if not runtime.is_running:
            raise UserError(f"the local runtime ended unexpectedly: {runtime.last_words}")
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):
            _sum_up(runtime, console)
    finally:
        runtime.stop()
    console.print("Stopped")


def with_token(options: RuntimeOptions) -> RuntimeOptions:
    """Return the options with a token for the Worker's own endpoints."""
    if options.config.variables.get(TOKEN_VARIABLE):
        return replace(options, variables={name: text for name, text in options.variables.items() if name != TOKEN_VARIABLE})
    return replace(options, variables={TOKEN_VARIABLE: secrets.token_urlsafe(24), **options.variables})


def _running(runtime: LocalRuntime) -> RunningDev:
    options = runtime.options
    return RunningDev(runtime.url, str({**options.config.variables, **options.variables}[TOKEN_VARIABLE]))


def _open(runtime: LocalRuntime, console: Console) -> None:
    link = _running(runtime).sign_in_link()
    if not opens_in_browser(link):
        console.print(f"no browser was opened; open {link} within a minute", markup=False)


def _sum_up(runtime: LocalRuntime, console: Console) -> None:
    if runtime.requests:
        for line in summary(runtime.requests, reason_of(_running(runtime), runtime.direct_url)):
            console.print(line)


def _reload(runtime: LocalRuntime, sources: SourceWatch, changed: str, console: Console) -> None:
    console.print(f"reloading: {changed} changed …", markup=False)
    start = time.monotonic()
    renders_pages = runtime.options.vendored is not None
    try:
        options = sources.reread()
        if renders_pages:
            forget_pages(options.assets_directory or options.config.assets_directory)
        sources.options = runtime.reload(options)
    except UserError as error:
        console.print("not reloaded: the new sources do not start, so the old ones go on serving", style="yellow")
        console.print(str(error), markup=False)
    else:
        console.print(f"reloaded in {time.monotonic() - start:.1f} s{_PAGES if renders_pages else ''}")


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
        config = WranglerConfig.read(self.options.config.path, self.options.config.environment)
        return with_token(replace(self.options, config=config))

    def _changed_configuration(self) -> str | None:
        # These files are next to node_modules and the like, so they are checked one by one instead of watching their folder.
        before, self._configuration = self._configuration, self._stamps()
        return next((str(path) for path, stamp in self._configuration.items() if before[path] != stamp), None)

    def _stamps(self) -> dict[Path, int | None]:
        config = self.options.config
        files = (config.path, *dev_variables_files(config.path, config.environment))
        return {path: path.stat().st_mtime_ns if path.exists() else None for path in files}

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self.options.config.folder}/")


def _is_source(_change: object, path: str) -> bool:
    return path.endswith(UPLOADED_SUFFIXES) and "/." not in path.rpartition("/")[2]
