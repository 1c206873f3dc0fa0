"""A WebSocket between a visitor and an ASGI app."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from js import Object, Response, WebSocketPair
from pyodide.ffi import JsException, create_proxy, to_js

from core.errors import described
from edge.http import ServiceResponse, js_headers
from pages.handler import PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.runtime import Background

_FORBIDDEN = 403

_NORMAL, _INTERNAL_ERROR = 1000, 1011


class WebSocketExchange:
    """A run of an app for one connection, which is accepted when the app accepts it, else answered with a 403."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket: Any = None
        self._is_closed = False
        self._proxies: list[Any] = []
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self, app: Callable[..., Any], scope: Mapping[str, Any], background: Background) -> ServiceResponse:
        """Return the answer to the handshake. Raise PageError where the app gives none."""
        self._answer: asyncio.Future[ServiceResponse] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait({"type": "websocket.connect"})
        background.run(self._drive(app, scope), f"{self._name} for {scope['path']}")
        return await self._answer

    async def _drive(self, app: Callable[..., Any], scope: Mapping[str, Any]) -> None:
        code, failure = _NORMAL, "ended without accepting the connection"
        try:
            await app(scope, self._inbox.get, self._send)
        except Exception as error:
            code, failure = _INTERNAL_ERROR, f"raised {described(error)}"
            raise
        finally:
            if not self._answer.done():
                self._answer.set_exception(PageError(f"{self._name} {failure}"))
            self._close(code, "")
            for proxy in self._proxies:
                proxy.destroy()

    async def _send(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.send":
            if self._is_closed or self._socket is None:
                raise OSError("the connection is closed")
            data = message.get("bytes")
            self._socket.send(message["text"] if data is None else to_js(bytes(data)))
        elif kind == "websocket.close":
            if self._answer.done():
                self._close(message.get("code", _NORMAL), message.get("reason") or "")
            else:
                self._is_closed = True
                self._answer.set_result(ServiceResponse(Response.new(None, status=_FORBIDDEN)))
        else:
            raise RuntimeError(f"{self._name} sent {kind} where ASGI has no place for it")

    def _accept(self, message: Mapping[str, Any]) -> None:
        client, self._socket = Object.values(WebSocketPair.new())
        # Else binary messages come as a Blob, which cannot be read at once.
        self._socket.binaryType = "arraybuffer"
        self._listen("message", self._received)
        self._listen("close", self._gone)
        self._socket.accept()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
        if message.get("subprotocol"):
            headers.append(("sec-websocket-protocol", message["subprotocol"]))
        response = Response.new(None, status=101, webSocket=client, headers=js_headers(headers))
        self._answer.set_result(ServiceResponse(response))

    def _listen(self, event: str, handler: Callable[[Any], None]) -> None:
        proxy = create_proxy(handler)
        self._proxies.append(proxy)
        self._socket.addEventListener(event, proxy)

    def _received(self, event: Any) -> None:
        data = event.data
        content = {"text": data} if isinstance(data, str) else {"bytes": data.to_bytes()}
        self._inbox.put_nowait({"type": "websocket.receive", **content})

    def _gone(self, event: Any) -> None:
        # The runtime leaves the other half of the closing handshake to the Worker.
        code = event.code
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": event.reason})
        self._close(code if code in range(_NORMAL, 5000) and code not in {1004, 1005, 1006, 1015} else _NORMAL, "")

    def _close(self, code: int, reason: str) -> None:
        if self._socket is None or self._is_closed:
            return
        self._is_closed = True
        try:
            self._socket.close(code, reason)
        except JsException:
            return  # the visitor's end has closed it already
