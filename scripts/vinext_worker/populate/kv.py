"""Populating Workers KV: through Cloudflare's REST interface with a token, else through wrangler with its login."""

from __future__ import annotations

import asyncio
import binascii
import json
import tempfile
from json.encoder import encode_basestring
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cache.keys import kv_key
from cache.kv_namespace import KV_LIMITS
from cache.kv_record import kv_record
from cache.markers import Stamper
from cache.stored import Codec, whole_bytes
from cache.tags import TagFilter
from core.errors import CorruptValueError, InvalidArgumentError, ValueTooLargeError
from core.javascript import json_text
from core.log import SILENT_LOG
from vinext_worker.cloudflare.client import TOKEN_VARIABLE, Cloudflare, find_account
from vinext_worker.cloudflare.kv_namespace import MAX_BULK_BYTES, MAX_BULK_KEYS, RemoteNamespace, namespace_id, namespace_name
from vinext_worker.cloudflare.login import account_of, has_token
from vinext_worker.cloudflare.wrangler import ProgramRunner, Wrangler, WranglerError
from vinext_worker.errors import UserError
from vinext_worker.populate.populator import CannotEncodeError, Limits, Parcel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.kv_namespace import StoreLimits
    from cache.kv_record import KVRecord
    from seed.entries import SeedEntry
    from vinext_worker.populate.populator import Destination

# Cloudflare allows 1,200 requests in five minutes, so batches are large. Several of them must fit into memory.
_BATCH_BYTES = 16 * 1024 * 1024
# Each batch starts wrangler anew, which takes a second or two.
_LOGIN_BATCH_BYTES = 48 * 1024 * 1024
_AUTHENTICATION = 10000
_READS = 3
_READ_AGAIN_SECONDS = 1.0


class EntryEncoder:
    """Encodes entries exactly as the Worker's own cache handler does for a store with these limits."""

    def __init__(self, destination: Destination, limits: StoreLimits = KV_LIMITS) -> None:
        settings = destination.settings
        self.codec = Codec(settings.kv_layout, destination.schema)
        self._ttl = settings.kv_ttl
        self._limits = limits
        # With tenants, each host has its own keys, and all are served the same build. Those of a pattern are not known.
        self._prefixes = tuple(sorted(settings.tenants.prefixes)) if settings.tenants else (settings.app_prefix,)
        self._stamper = Stamper(lambda: 0, TagFilter(SILENT_LOG, destination.schema), lambda _: None)

    def encode(self, seed: SeedEntry) -> list[tuple[str, KVRecord]]:
        """Return each key with its record; raise CannotEncodeError."""
        entry = self._stamper.entry(seed.entry.value, seed.context)
        if entry is None:
            raise CannotEncodeError("its period is 0, so no cache keeps it")
        try:
            names = [kv_key(seed.key, prefix) for prefix in self._prefixes]
            return [(name, kv_record(entry, self.codec, self._ttl, name, self._limits)) for name in names]
        except (ValueTooLargeError, InvalidArgumentError) as error:
            raise CannotEncodeError(str(error)) from error


class KVPopulator:
    """Writes to the namespace that the wrangler configuration binds as VINEXT_CACHE."""

    limits = Limits(MAX_BULK_KEYS, MAX_BULK_BYTES, _BATCH_BYTES)

    def __init__(self, destination: Destination) -> None:
        self._config = destination.config
        self._namespace_id = namespace_id(destination.config)
        self._encoder = EntryEncoder(destination)
        self._cloudflare = Cloudflare.from_environment()
        self._remote: RemoteNamespace | None = None
        self.target = f"namespace {self._namespace_id}"

    async def __aenter__(self) -> Self:
        try:
            account = await find_account(self._cloudflare, self._config)
        except BaseException:
            await self._cloudflare.__aexit__()
            raise
        self._remote = RemoteNamespace(self._cloudflare, account, self._namespace_id)
        self.target = self._remote.name
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._cloudflare.__aexit__(*error)

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        return [_parcel(key, record) for key, record in self._encoder.encode(seed)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        unsuccessful = await self._namespace.put_bulk([parcel.payload for parcel in parcels])
        return dict.fromkeys(unsuccessful, "Cloudflare reported it as not written")

    async def verify(self, parcel: Parcel) -> str | None:
        sent = json.loads(parcel.payload)
        wanted = binascii.a2b_base64(sent["value"]) if sent.get("base64") else sent["value"].encode()
        wrong: str | None = None
        for turn in range(_READS):
            # A read may come from a location that the write has not reached yet.
            await asyncio.sleep(_READ_AGAIN_SECONDS if turn else 0)
            stored = await self._namespace.get(parcel.key)
            if stored is None:
                wrong = "it is missing"
                continue
            metadata = None if stored.metadata is None else json.loads(stored.metadata)
            if stored.buffer.to_bytes() == wanted and metadata == sent.get("metadata"):
                return None
            try:
                await self._encoder.codec.read_value(stored, parcel.key)
            except CorruptValueError as error:
                wrong = f"its value is no entry: {error}"
            else:
                wrong = "another entry is there, which the Worker may have written since"
        return wrong

    @property
    def _namespace(self) -> RemoteNamespace:
        assert self._remote is not None  # noqa: S101 - `__aenter__` has set it
        return self._remote


class LoginKVPopulator:
    """Writes to the same namespace with `wrangler kv bulk put`, which has the login of `wrangler login`."""

    limits = Limits(MAX_BULK_KEYS, MAX_BULK_BYTES, _LOGIN_BATCH_BYTES, in_flight=1)

    def __init__(self, destination: Destination) -> None:
        self._config = destination.config
        self._namespace_id = namespace_id(destination.config)
        self._encoder = EntryEncoder(destination)
        self._wrangler = Wrangler(destination.project.tools, ProgramRunner(lambda _: None), destination.config.folder)
        self.target = f"namespace {self._namespace_id}"

    async def __aenter__(self) -> Self:
        login = await asyncio.to_thread(account_of, self._wrangler, self._config)
        self._wrangler = self._wrangler.of_account(login.account)
        self.target = namespace_name(self._namespace_id, login.account)
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        return [_parcel(key, record) for key, record in self._encoder.encode(seed)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        return await asyncio.to_thread(self._put, parcels)

    async def verify(self, parcel: Parcel) -> str | None:  # noqa: ARG002 - the protocol's
        raise UserError(f"--verify reads through Cloudflare's REST interface; set {TOKEN_VARIABLE}, or leave it out")

    def _put(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        with tempfile.TemporaryDirectory(prefix="vinext-populate-") as folder:
            file = Path(folder) / "entries.json"
            file.write_bytes(b"[" + b",".join(parcel.payload for parcel in parcels) + b"]")
            try:
                self._wrangler.act("kv", "bulk", "put", str(file), "--namespace-id", self._namespace_id, "--remote")
            except WranglerError as error:
                if error.code == _AUTHENTICATION:
                    raise
                return dict.fromkeys((parcel.key for parcel in parcels), error.reason)
        return {}


def kv_populator(destination: Destination) -> KVPopulator | LoginKVPopulator:
    """Return the populator for what this machine has: a token, or wrangler's login."""
    return KVPopulator(destination) if has_token() else LoginKVPopulator(destination)


def _parcel(key: str, record: KVRecord) -> Parcel:
    fields = _value_fields(whole_bytes(record.parts))
    if record.expiration_ttl is not None:
        fields += f',"expiration_ttl":{record.expiration_ttl}'.encode()
    if record.metadata is not None:
        fields += b',"metadata":' + record.metadata.encode()
    return Parcel(key, b'{"key":%b,%b}' % (json_text(key).encode(), fields), record.expiration_ttl)


def _value_fields(value: bytes) -> bytes:
    """Return the value as JSON members of the pair: as text, or in base64 if it is not text or would be larger as text."""
    try:
        text = encode_basestring(value.decode()).encode()
        if len(text) <= 2 * len(value) + 2:
            return b'"value":' + text
    except UnicodeDecodeError:
        pass
    return b'"value":%b,"base64":true' % json.dumps(binascii.b2a_base64(value, newline=False).decode()).encode()
