"""Populating any cache handler through the deployed Worker's own endpoint, which calls the handler's `set`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from cache.stored import whole_bytes, write_vinext
from core.errors import InvalidArgumentError
from core.javascript import json_text
from isr.admin import MAX_LINES, MAX_REQUEST_BYTES
from vinext_worker.cloudflare.worker_admin import SEED_PATH, admin_client, admin_token, not_ours, refusal
from vinext_worker.errors import RemoteError, UserError
from vinext_worker.populate.populator import CannotEncodeError, Limits, Parcel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seed.entries import SeedEntry
    from vinext_worker.populate.populator import Destination

_MEBIBYTE = 1024 * 1024


class WorkerPopulator:
    """Sends entries to the Worker at --url, which says which of them it accepted. Whether its store keeps them is not known."""

    limits = Limits(max_parcels=MAX_LINES, max_bytes=MAX_REQUEST_BYTES, batch_bytes=2 * _MEBIBYTE)

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
            entry = whole_bytes(write_vinext(seed.entry, bounded=True))
        except (TypeError, RecursionError, InvalidArgumentError) as error:
            raise CannotEncodeError(str(error)) from error
        line = b'{"key":%b,%b\n' % (json_text(seed.key).encode(), entry[1:])
        if len(line) > self.limits.max_bytes:
            raise CannotEncodeError(f"it has {len(line)} bytes, but the endpoint takes at most {self.limits.max_bytes}")
        return [Parcel(seed.key, line, None)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        lines = [parcel.payload for parcel in parcels]
        response = await self._client.request("POST", SEED_PATH, parts=lines, content_type="application/x-ndjson")
        if response.status_code != HTTPStatus.OK:
            raise refusal(self._client, self._url, response)
        try:
            rows = response.json()["refused"]
            return {str(row["key"]): self._client.scrub(str(row["error"])) for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(not_ours(self._url)) from error

    async def verify(self, parcel: Parcel) -> str | None:  # noqa: ARG002 - the protocol
        raise UserError("--verify cannot read a cache behind a Worker; use `vinext-worker check` once the build is live")
