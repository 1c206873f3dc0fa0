"""Populating the key-value store that `vinext-worker dev` keeps on disk."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Self

from cache.kv_namespace import KV_LIMITS
from cache.r2 import R2_LIMITS
from cache.stored import whole_bytes
from core.errors import VinextWorkerError
from core.javascript import json_text
from vinext_worker.alone import alone_in
from vinext_worker.cloudflare.deployment import R2_BINDING
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING
from vinext_worker.cloudflare.wrangler_config import ASSETS_BINDING
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions, ScriptService
from vinext_worker.populate.kv import EntryEncoder
from vinext_worker.populate.populator import Limits, Parcel, populator_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.kv_record import KVRecord
    from seed.entries import SeedEntry
    from vinext_worker.populate.populator import Destination

_NO_PAGES = "export default { fetch() { return new Response('no pages here', { status: 503 }) } }"


class LocalPopulator:
    """Writes to the local runtime's KV, or to its R2 if that alone is bound.

    Raises UserError while `vinext-worker dev` uses the same state.
    """

    limits = Limits(max_parcels=500, max_bytes=64 * 1024 * 1024, batch_bytes=8 * 1024 * 1024, in_flight=1)

    def __init__(self, destination: Destination) -> None:
        project, config = destination.project, destination.config
        state = project.local / "state"
        self._lock = alone_in(project.local)
        services = {binding: ScriptService(_NO_PAGES) for binding in config.services}
        # Nobody asks the Worker for a page, and the folder of its assets may not be there.
        without = frozenset({ASSETS_BINDING})
        options = RuntimeOptions(config=config, tools=project.tools, state=state, services=services, without=without)
        self._runtime = LocalRuntime(options)
        self._binding, limits = (R2_BINDING, R2_LIMITS) if populator_of(config) == "r2" else (CACHE_BINDING, KV_LIMITS)
        self._encoder = EntryEncoder(destination, limits)
        self.target = f"the local runtime's state in {state}"

    async def __aenter__(self) -> Self:
        self._lock.__enter__()
        try:
            await asyncio.to_thread(self._runtime.start)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        try:
            await asyncio.to_thread(self._runtime.stop)
        finally:
            self._lock.__exit__(None, None, None)

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        return [_parcel(key, record) for key, record in self._encoder.encode(seed)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        return await asyncio.to_thread(self._put, parcels)

    async def verify(self, parcel: Parcel) -> str | None:
        namespace = self._runtime.kv(self._binding)
        value = await asyncio.to_thread(namespace.get, parcel.key)
        if value is None:
            return "it is missing"
        options, _, wanted = parcel.payload.partition(b"\n")
        metadata = await asyncio.to_thread(namespace.metadata, parcel.key)
        is_same = value == wanted and metadata == json.loads(options).get("metadata")
        return None if is_same else "another entry is there"

    def _put(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        namespace = self._runtime.kv(self._binding)
        failed: dict[str, str] = {}
        for parcel in parcels:
            options, _, value = parcel.payload.partition(b"\n")
            try:
                namespace.put(parcel.key, value, json.loads(options))
            except VinextWorkerError as error:
                failed[parcel.key] = str(error)
        return failed


def _parcel(key: str, record: KVRecord) -> Parcel:
    options: dict[str, object] = {}
    if record.expiration_ttl is not None:
        options["expirationTtl"] = record.expiration_ttl
    if record.metadata is not None:
        options["metadata"] = json.loads(record.metadata)
    return Parcel(key, json_text(options).encode() + b"\n" + whole_bytes(record.parts), record.expiration_ttl)
