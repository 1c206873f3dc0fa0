"""Workers Cache, which is asked before the Worker (the protocol of `cache.purging`).

Source: https://developers.cloudflare.com/workers/cache/purge/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsException, JsProxy

from edge.promises import Deadline, bind, js_object
from edge.runtime import request_context

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMEOUT_MS = 5_000


class WorkersCache:
    """The cache of the entrypoint that the current request came to."""

    async def purge(self, tags: Sequence[str]) -> None:
        cache = cache_of(request_context())
        if cache is None:
            raise RuntimeError("there is no ctx.cache here")
        deadline = Deadline(_TIMEOUT_MS, "ctx.cache.purge did not answer")
        result = await deadline.value(bind(cache.purge, cache, js_object({"tags": list(tags)})))
        if not result.success:
            errors = [f"{error.message} ({error.code})" for error in result.errors]
            raise RuntimeError(", ".join(errors) or "ctx.cache.purge did not succeed")


def cache_of(context: Any) -> Any | None:
    """Return `ctx.cache`, None where no Workers Cache is in front of the Worker: the local runtime has none."""
    try:
        cache = getattr(context, "cache", None)
    except JsException:
        return None
    return cache if isinstance(cache, JsProxy) and hasattr(cache, "purge") else None
