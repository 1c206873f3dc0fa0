from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from vinext_worker.alone import alone_in, builds_alone
from vinext_worker.cloudflare.deployment import build_for, configuration_options, settings_of
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.dev.preparation import pages_binding, prepare_python_site, prepare_vinext_site
from vinext_worker.dev.serve import serve
from vinext_worker.dev.wrangler import run_wrangler
from vinext_worker.local_runtime import BuildService, RuntimeOptions, require_free
from vinext_worker.project import Project
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import find_site

_STORES = frozenset({"VINEXT_CACHE", "VINEXT_CACHE_R2"})


@click.command
@click.option(
    "--site",
    "site_directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the vinext app or Python site in this folder.  [default: the current project's]",
)
@configuration_options
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="Listen on this port; 0 takes any free one."
)
@click.option(
    "--cache",
    type=click.Choice(["kv", "memory"]),
    default="kv",
    show_default=True,
    help="Keep pages in a local Workers KV, or in memory alone.",
)
@click.option(
    "--runtime",
    type=click.Choice(["embedded", "wrangler"]),
    default="embedded",
    show_default=True,
    help="Run the Worker in the runtime that needs no further download, or by `wrangler dev`.",
)
@click.option("--open", "opens", is_flag=True, help="Open the inspector in a browser; at a terminal the key o does it later.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(  # noqa: PLR0913 - the command line
    *,
    site_directory: Path | None,
    config_path: Path | None,
    environment: str | None,
    port: int,
    cache: Literal["kv", "memory"],
    runtime: Literal["embedded", "wrangler"],
    opens: bool,
    arguments: tuple[str, ...],
) -> None:
    """Build a site and serve it locally, until Ctrl-C.

    The Worker runs in front of it. The command prints a line for each request: method, path, status, cache state and
    milliseconds. It reloads the Worker whenever its sources change. A vinext app is built at the start, and served as it was
    built. At the end, the command says how the cache did, and why pages were never kept. With --runtime wrangler, ARGUMENTS
    after -- go to `wrangler dev`.
    """
    if arguments and runtime == "embedded":
        raise click.UsageError(f"arguments for wrangler ({' '.join(arguments)}) need --runtime wrangler")
    if opens and runtime == "wrangler":
        raise click.UsageError("--open needs the embedded runtime: vinext-worker does not know when wrangler dev is ready")
    if cache == "memory" and runtime == "wrangler":
        raise click.UsageError(
            "--cache memory needs the embedded runtime: wrangler dev takes every binding that wrangler.toml names"
        )
    build_for(environment)
    project = Project.choose(config_path, site_directory)
    tools = project.tools
    config = WranglerConfig.read(project.configuration, environment)
    console = Console(highlight=False, soft_wrap=True)
    site = find_site(config, site_directory)
    python_project = PythonProject.find(site, config)
    settings_of(config, config.variables)
    with alone_in(project.local):
        if runtime == "embedded":
            require_free(RuntimeOptions.host, port)
        _say_what_is_served(site, config, console, is_python=python_project is not None)
        with builds_alone(project.local):
            if python_project is not None:
                prepare_python_site(python_project.for_dev(), tools, console, project.dev_assets)
                configurations, services = [config.path], {}
            else:
                server_config = prepare_vinext_site(site, tools, config, console, project.dev_assets)
                configurations = [config.path, server_config]
                services = {pages_binding(config, server_config): BuildService(server_config)}
        if runtime == "wrangler":
            run_wrangler(project, configurations, environment, port, arguments)
        options = RuntimeOptions(
            config=config,
            tools=tools,
            port=port,
            state=project.local / "state",
            services=services,
            assets_directory=project.dev_assets,
            without=_STORES if cache == "memory" else frozenset(),
            log_requests=True,
            vendored=python_project.packages if python_project else None,
        )
        serve(options, console, project.local, opens=opens)


def _say_what_is_served(site: Path, config: WranglerConfig, console: Console, *, is_python: bool) -> None:
    kind = "the Python site" if is_python else "the vinext app"
    environment = f" (environment {config.environment})" if config.environment else ""
    console.print(f"{kind} in {site}, with {config.path}{environment}", markup=False)
