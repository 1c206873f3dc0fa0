"""A handler under test, with a clock that the rules turn."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

from cache.keys import KeySchema
from cache.memory import MemoryCacheHandler
from cache.own_handler import HandlerContext
from vinext.testing.ports import FakeBackground, FakeClock, FakeLog

if TYPE_CHECKING:
    from cache.own_handler import HandlerFactory
    from vinext.testing.rules import Rule

_MEMORY_BYTES = 10_000_000


class HandlerSubject:
    """A Subject made as the Worker makes a handler: of a HandlerContext.

    `env` stands for the Worker's bindings. The store behind it is empty, and its times come from the context's clock.
    """

    def __init__(self, make: HandlerFactory, *, env: Any = None, prefix: str = "", keeps_end: bool = True) -> None:
        self.schemas: tuple[KeySchema, ...] = (KeySchema.V2,)
        self.keeps_end = keeps_end
        self.clock = FakeClock()
        self.background = FakeBackground(self.clock)
        self.log = FakeLog()
        context = HandlerContext(
            env=env,
            prefix=prefix,
            schema=KeySchema.V2,
            clock=self.clock,
            background=self.background,
            log=self.log,
            default=cache(lambda: MemoryCacheHandler(_MEMORY_BYTES, self.clock, log=self.log)),
        )
        self.handler = make(context)

    def now_ms(self) -> int:
        return self.clock.now_ms

    def pass_seconds(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)

    async def settle(self) -> None:
        failures = await self.background.done()
        assert failures == [], f"work in the background failed: {failures}"


def obeys(rule: Rule, make: HandlerFactory, *, env: Any = None, prefix: str = "", keeps_end: bool = True) -> None:
    """Make a handler and try a rule on it. Raise AssertionError where it is broken, and whatever the handler raises."""

    async def run() -> None:
        subject = HandlerSubject(make, env=env, prefix=prefix, keeps_end=keeps_end)
        await rule(subject)
        await subject.settle()

    asyncio.run(run())
