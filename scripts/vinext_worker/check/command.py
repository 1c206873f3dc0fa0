from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from seed.from_directory import open_directory
from vinext_worker.check.report import html_page, show_answers
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.errors import UserError
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from vinext_worker.check.expectation import CheckedAnswer


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
@click.option("--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the result as an HTML page.")
@json_option
def check(  # noqa: PLR0913 - the command line
    *,
    url: str,
    config_path: Path | None,
    environment: str | None,
    folder: Path | None,
    sample: int | None,
    html_file: Path | None,
    as_json: bool,
) -> int:
    """Request the build's pages from the app at URL, as HTML and RSC, and check that they come from its cache.

    The command exits with 1 if an answer is not as expected.

    \b
    Examples:
      vinext-worker check https://example.com
      vinext-worker check https://example.com --sample 50 --html check.html
      vinext-worker check http://127.0.0.1:8787 --json
    """  # noqa: D301 - \b is click's
    output = Output(as_json)
    source = folder or Deployment.read(config_path, environment).assets_directory
    checked = run_check(url, source, sample, html_file, output)
    return 1 if any(row.faults for row in checked) else 0


def run_check(url: str, folder: Path, sample: int | None, html_file: Path | None, output: Output) -> list[CheckedAnswer]:
    """Check, and show the result; raise UserError if `url` is no URL, or if there is nothing to check."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"{url!r} is no URL; write it as https://HOST")
    checked = asyncio.run(_check(f"{parts.scheme}://{parts.netloc}", folder, sample, output))
    if not checked:
        raise UserError(f"the build in {folder} has no pre-rendered page, so there is nothing to check")
    if html_file is not None:
        html_file.write_text(html_page(url, checked), encoding="utf-8")
    wrong = sum(bool(row.faults) for row in checked)
    output.document({"url": url, "checked": len(checked), "wrong": wrong, "answers": [row.to_document() for row in checked]})
    show_answers(checked, output)
    return checked


async def _check(url: str, folder: Path, sample: int | None, output: Output) -> list[CheckedAnswer]:
    from vinext_worker.check.run import check_all, requests_of  # noqa: PLC0415 - brings an HTTP client with it

    source = await open_directory(folder)
    requests = await requests_of(source, sample)
    with output.progress("answers") as bar:
        task = bar.add_task("checking", total=len(requests), rate=0.0)
        return await check_all(url, requests, source.build, lambda _: bar.advance(task))
