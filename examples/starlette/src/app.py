"""A small site: static, revalidated, tagged, dynamic and streamed pages."""

import asyncio
from urllib.parse import quote, urlencode

from markup import html, now, page
from posts import all_posts
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from vinext import no_store, revalidate


def image(path, width):
    """The address of an image in a width, which is one of VINEXT_IMAGE_WIDTHS."""
    return f"/_vinext/image?{urlencode({'url': path, 'w': width, 'q': 75})}"


@revalidate(False)
async def home(request):
    """Never stale: made at build time, and again with the next deploy."""
    small, large = (image("/images/picture.jpg", width) for width in (384, 640))
    return page(t"""
<h1>Pages of Python, from the cache</h1>
<p>This page was made when the site was built.</p>
<img src="{large}" srcset="{small} 384w, {large} 640w" sizes="(max-width: 42rem) 100vw, 42rem"
  width="640" height="320" alt="A circle on a gradient">
""")


@revalidate(60, tags=["posts"])
async def post_list(request):
    """Made again at most once a minute, while everybody gets the page before."""
    items = [html(t'<li><a href="/posts/{quote(slug)}">{post["title"]}</a></li>') for slug, post in (await all_posts()).items()]
    return page(t"<h1>Posts</h1><ul>{items}</ul>", "Posts")


@revalidate(3600, tags=["posts"])
async def post(request):
    found = (await all_posts()).get(request.path_params["slug"])
    if found is None:
        raise HTTPException(404)
    return page(t"<h1>{found['title']}</h1><p>{found['text']}</p>", found["title"])


async def hello(request):
    """No period: made for each request."""
    name = request.query_params.get("name") or request.headers.get("cf-ipcountry") or "visitor"
    return page(t"<h1>Hello, {name}</h1>")


def current_user(request):
    no_store()  # what depends on the visitor is for the visitor only, whoever asks for it
    return request.cookies.get("user", "nobody")


@revalidate(60)
async def account(request):
    return page(t"<h1>Hello, {current_user(request)}</h1>")


@revalidate(60)
async def stream(request):
    """Sent part by part while it is made; the cache keeps the whole."""

    async def parts():
        yield html(t"<!doctype html><html lang=en><title>A streamed page</title><main><h1>Part by part</h1><ol>")
        for number in range(1, 6):
            await asyncio.sleep(0.3)
            yield f"<li>part {number}, made at {now()}</li>\n"
        yield "</ol></main>"

    return StreamingResponse(parts(), media_type="text/html")


@revalidate(10, tags=["time"])
async def time(request):
    return JSONResponse({"now": now()})


async def not_found(request, error):
    return page(t"<h1>There is no such page</h1>", "Not found", status=404)


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
