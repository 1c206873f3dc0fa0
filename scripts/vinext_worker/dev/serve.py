"""Serving a Worker in the local runtime until somebody stops it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

from vinext_worker.dev.source_watch import SourceWatch
from vinext_worker.errors import UserError
from vinext_worker.local_runtime import LocalRuntime
from vinext_worker.terminal.log_lines import show_line

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

    from vinext_worker.local_runtime import RuntimeOptions


def serve(options: RuntimeOptions, console: Console) -> None:
    """Run the Worker until Ctrl-C or SIGTERM, and reload it whenever its sources change."""
    signal.signal(signal.SIGTERM, _interrupt)
    watch = SourceWatch(options)
    try:
        with LocalRuntime(options, on_log=lambda line: show_line(line, console)) as runtime:
            console.print(f"Ready on [bold]{runtime.url}[/bold] (Ctrl-C stops it)")
            for changed in watch.changes(lambda: runtime.is_running):
                _reload(runtime, watch, changed, console)
            if not runtime.is_running:
                raise UserError(f"the local runtime ended by itself; its last words: {runtime.last_words}")
    except KeyboardInterrupt:
        pass
    console.print("Stopped")


def _reload(runtime: LocalRuntime, watch: SourceWatch, changed: str, console: Console) -> None:
    try:
        watch.options = runtime.reload(watch.reread())
    except UserError as error:
        message = f"not reloaded ({changed} changed): the new sources do not start, so the old ones go on serving"
        console.print(message, style="yellow")
        console.print(str(error), markup=False)
    else:
        console.print(f"reloaded ({changed} changed)")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
