"""What the shop sells. Reading it takes a while, as a database does, so what was read is kept."""

import asyncio

from pydantic import BaseModel, Field

from vinext import cached


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)
    left: int = Field(ge=0)


_STOCK = {"teapot": 12, "kettle": 3, "spoon": 400}
_PRICES = {"teapot": 24.5, "kettle": 39.0, "spoon": 1.2}


@cached(["stock"], tags=["items"], revalidate=300)
async def stock() -> dict[str, int]:
    """Pages that use it carry its tag, and live no longer than it does."""
    await asyncio.sleep(0.3)
    return dict(_STOCK)


async def all_items() -> dict[str, Item]:
    return {name: Item(name=name, price=_PRICES[name], left=left) for name, left in (await stock()).items()}


def order(name: str, amount: int) -> Item:
    """Take some of an item. An isolate has a memory of its own: a real shop has a database."""
    _STOCK[name] = max(0, _STOCK[name] - amount)
    return Item(name=name, price=_PRICES[name], left=_STOCK[name])
