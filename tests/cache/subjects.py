"""The handlers that the conformance suite runs against under CPython."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog

from cache.keys import KeySchema
from cache.kv import KVCacheHandler
from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from cache.tiered import TieredCacheHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.handler import CacheHandler


@dataclass
class FakeSubject:
    make: Callable[[FakeSubject], CacheHandler]
    clock: FakeClock = field(default_factory=FakeClock)
    background: FakeBackground = field(default_factory=FakeBackground)
    log: FakeLog = field(default_factory=FakeLog)

    schemas: tuple[KeySchema, ...] = tuple(KeySchema)
    keeps_end: bool = True

    def __post_init__(self) -> None:
        self.background.clock = self.clock
        self.kv = InMemoryKV(self.clock, page_size=3)
        self.handler = self.make(self)

    def now_ms(self) -> int:
        return self.clock.now_ms

    def pass_seconds(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)

    async def settle(self) -> None:
        assert await self.background.done() == []


def memory(subject: FakeSubject) -> MemoryCacheHandler:
    return MemoryCacheHandler(10_000_000, subject.clock, log=subject.log)


def kv(subject: FakeSubject, schema: KeySchema = KeySchema.V2, layout: Layout = Layout.VINEXT, **settings: Any) -> KVCacheHandler:
    return KVCacheHandler(
        subject.kv,
        clock=subject.clock,
        background=subject.background,
        log=subject.log,
        sleep=subject.clock.sleep,
        schema=schema,
        layout=layout,
        **settings,
    )


def tiered(subject: FakeSubject, recheck_ms: int = 5000) -> TieredCacheHandler:
    return TieredCacheHandler(memory(subject), kv(subject), clock=subject.clock, recheck_ms=recheck_ms)


SUBJECTS: dict[str, Callable[[FakeSubject], CacheHandler]] = {
    "memory": memory,
    "kv-v1-vinext": lambda subject: kv(subject, KeySchema.V1),
    "kv-v2-vinext": kv,
    "kv-v2-framed": lambda subject: kv(subject, layout=Layout.FRAMED),
    "kv-no-tag-cache": lambda subject: kv(subject, tag_cache_ms=0),
    "kv-app-prefix": lambda subject: kv(subject, app_prefix="shop"),
    "tiered": tiered,
    "tiered-always-asking": lambda subject: tiered(subject, 0),
    "tiered-without-memory": lambda subject: TieredCacheHandler(
        MemoryCacheHandler(0, subject.clock), kv(subject), clock=subject.clock
    ),
}
