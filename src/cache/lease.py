"""The right to regenerate a page, so that not every isolate does so when a popular page becomes stale."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from cache.keys import kv_lease_key
from cache.kv_namespace import is_too_soon
from cache.lease_table import LEASE_MS
from core.errors import described
from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.due_pages import DuePage
    from cache.kv_namespace import KVNamespace
    from core.log import Log
    from core.runtime import Clock

# Much longer than it holds, so that others learn that there is another isolate.
_KEPT_SECONDS = 24 * 3600

_MAX_DIGITS = 15


class Lease(Protocol):
    """A lease on a page: whoever takes it regenerates the page, the others go on with the stale one."""

    async def take(self, key: str, since_ms: int, job: str = "", *, is_own: bool = False) -> bool:
        """Return whether the caller may regenerate the page of a key, which has been due since `since_ms`.

        False where somebody else has taken the lease since then, a few seconds ago at most. True where that is unknown.
        `job` says how the page is regenerated, to whoever can do so in the caller's place. `is_own`: this isolate made it last.
        """
        ...

    async def ended(self, key: str, failure: str) -> None:
        """Say that a regeneration has ended, and why it failed, "" if it did not. Never raises."""

    async def is_held(self, key: str, since_ms: int) -> bool:
        """Return whether `take` would return False now; nothing changes. Raise the store's own exceptions."""
        ...

    async def pages(self, key: str = "", state: str = "") -> Sequence[DuePage]:
        """Return what is known of the regeneration of a page, or of all in a state. Raise the store's own exceptions."""
        ...


class _Forgetful:
    """A lease that knows nothing of a regeneration but that it has begun."""

    async def ended(self, key: str, failure: str) -> None:
        """See Lease."""

    async def pages(self, key: str = "", state: str = "") -> Sequence[DuePage]:
        """See Lease."""
        del key, state
        return ()


class NoLease(_Forgetful):
    """A lease that everybody may take at any time."""

    async def is_held(self, key: str, since_ms: int) -> bool:
        """See Lease."""
        del key, since_ms
        return False

    async def take(self, key: str, since_ms: int, job: str = "", *, is_own: bool = False) -> bool:
        """See Lease."""
        del key, since_ms, job, is_own
        return True


class KVLease(_Forgetful):
    """A lease as a key in KV, whose value is the time at which it was last taken.

    KV is eventually consistent, so two isolates may take a lease at the same time: then a page is regenerated twice, no more.

    An isolate that has made a page last, and has seen nobody else's lease since its start, writes none for that page. If it is
    not alone after all, another regenerates the page, too, and writes a lease, which this one sees when the page is due again.
    """

    def __init__(self, namespace: KVNamespace, app_prefix: str, clock: Clock, log: Log) -> None:
        self._namespace = namespace
        self._app_prefix = app_prefix
        self._clock = clock
        self._log = log
        self._began_ms = clock()
        self._is_alone = True

    @cached_property
    def _own(self) -> Recent[str, str]:
        return Recent()

    async def take(self, key: str, since_ms: int, job: str = "", *, is_own: bool = False) -> bool:
        """See Lease. Nobody returns a lease: it ends ten seconds later, or when the page is due again."""
        del job
        name = kv_lease_key(key, self._app_prefix)
        try:
            if await self._is_held(name, since_ms):
                return False
            if is_own and self._is_alone:
                return True
            now_ms = self._clock()
            await self._namespace.put(name, str(now_ms), expiration_ttl=_KEPT_SECONDS)
            self._own[name] = str(now_ms)
        except Exception as error:  # noqa: BLE001 - without leases pages are regenerated too often, which breaks nothing
            if is_too_soon(error):
                # Somebody else has taken it within this second.
                return False
            self._log.event("warning", "lease.failed", key=name, error=described(error))
        return True

    async def is_held(self, key: str, since_ms: int) -> bool:
        """See Lease."""
        return await self._is_held(kv_lease_key(key, self._app_prefix), since_ms)

    async def _is_held(self, name: str, since_ms: int) -> bool:
        taken = (await self._namespace.get_texts([name])).get(name)
        if taken is None or taken == self._own.get(name) or not taken.isdigit():
            return False
        taken_ms = int(taken[:_MAX_DIGITS])
        if taken_ms >= self._began_ms:
            self._is_alone = False
        return since_ms <= taken_ms <= self._clock() < taken_ms + LEASE_MS


class LeaseObjects(Protocol):
    """The Durable Objects of a site that give leases (`cache.due_pages`). A call may raise, and ends by itself."""

    async def take(self, key: str, own_ms: int, since_ms: int, job: str) -> int:
        """See `DuePages.take`."""
        ...

    async def ended(self, key: str, own_ms: int, failure: str) -> None:
        """See `DuePages.ended`."""

    async def is_held(self, key: str, own_ms: int, since_ms: int) -> bool:
        """See `DuePages.is_held`."""
        ...

    async def pages(self, key: str, state: str) -> Sequence[DuePage]:
        """See `DuePages.told`; of all objects if no key is given."""
        ...


class SharedLease:
    """A lease that an object gives, so one isolate has it. If the object does not answer, `fallback` decides.

    The object sees to it that a regeneration that has begun ends, whatever becomes of the isolate.
    """

    def __init__(self, objects: LeaseObjects, fallback: Lease, log: Log) -> None:
        self._objects = objects
        self._fallback = fallback
        self._log = log
        self._own: Recent[str, int] = Recent()

    async def take(self, key: str, since_ms: int, job: str = "", *, is_own: bool = False) -> bool:
        """See Lease."""
        try:
            taken_ms = await self._objects.take(key, self._own.get(key, 0), since_ms, job)
        except Exception as error:  # noqa: BLE001 - whatever the binding raises, there is another lease
            self._unreachable(error)
            return await self._fallback.take(key, since_ms, is_own=is_own)
        if taken_ms:
            self._own[key] = taken_ms
        return taken_ms != 0

    async def ended(self, key: str, failure: str) -> None:
        """See Lease. An object that does not learn of it looks at the page itself, half a minute later."""
        own_ms = self._own.get(key)
        if own_ms is None:
            return
        try:
            await self._objects.ended(key, own_ms, failure)
        except Exception as error:  # noqa: BLE001 - whatever the binding raises, the page is regenerated
            self._unreachable(error)

    async def is_held(self, key: str, since_ms: int) -> bool:
        """See Lease."""
        return await self._objects.is_held(key, self._own.get(key, 0), since_ms)

    async def pages(self, key: str = "", state: str = "") -> Sequence[DuePage]:
        """See Lease."""
        return await self._objects.pages(key, state)

    def _unreachable(self, error: Exception) -> None:
        self._log.event("warning", "tags.unreachable", error=described(error))
