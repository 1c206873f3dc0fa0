"""Python apps and functions in this Worker as the page handler, and what their code may use."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from typing import TYPE_CHECKING, Any

import js
import workers
from js import Object, Request, Response
from pyodide.code import relaxed_wrap
from pyodide.ffi import JsProxy, run_sync, to_js

from core.body import BytesBody
from core.errors import described
from core.http import NULL_BODY_STATUSES
from core.javascript import to_utf8
from datacache.fetched import set_fetcher
from edge.http import RequestsToKeep, header_pairs
from edge.loop import enter_site_code
from edge.python.asgiref_calls import adapt_asgiref
from edge.python.exchange import fetch
from edge.python.http_clients import adapt_http_clients
from edge.python.shared_locks import share_locks
from edge.python.streams import PythonResponse, RequestBody, stream_opener
from edge.python.websocket import WebSocketExchange
from edge.runtime import request_context
from pages.asgi import AsgiExchange, Lifespan, http_scope, is_personal
from pages.handler import PageError, TimedPages, WholeResponse
from pages.page import Page
from pages.policy import Rendering, current_rendering, rendering_as, rendering_of, with_policy
from pages.selection import AsgiChoice, FunctionChoice, OwnChoice, WorkerChoice, WsgiChoice
from pages.wsgi import WsgiApp

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.runtime import Background, Runtime
    from pages.handler import PageHandler, PageResponse
    from pages.request import PageRequest, RenderRequest

_HTML = ("content-type", "text/html; charset=utf-8")


class AsgiPages:
    """An ASGI app (the protocol of `pages.handler`)."""

    def __init__(self, choice: AsgiChoice, env: Any, idle_ms: int, runtime: Runtime) -> None:
        self._app = choice.app
        self._name = choice.name
        self._env = env
        self._idle_ms = idle_ms
        self._to_keep = RequestsToKeep()
        self._background = runtime.background
        self._log = runtime.log
        self._lifespan = Lifespan(choice.app, choice.name, runtime.flight, runtime.log)

    async def answer(self, request: PageRequest) -> PageResponse:
        raw = self._to_keep.raw(request)
        if (request.headers.get("upgrade") or "").lower() == "websocket":
            return await self._connect(raw)
        headers = [(name.encode(), _bytes(value)) for name, value in header_pairs(raw.headers)]
        return await self._exchange(raw.method, raw.url, headers, RequestBody(raw.body), Rendering(request.path))

    async def render(self, request: RenderRequest) -> PageResponse:
        headers = [(name.lower().encode(), _bytes(value)) for name, value in request.headers.items()]
        rendering = Rendering(request.path, is_for_cache=True)
        return await self._exchange("GET", request.url, headers, RequestBody(None), rendering)

    async def _exchange(
        self, method: str, url: str, headers: list[tuple[bytes, bytes]], body: RequestBody, rendering: Rendering
    ) -> PageResponse:
        state = await self._lifespan.state()
        scope = http_scope(method=method, url=url, headers=headers, state=state, env=self._env)
        exchange = AsgiExchange(self._name, body, stream_opener(rendering, self._idle_ms), rendering, self._log)
        return await exchange.run(self._app_and_its_tasks, scope, self._background)

    async def _app_and_its_tasks(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            _keep_tasks(self._background, f"tasks of {self._name} for {scope['path']}")

    async def _connect(self, raw: Any) -> PageResponse:
        state = await self._lifespan.state()
        headers = [(name.encode(), _bytes(value)) for name, value in header_pairs(raw.headers)]
        scope = http_scope(method="GET", url=raw.url, headers=headers, state=state, env=self._env, kind="websocket")
        protocols = (raw.headers.get("sec-websocket-protocol") or "").split(",")
        scope["subprotocols"] = [protocol.strip() for protocol in protocols if protocol.strip()]
        return await WebSocketExchange(self._name).run(self._app, scope, self._background)


class FunctionPages:
    """A function that takes the SDK's `Request` and returns a Page or a Response (the protocol of `pages.handler`)."""

    def __init__(self, choice: FunctionChoice, idle_ms: int, runtime: Runtime) -> None:
        self._function = choice.function
        self._idle_ms = idle_ms
        self._name = choice.name
        self._to_keep = RequestsToKeep()
        self._background = runtime.background
        self._log = runtime.log

    async def answer(self, request: PageRequest) -> PageResponse:
        raw = self._to_keep.raw(request)
        personal = is_personal({name.encode() for name, _ in header_pairs(raw.headers)})
        return await self._call(raw, Rendering(request.path), personal=personal)

    async def render(self, request: RenderRequest) -> PageResponse:
        headers = to_js(request.headers, dict_converter=Object.fromEntries)
        rendering = Rendering(request.path, is_for_cache=True)
        return await self._call(Request.new(request.url, headers=headers), rendering, personal=False)

    async def _call(self, raw: Any, rendering: Rendering, *, personal: bool) -> PageResponse:
        try:
            with rendering_as(rendering):
                result = self._function(workers.Request(raw))
                if inspect.isawaitable(result):
                    result = await result
                _keep_tasks(self._background, f"tasks of {self._name} for {rendering.path}")
        except Exception as error:
            reason = f"raised {described(error)}"
            trace = "".join(traceback.format_exception(error)[-6:])
            self._log.event("error", "page.raised", path=rendering.path, error=reason, traceback=trace)
            raise PageError(f"{self._name} {reason}") from error
        if isinstance(result, Page):
            return _of_page(result, rendering, raw.method, personal=personal)
        response = getattr(result, "js_object", result)
        if not _is_response(response):
            raise PageError(f"{self._name} returned a {type(result).__name__}, which is neither a Page nor a Response")
        headers = with_policy(rendering, raw.method, response.status, header_pairs(response.headers), is_personal=personal)
        return PythonResponse(_with_headers(response, headers), rendering, self._idle_ms)


def _keep_tasks(background: Background, what: str) -> None:
    """Keep alive what the code that renders has begun by `create_task` and not waited for: the runtime would drop it."""
    rendering = current_rendering()
    others: set[Any] = asyncio.all_tasks() - {asyncio.current_task()}
    left = [task for task in others if rendering_of(task.get_context()) is rendering]
    if left:
        background.run(asyncio.wait(left), what)


def _is_response(value: Any) -> bool:
    if not isinstance(value, JsProxy):
        return False
    return bool(js.Reflect.apply(Object.prototype.isPrototypeOf, Response.prototype, to_js([value])))


def _of_page(page: Page, rendering: Rendering, method: str, *, personal: bool) -> WholeResponse:
    rendering.add_tags(page.tags)
    if page.revalidate is not None:
        rendering.ask(float("inf") if page.revalidate is False else page.revalidate, page.expire)
    headers = tuple((name.lower(), value) for name, value in page.headers.items())
    if isinstance(page.body, str) and not any(name == "content-type" for name, _ in headers):
        headers = (_HTML, *headers)
    headers = with_policy(rendering, method, page.status, headers, is_personal=personal)
    has_body = page.status not in NULL_BODY_STATUSES
    data = to_utf8(page.body) if isinstance(page.body, str) else page.body
    return WholeResponse(page.status, headers, BytesBody(data) if has_body else None)


def _with_headers(raw: Any, headers: tuple[tuple[str, str], ...]) -> Any:
    if raw.webSocket:
        return raw
    changed = Response.new(raw.body, raw)
    names = {name for name, _ in header_pairs(changed.headers)}
    for name in names - {name.lower() for name, _ in headers}:
        changed.headers.delete(name)
    for name, value in headers:
        if name != "set-cookie":
            changed.headers.set(name, value)
    return changed


def _bytes(value: str) -> bytes:
    # The runtime reads header bytes as UTF-8 or Latin-1; ASGI wants bytes.
    return value.encode("utf-8", "surrogateescape")


def python_pages(
    choice: AsgiChoice | WsgiChoice | FunctionChoice | WorkerChoice | OwnChoice,
    env: Any,
    timeout_ms: int,
    idle_ms: int,
    runtime: Runtime,
) -> PageHandler:
    """Return the page handler, and adapt the packages that its code may use.

    `timeout_ms` is for the beginning of an answer, `idle_ms` for the parts of its body where that is copied; 0 is none.
    """
    set_fetcher(fetch)
    adapt_http_clients()
    adapt_asgiref()
    share_locks()
    pages: PageHandler
    match choice:
        case AsgiChoice(_, name):
            pages = AsgiPages(choice, env, idle_ms, runtime)
        case WsgiChoice(app, name):
            pages = AsgiPages(AsgiChoice(WsgiApp(app, run_sync), name), env, idle_ms, runtime)
        case FunctionChoice(_, name):
            pages = FunctionPages(choice, idle_ms, runtime)
        case WorkerChoice(entrypoint, name):
            pages = FunctionPages(FunctionChoice(_fetch_of(entrypoint, env), name), idle_ms, runtime)
        case OwnChoice(pages):
            name = type(pages).__name__
    return _SiteCode(TimedPages(pages, name, timeout_ms, runtime.background) if timeout_ms else pages)


def _fetch_of(entrypoint: type[Any], env: Any) -> Callable[[Any], Any]:
    """Return a function that calls an entrypoint's `fetch` as the runtime does: with as many arguments as that takes."""
    fetch_method = relaxed_wrap(entrypoint.fetch)

    def fetch_by_instance(request: Any) -> Any:
        # Each request gets an instance of its own.
        context = request_context()
        return fetch_method(entrypoint(context, env), request, workers.python_from_rpc(env), context)

    return fetch_by_instance


class _SiteCode:
    """A page handler that runs in this Worker, and may switch stacks."""

    def __init__(self, pages: PageHandler) -> None:
        self._pages = pages

    async def answer(self, request: PageRequest) -> PageResponse:
        await enter_site_code()
        return await self._pages.answer(request)

    async def render(self, request: RenderRequest) -> PageResponse:
        await enter_site_code()
        return await self._pages.render(request)
