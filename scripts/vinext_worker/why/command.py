from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.dev.running import RunningDev
from vinext_worker.errors import RemoteError
from vinext_worker.server_url import server_url
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DEV_HOST = "127.0.0.1"
_LOCAL_URL = f"http://{_DEV_HOST}:8787"
_STYLES = {"HIT": "green", "STALE": "yellow", "a file": "green"}
_FROM_CACHE = _STYLES.keys()
_WIDTH = 12


@click.command
@click.argument("page", metavar="URL-OR-PATH")
@configuration_options
@click.option(
    "--at", "local_url", metavar="URL", help=f"Where a PATH is asked for.  [default: the running `dev`, else {_LOCAL_URL}]"
)
@click.option("--rsc", is_flag=True, help="Ask for the RSC payload, as vinext's client does, and not for the HTML.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the request. May be repeated.")
@click.option("--method", default="GET", show_default=True, help="The method of the request.")
@json_option
def why(  # noqa: PLR0913 - the command line
    *,
    page: str,
    config_path: Path | None,
    environment: str | None,
    local_url: str | None,
    rsc: bool,
    headers: tuple[str, ...],
    method: str,
    as_json: bool,
) -> None:
    """Tell whether a request would be a HIT now, and why or why not.

    A path that begins with / is asked for at the Worker that `vinext-worker dev` serves. The Worker only looks: it renders
    nothing and changes nothing, and it speaks for the isolate that answers. For any other Worker, the command needs its secret in
    the environment variable VINEXT_ADMIN_TOKEN.

    \b
    Examples:
      vinext-worker why /blog/hello
      vinext-worker why https://example.com/blog/hello --rsc
      vinext-worker why https://example.com/ --header 'Accept-Language: de' --json
    """  # noqa: D301 - \b is click's
    if not page.startswith(("/", "http://", "https://")):
        raise click.UsageError(f"{page!r} is neither a path nor a URL; write it as /PATH, or as https://HOST/PATH")
    deployment = Deployment.read(config_path, environment)
    running = RunningDev.find(deployment.project.local)
    origin = local_url or (running.url if running else _LOCAL_URL)
    url = f"{origin.rstrip('/')}{page}" if page.startswith("/") else page
    parts = server_url(url)
    given = dict(map(_header, headers))
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    payload = {"RSC": "1", "Accept": "text/x-component"} if rsc else {}
    wanted = {"url": target, "method": method, "headers": {**payload, **given}}
    document = asyncio.run(_ask(url, deployment, wanted))
    output = Output(as_json)
    output.document(document)
    _show(document, output)
    if parts.hostname == _DEV_HOST and document["outcome"] not in _FROM_CACHE:
        output.line(
            f"  asked as {_DEV_HOST}. The Worker remembers by host which answers were not kept: if you opened localhost, "
            f"ask with --at http://localhost:{parts.port or 80}"
        )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"--header {text!r} is no header; write it as 'NAME: VALUE'")
    return name.strip(), value.strip()


async def _ask(url: str, deployment: Deployment, wanted: Mapping[str, object]) -> dict[str, Any]:
    from vinext_worker.cloudflare.worker_admin import (  # noqa: PLC0415 - brings an HTTP client with it
        WHY_PATH,
        admin_client,
        not_ours,
        refusal,
        token_for,
    )

    async with admin_client(url, token_for(url, deployment)) as client:
        response = await client.request("POST", WHY_PATH, parts=[json.dumps(wanted).encode()])
        if response.status_code == HTTPStatus.NOT_FOUND and not response.content:
            error = refusal(client, url, response)
            raise RemoteError(f"{error}; a Worker that is older than this command does not know it either")
        if response.status_code != HTTPStatus.OK:
            raise refusal(client, url, response)
        try:
            document: dict[str, Any] = response.json()
            for step in document["steps"]:
                _ = step["step"], step["says"]
            _ = document["outcome"], document["reason"], document["says"]
        except (ValueError, KeyError, TypeError) as fault:
            raise RemoteError(not_ours(url)) from fault
    return document


def _show(document: Mapping[str, Any], output: Output) -> None:
    outcome = str(document["outcome"])
    output.line(f"{outcome}: {document['says']} ({document['reason']})", _STYLES.get(outcome, "red"))
    for step in document["steps"]:
        reason = f" ({step['reason']})" if "reason" in step else ""
        form = f"{step['artifact']}: " if "artifact" in step else ""
        output.line(f"  {step['step']:{_WIDTH}}{form}{step['says']}{reason}")
        tags = step.get("tags")
        if tags:
            output.line(f"  {'':{_WIDTH}}tags {', '.join(map(str, tags))}")
        for mark in step.get("invalidations", ()):
            stale = f", stale until {mark['staleUntil']}" if "staleUntil" in mark else ""
            output.line(f"  {'':{_WIDTH}}{mark['tag']} was invalidated at {mark['at']}{stale}")
