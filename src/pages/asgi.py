"""An ASGI app: its requests and its lifespan.

The protocols: https://asgi.readthedocs.io/en/latest/specs/www.html and https://asgi.readthedocs.io/en/latest/specs/lifespan.html.

The SDK has bridges too, `workers.asgi` and `workers.wsgi`. Behind a cache they would not do (tests/workerd/test_sdk_bridges.py
shows each of these with the SDK's 1.9.5, so it says when one of them is over):

- An app that raises in the middle of its answer ends the SDK's answer as if it were whole, and the part would be cached.
- The SDK reads the request's whole body before the app begins, so an upload is in memory as a whole.
- It starts and ends an app's lifespan for each request.
- It decodes headers as UTF-8 alone: one in Latin-1 is a 500.
- Its WSGI takes `X_Name` for `X-Name` in the environment, so that a visitor can send what a proxy sets; it lets no app replace a
  status that has not been sent, as PEP 3333 wants with `exc_info`; and it says nothing of `wsgi.input_terminated`, without which
  Flask takes a body of unknown length for empty.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from core.body import BytesBody
from core.errors import described
from core.http import CREDENTIAL_HEADERS, NULL_BODY_STATUSES, require_sendable
from pages.handler import PageError, WholeResponse
from pages.policy import rendering_as, with_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.log import Log
    from core.runtime import Background, SingleFlight
    from pages.handler import PageResponse
    from pages.policy import Rendering
    from pages.request import HeaderItems

# 2.4: `send` raises OSError once the visitor has gone.
ASGI_VERSION = {"version": "3.0", "spec_version": "2.4"}

_CREDENTIAL_HEADERS = frozenset(name.encode() for name in CREDENTIAL_HEADERS)


class BodySource(Protocol):
    """The body of a request."""

    async def read(self) -> bytes | None:
        """Return the next part, None at the end. Raise PageError if the body breaks off."""


class BodySink(Protocol):
    """The body of an answer whose parts are sent as the app writes them."""

    async def write(self, part: bytes) -> None:
        """Send a part and wait until it has been taken. Raise OSError once the visitor has gone."""

    async def close(self) -> None:
        """End the body: all parts have been written."""

    async def abort(self, reason: str) -> None:
        """Break the body off, so that no reader takes it for whole."""


class StreamedBody(Protocol):
    """Begins an answer whose body follows."""

    def __call__(self, status: int, headers: HeaderItems, on_gone: Callable[[], None]) -> tuple[PageResponse, BodySink]: ...


class AsgiExchange:
    """Runs an app for one request. The answer is ready when it is whole, or when its first part is."""

    def __init__(self, name: str, body: BodySource, open_stream: StreamedBody, rendering: Rendering, log: Log) -> None:
        self._name = name
        self._body = body
        self._open_stream = open_stream
        self._rendering = rendering
        self._log = log
        self._method = ""
        self._is_personal = False
        self._start: tuple[int, HeaderItems] | None = None
        self._sink: BodySink | None = None
        self._is_complete = False
        self._is_gone = False
        self._reading: asyncio.Future[bytes | None] | None = None
        self._is_read = False

    async def run(self, app: Callable[..., Any], scope: Mapping[str, Any], background: Background) -> PageResponse:
        """Return the answer; the app goes on in the background. Raise PageError if it gives none."""
        self._method = scope["method"]
        self._is_personal = is_personal({name for name, _ in scope["headers"]})
        self._answer: asyncio.Future[PageResponse] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        task = asyncio.ensure_future(self._drive(app, scope))
        background.run(task, f"{self._name} for {scope['path']}")
        try:
            return await self._answer
        except asyncio.CancelledError:
            # Nobody waits for the answer any more.
            task.cancel()
            raise

    async def _drive(self, app: Callable[..., Any], scope: Mapping[str, Any]) -> None:
        reason = "ended without an answer"
        try:
            with rendering_as(self._rendering):
                await app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - whatever an app raises
            reason = f"raised {described(error)}"
            if not self._is_gone:
                trace = "".join(traceback.format_exception(error)[-6:])
                self._log.event("error", "page.raised", path=scope["path"], error=reason, traceback=trace)
        finally:
            self._over.set()
            if not self._answer.done():
                self._answer.set_exception(PageError(f"{self._name} {reason}"))
            elif self._sink is not None and not self._is_complete and not self._is_gone:
                await self._sink.abort(f"{self._name} {reason} in the middle of its answer")

    async def _receive(self) -> dict[str, Any]:
        while not self._is_read and not self._is_gone:
            # A receive that is cancelled must not lose a part.
            self._reading = self._reading or asyncio.ensure_future(self._body.read())
            try:
                part = await asyncio.shield(self._reading)
            except PageError:
                self._gone()
                break
            self._reading = None
            if part is None:
                self._is_read = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.request", "body": part, "more_body": True}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start" and self._start is None:
            headers = tuple((_text(name), _text(value)) for name, value in message.get("headers", ()))
            require_sendable(message["status"], headers)
            self._start = (message["status"], headers)
        elif kind == "http.response.body" and self._start is not None and not self._is_complete:
            await self._send_body(bytes(message.get("body", b"")), is_last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"{self._name} sent {kind} where ASGI has no place for it")

    async def _send_body(self, part: bytes, *, is_last: bool) -> None:
        if self._sink is None:
            assert self._start is not None  # noqa: S101 - the caller has looked
            status, headers = self._start
            headers = with_policy(self._rendering, self._method, status, headers, is_personal=self._is_personal)
            if is_last or self._method == "HEAD" or status in NULL_BODY_STATUSES:
                if self._answer.done() and not is_last:
                    # Nobody takes the rest, which may have no end.
                    self._gone()
                    raise OSError("no more of the body is wanted")
                self._is_complete = is_last
                body = None if self._method == "HEAD" or status in NULL_BODY_STATUSES else BytesBody(part)
                if not self._answer.done():
                    self._answer.set_result(WholeResponse(status, headers, body))
                if is_last:
                    self._over.set()
                return
            response, self._sink = self._open_stream(status, headers, self._gone)
            self._answer.set_result(response)
        if self._is_gone:
            raise OSError("the visitor has gone")
        if part:
            await self._sink.write(part)
        if is_last:
            self._is_complete = True
            await self._sink.close()
            self._over.set()

    def _gone(self) -> None:
        self._is_gone = True
        self._over.set()


def http_scope(  # noqa: PLR0913 - what a scope consists of
    *, method: str, url: str, headers: list[tuple[bytes, bytes]], state: Mapping[str, Any], env: Any, kind: str = "http"
) -> dict[str, Any]:
    """Return the scope of a request; `headers` have lower-case names, `kind` is http or websocket."""
    scheme, _, rest = url.partition("://")
    authority, slash, path_and_query = rest.partition("/")
    path, _, query = f"{slash or '/'}{path_and_query}".partition("#")[0].partition("?")
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit():
        host, port = authority, "443" if scheme == "https" else "80"
    if kind == "websocket":
        scheme = "wss" if scheme == "https" else "ws"
    if not any(name == b"host" for name, _ in headers):
        headers = [(b"host", authority.encode()), *headers]
    return {
        "type": kind,
        "asgi": ASGI_VERSION,
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": _client(headers),
        "server": (host, int(port)),
        "state": dict(state),
        "env": env,
    }


def is_personal(header_names: set[bytes]) -> bool:
    """Return whether a request has a header, by its name in lower case, that identifies its visitor."""
    return not header_names.isdisjoint(_CREDENTIAL_HEADERS)


# A page that is rendered for everybody has no visitor, but apps read `request.client.host`: a server that listens at an address
# always names one.
_NOBODY = "0.0.0.0"  # noqa: S104 - nothing listens there


def _client(headers: list[tuple[bytes, bytes]]) -> tuple[str, int]:
    return next((value.decode("latin-1") for name, value in headers if name == b"cf-connecting-ip"), _NOBODY), 0


def _text(value: bytes) -> str:
    # The runtime sends text as UTF-8, so what is UTF-8 goes out as it is.
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return bytes(value).decode("latin-1")


class Lifespan:
    """Starts an app at the first request of an isolate. The app never gets a shutdown: an isolate ends without notice.

    After a failed start the next request tries again.
    """

    def __init__(self, app: Callable[..., Any], name: str, flight: SingleFlight, log: Log) -> None:
        self._app = app
        self._name = name
        self._flight = flight
        self._log = log
        self._state: dict[str, Any] | None = None
        self._failure = ""
        self._task: asyncio.Future[None] | None = None

    async def state(self) -> Mapping[str, Any]:
        """Return the state that the app set when it started. Raise PageError if it failed to start."""
        if self._state is None:
            await self._flight.run(f"start {self._name}", self._start)
        if self._state is None:
            raise PageError(f"{self._name} did not start: {self._failure}")
        return self._state

    async def _start(self) -> None:
        if self._state is not None:
            return
        startup = _Startup()
        self._task = asyncio.ensure_future(startup.run(self._app))
        self._failure = await startup.failure
        if startup.reason:
            self._log.event("debug", "asgi.no_lifespan", app=self._name, reason=startup.reason)
        if not self._failure:
            self._state = startup.state


class _Startup:
    """One start of an app. `failure` is the app's own message, "" if it did not fail."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.reason = ""
        self._has_begun = False

    async def run(self, app: Callable[..., Any]) -> None:
        try:
            await app({"type": "lifespan", "asgi": ASGI_VERSION, "state": self.state}, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - the protocol: such an app has no lifespan
            self.reason = described(error)
        self._say("")

    async def _receive(self) -> dict[str, str]:
        if self._has_begun:
            await asyncio.get_running_loop().create_future()  # until the isolate ends
        self._has_begun = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._say("")
        elif message["type"] == "lifespan.startup.failed":
            self._say(message.get("message") or "it said lifespan.startup.failed")

    def _say(self, failure: str) -> None:
        if not self.failure.done():
            self.failure.set_result(failure)
