"""The Durable Object of a site under faults: it restarts between any two calls, and in the middle of one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tests.chaos.faults import Kind
from tests.chaos.runtime import now
from tests.fakes.tag_objects import FakeTagObjects, rows_of

from cache.due_pages import DuePages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from tests.chaos.faults import Faults

    from cache.due_pages import DuePage
    from cache.kv_namespace import KVNamespace
    from cache.marker_log import News, Place

CALL_SECONDS = 1
"""After which the Worker gives a call up."""

ALARM_SECONDS = 1

T = TypeVar("T")


class ObjectError(Exception):
    """What the runtime throws where an object is reset, or cannot be reached."""


@dataclass
class Objects(FakeTagObjects):
    """What is on disk outlives a restart, what is in memory does not. `noted` is when a tag's invalidation was confirmed last."""

    faults: Faults = field(kw_only=True)
    noted: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pages_database = sqlite3.connect(":memory:")
        self._restart()

    async def note(self, shard: int, text: str) -> None:
        await self._call(super().note(shard, text))
        self.noted |= dict.fromkeys(json.loads(text)[0], now())

    async def since(self, shard: int, place: Place) -> News:
        return await self._call(super().since(shard, place))

    async def queue(self, shard: int, text: str) -> bool:
        return await self._call(super().queue(shard, text))

    async def take(self, key: str, own_ms: int, since_ms: int, job: str) -> int:
        return await self._call(super().take(key, own_ms, since_ms, job))

    async def ended(self, key: str, own_ms: int, failure: str) -> None:
        await self._call(super().ended(key, own_ms, failure))

    async def pages(self, key: str, state: str) -> list[DuePage]:
        return await self._call(super().pages(key, state))

    async def is_held(self, key: str, own_ms: int, since_ms: int) -> bool:
        return await self._call(super().is_held(key, own_ms, since_ms))

    async def ring(self, namespace: KVNamespace | None, regenerate: Callable[[str, str], Awaitable[str]]) -> None:
        """Do what the alarm does, again and again."""
        while True:
            await asyncio.sleep(ALARM_SECONDS)
            self.calls.clear()
            if namespace is not None:
                await self.parts()[1].write_some(namespace.put)
            for page in self.pages_due.take_up():
                self.pages_due.ended(page.key, page.own_ms, await regenerate(page.key, page.job))

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        await asyncio.sleep(0.001)
        kind = self.faults.draw("object")
        if kind is Kind.DELAYS:
            await self.faults.delay(CALL_SECONDS / 2)
        if kind in {None, Kind.DELAYS}:
            return await work
        # Before the write, or after it and before the answer.
        if self.faults.source.random() < 1 / 2:
            work.close()
        else:
            await work
        if kind is Kind.HANGS:
            await asyncio.sleep(CALL_SECONDS)
            raise TimeoutError("VINEXT_TAGS did not answer")
        self._restart()
        raise ObjectError("the object was reset")

    def _restart(self) -> None:
        self.pages_due = DuePages(rows_of(self._pages_database), self.clock, self._given_up)
