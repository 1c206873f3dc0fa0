"""Populating a bucket of R2, through its S3 interface with a token."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Self

from cache.r2 import R2_LIMITS
from cache.stored import whole_bytes
from core.errors import CorruptValueError
from vinext_worker.cloudflare.bucket import TooSoonError, bucket_name, open_bucket
from vinext_worker.cloudflare.client import TOKEN_VARIABLE, Cloudflare, find_account
from vinext_worker.cloudflare.login import has_token
from vinext_worker.errors import UserError
from vinext_worker.populate.kv import EntryEncoder
from vinext_worker.populate.populator import Limits, Parcel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.kv_record import KVRecord
    from seed.entries import SeedEntry
    from vinext_worker.cloudflare.bucket import RemoteBucket
    from vinext_worker.populate.populator import Destination


class R2Populator:
    """Writes to the bucket that the wrangler configuration binds as VINEXT_CACHE_R2: an object for each entry."""

    limits = Limits(max_parcels=100, max_bytes=64 * 1024 * 1024, batch_bytes=8 * 1024 * 1024)

    def __init__(self, destination: Destination) -> None:
        self._config = destination.config
        self.target = f"bucket {bucket_name(destination.config)}"
        if not has_token():
            raise UserError(
                f"R2 is written with a token; set {TOKEN_VARIABLE} to one with Workers R2 Storage: Edit, "
                "or send the pages to the deployed Worker with --into worker --url"
            )
        self._encoder = EntryEncoder(destination, R2_LIMITS)
        self._cloudflare = Cloudflare.from_environment()
        self._opened: RemoteBucket | None = None

    async def __aenter__(self) -> Self:
        try:
            account = await find_account(self._cloudflare, self._config)
            self._opened = await open_bucket(self._cloudflare, account, self._config)
        except BaseException:
            await self._cloudflare.__aexit__()
            raise
        self.target = self._opened.name
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._bucket.__aexit__(*error)
        await self._cloudflare.__aexit__(*error)

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        return [_parcel(key, record) for key, record in self._encoder.encode(seed)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        refusals = await asyncio.gather(*map(self._put, parcels))
        return {parcel.key: said for parcel, said in zip(parcels, refusals, strict=True) if said is not None}

    async def verify(self, parcel: Parcel) -> str | None:
        stored = await self._bucket.get(parcel.key)
        if stored is None:
            return "it is missing"
        metadata, wanted = _parts(parcel)
        is_described = metadata is stored.metadata is None or (
            metadata is not None and stored.metadata is not None and json.loads(stored.metadata) == json.loads(metadata)
        )
        if is_described and stored.buffer.to_bytes() == wanted:
            return None
        try:
            await self._encoder.codec.read_value(stored, parcel.key)
        except CorruptValueError as error:
            return f"its value is no entry: {error}"
        return "another entry is there, which the Worker may have written since"

    async def _put(self, parcel: Parcel) -> str | None:
        metadata, value = _parts(parcel)
        try:
            await self._bucket.put(parcel.key, value, metadata)
        except TooSoonError as error:
            return str(error)
        return None

    @property
    def _bucket(self) -> RemoteBucket:
        assert self._opened is not None  # noqa: S101 - `__aenter__` has set it
        return self._opened


def _parcel(key: str, record: KVRecord) -> Parcel:
    """Return the object: its metadata in the first line, then its body. R2 keeps it until somebody deletes it."""
    return Parcel(key, (record.metadata or "").encode() + b"\n" + whole_bytes(record.parts), None)


def _parts(parcel: Parcel) -> tuple[str | None, bytes]:
    metadata, _, value = parcel.payload.partition(b"\n")
    return metadata.decode() or None, value
