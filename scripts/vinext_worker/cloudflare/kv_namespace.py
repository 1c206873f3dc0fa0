from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cache.kv_namespace import KVWhole
from core.body import BytesBody
from core.javascript import json_text
from vinext_worker.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from vinext_worker.cloudflare.client import Cloudflare
    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

CACHE_BINDING = "VINEXT_CACHE"
MAX_BULK_KEYS = 10_000
MAX_BULK_BYTES = 95 * 1000 * 1000
_NAMESPACE_ID = re.compile(r"[0-9a-f]{32}")
_UNSET_ID = "0" * 32


def is_placeholder(config: WranglerConfig) -> bool:
    """Return whether the binding is there, and the id of its namespace still has to be put in."""
    return config.kv_namespaces.get(CACHE_BINDING) in {CACHE_BINDING, _UNSET_ID}


def namespace_id(config: WranglerConfig) -> str:
    """Return the id of the namespace that keeps the pages; raise ConfigurationError if the configuration has none."""
    namespace = config.kv_namespaces.get(CACHE_BINDING)
    where = f"{config.path}{f' (environment {config.environment})' if config.environment else ''}"
    if namespace is None:
        raise ConfigurationError(f"{where} has no KV namespace bound as {CACHE_BINDING}; add [[kv_namespaces]] with that binding")
    if not _NAMESPACE_ID.fullmatch(namespace) or namespace == _UNSET_ID:
        raise ConfigurationError(
            f"{where}: {namespace!r} is not the id of a namespace, for {CACHE_BINDING}; "
            f"create one with `npx wrangler kv namespace create {CACHE_BINDING}` and put its id there"
        )
    return namespace


def namespace_name(namespace: str, account: str) -> str:
    """Return a namespace's name for people, and for the journal of what was written to it."""
    return f"namespace {namespace} of account {account}"


class RemoteNamespace:
    """A namespace of Workers KV, through the REST interface.

    Source: https://developers.cloudflare.com/api/resources/kv/subresources/namespaces/
    """

    def __init__(self, cloudflare: Cloudflare, account: str, namespace: str) -> None:
        self._cloudflare = cloudflare
        self._path = f"/accounts/{quote(account, safe='')}/storage/kv/namespaces/{quote(namespace, safe='')}"
        self.name = namespace_name(namespace, account)

    async def put_bulk(self, pairs: Sequence[bytes]) -> list[str]:
        """Write at most 10,000 pairs, each as JSON; return the keys that were not written, to be sent again."""
        parts = [b"[", pairs[0]]
        for pair in pairs[1:]:
            parts += (b",", pair)
        parts.append(b"]")
        response = await self._cloudflare.send("PUT", f"{self._path}/bulk", parts=parts)
        result = self._cloudflare.document(response, f"writing to {self.name}").get("result")
        if not isinstance(result, dict):
            return []
        unsuccessful = result.get("unsuccessful_keys") or []
        if not isinstance(unsuccessful, list):
            raise RemoteError(f"writing to {self.name}: Cloudflare's answer has an unknown form, so nothing counts as written")
        return [str(key) for key in unsuccessful]

    async def delete_bulk(self, keys: Sequence[str]) -> None:
        """Delete at most 10,000 keys, whether they exist or not."""
        await self._cloudflare.ask("POST", f"{self._path}/bulk/delete", f"deleting from {self.name}", body=list(keys))

    async def names(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key with a prefix, in order."""
        parameters = {"prefix": prefix, "limit": "1000"}
        while True:
            answer = await self._cloudflare.ask("GET", f"{self._path}/keys", f"listing {self.name}", parameters=parameters)
            for row in answer.get("result") or ():
                yield row["name"]
            cursor = (answer.get("result_info") or {}).get("cursor")
            if not cursor:
                return
            parameters = {**parameters, "cursor": cursor}

    async def get(self, key: str) -> KVWhole | None:
        """Return a value with its metadata, None if there is none."""
        value = await self._value(key)
        if value is None:
            return None
        metadata = await self._metadata(key)
        return KVWhole(None if metadata is None else json_text(metadata), BytesBody(value))

    async def _value(self, key: str) -> bytes | None:
        response = await self._cloudflare.send("GET", f"{self._path}/values/{quote(key, safe='')}")
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        if not response.is_success:
            self._cloudflare.document(response, f"reading from {self.name}")
        return response.content

    async def _metadata(self, key: str) -> Any:
        answer = await self._cloudflare.ask("GET", f"{self._path}/metadata/{quote(key, safe='')}", f"reading from {self.name}")
        return answer.get("result")
