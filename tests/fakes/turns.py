"""Letting other tasks go on."""

from __future__ import annotations

import asyncio

_TURNS = 100


async def let_others_run() -> None:
    """Return when every task waits for something that does not come by itself. A pause might be too short on a busy machine."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
