"""Any cache handler, through the deployed Worker's own endpoint, which calls the handler's `set`."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from cache.stored import write_vinext
from core.errors import InvalidArgumentError
from core.javascript import json_text
from isr.admin import MAX_LINES, MAX_REQUEST_BYTES
from vinext_worker.errors import RemoteError, UserError
from vinext_worker.populate.populator import CannotEncodeError, Limits, Parcel
from vinext_worker.retrying_client import RetryingClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seed.entries import SeedEntry
    from vinext_worker.populate.populator import Destination

SEED_PATH = "/__vinext/seed"
TOKEN_VARIABLE = "VINEXT_ADMIN_TOKEN"  # noqa: S105 - a name, not a token
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_MEBIBYTE = 1024 * 1024


def admin_token(url: str, config_variables: Mapping[str, object]) -> str:
    """The token of VINEXT_ADMIN_TOKEN; for this machine also that of .dev.vars. Raises UserError without one."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token and urlsplit(url).hostname in _LOCAL_HOSTS:
        token = str(config_variables.get(TOKEN_VARIABLE) or "").strip()
    if not token:
        raise UserError(
            f"{TOKEN_VARIABLE} is not set; set it to the Worker's secret (`npx wrangler secret put {TOKEN_VARIABLE}`)"
        )
    return token


def admin_client(url: str, token: str) -> RetryingClient:
    """A client for the Worker's own endpoints; raises UserError for what is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"{url!r} is no URL of a Worker; write it as https://HOST")
    if parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS:
        raise UserError(f"{url} would send the token in the clear; use https")
    return RetryingClient(f"{parts.scheme}://{parts.netloc}", token, server=url, token_name=TOKEN_VARIABLE)


def refused(client: RetryingClient, url: str, status: int, text: str) -> RemoteError:
    """The error that an answer of the Worker's endpoint amounts to."""
    advice = {
        HTTPStatus.NOT_FOUND: f"set its secret: `npx wrangler secret put {TOKEN_VARIABLE}`, or check the URL",
        HTTPStatus.UNAUTHORIZED: f"{TOKEN_VARIABLE} is not the Worker's; set it anew",
    }.get(HTTPStatus(status), "look at its log")
    return RemoteError(f"{url} refused with status {status}: {client.scrub(text.strip())}; {advice}")


class WorkerPopulator:
    """The Worker at --url. It says which lines it took; whether its store keeps them is for its store to say."""

    limits = Limits(most_parcels=MAX_LINES, most_bytes=MAX_REQUEST_BYTES, batch_bytes=2 * _MEBIBYTE)

    def __init__(self, destination: Destination) -> None:
        if destination.url is None:
            raise UserError("the populator `worker` needs the Worker's address; name it with --url")
        self._url = destination.url
        self._client = admin_client(self._url, admin_token(self._url, destination.config.variables))
        self.target = self._url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        try:
            entry = write_vinext(seed.entry, bounded=True)
        except (TypeError, RecursionError, InvalidArgumentError) as error:
            raise CannotEncodeError(str(error)) from error
        line = b'{"key":%b,%b\n' % (json_text(seed.key).encode(), entry[1:])
        if len(line) > self.limits.most_bytes:
            raise CannotEncodeError(f"it has {len(line)} bytes, the endpoint takes {self.limits.most_bytes}")
        return [Parcel(seed.key, line, None)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        lines = [parcel.payload for parcel in parcels]
        response = await self._client.request("POST", SEED_PATH, parts=lines, content_type="application/x-ndjson")
        if response.status_code != HTTPStatus.OK:
            raise refused(self._client, self._url, response.status_code, response.text)
        try:
            rows = response.json()["refused"]
            return {str(row["key"]): self._client.scrub(str(row["error"])) for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(f"{self._url} answered what is no report; is it this project's Worker?") from error

    async def verify(self, parcel: Parcel) -> str | None:  # noqa: ARG002 - the protocol
        raise UserError("--verify cannot read a cache behind a Worker; use `vinext-worker check` once the build is live")
