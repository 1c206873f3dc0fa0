"""The right to regenerate a page, so that not every isolate does so when a popular page becomes stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cache.keys import kv_lease_key
from cache.kv_namespace import MIN_TTL_SECONDS, is_too_soon
from core.recent import Recent

if TYPE_CHECKING:
    from cache.kv_namespace import KVNamespace
    from core.log import Log
    from core.runtime import Clock

LEASE_MS = 10_000

_MAX_DIGITS = 15


class Lease(Protocol):
    """A lease on a page: whoever takes it regenerates the page, the others go on with the stale one."""

    async def take(self, key: str, since_ms: int) -> bool:
        """Return whether the caller may regenerate the page of a key, which has been due since `since_ms`.

        False where somebody else has taken the lease since then, a few seconds ago at most. True where that is unknown.
        """
        ...


class NoLease:
    """A lease that everybody may take at any time."""

    async def take(self, key: str, since_ms: int) -> bool:
        """See Lease."""
        del key, since_ms
        return True


class KVLease:
    """A lease as a key in KV, whose value is the time at which it was last taken.

    KV is eventually consistent, so two isolates may take a lease at the same time: then a page is regenerated twice, no more.
    """

    def __init__(self, namespace: KVNamespace, app_prefix: str, clock: Clock, log: Log) -> None:
        self._namespace = namespace
        self._app_prefix = app_prefix
        self._clock = clock
        self._log = log
        self._own: Recent[str, str] = Recent()

    async def take(self, key: str, since_ms: int) -> bool:
        """See Lease. Nobody returns a lease: it ends ten seconds later, or when the page is due again."""
        name = kv_lease_key(key, self._app_prefix)
        try:
            taken = (await self._namespace.get_texts([name])).get(name)
            now_ms = self._clock()
            if taken is not None and taken != self._own.get(name) and taken.isdigit():
                taken_ms = int(taken[:_MAX_DIGITS])
                if since_ms <= taken_ms <= now_ms < taken_ms + LEASE_MS:
                    return False
            await self._namespace.put(name, str(now_ms), expiration_ttl=MIN_TTL_SECONDS)
            self._own[name] = str(now_ms)
        except Exception as error:  # noqa: BLE001 - without leases pages are regenerated too often, which breaks nothing
            if is_too_soon(error):
                # Somebody else has taken it within this second.
                return False
            self._log.event("warning", "lease.failed", key=name, error=f"{type(error).__name__}: {error}")
        return True
