"""A WSGI app as an ASGI app (PEP 3333).

It runs in place: a Worker has no threads. Where the app reads the request's body, or anything else that comes later, the runtime
switches stacks (`wait`), and other requests go on meanwhile.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

_KEPT_NAMES = {"CONTENT_TYPE", "CONTENT_LENGTH"}


class WsgiApp:
    """An ASGI app that runs a WSGI app. `wait` returns what an awaitable gives, from within synchronous code."""

    def __init__(self, app: Callable[..., Iterable[bytes]], wait: Callable[[Awaitable[Any]], Any]) -> None:
        self._app = app
        self._wait = wait

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        if scope["type"] != "http":
            raise ValueError(f"a WSGI app does not take a {scope['type']}")
        body = io.BufferedReader(RequestInput(receive, self._wait))
        response = _Response(send, self._wait)
        parts = self._app(environ_of(scope, body), response.start)
        try:
            for part in parts:
                await response.send(part)
            await response.end()
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()


class RequestInput(io.RawIOBase):
    """The body of a request as a file, which takes a part each time that more is read."""

    def __init__(self, receive: Callable[[], Awaitable[Mapping[str, Any]]], wait: Callable[[Awaitable[Any]], Any]) -> None:
        self._receive = receive
        self._wait = wait
        self._part = memoryview(b"")
        self._has_more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._part and self._has_more:
            message = self._wait(self._receive())
            if message["type"] == "http.disconnect":
                raise OSError("the visitor has gone in the middle of the request's body")
            self._part = memoryview(message.get("body", b""))
            self._has_more = message.get("more_body", False)
        size = min(len(buffer), len(self._part))
        buffer[:size] = self._part[:size]
        self._part = self._part[size:]
        return size


class _Response:
    """The answer, whose headers go out with the first part of the body."""

    def __init__(self, send: Callable[[Mapping[str, Any]], Awaitable[None]], wait: Callable[[Awaitable[Any]], Any]) -> None:
        self._send = send
        self._wait = wait
        self._start: dict[str, Any] | None = None
        self._is_started = False
        self._is_complete = False
        self._left_bytes: int | None = None

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """Take the status and the headers (`start_response`)."""
        if self._is_started and exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._start is not None and exc_info is None:
            raise RuntimeError("the WSGI app has called start_response twice")
        sent = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._left_bytes = next((int(value) for name, value in sent if name == b"content-length" and value.isdigit()), None)
        self._start = {"type": "http.response.start", "status": int(status.split(maxsplit=1)[0]), "headers": sent}
        return lambda part: self._wait(self.send(part))

    async def send(self, part: bytes) -> None:
        """Send a part of the body. One that is the last, by the length in the headers, ends the answer."""
        if not part or self._is_complete:
            return
        await self._begin()
        if self._left_bytes is not None:
            self._left_bytes -= len(part)
        self._is_complete = self._left_bytes == 0
        await self._send({"type": "http.response.body", "body": part, "more_body": not self._is_complete})

    async def end(self) -> None:
        """End the answer."""
        if not self._is_complete:
            await self._begin()
            await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self) -> None:
        if self._start is None:
            raise RuntimeError("the WSGI app has not called start_response")
        if not self._is_started:
            self._is_started = True
            await self._send(self._start)


def environ_of(scope: Mapping[str, Any], body: io.BufferedIOBase) -> dict[str, Any]:
    """Return the environment of a request. The bindings are in `workers.env`, as the SDK's own adapter has them."""
    host, port = scope["server"]
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _native(scope["root_path"]),
        # The bytes that were sent, also where they are no UTF-8: the app decodes them.
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "workers.env": scope["env"],
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # `X_Name` would be `X-Name` in the environment
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        name = name if name in _KEPT_NAMES else f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        separator = "; " if name == "HTTP_COOKIE" else ","
        environ[name] = f"{environ[name]}{separator}{value}" if name in environ else value
    return environ


def _native(text: str) -> str:
    """Return text as WSGI has it: a character for each byte of its UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
