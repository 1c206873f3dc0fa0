from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from cache.invalidation import LONGEST_STALE_SECONDS
from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.errors import RemoteError
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vinext_worker.cloudflare.retrying_client import RetryingClient

_YEAR_SECONDS = 365 * 24 * 3600

# KV takes one write a second for a key, and the Worker itself goes on meanwhile.
_WAIT_SECONDS = 3.0
_MORE_TRIES = 10


@click.command
@click.argument("url")
@configuration_options
@click.option("--tag", "tags", multiple=True, help="Invalidate every page with this tag. May be repeated.")
@click.option("--path", "paths", multiple=True, metavar="PATH", help="Invalidate the page at this path. May be repeated.")
@click.option(
    "--layout",
    "layouts",
    multiple=True,
    metavar="PATH",
    help="Invalidate every page under this layout; / is the whole site. May be repeated.",
)
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    metavar="PATH",
    help="Invalidate the page at this path, and the pages below it. May be repeated.",
)
@click.option(
    "--stale",
    "stale_seconds",
    is_flag=False,
    flag_value=str(_YEAR_SECONDS),
    type=click.IntRange(1, LONGEST_STALE_SECONDS),
    metavar="[SECONDS]",
    help="Keep the pages so long, stale: each is served while it is regenerated. Without SECONDS: a year. Not for --prefix.",
)
@json_option
def revalidate(  # noqa: PLR0913 - the command line
    *,
    url: str,
    config_path: Path | None,
    environment: str | None,
    tags: tuple[str, ...],
    paths: tuple[str, ...],
    layouts: tuple[str, ...],
    prefixes: tuple[str, ...],
    stale_seconds: int | None,
    as_json: bool,
) -> None:
    """Invalidate pages of a deployed app.

    The next request for each of them, at URL, regenerates it; with --stale after its answer. The command needs the Worker's
    secret in the environment variable VINEXT_ADMIN_TOKEN, but for a running `vinext-worker dev` of the project.

    \b
    Examples:
      vinext-worker revalidate https://example.com --tag products
      vinext-worker revalidate https://example.com --path /blog --prefix /docs
      vinext-worker revalidate https://example.com --layout /
      vinext-worker revalidate https://example.com --tag products --stale=3600
    """  # noqa: D301 - \b is click's
    if not (tags or paths or layouts or prefixes):
        raise click.UsageError("name at least one --tag, --path, --layout or --prefix")
    if stale_seconds is not None and prefixes:
        raise click.UsageError("--stale is for tags and paths; revalidate prefixes by a command of their own, without it")
    deployment = Deployment.read(config_path, environment)
    wanted: dict[str, object] = {
        "tags": tags,
        "paths": [*paths, *({"path": path, "type": "layout"} for path in layouts)],
        "prefixes": prefixes,
    }
    if stale_seconds is not None:
        wanted["stale"] = stale_seconds
    document = asyncio.run(_revalidate(url, deployment, wanted))
    output = Output(as_json)
    output.document(document if stale_seconds is None else {**document, "stale": stale_seconds})
    names = ", ".join([*document["tags"], *(f"{prefix}/…" for prefix in document["prefixes"])])
    output.line(f"{'invalidated' if stale_seconds is None else 'made stale'} at {url}: {names}")


async def _revalidate(url: str, deployment: Deployment, wanted: dict[str, object]) -> dict[str, list[str]]:
    """Invalidate, and send again what the Worker could not write yet, until all is written."""
    from vinext_worker.cloudflare.worker_admin import admin_client, token_for  # noqa: PLC0415 - brings an HTTP client with it

    async with admin_client(url, token_for(url, deployment)) as client:
        document = await _ask(client, url, wanted)
        unwritten = document["unwritten"]
        for _ in range(_MORE_TRIES):
            if not unwritten:
                break
            await asyncio.sleep(_WAIT_SECONDS)
            unwritten = (await _ask(client, url, {**wanted, "tags": unwritten, "paths": [], "prefixes": []}))["unwritten"]
    if unwritten:
        message = f"not written yet: {', '.join(unwritten)}; {url} goes on for half a minute, and its log says if that fails"
        raise RemoteError(f"{message}; run the command again to be sure")
    if document["unpurged"]:
        message = f"invalidated, but Workers Cache in front of {url} may still have pages: {'; '.join(document['unpurged'])}"
        raise RemoteError(f"{message}; run the command again")
    return {name: document[name] for name in ("tags", "prefixes")}


async def _ask(client: RetryingClient, url: str, wanted: Mapping[str, object]) -> dict[str, list[str]]:
    from vinext_worker.cloudflare.worker_admin import REVALIDATE_PATH, not_ours, refusal  # noqa: PLC0415 - see `_revalidate`

    response = await client.request("POST", REVALIDATE_PATH, parts=[json.dumps(wanted).encode()])
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise refusal(client, url, response)
    try:
        document = response.json()
        done = {name: [str(item) for item in document[name]] for name in ("tags", "prefixes")}
        return done | {name: [str(item) for item in document.get(name, ())] for name in ("unwritten", "unpurged")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RemoteError(not_ours(url)) from error
