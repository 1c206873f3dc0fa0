from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seed.build import Skipped
from seed.entries import seed_entries
from seed.from_directory import open_directory
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING, is_placeholder
from vinext_worker.errors import UserError
from vinext_worker.populate.journal import Journal
from vinext_worker.populate.populator import Destination, find_populator, populator_names, populator_of
from vinext_worker.populate.report import PopulateReport
from vinext_worker.populate.run import RunOptions
from vinext_worker.populate.run import populate as run_populate
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from seed.build import Build
    from seed.entries import SeedItem
    from seed.sources import Source

# Next to the configuration, where the commands keep all their files.
JOURNAL_FOLDER = Path(".vinext") / "populate"


@dataclass(frozen=True)
class PopulateOptions:
    """The options of the command line besides those that choose the configuration."""

    into: str | None = None
    """The populator; None: that of the store which the configuration binds."""
    url: str | None = None
    again: bool = False
    values: tuple[tuple[str, str], ...] = ()
    run: RunOptions = field(default_factory=RunOptions)
    extra: Mapping[str, object] = field(default_factory=dict)
    """More fields for the JSON document."""


@click.command
@configuration_options
@click.option(
    "--into",
    help=f"Write by this populator: {', '.join(populator_names())}, or one from a package.  "
    "[default: r2 if R2 alone is bound, else kv]",
)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Write the pages in this folder: copied pages, or a build's dist/server.  "
    "[default: the configuration's assets, or with --into local those of dev]",
)
@click.option("--url", help="With --into worker, write to the deployed Worker at this URL.")
@click.option(
    "--verify", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Read N entries back and compare them."
)
@click.option("--again", is_flag=True, help="Write every entry again, also those that an earlier run wrote.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
@click.option(
    "--batch-entries",
    type=click.IntRange(1),
    metavar="N",
    help="Send at most N entries in a request.  [default: the populator's own number]",
)
@click.option(
    "--option",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set an option of a populator from a package. May be repeated.",
)
@json_option
def populate(  # noqa: PLR0913 - the command line
    *,
    config_path: Path | None,
    environment: str | None,
    into: str | None,
    folder: Path | None,
    url: str | None,
    verify: int,
    again: bool,
    dry_run: bool,
    batch_entries: int | None,
    values: tuple[str, ...],
    as_json: bool,
) -> int:
    """Put a build's pages into the cache of the deployed app.

    So they are there before the first visitor requests them. After an interruption, the next run continues where the last one
    stopped. A later run for the same build sends only entries that have changed. Keys contain the build's ID, so the live build
    is not touched.

    The command lists entries that it could not write and exits with 1. It also exits with 1 if --verify reads back something
    different.

    \b
    Examples:
      vinext-worker populate                          Workers KV or R2, as wrangler.toml names it
      vinext-worker populate --env staging --verify 50
      vinext-worker populate --into worker --url https://example.com
      vinext-worker populate --into local             the store that `vinext-worker dev` keeps
    """  # noqa: D301 - \b is click's
    deployment = Deployment.read(config_path, environment)
    output = Output(as_json)
    run = RunOptions(verify, batch_entries, dry_run)
    options = PopulateOptions(into, url, again, _pairs(values), run)
    report = populate_build(deployment, folder or _pages(deployment, into), options, output)
    return 0 if report.is_complete else 1


def _pages(deployment: Deployment, into: str | None) -> Path:
    """Return the folder of the pages that go into a store: `dev` has its own, if it has run."""
    own = deployment.project.dev_assets
    return own if into == "local" and own.is_dir() else deployment.assets_directory


def populate_build(deployment: Deployment, folder: Path, options: PopulateOptions, output: Output) -> PopulateReport:
    """Populate from a folder, and show the result."""
    if options.run.dry_run and (options.into or populator_of(deployment.config)) == "kv" and is_placeholder(deployment.config):
        # What would be written does not depend on where.
        entries, _ = count_entries(deployment, folder)
        report = PopulateReport(f"{CACHE_BINDING}, which has no namespace yet", "", entries=entries)
        _show(report, options, output)
        return report
    return asyncio.run(_populate_build(deployment, folder, options, output))


def count_entries(deployment: Deployment, folder: Path) -> tuple[int, int]:
    """Return the number of entries of a folder's build, and the number of its pages without an entry."""

    async def count() -> tuple[int, int]:
        source = await open_directory(folder)
        entries = skipped = 0
        async for item in seed_entries(source, build_id=deployment.build_id_of(source.build)):
            skipped += isinstance(item, Skipped)
            entries += not isinstance(item, Skipped)
        return entries, skipped

    return asyncio.run(count())


async def _populate_build(deployment: Deployment, folder: Path, options: PopulateOptions, output: Output) -> PopulateReport:
    source = await open_directory(folder)
    build = source.build
    items = seed_entries(source, build_id=deployment.build_id_of(build), schema=deployment.schema_of(build))
    total = await _count(source) if output.shows_progress else None
    return await populate_items(deployment, build, items, options, output, total)


async def populate_items(  # noqa: PLR0913, PLR0917 - the parts of a run
    deployment: Deployment,
    build: Build,
    items: AsyncIterator[SeedItem],
    options: PopulateOptions,
    output: Output,
    total: int | None = None,
) -> PopulateReport:
    """Populate with a build's entries from any source, and show the result; raise UserError."""
    destination = Destination(
        deployment.project,
        deployment.config,
        deployment.settings,
        deployment.schema_of(build),
        options.url,
        dict(options.values),
    )
    build_id = deployment.build_id_of(build)
    async with find_populator(options.into or populator_of(deployment.config))(destination) as populator:
        report = PopulateReport(populator.target, build_id)
        folder = deployment.config.folder / JOURNAL_FOLDER
        with Journal(folder, populator.target, build_id) as journal, output.progress("entries") as bar:
            if options.again:
                journal.forget()
            task = bar.add_task("populating", total=total, rate=0.0)
            try:
                await run_populate(items, populator, journal, report, options.run, _progress_shower(bar.update, task))
            except UserError:
                _show(report, options, output, failed=True)
                raise
            if report.is_complete and not options.run.dry_run:
                journal.drop_other_builds()
    _show(report, options, output)
    if deployment.settings.tenants.patterns:
        output.line("hosts that match a pattern of VINEXT_TENANTS get the build's pages from the assets, as they are asked for")
    return report


def _show(report: PopulateReport, options: PopulateOptions, output: Output, *, failed: bool = False) -> None:
    output.document({**report.to_document(), **options.extra, **({"complete": False} if failed else {})})
    if options.run.dry_run:
        wanted = report.entries - report.unchanged
        output.line(f"{wanted} entries would be written to {report.target}, {report.unchanged} are already there")
    else:
        output.line(
            f"{report.written} entries written to {report.target}, {report.unchanged} were already there: "
            f"build {report.build_id}, {report.written_bytes / 1e6:.1f} MB, {report.seconds:.1f} s ({report.rate:.0f} entries/s)"
        )
    output.reasons("skipped", report.skipped.first, report.skipped.count, "yellow")
    output.reasons("not written", report.failed.first, report.failed.count, "red")
    if options.run.verify:
        output.line(f"read back: {report.verified}, different from what was written: {report.wrong.count}")
        output.reasons("different", report.wrong.first, report.wrong.count, "red")


def _progress_shower(update: Callable[..., None], task: object) -> Callable[[PopulateReport], None]:
    started = time.monotonic()

    def show(report: PopulateReport) -> None:
        done = report.written + report.unchanged
        update(task, completed=done, rate=done / max(time.monotonic() - started, 0.001))

    return show


async def _count(source: Source) -> int:
    total = 0
    async for _, record in source.routes():
        total += 0 if isinstance(record, Skipped) else len(record.artifacts)
    return total


def _pairs(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [value.partition("=") for value in values]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise click.UsageError(f"--option takes NAME=VALUE, not {name!r}")
    return tuple((name, value) for name, _, value in pairs)
