"""What goes wrong, by plan: each operation draws its fault from a seeded source."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class Kind(StrEnum):
    RAISES = "raises"
    HANGS = "hangs"
    DELAYS = "delays"
    CORRUPTS = "corrupts"
    STALLS = "stalls"
    BREAKS_OFF = "breaks off"
    ANSWERS_500 = "answers 500"
    ENDS = "ends"


@dataclass
class Faults:
    """`rates` are the share of operations with each fault, by the name of the operation; none strike while it is calm.

    During an `outage`, it strikes every operation of KV and R2.
    """

    source: random.Random
    rates: dict[str, dict[Kind, float]]
    is_calm: bool = False
    outage: Kind | None = None
    struck: Counter[tuple[str, Kind]] = field(default_factory=Counter)

    def draw(self, operation: str) -> Kind | None:
        if self.is_calm:
            return None
        if self.outage is not None and operation.startswith(("kv ", "r2 ")):
            self.struck[operation, self.outage] += 1
            return self.outage
        drawn = self.source.random()
        for kind, rate in self.rates.get(operation, {}).items():
            drawn -= rate
            if drawn < 0:
                self.struck[operation, kind] += 1
                return kind
        return None

    async def delay(self, seconds: float) -> None:
        await asyncio.sleep(self.source.uniform(0, seconds))


_STORE = {
    "get": {Kind.RAISES: 0.02, Kind.HANGS: 0.003, Kind.DELAYS: 0.05, Kind.CORRUPTS: 0.02},
    "put": {Kind.RAISES: 0.03, Kind.HANGS: 0.005, Kind.DELAYS: 0.05},
    "list": {Kind.RAISES: 0.1, Kind.HANGS: 0.02, Kind.DELAYS: 0.2},
}

RATES: dict[str, dict[Kind, float]] = {
    **{f"{store} {operation}": rates for store in ("kv", "r2") for operation, rates in _STORE.items()},
    "region": {Kind.RAISES: 0.05, Kind.HANGS: 0.01, Kind.DELAYS: 0.1, Kind.CORRUPTS: 0.05},
    "object": {Kind.ENDS: 0.03, Kind.HANGS: 0.01, Kind.DELAYS: 0.1},
    "assets": {Kind.RAISES: 0.1, Kind.HANGS: 0.02, Kind.DELAYS: 0.2, Kind.CORRUPTS: 0.1},
    "page": {
        Kind.RAISES: 0.02,
        Kind.HANGS: 0.01,
        Kind.DELAYS: 0.2,
        Kind.ANSWERS_500: 0.02,
        Kind.STALLS: 0.02,
        Kind.BREAKS_OFF: 0.01,
    },
    "request": {Kind.ENDS: 0.01},
}
