"""A small shop: an API whose answers are cached, pages for people, and an order that makes both anew."""

from typing import Annotated

from catalog import Item, all_items, order
from fastapi import Cookie, Depends, FastAPI, Form, HTTPException
from fastapi.responses import HTMLResponse, StreamingResponse

from pages import item_page, list_page
from vinext import no_store, revalidate, revalidate_tag

app = FastAPI(title="A shop on vinext-worker")


async def current_user(user: Annotated[str | None, Cookie()] = None) -> str:
    """Whoever depends on the visitor is for the visitor only: `no_store()` holds wherever it is called."""
    no_store()
    if user is None:
        raise HTTPException(401, "Who are you?")
    return user


async def found(name: str) -> Item:
    item = (await all_items()).get(name)
    if item is None:
        raise HTTPException(404, f"There is no {name}.")
    return item


@app.get("/", response_class=HTMLResponse)
@revalidate(60, tags=["items"])
async def home():
    """Made again at most once a minute, while everybody gets the page before."""
    return list_page(await all_items())


@app.get("/items/{name}", response_class=HTMLResponse)
@revalidate(3600, tags=["items"])
async def show(name: str):
    return item_page(await found(name))


@app.get("/api/items")
@revalidate(60, tags=["items"])
async def list_items(below: float | None = None) -> list[Item]:
    """Answers to a query are made for each request; the one without is kept."""
    return [item for item in (await all_items()).values() if below is None or item.price < below]


@app.get("/api/items/{name}")
@revalidate(3600, tags=["items"])
async def show_item(item: Annotated[Item, Depends(found)]) -> Item:
    return item


@app.post("/api/orders", status_code=201)
async def place_order(name: Annotated[str, Form()], amount: Annotated[int, Form(gt=0, le=10)]) -> Item:
    """What changes data says so, and every page with the tag is made again."""
    await found(name)
    item = order(name, amount)
    await revalidate_tag("items")
    return item


@app.get("/api/me")
@revalidate(60)
async def me(user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
    return {"user": user}


@app.get("/export.csv")
@revalidate(600, tags=["items"])
async def export():
    """Sent part by part while it is made; the cache keeps the whole. Its data is read first: their tags belong in its headers."""
    items = await all_items()

    async def lines():
        yield "name,price,left\n"
        for item in items.values():
            yield f"{item.name},{item.price},{item.left}\n"

    return StreamingResponse(lines(), media_type="text/csv")


async def static_paths():
    """What `vinext-worker prerender` renders; a path without a period is skipped and named."""
    return ["/", *(f"/items/{name}" for name in await all_items()), "/api/items", "/openapi.json", "/api/me"]
