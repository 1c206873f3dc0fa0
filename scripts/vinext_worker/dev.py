from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click
from rich.console import Console

from vinext_worker.configuration import settings_of
from vinext_worker.dev_output import show_line
from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.python_dev import prepare_python_site
from vinext_worker.python_site import PythonSite
from vinext_worker.runtime import BuildService, LocalRuntime, RuntimeOptions
from vinext_worker.runtime.watch import SourceWatch
from vinext_worker.toolchain import Project
from vinext_worker.wrangler_config import WranglerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_CACHE_BINDING = "VINEXT_CACHE"
_PAGES_BINDING = "PAGES"
_SKIPPED_SHOWN = 5


@click.command
@click.option(
    "--site",
    "site_directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The vinext app or Python site to build and serve.  [default: examples/vinext]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes any free port.")
@click.option("--cache", type=click.Choice(["kv", "memory"]), default="kv", show_default=True, help="Where pages are kept.")
@click.option(
    "--runtime",
    type=click.Choice(["embedded", "wrangler"]),
    default="embedded",
    show_default=True,
    help="embedded needs no download at run time; wrangler is `wrangler dev`.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(
    site_directory: Path | None,
    port: int,
    cache: Literal["kv", "memory"],
    runtime: Literal["embedded", "wrangler"],
    arguments: tuple[str, ...],
) -> None:
    """Build a site and serve it locally with the Worker in front, until Ctrl-C.

    Prints a line for each request: method, path, status, cache state and milliseconds. Changed sources of the Worker are taken up
    at once. ARGUMENTS after -- go to `wrangler dev` (--runtime wrangler).
    """
    if arguments and runtime == "embedded":
        raise click.UsageError(f"arguments for wrangler ({' '.join(arguments)}) need --runtime wrangler")
    if cache == "memory" and runtime == "wrangler":
        raise click.UsageError(
            "--cache memory needs the embedded runtime: wrangler dev takes every binding that wrangler.toml names"
        )
    project = Project.find()
    config = WranglerConfig.read(project.configuration)
    console = Console(highlight=False, soft_wrap=True)
    site = (site_directory or project.root / "examples" / "vinext").resolve()
    python_site = PythonSite.find(site)
    config = python_site.config if python_site else config
    settings_of(config, config.variables)
    if python_site is not None:
        prepare_python_site(python_site, project, console)
        state = site / ".vinext" / "state"
        configurations, services = [config.path], {}
    else:
        server_config = _prepare(site, project, config, console)
        state, configurations = project.local / "state", [config.path, server_config]
        services = {_pages_binding(config, server_config): BuildService(server_config)}
    if runtime == "wrangler":
        run_wrangler(project, configurations, port, arguments)
    options = RuntimeOptions(
        config=config,
        project=project,
        port=port,
        state=state,
        services=services,
        without=frozenset({_CACHE_BINDING}) if cache == "memory" else frozenset(),
        log_requests=True,
        vendored=python_site.packages if python_site else None,
    )
    serve(options, console)


def serve(options: RuntimeOptions, console: Console) -> None:
    """Run the Worker until Ctrl-C or SIGTERM, and take up its sources whenever they change."""
    signal.signal(signal.SIGTERM, _terminate)
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
        console.print(
            f"not reloaded ({changed} changed): the sources do not start, the ones before go on serving", style="yellow"
        )
        console.print(str(error), markup=False)
    else:
        console.print(f"reloaded ({changed} changed)")


def run_wrangler(project: Project, configurations: Sequence[Path], port: int, arguments: Sequence[str]) -> NoReturn:
    """Become `wrangler dev` with all Workers in one process, the first configuration being the one that is served.

    It downloads the runtime's own Pyodide at the first start, so it needs the internet.
    """
    wrangler = project.node_modules / "wrangler" / "bin" / "wrangler.js"
    state = project.local / "wrangler"
    command = [
        project.node,
        wrangler,
        "dev",
        *(word for path in configurations for word in ("-c", path)),
        "--port",
        port,
        "--persist-to",
        state,
        *arguments,
    ]
    sys.stdout.flush()
    os.execv(project.node, [str(word) for word in command])  # noqa: S606 - so that Ctrl-C and exit codes are wrangler's own


def _prepare(site_directory: Path, project: Project, config: WranglerConfig, console: Console) -> Path:
    """Build the site and copy its pages to where the Worker finds them; return the built Worker's configuration."""
    from vinext_worker.copying import copy_build  # noqa: PLC0415 - the other commands do not need it
    from vinext_worker.site import prepare  # noqa: PLC0415 - likewise

    if config.assets is None:
        raise ConfigurationError(f"{config.path} has no [assets], so pages cannot be copied anywhere; add it with a directory")
    built = prepare(site_directory, project, console)
    report = copy_build(built, config.assets.directory)
    console.print(f"{report.routes} pre-rendered pages of {site_directory} are in place (build {report.build_id})")
    if report.skipped:
        shown = ", ".join(f"{path} ({reason})" for path, reason in report.skipped[:_SKIPPED_SHOWN])
        rest = len(report.skipped) - _SKIPPED_SHOWN
        console.print(f"made on request: {shown}{f' and {rest} more' if rest > 0 else ''}", markup=False)
    return built.server_config


def _pages_binding(config: WranglerConfig, server_config: Path) -> str:
    """The binding that names the built Worker, else the default one."""
    name = WranglerConfig.read(server_config).name
    return next((binding for binding, service in config.services.items() if service == name), _PAGES_BINDING)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
