"""One page in two frameworks: two models, checked, and a small template. And a kept result beside a look-up in a dict."""

from string import Template

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.responses import HTMLResponse as StarletteResponse
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vinext import cached, revalidate

_PAGE = Template("<!DOCTYPE html><html lang='en'><title>$title</title><h1>$title</h1><p>by $name</p><table>$rows</table></html>")
_ROW = Template("<tr><td>$number</td><td>$text</td><td>$price</td></tr>")
_STOCK = [{"number": number, "text": f"an item of the list, number {number}", "price": number * 1.5} for number in range(114)]


class Item(BaseModel):
    number: int = Field(ge=0)
    text: str
    price: float


class Shop(BaseModel):
    title: str
    name: str
    items: list[Item]


def page() -> str:
    """Of 8 KB."""
    shop = Shop.model_validate({"title": "Items", "name": "a shop", "items": _STOCK})
    rows = "".join(_ROW.substitute(item.model_dump()) for item in shop.items)
    return _PAGE.substitute(title=shop.title, name=shop.name, rows=rows)


fastapi = FastAPI()


@fastapi.get("/page", response_class=HTMLResponse)
@revalidate(86400)
async def fastapi_page():
    return page()


@revalidate(86400)
async def starlette_page(_request):
    return StarletteResponse(page())


_KEPT = {"items": {"number": 7}}


@cached(["items"], revalidate=86400)
async def kept_items():
    return {"number": 7}


async def looked_up_items():
    return _KEPT["items"]


def _many(function):
    async def answer(request):
        for _ in range(int(request.path_params["times"])):
            await function()
        return PlainTextResponse("done", headers={"Cache-Control": "no-store"})

    return answer


starlette = Starlette(
    routes=[
        Route("/page", starlette_page),
        Route("/cached/{times}", _many(kept_items)),
        Route("/dict/{times}", _many(looked_up_items)),
    ]
)
