"""The endpoints that a deployed Worker has for these commands, below /__vinext/."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vinext_worker.cloudflare.retrying_client import RetryingClient
from vinext_worker.dev.running import RunningDev
from vinext_worker.errors import RemoteError, UserError
from vinext_worker.server_url import server_origin, server_url
from vinext_worker.this_machine import is_local

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2 as httpx

    from vinext_worker.cloudflare.deployment import Deployment

SEED_PATH = "/__vinext/seed"
REVALIDATE_PATH = "/__vinext/revalidate"
WHY_PATH = "/__vinext/why"
TOKEN_VARIABLE = "VINEXT_ADMIN_TOKEN"  # noqa: S105 - a name, not a token


def token_for(url: str, deployment: Deployment) -> str:
    """Return the token of the Worker at a URL: that of the project's running `dev` if it serves there, else as `admin_token`."""
    server_url(url)
    running = RunningDev.find(deployment.project.local)
    if running is not None and running.serves(url):
        return running.token
    return admin_token(url, deployment.config.variables)


def admin_token(url: str, config_variables: Mapping[str, object]) -> str:
    """Return the token in VINEXT_ADMIN_TOKEN, or for this machine also the one in .dev.vars.

    Raise UserError without a token, or for something that is no URL of a Worker.
    """
    server_url(url)
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token and is_local(url):
        token = str(config_variables.get(TOKEN_VARIABLE) or "").strip()
    if not token:
        raise UserError(
            f"{TOKEN_VARIABLE} is not set; export the Worker's secret in it. If the Worker has none yet, {secret_advice(url)}"
        )
    return token


def is_safe_for_tokens(url: str) -> bool:
    """Return whether nobody else reads what is sent to a URL: it is encrypted, or stays on this machine."""
    return urlsplit(url).scheme == "https" or is_local(url)


def admin_client(url: str, token: str) -> RetryingClient:
    """Return a client for the Worker's own endpoints; raise UserError if `url` is not a URL that a token may be sent to."""
    origin = server_origin(url)
    if not is_safe_for_tokens(url):
        raise UserError(f"{url} would send the token unencrypted; use https")
    advice = "start `vinext-worker dev`, or name another URL" if is_local(url) else "check the network and the URL"
    return RetryingClient(origin, token, server=url, token_name=TOKEN_VARIABLE, advice=advice)


def refusal(client: RetryingClient, url: str, response: httpx.Response) -> RemoteError:
    """Return the error for an answer that is not a success, by what has answered: the Worker, or something else at the URL.

    The status may be any number.
    """
    status, reason = response.status_code, _reason(response)
    if reason is not None:
        reason = client.scrub(reason)
        if status == HTTPStatus.UNAUTHORIZED:
            cure = "set the right one"
            if is_local(url):
                cure += ", and name the --env that `dev` runs, if it does: that may have its own .dev.vars"
            return RemoteError(f"{url} refuses the token: {TOKEN_VARIABLE} is not the Worker's secret; {cure}")
        if status == HTTPStatus.BAD_REQUEST:
            return RemoteError(f"{url} refused: {reason}; if the Worker there is older than this command, deploy it again")
        return RemoteError(f"{url} refused with status {status}: {reason}; look at its log")
    if status == HTTPStatus.NOT_FOUND and not response.content:
        return RemoteError(
            f"{url} has no such endpoint (status 404), so its Worker has no secret {TOKEN_VARIABLE} or is not vinext-worker; "
            f"{secret_advice(url)}, or check the URL"
        )
    if location := response.headers.get("location"):
        return RemoteError(f"{url} redirects to {client.scrub(location)} (status {status}); name the URL that it leads to")
    kind = response.headers.get("content-type", "").partition(";")[0]
    said = f"status {status}, {kind}" if kind else f"status {status}"
    return RemoteError(f"{not_ours(url)} ({said})")


def not_ours(url: str) -> str:
    """Return what to say of an answer that the Worker cannot have given."""
    return f"vinext-worker does not answer at {url}, but something else, such as the app itself or a login; check the URL"


def _reason(response: httpx.Response) -> str | None:
    """Return the reason that the Worker itself gives for a refusal; None if the answer is not the Worker's."""
    try:
        document = response.json()
    except ValueError:
        return None
    reason = document.get("error") if isinstance(document, dict) else None
    return reason if isinstance(reason, str) else None


def secret_advice(url: str) -> str:
    """Return how the Worker at a URL gets its token."""
    if is_local(url):
        return f"write {TOKEN_VARIABLE}=… into .dev.vars beside the configuration of the Worker that serves the cache"
    return f"set it with `npx wrangler secret put {TOKEN_VARIABLE}`"
