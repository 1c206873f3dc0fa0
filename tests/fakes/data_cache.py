"""A data cache that is the current one, and functions that count how often they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.flight import FakeFlight
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog

from cache.handler import entry_cache
from cache.keys import KeySchema
from cache.memory import MemoryCacheHandler
from core.runtime import Runtime
from datacache.cached import cached
from datacache.context import DataCache, enter_data_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.entry import CacheEntry
    from cache.handler import CacheHandler


@dataclass
class World:
    """A data cache on a memory handler, or on `handler`, with a clock to set."""

    schema: KeySchema = KeySchema.V2
    clock: FakeClock = field(default_factory=FakeClock)
    background: FakeBackground = field(default_factory=FakeBackground)
    log: FakeLog = field(default_factory=FakeLog)
    handler: CacheHandler | None = None

    def __post_init__(self) -> None:
        self.kept: CacheHandler = self.handler or MemoryCacheHandler(1_000_000, self.clock)
        runtime = Runtime(FakeFlight(self.clock, self.log), self.background, self.clock, self.log)
        self.cache = DataCache(entry_cache(self.kept), runtime, self.schema)
        enter_data_cache(self.cache)

    async def entry(self, key: str) -> CacheEntry:
        found = await self.kept.get(key)
        assert found is not None
        return found


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def next(self) -> int:
        self.calls += 1
        return self.calls


def counted(**options: Any) -> tuple[Callable[..., Any], Counter]:
    counter = Counter()

    @cached(["counted"], **options)
    async def work(*args: Any) -> Any:
        return {"call": counter.next(), "args": list(args)}

    return work, counter
