from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from core.paths import INSPECT_URL
from vinext_worker.cloudflare.deployment import configuration_options
from vinext_worker.cloudflare.worker_admin import TOKEN_VARIABLE, is_safe_for_tokens, not_ours, secret_advice
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.dev.command import dev
from vinext_worker.dev.running import RunningDev
from vinext_worker.errors import ConfigurationError, RemoteError, UserError
from vinext_worker.project import Project
from vinext_worker.server_url import server_url
from vinext_worker.terminal.browser import opens_in_browser
from vinext_worker.this_machine import is_local

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2 as httpx

_ASK_SECONDS = 20


@click.command
@click.argument("url", required=False)
@configuration_options
@click.option("--print", "only_prints", is_flag=True, help="Print the address, and open no browser.")
@click.pass_context
def inspect(
    context: click.Context, *, url: str | None, config_path: Path | None, environment: str | None, only_prints: bool
) -> None:
    """Open the inspector, which shows what is in the cache.

    Without URL it is that of the running `vinext-worker dev`, and one is started if none runs. A link signs in there, once. At
    the URL of a deployed Worker, sign in with its secret VINEXT_ADMIN_TOKEN.

    \b
    Examples:
      vinext-worker inspect
      vinext-worker inspect https://example.com
    """  # noqa: D301 - \b is click's
    address = _address(url, config_path, environment)
    if address is None:
        if only_prints:
            raise UserError("no `vinext-worker dev` runs in this project; start it, or name the URL of a Worker")
        context.invoke(dev, config_path=config_path, environment=environment, opens=True)
        return
    if only_prints or not opens_in_browser(address):
        click.echo(address)
    else:
        click.echo(f"opened the inspector of {address.partition(INSPECT_URL)[0]} in the browser")


def _address(url: str | None, config_path: Path | None, environment: str | None) -> str | None:
    """Return the address to open, None if nothing runs on this machine that could be meant."""
    if url is None:
        running = RunningDev.find(Project.choose(config_path).local)
        if running is None:
            return None
        _ask(running.url)
        return running.sign_in_link()
    origin = _ask(url)
    token = _local_token(origin, config_path, environment)
    return f"{origin}{INSPECT_URL}" if token is None else RunningDev(origin, token).sign_in_link()


def _local_token(origin: str, config_path: Path | None, environment: str | None) -> str | None:
    """Return the token of a Worker on this machine, if it is known."""
    if not is_local(origin):
        return None
    try:
        project = Project.choose(config_path)
        running = RunningDev.find(project.local)
        if running is not None and running.serves(origin):
            return running.token
        variables = WranglerConfig.read(project.configuration, environment).variables
    except ConfigurationError:
        variables = {}
    return str(os.environ.get(TOKEN_VARIABLE, "") or variables.get(TOKEN_VARIABLE) or "") or None


def _ask(url: str) -> str:
    """Return the origin of a Worker that has the inspector; raise RemoteError for anything else."""
    import httpx2 as httpx  # noqa: PLC0415 - takes a while to import

    server_url(url)
    parsed = httpx.URL(url)
    if not is_safe_for_tokens(url):
        raise UserError(f"{url} would send the token unencrypted; use https")
    origin = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
    try:
        with httpx.Client(timeout=_ASK_SECONDS) as client:
            response = client.get(f"{origin}{INSPECT_URL}", headers={"Accept": "text/html"})
    except httpx.HTTPError as error:
        raise RemoteError(f"{origin} does not answer ({error}); check the URL, or start `vinext-worker dev`") from error
    _require_inspector(origin, response)
    return origin


def _require_inspector(origin: str, response: httpx.Response) -> None:
    kind = response.headers.get("content-type", "").partition(";")[0]
    is_bearer = response.headers.get("www-authenticate", "").lower() == "bearer"
    if response.status_code == HTTPStatus.UNAUTHORIZED and is_bearer:
        if kind == "text/html":
            return
        raise RemoteError(f"the Worker at {origin} is older than the inspector; deploy it again")
    if response.status_code == HTTPStatus.NOT_FOUND and not response.content:
        raise RemoteError(
            f"{origin} has no inspector (status 404): its Worker has no secret {TOKEN_VARIABLE}, or is not vinext-worker; "
            f"{secret_advice(origin)}, or check the URL"
        )
    raise RemoteError(f"{not_ours(origin)} (status {response.status_code}, {kind or 'without a content type'})")
