"""A small site: static, revalidated, tagged, dynamic and streamed pages."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from posts import all_posts
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from vinext import no_store, revalidate

templates = Jinja2Templates(directory=Path(__file__).parent / "templates")


def image(path, width):
    """The address of an image in a width, which is one of VINEXT_IMAGE_WIDTHS."""
    return f"/_vinext/image?{urlencode({'url': path, 'w': width, 'q': 75})}"


templates.env.globals["image"] = image


def now():
    return datetime.now(UTC).isoformat(timespec="seconds")


@revalidate(False)
async def home(request):
    """Never stale: made at build time, and again with the next deploy."""
    return templates.TemplateResponse(request, "home.html", {"made": now()})


@revalidate(60, tags=["posts"])
async def post_list(request):
    """Made again at most once a minute, while everybody gets the page before."""
    return templates.TemplateResponse(request, "posts.html", {"posts": await all_posts(), "made": now()})


@revalidate(3600, tags=["posts"])
async def post(request):
    found = (await all_posts()).get(request.path_params["slug"])
    if found is None:
        raise HTTPException(404)
    return templates.TemplateResponse(request, "post.html", {"post": found, "made": now()})


async def hello(request):
    """No period: made for each request."""
    name = request.query_params.get("name") or request.headers.get("cf-ipcountry") or "visitor"
    return templates.TemplateResponse(request, "hello.html", {"name": name, "made": now()})


def current_user(request):
    no_store()  # what depends on the visitor is for the visitor only, whoever asks for it
    return request.cookies.get("user", "nobody")


@revalidate(60)
async def account(request):
    return templates.TemplateResponse(request, "hello.html", {"name": current_user(request), "made": now()})


@revalidate(60)
async def stream(request):
    """Sent part by part while it is made; the cache keeps the whole."""

    async def parts():
        yield templates.get_template("stream_head.html").render()
        for number in range(1, 6):
            await asyncio.sleep(0.3)
            yield f"<li>part {number}, made at {now()}</li>\n"
        yield "</ol></main>"

    return StreamingResponse(parts(), media_type="text/html")


@revalidate(10, tags=["time"])
async def time(request):
    return JSONResponse({"now": now()})


async def not_found(request, error):
    return HTMLResponse(templates.get_template("not_found.html").render(), status_code=404)


app = Starlette(
    routes=[
        Route("/", home),
        Route("/posts", post_list),
        Route("/posts/{slug}", post),
        Route("/hello", hello),
        Route("/account", account),
        Route("/stream", stream),
        Route("/api/time", time),
    ],
    exception_handlers={404: not_found},
)


async def static_paths():
    """What `vinext-worker prerender` makes; those without a period are skipped and named."""
    return ["/", "/posts", *(f"/posts/{slug}" for slug in await all_posts()), "/hello", "/account", "/api/time"]
