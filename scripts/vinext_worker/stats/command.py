from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from vinext_worker.cloudflare.bindings import ANALYTICS_BINDING
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.errors import ConfigurationError
from vinext_worker.stats.queries import Queries
from vinext_worker.stats.report import Report, periods
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

# Analytics Engine keeps data points for three months.
_MOST_HOURS = 92 * 24


@click.command
@configuration_options
@click.option(
    "--hours",
    type=click.IntRange(1, _MOST_HOURS),
    default=24,
    show_default=True,
    metavar="N",
    help="Look at the last N hours.",
)
@json_option
def stats(*, config_path: Path | None, environment: str | None, hours: int, as_json: bool) -> None:
    """Show how the cache of the deployed Worker did in the last hours.

    The figures are hit rates by time and by route, why requests were passed on, and the slowest misses. They come from the
    dataset of Workers Analytics Engine that is bound as VINEXT_ANALYTICS.

    \b
    Examples:
      vinext-worker stats
      vinext-worker stats --hours 168 --json
    """  # noqa: D301 - \b is click's
    config = Deployment.read(config_path, environment).config
    dataset = config.analytics_datasets.get(ANALYTICS_BINDING)
    if dataset is None:
        raise ConfigurationError(
            f"{config.path} binds no dataset as {ANALYTICS_BINDING}, so the Worker writes no data points; "
            f'add [[analytics_engine_datasets]] with binding = "{ANALYTICS_BINDING}" and dataset = "pages", and deploy it'
        )
    asyncio.run(_report(config, Queries(dataset, hours))).show(Output(as_json))


async def _report(config: WranglerConfig, queries: Queries) -> Report:
    from vinext_worker.cloudflare.analytics_engine import AnalyticsEngine  # noqa: PLC0415 - brings an HTTP client with it
    from vinext_worker.cloudflare.client import Cloudflare, find_account  # noqa: PLC0415 - likewise

    async with Cloudflare.from_environment() as cloudflare:
        engine = AnalyticsEngine(cloudflare, await find_account(cloudflare, config))
        await engine.require(queries.dataset)
        found = [await engine.rows(sql) for sql in (queries.by_time, queries.by_route, queries.passed_on, queries.slowest_misses)]
    by_time, *others = found
    return Report(queries.dataset, queries.hours, periods(by_time, datetime.now(UTC), queries.hours, queries.unit_hours), *others)
