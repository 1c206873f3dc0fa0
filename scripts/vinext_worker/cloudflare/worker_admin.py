"""The endpoints that a deployed Worker has for these commands, below /__vinext/."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vinext_worker.cloudflare.retrying_client import RetryingClient
from vinext_worker.errors import RemoteError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED_PATH = "/__vinext/seed"
REVALIDATE_PATH = "/__vinext/revalidate"
TOKEN_VARIABLE = "VINEXT_ADMIN_TOKEN"  # noqa: S105 - a name, not a token
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_ADVICE: dict[int, str] = {
    HTTPStatus.NOT_FOUND: f"set its secret: `npx wrangler secret put {TOKEN_VARIABLE}`, or check the URL",
    HTTPStatus.UNAUTHORIZED: f"{TOKEN_VARIABLE} is not the Worker's token; set the right one",
}


def admin_token(url: str, config_variables: Mapping[str, object]) -> str:
    """Return the token in VINEXT_ADMIN_TOKEN, or for this machine also the one in .dev.vars; raise UserError without a token."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token and urlsplit(url).hostname in _LOCAL_HOSTS:
        token = str(config_variables.get(TOKEN_VARIABLE) or "").strip()
    if not token:
        raise UserError(
            f"{TOKEN_VARIABLE} is not set; set it to the Worker's secret (`npx wrangler secret put {TOKEN_VARIABLE}`)"
        )
    return token


def admin_client(url: str, token: str) -> RetryingClient:
    """Return a client for the Worker's own endpoints; raise UserError if `url` is not a URL that a token may be sent to."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"{url!r} is not the URL of a Worker; write it as https://HOST")
    if parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS:
        raise UserError(f"{url} would send the token unencrypted; use https")
    return RetryingClient(f"{parts.scheme}://{parts.netloc}", token, server=url, token_name=TOKEN_VARIABLE)


def refusal(client: RetryingClient, url: str, status: int, text: str) -> RemoteError:
    """Return the error for an answer of the Worker that is not a success. The status may be any number."""
    advice = _ADVICE.get(status, "look at its log")
    return RemoteError(f"{url} refused with status {status}: {client.scrub(text.strip())}; {advice}")
