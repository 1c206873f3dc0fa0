from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from isr.served_build import served_build
from isr.tenants import Tenants
from seed.from_directory import open_directory
from seed.rules import STAGES_VERSION
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import UserError
from vinext_worker.populate.command import PopulateOptions, populate_items
from vinext_worker.populate.run import RunOptions
from vinext_worker.server_url import server_url
from vinext_worker.terminal.output import Output, json_option
from vinext_worker.tpr.selection import select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.local_runtime import Service
    from vinext_worker.populate.report import PopulateReport
    from vinext_worker.tpr.selection import Selection

_PERCENT = 100

# The service that renders pages of an app in stages.
_RENDERER = "RENDERER"


@dataclass(frozen=True)
class TprOptions:
    """The traffic that counts, and the share of it to cover; `coverage` is from 0 to 1."""

    host: str | None = None
    hours: int = 24
    coverage: float = 0.9
    limit: int = 1000
    from_url: str | None = None
    populate: PopulateOptions = field(default_factory=PopulateOptions)


@click.command
@click.argument("site", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@configuration_options
@click.option("--host", help="Look at the traffic of this host.  [default: the first of the configuration's routes]")
@click.option(
    "--hours",
    type=click.IntRange(1, 720),
    default=24,
    show_default=True,
    metavar="N",
    help="Look at the traffic of the last N hours.",
)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 100),
    default=90,
    show_default=True,
    help="Choose pages for this percentage of the requests.",
)
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, metavar="N", help="Choose at most N pages.")
@click.option(
    "--from", "from_url", metavar="URL", help="Take the pages from this server instead of SITE's build in the local runtime."
)
@click.option("--into", help="Write by this populator, as `vinext-worker populate` does.")
@click.option("--url", help="With --into worker, write to the deployed Worker at this URL.")
@click.option("--dry-run", is_flag=True, help="Choose and render pages, but write nothing.")
@json_option
def tpr(  # noqa: PLR0913 - the command line
    *,
    site: Path | None,
    config_path: Path | None,
    environment: str | None,
    host: str | None,
    hours: int,
    coverage: float,
    limit: int,
    from_url: str | None,
    into: str | None,
    url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Put the pages that visitors request most into the cache.

    The command renders them, and writes them into the cache of the deployed app. It takes the fewest pages that reach the
    coverage, according to Cloudflare's analytics. It leaves out pre-rendered pages, which `vinext-worker populate` writes.

    \b
    Examples:
      vinext-worker tpr examples/vinext
      vinext-worker tpr examples/vinext --hours 6 --coverage 80 --dry-run
      vinext-worker tpr --from https://preview.example.com --host example.com
    """  # noqa: D301 - \b is click's
    if (site is None) == (from_url is None):
        raise click.UsageError("name either SITE, which is built, or a server with --from")
    deployment = Deployment.read(config_path, environment, site)
    run = RunOptions(dry_run=dry_run)
    if from_url is not None:
        server_url(from_url)
    options = TprOptions(host, hours, coverage / _PERCENT, limit, from_url, PopulateOptions(into, url, run=run))
    report = run_tpr(deployment, site, options, Output(as_json))
    return 0 if report is None or report.is_complete else 1


def run_tpr(deployment: Deployment, site: Path | None, options: TprOptions, output: Output) -> PopulateReport | None:
    """Choose pages, render them and populate; return None if there is nothing to render, and say so."""
    host = _host(deployment, options)
    deployment = _for_tenant(deployment, host, options)
    selection = asyncio.run(_choose(deployment, host, options))
    output.line(
        f"{selection.requests} requests for pages in {options.hours} hours: "
        f"{len(selection.chosen)} pages cover {selection.coverage:.0%} of them"
    )
    output.reasons("left out", list(selection.skipped), len(selection.skipped), "yellow")
    if not selection.chosen:
        output.document({"requests": selection.requests, "chosen": [], "skipped": _rows(selection)})
        output.line("nothing to render")
        return None
    with _server(deployment, site, options.from_url) as url:
        renderer_host = None if options.from_url else host
        return asyncio.run(_populate(deployment, options, selection, (url, renderer_host), output))


def _host(deployment: Deployment, options: TprOptions) -> str:
    host = options.host or next(iter(deployment.config.domains), None)
    if host is None:
        raise UserError(f"{deployment.config.path} names no custom domain in its routes; add one, or name it with --host")
    return host.lower()


def _for_tenant(deployment: Deployment, host: str, options: TprOptions) -> Deployment:
    """Return the deployment as if the host were its only one: with tenants, a page that is rendered is of that host alone."""
    tenants = deployment.settings.tenants
    if not tenants:
        return deployment
    prefix = tenants.prefix_of(host)
    if prefix is None:
        raise UserError(
            f"{host} is none of the hosts in VINEXT_TENANTS, so nothing is cached for it; name one that is with --host"
        )
    written_host = urlsplit(options.populate.url or "").hostname
    if written_host is not None and tenants.prefix_of(written_host) != prefix:
        raise UserError(f"--url is the address of {written_host}, which has another cache than {host}; name an address of {host}")
    return replace(deployment, settings=replace(deployment.settings, tenants=Tenants(), app_prefix=prefix))


async def _choose(deployment: Deployment, host: str, options: TprOptions) -> Selection:
    from vinext_worker.cloudflare.analytics import find_zone, paths_asked_for  # noqa: PLC0415 - brings an HTTP client with it
    from vinext_worker.cloudflare.client import Cloudflare  # noqa: PLC0415 - likewise

    source = await open_directory(deployment.assets_directory)
    site = served_build(source.build, deployment.settings.build_id, deployment.settings.key_schema)
    async with Cloudflare.from_environment() as cloudflare:
        zone = await find_zone(cloudflare, host)
        paths = await paths_asked_for(cloudflare, zone, host, options.hours)
    return select(paths, site, options.coverage, options.limit)


async def _populate(
    deployment: Deployment, options: TprOptions, selection: Selection, server: tuple[str, str | None], output: Output
) -> PopulateReport:
    from vinext_worker.tpr.rendering import Renderer  # noqa: PLC0415 - brings an HTTP client with it

    source = await open_directory(deployment.assets_directory)
    site = served_build(source.build, deployment.settings.build_id, deployment.settings.key_schema)
    renderer = Renderer(*server, site, source)
    try:
        items = renderer.entries(selection.chosen)
        # Pages differ each time they are rendered, so the journal finds none of them unchanged.
        populating = replace(options.populate, extra={"requests": selection.requests, "skippedPaths": _rows(selection)})
        report = await populate_items(deployment, source.build, items, populating, output)
        renderer.require_answers()
        return report
    finally:
        await renderer.close()


@contextmanager
def _server(deployment: Deployment, site: Path | None, from_url: str | None) -> Iterator[str]:
    """Yield the address of a server of the site's pages: `from_url`, or the build's own Worker in the local runtime."""
    if from_url is not None or site is None:
        yield from_url or ""
        return
    from vinext_worker.local_runtime import (  # noqa: PLC0415 - only where it is needed
        BuildService,
        LocalRuntime,
        RuntimeOptions,
        ScriptService,
    )
    from vinext_worker.sites.python_project import PythonProject  # noqa: PLC0415 - only where it is needed
    from vinext_worker.sites.site_build import find_build  # noqa: PLC0415 - likewise

    if PythonProject.find(site.resolve(), deployment.config) is not None:
        raise UserError(f"{site} is a Python site: name a server that has it as it is deployed, such as a preview, with --from")
    built = find_build(site)
    source = asyncio.run(open_directory(deployment.assets_directory))
    # The pages go to the deployed app, so they are rendered with its variables. The build may have local ones beside it.
    variables = WranglerConfig.read(built.server_config).deployed_variables
    services: dict[str, Service] = {"PAGES": BuildService(built.server_config, variables)}
    if source.build.stages == STAGES_VERSION:
        services[_RENDERER] = ScriptService(Path(__file__).with_name("render.mjs").read_text(), services=("PAGES",))
    tools = deployment.project.tools
    with LocalRuntime(RuntimeOptions(config=deployment.config, tools=tools, services=services)) as runtime:
        yield runtime.service_urls[_RENDERER if _RENDERER in services else "PAGES"]


def _rows(selection: Selection) -> list[dict[str, str]]:
    return [{"path": path, "reason": reason} for path, reason in selection.skipped]
