"""Leases: of several isolates one makes a page again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeClock, FakeLog
from tests.fakes.tag_objects import FakeTagObjects

from cache.keys import kv_lease_key
from cache.lease import KVLease, NoLease, SharedLease
from cache.lease_table import LEASE_MS

if TYPE_CHECKING:
    from cache.lease import Lease

KEY = "app:v2:build:/blog:html"


class Isolates:
    """Several isolates on one namespace."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kv = InMemoryKV(self.clock)
        self.log = FakeLog()

    def lease(self, app_prefix: str = "") -> Lease:
        return KVLease(self.kv, app_prefix, self.clock, self.log)


class IsolatesOnAnObject(Isolates):
    """Several isolates on one Durable Object."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = FakeTagObjects(self.clock)

    def lease(self, app_prefix: str = "") -> Lease:
        return SharedLease(self.objects, super().lease(app_prefix), self.log)


@pytest.fixture(params=[Isolates, IsolatesOnAnObject], ids=["kv", "object"])
def isolates(request: pytest.FixtureRequest) -> Isolates:
    made: Isolates = request.param()
    return made


async def test_one_of_two_takes_it(isolates: Isolates) -> None:
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    assert not await isolates.lease().take(KEY, since_ms)


async def test_whoever_has_it_may_try_again(isolates: Isolates) -> None:
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


async def test_of_twenty_isolates_one_takes_it_from_an_object() -> None:
    isolates = IsolatesOnAnObject()
    leases = [isolates.lease() for _ in range(20)]
    since_ms = isolates.clock()
    taken = await asyncio.gather(*(lease.take(KEY, since_ms) for lease in leases))
    assert taken == [True] + [False] * 19
    assert [await lease.is_held(KEY, since_ms) for lease in leases[:2]] == [False, True]
    assert await leases[0].take(KEY, since_ms)  # whoever has it
    isolates.clock.now_ms += LEASE_MS - 1
    assert not await leases[1].take(KEY, since_ms)
    isolates.clock.now_ms += 2
    assert await leases[1].take(KEY, since_ms)
    assert not await leases[0].take(KEY, since_ms)
    assert isolates.kv.operations == []


async def test_without_the_objects_answer_kv_decides() -> None:
    isolates = IsolatesOnAnObject()
    isolates.objects.fault = TimeoutError("VINEXT_TAGS did not answer within 1000 ms")
    since_ms = isolates.clock()
    one, other = isolates.lease(), isolates.lease()
    assert await one.take(KEY, since_ms)
    assert not await other.take(KEY, since_ms)
    assert isolates.log.names() == ["tags.unreachable"] * 2


async def test_it_ends_after_ten_seconds(isolates: Isolates) -> None:
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    isolates.clock.now_ms += LEASE_MS - 1
    assert not await isolates.lease().take(KEY, since_ms)
    isolates.clock.now_ms += 1
    assert await isolates.lease().take(KEY, since_ms)


async def test_a_page_that_is_due_again_has_a_new_one(isolates: Isolates) -> None:
    assert await isolates.lease().take(KEY, isolates.clock())
    isolates.clock.pass_seconds(2)
    assert await isolates.lease().take(KEY, isolates.clock()), "taken before the page was due"


async def test_pages_have_their_own(isolates: Isolates) -> None:
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    assert await isolates.lease().take("app:v2:build:/about:html", since_ms)


async def test_apps_in_a_namespace_have_their_own() -> None:
    isolates = Isolates()
    since_ms = isolates.clock()
    assert await isolates.lease().take(KEY, since_ms)
    assert await isolates.lease("other").take(KEY, since_ms)


async def test_who_made_a_page_last_writes_no_lease_for_it_until_another_s_is_seen() -> None:
    isolates = Isolates()
    before = isolates.lease()
    assert await before.take(KEY, isolates.clock())
    isolates.clock.pass_seconds(20)
    one, other = isolates.lease(), isolates.lease()
    isolates.kv.operations.clear()
    due_ms = isolates.clock()
    assert await one.take(KEY, due_ms, is_own=True)
    assert await other.take(KEY, due_ms)  # made twice, this one time
    assert await one.take("of another page", due_ms)
    assert [operation for operation, _ in isolates.kv.operations].count("put") == 2
    isolates.clock.pass_seconds(20)
    due_ms = isolates.clock()
    assert await one.take(KEY, due_ms, is_own=True)
    assert not await other.take(KEY, due_ms)


async def test_it_does_not_stay_in_the_store() -> None:
    isolates = Isolates()
    await isolates.lease().take(KEY, isolates.clock())
    isolates.clock.pass_seconds(24 * 3600)
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
