from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import httpx2 as httpx

from core.errors import VinextWorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping

Fault = Literal["throw", "hang", "break", "limit"] | int
"""How a method fails: it rejects, never settles, returns a KV value that breaks off, takes one write a second for a key as
Cloudflare's KV does (`put`), or answers with a status (`fetch`)."""

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class KvKey:
    """A row of a namespace's listing; `expiration` is in epoch seconds."""

    name: str
    expiration: int | None
    metadata: Any


class Control:
    """Controls one isolate from outside: reads and writes the stores behind its bindings, and makes bindings fail."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_SECONDS, trust_env=False
        )

    def ask(self, action: str, **given: Any) -> dict[str, Any]:
        """Perform an action of `control.mjs`; raise VinextWorkerError with the runtime's message."""
        answer: dict[str, Any] = self._client.post("/", json={"action": action, **given}).json()
        if "error" in answer:
            raise VinextWorkerError(f"{action}: {answer['error']}")
        return answer

    def kv(self, binding: str) -> KvNamespace:
        """Return the namespace behind a binding."""
        return KvNamespace(self, binding)

    def data_points(self, binding: str) -> list[dict[str, Any]]:
        """Return what this isolate has written to a dataset of Analytics Engine, the oldest first, at most the last 1,000."""
        points: list[dict[str, Any]] = self.ask("analytics.points", binding=binding)["points"]
        return points

    def fail(self, binding: str, method: str, fault: Fault) -> None:
        """Make `env.<binding>.<method>` fail until `heal`; needs RuntimeOptions.faults."""
        self.ask("fail", binding=binding, method=method, fault=fault)

    def heal(self) -> None:
        """Make every binding work again."""
        self.ask("heal")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@dataclass(frozen=True)
class KvNamespace:
    """A key-value namespace or a bucket of R2, read and written without the Worker's code, but through the real binding."""

    control: Control
    binding: str

    def rows(self, prefix: str = "") -> list[KvKey]:
        """Return every key with a prefix, in order."""
        rows = self.control.ask("kv.list", binding=self.binding, prefix=prefix)["keys"]
        return [KvKey(row["name"], row.get("expiration"), row.get("metadata")) for row in rows]

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of every key with a prefix."""
        return [key.name for key in self.rows(prefix)]

    def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none."""
        value = self.control.ask("kv.get", binding=self.binding, key=key)["value"]
        return None if value is None else b64decode(value)

    def metadata(self, key: str) -> Any:
        """Return a value's metadata, None if there is none."""
        return self.control.ask("kv.get", binding=self.binding, key=key)["metadata"]

    def put(self, key: str, value: bytes | str, options: Mapping[str, Any] | None = None) -> None:
        """Write a value; `options` are the binding's own (`expirationTtl`, `metadata`, …)."""
        body = value.encode() if isinstance(value, str) else value
        self.control.ask("kv.put", binding=self.binding, key=key, value=b64encode(body).decode(), options=dict(options or {}))

    def delete(self, key: str) -> None:
        """Delete a key, whether it exists or not."""
        self.control.ask("kv.delete", binding=self.binding, key=key)

    def clear(self) -> None:
        """Delete every key."""
        for name in self.names():
            self.delete(name)
