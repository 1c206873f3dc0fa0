from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.errors import RemoteError
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@click.command
@click.argument("url")
@configuration_options
@click.option("--tag", "tags", multiple=True, help="Every page with this tag.")
@click.option("--path", "paths", multiple=True, help="The page at a path.")
@click.option("--layout", "layouts", multiple=True, metavar="PATH", help="Every page under a layout; / is the whole site.")
@click.option("--prefix", "prefixes", multiple=True, metavar="PATH", help="The page at a path, and the pages below it.")
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
    as_json: bool,
) -> None:
    """Invalidate pages of the deployed app at URL. Their next request regenerates them.

    Needs the Worker's secret in VINEXT_ADMIN_TOKEN.

    \b
    Examples:
      vinext-worker revalidate https://example.com --tag products
      vinext-worker revalidate https://example.com --path /blog --prefix /docs
      vinext-worker revalidate https://example.com --layout /
    """  # noqa: D301 - \b is click's
    if not (tags or paths or layouts or prefixes):
        raise click.UsageError("name at least one --tag, --path, --layout or --prefix")
    variables = Deployment.read(config_path, environment).config.variables
    wanted = {
        "tags": tags,
        "paths": [*paths, *({"path": path, "type": "layout"} for path in layouts)],
        "prefixes": prefixes,
    }
    document = asyncio.run(_revalidate(url, variables, wanted))
    output = Output(as_json)
    output.document(document)
    output.line(f"invalidated at {url}: {', '.join([*document['tags'], *(f'{prefix}/…' for prefix in document['prefixes'])])}")


async def _revalidate(url: str, variables: Mapping[str, object], wanted: Mapping[str, object]) -> dict[str, list[str]]:
    from vinext_worker.cloudflare.worker_admin import (  # noqa: PLC0415 - brings an HTTP client with it
        REVALIDATE_PATH,
        admin_client,
        admin_token,
        refusal,
    )

    async with admin_client(url, admin_token(url, variables)) as client:
        response = await client.request("POST", REVALIDATE_PATH, parts=[json.dumps(wanted).encode()])
        if response.status_code != HTTPStatus.OK:
            raise refusal(client, url, response.status_code, response.text)
        try:
            document = response.json()
            return {name: [str(item) for item in document[name]] for name in ("tags", "prefixes")}
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(f"the answer of {url} is no report; is it this project's Worker?") from error
