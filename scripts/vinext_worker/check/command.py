from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from seed.from_directory import open_directory
from seed.rules import STAGES_VERSION
from vinext_worker.check.report import html_page, show_result
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.errors import UserError
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from seed.build import Build
    from vinext_worker.check.expectation import CheckResult
    from vinext_worker.check.run import CheckOptions


@click.command
@click.argument("url")
@configuration_options
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of copied pages, or a build's dist/server.  [default: the configuration's assets]",
)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Check N random pages.  [default: all]")
@click.option("--against", metavar="URL", help="Compare each answer with the app's own, from the page handler alone at this URL.")
@click.option("--ignore", "ignored", multiple=True, metavar="REGEX", help="What --against does not compare. May be repeated.")
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long a stale page may take to be made again; 0 does not ask again.",
)
@click.option("--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the result as an HTML page.")
@json_option
def check(  # noqa: PLR0913 - the command line
    *,
    url: str,
    config_path: Path | None,
    environment: str | None,
    folder: Path | None,
    sample: int | None,
    against: str | None,
    ignored: tuple[str, ...],
    patience: float,
    html_file: Path | None,
    as_json: bool,
) -> int:
    """Request the build's pages from the app at URL, as HTML and RSC, and check that they come from its cache.

    The command also requests the scripts, styles and images of the pages. It exits with 1 if an answer is not as expected.

    \b
    Examples:
      vinext-worker check https://example.com
      vinext-worker check https://example.com --sample 50 --html check.html
      vinext-worker check http://127.0.0.1:8787 --json
      vinext-worker check https://example.com --against https://my-app.example.workers.dev --ignore 'visitor [0-9]+'
    """  # noqa: D301 - \b is click's
    output = Output(as_json)
    source = folder or Deployment.read(config_path, environment).assets_directory
    from vinext_worker.check.comparison import Comparison  # noqa: PLC0415 - not for a deploy
    from vinext_worker.check.run import CheckOptions  # noqa: PLC0415 - brings an HTTP client with it

    comparison = Comparison(tuple(map(_pattern, ignored)))
    options = CheckOptions(patience, None if against is None else _origin(against), comparison)
    if not run_check(url, source, output, options, sample, html_file).wrong:
        return 0
    output.line(f"compared with the build in {source}; --config or --from names another one")
    return 1


def run_check(  # noqa: PLR0913, PLR0917 - what a check consists of
    url: str, folder: Path, output: Output, options: CheckOptions, sample: int | None = None, html_file: Path | None = None
) -> CheckResult:
    """Check, and show the result.

    Raise UserError if `url` is no URL, if a server cannot be reached, or if there is nothing to check.
    """
    result, build = asyncio.run(_check(_origin(url), folder, sample, options, output))
    if html_file is not None:
        html_file.write_text(html_page(url, result), encoding="utf-8")
    passed_on = _passed_on(build)
    document = {
        "url": url,
        "checked": len(result.answers),
        "wrong": result.wrong,
        "answers": [row.to_document() for row in result.answers],
        "files": [row.to_document() for row in result.files],
        "rules": [name for name, _ in passed_on],
    }
    output.document(document)
    output.reasons("rules of the app that come before the cache", passed_on, len(passed_on), "yellow")
    show_result(result, output)
    return result


def _passed_on(build: Build) -> list[tuple[str, str]]:
    """Return the rules whose pages are in no cache, because the app cannot apply the rules before it."""
    if build.stages == STAGES_VERSION:
        return []
    return [(rule.name, "pages that it may touch are not cached, and not checked") for rule in build.rules]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"{url!r} is no URL; write it as https://HOST")
    return f"{parts.scheme}://{parts.netloc}"


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"--ignore {text!r} is no regular expression: {error}") from error


async def _check(url: str, folder: Path, sample: int | None, options: CheckOptions, output: Output) -> tuple[CheckResult, Build]:
    from vinext_worker.check.run import check_all, requests_of  # noqa: PLC0415 - brings an HTTP client with it

    source = await open_directory(folder)
    requests = await requests_of(source, sample)
    if not requests:
        raise UserError(f"the build in {folder} has no pre-rendered page, so there is nothing to check")
    with output.progress("answers") as bar:
        task = bar.add_task("checking", total=len(requests), rate=0.0)
        result = await check_all(url, requests, source.build, options, lambda step: bar.advance(task, step == "pages"))
    return result, source.build
