from __future__ import annotations

import asyncio
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from seed.from_directory import open_directory
from seed.rules import STAGES_VERSION
from vinext_worker.check.report import html_page, show_result
from vinext_worker.cloudflare.bindings import bindings_of
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.dev.running import RunningDev
from vinext_worker.errors import UserError
from vinext_worker.server_url import server_origin, server_url
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
    help="Check the pages in this folder: copied pages, or a build's dist/server.  "
    "[default: the configuration's assets, or those of a running dev at URL]",
)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Check N pages, chosen at random.  [default: all]")
@click.option("--against", metavar="URL", help="Also compare each answer with what the page handler alone gives at URL.")
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="REGEX",
    help="With --against, do not compare what matches REGEX. May be repeated.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Wait this long for a stale page to be regenerated; 0 does not wait.",
)
@click.option("--strict", is_flag=True, help="Count a page that was invalidated since the build as not as expected.")
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the result into this file, as an HTML page.",
)
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
    strict: bool,
    html_file: Path | None,
    as_json: bool,
) -> int:
    """Check that the pages of a deployed app come from its cache.

    The command requests the build's pages from the app at URL, as HTML and RSC, and the scripts, styles and images of these
    pages. It exits with 1 if an answer is not as expected. If the Worker's secret is in the environment variable
    VINEXT_ADMIN_TOKEN, a page that was invalidated since the build is a note and not a fault.

    \b
    Examples:
      vinext-worker check https://example.com
      vinext-worker check https://example.com --sample 50 --html check.html
      vinext-worker check http://127.0.0.1:8787 --json
      vinext-worker check https://example.com --against https://my-app.example.workers.dev --ignore 'visitor [0-9]+'
    """  # noqa: D301 - \b is click's
    output = Output(as_json)
    server_url(url)
    deployment = None if folder else Deployment.read(config_path, environment)
    source = _pages_of(deployment, url) if deployment else folder
    assert source is not None  # noqa: S101 - one of them is there
    bindings = bindings_of(deployment) if deployment else []
    from vinext_worker.check.comparison import Comparison  # noqa: PLC0415 - not for a deploy
    from vinext_worker.check.run import CheckOptions  # noqa: PLC0415 - brings an HTTP client with it

    comparison = Comparison(tuple(map(_pattern, ignored)))
    token = None if strict else _token(url)
    options = CheckOptions(patience, None if against is None else server_origin(against), comparison, token=token)
    result, build = check_site(url, source, output, options, sample)
    output.document(
        {
            "url": url,
            "checked": len(result.answers),
            "wrong": result.wrong,
            "fault": result.fault or None,
            "noted": result.noted,
            "answers": [row.to_document() for row in result.answers],
            "files": [row.to_document() for row in result.files],
            "rules": [name for name, _ in _passed_on(build)],
            "bindings": [binding.to_document() for binding in bindings],
        }
    )
    if bindings:
        rows = [(binding.name, "bound" if binding.is_bound else "not bound", binding.means) for binding in bindings]
        output.table(("binding", "", "which means"), [[Text(cell) for cell in row] for row in rows])
    show_check(result, build, output)
    if html_file is not None:
        # Last, because a file that cannot be written must not cost the result.
        page = html_page(url, result, build.build_id, datetime.now(UTC))
        html_file.parent.mkdir(parents=True, exist_ok=True)
        html_file.write_text(page, encoding="utf-8")
    if result.is_right:
        return 0
    output.line(f"compared with the build in {source}; --config or --from names another one")
    if token is None and not strict:
        output.line("a page that was invalidated since is wrong, too; with the Worker's VINEXT_ADMIN_TOKEN set, it is a note")
    return 1


def _pages_of(deployment: Deployment, url: str) -> Path:
    """Return the folder of the build that a URL serves, which is another one for a running `dev`."""
    running = RunningDev.find(deployment.project.local)
    return deployment.project.dev_assets if running is not None and running.serves(url) else deployment.assets_directory


def check_site(
    url: str, folder: Path, output: Output, options: CheckOptions, sample: int | None = None
) -> tuple[CheckResult, Build]:
    """Check a site; return the result, and the build that it was compared with.

    Raise UserError if `url` is no URL, if a server cannot be reached, or if there is nothing to check.
    """
    return asyncio.run(_check(server_origin(url), folder, sample, options, output))


def show_check(result: CheckResult, build: Build, output: Output) -> None:
    """Show a result, and which rules keep pages out of it."""
    passed_on = _passed_on(build)
    output.reasons("rules of the app that come before the cache", passed_on, len(passed_on), "yellow")
    show_result(result, output)


def _passed_on(build: Build) -> list[tuple[str, str]]:
    """Return the rules whose pages are in no cache, because the app cannot apply the rules before it."""
    if build.stages == STAGES_VERSION:
        return []
    return [(rule.name, "pages that it may touch are not cached, and not checked") for rule in build.rules]


def _token(url: str) -> str | None:
    """Return the Worker's token, None if there is none, or if it would go over the network as it is."""
    from vinext_worker.cloudflare.retrying_client import require_token  # noqa: PLC0415 - brings an HTTP client with it
    from vinext_worker.cloudflare.worker_admin import TOKEN_VARIABLE, is_safe_for_tokens  # noqa: PLC0415 - likewise

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token or not is_safe_for_tokens(url):
        return None
    require_token(token, TOKEN_VARIABLE)
    return token


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
        raise UserError(
            f"the build in {folder} has no pre-rendered page, so there is nothing to check; "
            "if `vinext-worker dev` has reloaded a changed Python site since, start it again: it renders the pages then"
        )
    with output.progress("answers") as bar:
        task = bar.add_task("checking", total=len(requests), rate=0.0)
        result = await check_all(url, requests, source.build, options, lambda step: bar.advance(task, step == "pages"))
    return result, source.build
