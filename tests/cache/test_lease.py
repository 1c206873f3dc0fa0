"""Leases: of several isolates one makes a page again."""

from __future__ import annotations

from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeClock, FakeLog

from cache.keys import kv_lease_key
from cache.lease import LEASE_MS, KVLease, NoLease

KEY = "app:v2:build:/blog:html"


class Isolates:
    """Several isolates on one namespace."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kv = InMemoryKV(self.clock)
        self.log = FakeLog()

    def lease(self, app_prefix: str = "") -> KVLease:
        return KVLease(self.kv, app_prefix, self.clock, self.log)


async def test_one_of_two_takes_it() -> None:
    isolates = Isolates()
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    assert not await isolates.lease().take(KEY, since_ms)


async def test_whoever_has_it_may_try_again() -> None:
    isolates = Isolates()
    lease = isolates.lease()
    assert await lease.take(KEY, isolates.clock())
    isolates.clock.pass_seconds(1)
    assert await lease.take(KEY, isolates.clock() - 1000)


async def test_who_writes_within_the_second_of_another_has_not_taken_it() -> None:
    isolates = Isolates()
    isolates.kv.one_write_a_second = True
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    isolates.kv.stored.clear()  # it is not seen everywhere yet
    assert not await isolates.lease().take(KEY, since_ms)
    assert isolates.log.names() == []


async def test_it_ends_after_ten_seconds() -> None:
    isolates = Isolates()
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    isolates.clock.now_ms += LEASE_MS - 1
    assert not await isolates.lease().take(KEY, since_ms)
    isolates.clock.now_ms += 1
    assert await isolates.lease().take(KEY, since_ms)


async def test_a_page_that_is_due_again_has_a_new_one() -> None:
    isolates = Isolates()
    assert await isolates.lease().take(KEY, isolates.clock())
    isolates.clock.pass_seconds(2)
    assert await isolates.lease().take(KEY, isolates.clock()), "taken before the page was due"


async def test_pages_and_apps_have_their_own() -> None:
    isolates = Isolates()
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    assert await isolates.lease().take("app:v2:build:/about:html", since_ms)
    assert await isolates.lease("other").take(KEY, since_ms)


async def test_it_does_not_stay_in_the_store() -> None:
    isolates = Isolates()
    await isolates.lease().take(KEY, isolates.clock())
    isolates.clock.pass_seconds(60)
    assert await isolates.kv.get(kv_lease_key(KEY)) is None


async def test_without_the_store_everybody_may() -> None:
    async def fail(operation: str, key: str) -> None:
        raise OSError("down")

    isolates = Isolates()
    isolates.kv.before = fail
    assert await isolates.lease().take(KEY, isolates.clock())
    assert await isolates.lease().take(KEY, isolates.clock())
    assert isolates.log.names() == ["lease.failed", "lease.failed"]


async def test_what_is_no_time_is_no_lease() -> None:
    isolates = Isolates()
    for text in ("", "soon", "-5", "9" * 400, "٣"):
        await isolates.kv.put(kv_lease_key(KEY), text)
        assert await isolates.lease().take(KEY, 0)


async def test_memory_alone_needs_none() -> None:
    assert await NoLease().take(KEY, 0)
    assert await NoLease().take(KEY, 0)
