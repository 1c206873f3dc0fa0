from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click
from rich.console import Console

from vinext_worker.checkout import Checkout
from vinext_worker.cloudflare.deployment import settings_of
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.dev.alone import alone_in
from vinext_worker.dev.preparation import pages_binding, prepare_python_site, prepare_vinext_site
from vinext_worker.dev.serve import serve
from vinext_worker.local_runtime import BuildService, RuntimeOptions
from vinext_worker.sites.python_project import PythonProject

if TYPE_CHECKING:
    from collections.abc import Sequence

_CACHE_BINDING = "VINEXT_CACHE"


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

    Prints a line for each request: method, path, status, cache state and milliseconds. Reloads the Worker whenever its sources
    change. ARGUMENTS after -- go to `wrangler dev` (--runtime wrangler).
    """
    if arguments and runtime == "embedded":
        raise click.UsageError(f"arguments for wrangler ({' '.join(arguments)}) need --runtime wrangler")
    if cache == "memory" and runtime == "wrangler":
        raise click.UsageError(
            "--cache memory needs the embedded runtime: wrangler dev takes every binding that wrangler.toml names"
        )
    checkout = Checkout.find()
    config = WranglerConfig.read(checkout.configuration)
    console = Console(highlight=False, soft_wrap=True)
    site = (site_directory or checkout.root / "examples" / "vinext").resolve()
    python_project = PythonProject.find(site)
    config = python_project.config if python_project else config
    settings_of(config, config.variables)
    local = checkout.local if python_project is None else site / ".vinext"
    with alone_in(local):
        if python_project is not None:
            prepare_python_site(python_project, checkout, console)
            configurations, services = [config.path], {}
        else:
            server_config = prepare_vinext_site(site, checkout, config, console)
            configurations = [config.path, server_config]
            services = {pages_binding(config, server_config): BuildService(server_config)}
        if runtime == "wrangler":
            run_wrangler(checkout, configurations, port, arguments)
        options = RuntimeOptions(
            config=config,
            checkout=checkout,
            port=port,
            state=local / "state",
            services=services,
            without=frozenset({_CACHE_BINDING}) if cache == "memory" else frozenset(),
            log_requests=True,
            vendored=python_project.packages if python_project else None,
        )
        serve(options, console)


def run_wrangler(checkout: Checkout, configurations: Sequence[Path], port: int, arguments: Sequence[str]) -> NoReturn:
    """Replace this process with `wrangler dev`, which runs all Workers and serves the one of the first configuration.

    At the first start wrangler downloads Pyodide, so it needs the internet.
    """
    wrangler = checkout.node_modules / "wrangler" / "bin" / "wrangler.js"
    state = checkout.local / "wrangler"
    command = [
        checkout.node,
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
    os.execv(checkout.node, [str(word) for word in command])  # noqa: S606 - so that Ctrl-C and exit codes are wrangler's own
