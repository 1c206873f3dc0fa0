"""The Cache API of the data centre (the protocol of `cache.regional`).

Source: https://developers.cloudflare.com/workers/runtime-apis/cache/. It is one data centre's, and on workers.dev keeps nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import js
from js import Response

from cache.kv_namespace import KVWhole
from edge.bindings.kv import KVStreamed
from edge.bodies import JsBuffer, sent
from edge.promises import Deadline, bind, js_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.kv_namespace import KVValue
    from core.body import Body

_NAME = "vinext-worker"

_METADATA = "x-vinext-metadata"

# Near, or not worth to wait for.
TIMEOUT_MS = 1_000


class CacheApi:
    """Copies that are kept for `keep_seconds`, under addresses of `host`, which ought to be the site's."""

    def __init__(self, host: str, keep_seconds: int) -> None:
        self._host = host
        self._keep_seconds = keep_seconds
        self._calls = Deadline(TIMEOUT_MS, "the Cache API did not answer")
        self._cache: Any = None

    async def get(self, key: str, *, streamed: bool = False) -> KVValue | None:
        cache = await self._opened()
        # Nothing found is undefined, which is also what a deadline ends with.
        found = (await self._calls.values(bind(cache.match, cache, self._url(key))))[0]
        if not found:
            return None
        metadata = found.headers.get(_METADATA) or None
        if streamed:
            return KVStreamed(metadata, found.body, self._calls)
        return KVWhole(metadata, JsBuffer.of(await self._calls.value(bind(found.arrayBuffer, found))))

    async def put(self, key: str, value: Sequence[bytes | Body], metadata: str | None) -> None:
        cache = await self._opened()
        headers = {"Cache-Control": f"max-age={self._keep_seconds}"}
        if metadata is not None:
            # A header takes no other characters than these.
            headers[_METADATA] = json.dumps(json.loads(metadata), separators=(",", ":"))
        response = Response.new(sent(value), js_object({"headers": headers}))
        await self._calls.done(bind(cache.put, cache, self._url(key), response))

    async def _opened(self) -> Any:
        if self._cache is None:
            self._cache = await self._calls.value(bind(js.caches.open, js.caches, _NAME))
        return self._cache

    def _url(self, key: str) -> str:
        return f"https://{self._host}/{js.encodeURIComponent(key)}"
