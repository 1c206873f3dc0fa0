"""The handlers that the conformance suite runs against under CPython."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.flight import FakeFlight
from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog
from tests.fakes.r2 import InMemoryR2
from tests.fakes.region import InMemoryRegion
from tests.fakes.tag_objects import FakeTagObjects

from cache.keys import KeySchema
from cache.kv import KVCacheHandler
from cache.memory import MemoryCacheHandler
from cache.r2 import store_of
from cache.regional import RegionalCacheHandler
from cache.shared_markers import FollowingCache, SharedMarkers
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.handler import CacheHandler
    from cache.r2 import Store


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
        self.r2 = InMemoryR2(self.clock, page_size=3)
        self.region = InMemoryRegion(self.clock)
        self.tag_objects = FakeTagObjects(self.clock)
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
        settings.pop("namespace", subject.kv),
        clock=subject.clock,
        background=subject.background,
        log=subject.log,
        sleep=subject.clock.sleep,
        schema=schema,
        layout=layout,
        **settings,
    )


def r2(subject: FakeSubject) -> KVCacheHandler:
    return _stored_in(subject, store_of(None, subject.r2, 0))


def kv_and_r2(subject: FakeSubject, kv_bytes: int, *, has_bucket: bool = True) -> KVCacheHandler:
    return _stored_in(subject, store_of(subject.kv, subject.r2 if has_bucket else None, kv_bytes))


def _stored_in(subject: FakeSubject, store: Store | None) -> KVCacheHandler:
    assert store is not None
    return kv(subject, layout=Layout.FRAMED, namespace=store.namespace, limits=store.limits)


def regional(subject: FakeSubject, **settings: Any) -> RegionalCacheHandler:
    return RegionalCacheHandler(
        subject.region, kv(subject, **settings), clock=subject.clock, background=subject.background, log=subject.log
    )


def tiered(subject: FakeSubject, recheck_ms: int = 5000) -> TieredCacheHandler:
    return TieredCacheHandler(memory(subject), kv(subject), clock=subject.clock, recheck_ms=recheck_ms)


def following(subject: FakeSubject, check_ms: int = 5000, shards: int = 1, *, with_memory: bool = True) -> FollowingCache:
    """A cache that follows the objects of tags, which the isolates of a subject share."""
    runtime = Runtime(FakeFlight(subject.clock, subject.log), subject.background, subject.clock, subject.log, subject.clock.sleep)
    shared = SharedMarkers(subject.tag_objects, runtime, check_ms=check_ms, shards=shards)
    back = kv(subject, shared=shared)
    if not with_memory:
        return FollowingCache(back, shared, subject.clock)
    front = memory(subject)
    shared.learners.append(front.learn)
    return FollowingCache(TieredCacheHandler(front, back, clock=subject.clock), shared, subject.clock)


SUBJECTS: dict[str, Callable[[FakeSubject], CacheHandler]] = {
    "memory": memory,
    "kv-v1-vinext": lambda subject: kv(subject, KeySchema.V1),
    "kv-v2-vinext": kv,
    "kv-v2-framed": lambda subject: kv(subject, layout=Layout.FRAMED),
    "kv-no-tag-cache": lambda subject: kv(subject, tag_cache_ms=0),
    "kv-app-prefix": lambda subject: kv(subject, app_prefix="shop"),
    "r2": r2,
    "kv-and-r2": lambda subject: kv_and_r2(subject, 20),
    "regional": regional,
    "regional-framed": lambda subject: regional(subject, layout=Layout.FRAMED),
    "tiered": tiered,
    "tiered-regional": lambda subject: TieredCacheHandler(memory(subject), regional(subject), clock=subject.clock),
    "tiered-r2": lambda subject: TieredCacheHandler(memory(subject), r2(subject), clock=subject.clock),
    "tiered-kv-and-r2": lambda subject: TieredCacheHandler(memory(subject), kv_and_r2(subject, 20), clock=subject.clock),
    "tiered-always-asking": lambda subject: tiered(subject, 0),
    "tiered-with-objects": following,
    "tiered-with-objects-always-asking": lambda subject: following(subject, 0, 3),
    "kv-with-objects": lambda subject: following(subject, 0, with_memory=False),
    "tiered-without-memory": lambda subject: TieredCacheHandler(
        MemoryCacheHandler(0, subject.clock), kv(subject), clock=subject.clock
    ),
}
