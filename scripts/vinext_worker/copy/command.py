from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vinext_worker.alone import builds_alone
from vinext_worker.cloudflare.deployment import Deployment, configuration_options, site_argument
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.copy.earlier_builds import KEPT_BUILDS
from vinext_worker.copy.static_folders import assets_advice
from vinext_worker.sites.site_build import find_build, find_site
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vinext_worker.copy.build_copy import CopyReport


kept_builds_option = click.option(
    "--keep-static",
    "kept_builds",
    type=click.IntRange(0),
    default=KEPT_BUILDS,
    show_default=True,
    metavar="N",
    help="Keep the static files of N earlier builds, for the pages in open tabs.",
)


@click.command
@site_argument
@configuration_options
@click.option(
    "--to", "destination", type=click.Path(path_type=Path), help="Copy to this folder.  [default: the configuration's assets]"
)
@kept_builds_option
@click.option("--verbose", is_flag=True, help="List the pages that are not served from the build, and the app's rules.")
@json_option
def copy(  # noqa: PLR0913 - the command line
    *,
    site: Path | None,
    config_path: Path | None,
    environment: str | None,
    destination: Path | None,
    kept_builds: int,
    verbose: bool,
    as_json: bool,
) -> None:
    """Copy a build's pages and static files to the folder of assets.

    SITE is a vinext app or a Python site that is built, by default the current project's. The folder is the one that is
    deployed as assets. The command writes only files that have changed, and removes files of earlier builds.

    \b
    Examples:
      vinext-worker copy examples/vinext
      vinext-worker copy ../shop --env staging
      vinext-worker copy ../shop --to /tmp/assets --json
    """  # noqa: D301 - \b is click's
    output = Output(as_json)
    if destination is not None and site is not None:
        show_copy(copy_build(find_build(site), destination, kept_builds), destination, output, verbose=verbose)
        return
    deployment = Deployment.read(config_path, environment, site)
    target = destination or deployment.assets_directory
    with builds_alone(deployment.project.local):
        report = copy_build(find_build(find_site(deployment.config, site), deployment.config), target, kept_builds)
    advice = assets_advice(deployment.config, report.static_folders, report.static_files)
    show_copy(report, target, output, advice, verbose=verbose)


def show_copy(report: CopyReport, target: Path, output: Output, advice: Sequence[str] = (), *, verbose: bool = False) -> None:
    """Show what was copied, and advice on the configuration."""
    skipped = [{"path": path, "reason": reason} for path, reason in report.skipped]
    fields = {_json_name(name): value for name, value in asdict(report).items()}
    output.document(fields | {"folder": str(target), "skipped": skipped, "advice": list(advice)})
    output.line(
        f"build {report.build_id}: {report.routes} pages in {target} "
        f"({report.written_files} files written, {report.unchanged_files} unchanged, {report.removed_files} removed)"
    )
    if report.kept_files:
        output.line(f"{report.kept_files} static files of earlier builds stay, for the pages in open tabs")
    for text in advice:
        output.line(text, "yellow")
    consequence = "asked before the cache" if report.has_stages else "pages that it may touch are not cached"
    rules = [(name, consequence) for name in report.rules]
    for title, rows, count in (
        ("rules of the app that come before the cache", rules, len(rules)),
        ("not served from the build", list(report.skipped), report.skipped_routes),
    ):
        if verbose:
            output.reasons(title, rows, count, "yellow")
        elif count:
            output.line(f"{title}: {count} (--verbose lists them)")


def _json_name(name: str) -> str:
    """Return a field's name as JSON documents have it, `writtenFiles` for `written_files`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
