from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conformance.kv_namespace import RULES
from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.kv_namespace import KVNamespace


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_the_fake_obeys(rule: Callable[[KVNamespace], Awaitable[None]]) -> None:
    await rule(InMemoryKV(FakeClock()))


async def test_the_fake_forgets_when_the_time_comes() -> None:
    clock = FakeClock()
    namespace = InMemoryKV(clock)
    await namespace.put("k", b"1", expiration_ttl=60)
    clock.pass_seconds(59)
    assert await namespace.get("k") is not None
    clock.pass_seconds(1)
    assert await namespace.get("k") is None
    assert (await namespace.list("")).keys == ()
