"""What makes the HTTP clients of Python work in a Worker, which has `fetch` and no sockets.

Each works as it does elsewhere, by its own code, down to the place where it would open a connection:

- `http.client`, and with it `urllib.request`: `connect` opens a `FetchSocket`.
- `urllib3`, and with it `requests`: the same, in place of the connections in `urllib3.contrib.emscripten` (2.8). These keep one
  of several `Set-Cookie`, have no `ReadTimeoutError`, so that `requests` has no `Timeout`, send the name of a file or an
  iterator instead of what is in it, drop `User-Agent`, go past a proxy, and read a stream in parts of 4 KB.
- `httpx` and `httpx2`: transports. Those that `httpx2` takes from `httpx2-jsfetch` (1.0) fail where there is no body (204, 304),
  follow every redirect, keep one of several `Set-Cookie`, let a slow server's time be the one for connecting, and go past a
  proxy with a warning. `httpx` has none for Pyodide.
- `aiohttp`: its connector opens a `FetchTransport`.

`tests/workerd/test_python_http.py` asks those connections and transports too, and fails when one of these faults is gone.
"""

from __future__ import annotations

import errno
import http.client
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge.python.adapting import adapt_packages
from edge.python.exchange import Exchange, awaited, in_place
from edge.python.fetch_connections import PROXY_REFUSED, FetchSocket, FetchTransport
from pages.http_client import RequestHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from pages.http_client import ResponseHead


def adapt_http_clients() -> None:
    """Adapt the clients that have been imported, and the others when they are."""
    if adapt_packages(_ADAPTED):
        _adapt_http_client()


def _adapt_http_client() -> None:
    request = http.client.HTTPConnection.request

    def request_and_answer(self: Any, *arguments: Any, **options: Any) -> None:
        # `urllib.request` makes a URLError of what is raised here alone.
        request(self, *arguments, **options)
        if isinstance(self.sock, FetchSocket):
            self.sock.require_answer()

    http.client.HTTPConnection.request = request_and_answer  # type: ignore[method-assign]
    http.client.HTTPConnection.connect = _connect("http")  # type: ignore[assignment, method-assign]
    http.client.HTTPSConnection.connect = _connect("https")  # type: ignore[assignment, method-assign]
    # Pyodide's `ssl` makes no contexts; TLS is the runtime's.
    http.client._create_https_context = lambda _http_version: None  # type: ignore[attr-defined]  # noqa: SLF001


def _connect(scheme: str) -> Callable[[Any], None]:
    def connect(self: Any) -> None:
        self.sock = FetchSocket(scheme, self.host, self.port, _seconds(self.timeout))
        if self._tunnel_host:
            raise OSError(PROXY_REFUSED)

    return connect


def _seconds(timeout: Any) -> float | None:
    return timeout if timeout is None or isinstance(timeout, (int, float)) else socket.getdefaulttimeout()


def _adapt_urllib3(urllib3: Any) -> None:
    connection, pools = urllib3.connection, urllib3.connectionpool
    base = pools.HTTPConnection  # imported before the names in `connection` were replaced
    plain = type("HTTPConnection", (_UrllibConnection, base), {"scheme": "http"})
    secure = type("HTTPSConnection", (_UrllibConnection, base), {"scheme": "https", "default_port": 443})
    pools.HTTPConnectionPool.ConnectionCls = connection.HTTPConnection = plain
    pools.HTTPSConnectionPool.ConnectionCls = connection.HTTPSConnection = secure
    connection.VerifiedHTTPSConnection = secure


class _UrllibConnection:
    """A connection of urllib3. The runtime checks certificates; options of TLS that ask for less or for others do nothing."""

    _OPTIONS = frozenset({"timeout", "source_address", "blocksize", "socket_options", "proxy", "proxy_config"})

    scheme: str

    def __init__(self, host: str, port: int | None = None, **options: Any) -> None:
        if options.get("cert_file") or options.get("assert_fingerprint"):
            raise OSError("a Worker's requests have no client certificate, and cannot look at the server's; use an mTLS binding")
        super().__init__(host, port, **{name: options[name] for name in options if name in self._OPTIONS})  # type: ignore[call-arg]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.is_verified = self.scheme == "https"

    def _new_conn(self) -> FetchSocket:
        connection: Any = self
        if connection.proxy:
            raise OSError(PROXY_REFUSED)
        return FetchSocket(self.scheme, connection.host, connection.port, _seconds(connection.timeout))


def _adapt_requests(requests: Any) -> None:
    # A body that is wanted as a whole is read in parts of 10 KB otherwise, each through all layers.
    requests.models.CONTENT_CHUNK_SIZE = 1024 * 1024


def _adapt_httpx(httpx: Any) -> None:
    body = type("FetchedBody", (_HttpxBody, httpx.SyncByteStream, httpx.AsyncByteStream), {})
    members = {"httpx": httpx, "body": body}
    transport = type("FetchTransport", (_HttpxTransport, httpx.BaseTransport, httpx.AsyncBaseTransport), members)
    for module in (httpx, httpx._client, httpx._transports):  # noqa: SLF001 - where the names are looked up
        module.HTTPTransport = module.AsyncHTTPTransport = transport


class _HttpxTransport:
    """A transport of httpx, for both kinds of clients. The options that are about connections do nothing."""

    httpx: Any
    body: Any

    def __init__(self, verify: Any = True, cert: Any = None, *, proxy: Any = None, uds: Any = None, **_: Any) -> None:  # noqa: FBT002
        del verify
        if cert is not None or uds is not None:
            raise ValueError("a Worker's requests have no client certificate (cert), and no Unix socket (uds)")
        self._has_proxy = proxy is not None

    def handle_request(self, request: Any) -> Any:
        exchange, timeouts = self._begun(request)
        with _errors_of(self.httpx, "Write"):
            for part in request.stream:
                in_place(exchange.send(part, timeouts.get("write")))
            in_place(exchange.finish(timeouts.get("write")))
        with _errors_of(self.httpx, "Connect"):
            head = in_place(exchange.head(timeouts.get("read")))
        return self._response(exchange, head, timeouts)

    async def handle_async_request(self, request: Any) -> Any:
        exchange, timeouts = self._begun(request)
        with _errors_of(self.httpx, "Write"):
            async for part in request.stream:
                await awaited(exchange.send(part, timeouts.get("write")))
            await awaited(exchange.finish(timeouts.get("write")))
        with _errors_of(self.httpx, "Connect"):
            head = await awaited(exchange.head(timeouts.get("read")))
        return self._response(exchange, head, timeouts)

    def _begun(self, request: Any) -> tuple[Exchange, Mapping[str, float | None]]:
        if self._has_proxy:
            raise self.httpx.ProxyError(PROXY_REFUSED)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        url = str(request.url)
        return Exchange(url, RequestHead.of(request.method, url, headers)), request.extensions.get("timeout", {})

    def _response(self, exchange: Exchange, head: ResponseHead, timeouts: Mapping[str, float | None]) -> Any:
        return self.httpx.Response(
            head.status,
            headers=head.headers,
            stream=self.body(self.httpx, exchange, timeouts.get("read")),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": head.reason.encode("latin-1", "replace")},
        )


class _HttpxBody:
    """A response's body as httpx reads it."""

    _PART_BYTES = 256 * 1024

    def __init__(self, httpx: Any, exchange: Exchange, timeout_seconds: float | None) -> None:
        self._httpx = httpx
        self._exchange = exchange
        self._timeout_seconds = timeout_seconds

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of(self._httpx, "Read"):
            while part := in_place(self._exchange.read(self._PART_BYTES, self._timeout_seconds)):
                yield part.to_bytes()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of(self._httpx, "Read"):
            while part := await awaited(self._exchange.read(self._PART_BYTES, self._timeout_seconds)):
                yield part.to_bytes()

    def close(self) -> None:
        self._exchange.cancel()

    async def aclose(self) -> None:
        self._exchange.cancel()


@contextmanager
def _errors_of(httpx: Any, step: str) -> Iterator[None]:
    """Raise httpx's own errors. `fetch` does not say when it has connected, so no time-out is one of connecting."""
    try:
        yield
    except TimeoutError as error:
        kind = httpx.WriteTimeout if step == "Write" else httpx.ReadTimeout
        raise kind(str(error)) from error
    except ConnectionResetError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except ConnectionError as error:
        raise getattr(httpx, f"{step}Error")(str(error)) from error


def _adapt_aiohttp(aiohttp: Any) -> None:
    async def create_connection(self: Any, request: Any, _traces: Any, _timeout: Any) -> Any:
        if request.proxy:
            raise aiohttp.ClientProxyConnectionError(request.connection_key, OSError(errno.ENOTSUP, PROXY_REFUSED))
        protocol = self._factory()
        FetchTransport(request.url.scheme, request.url.raw_host, request.url.port, protocol)
        return protocol

    aiohttp.TCPConnector._create_connection = create_connection  # noqa: SLF001 - where a connection is opened


_ADAPTED: Mapping[str, Callable[[Any], None]] = {
    "urllib3": _adapt_urllib3,
    "requests": _adapt_requests,
    "httpx": _adapt_httpx,
    "httpx2": _adapt_httpx,
    "aiohttp": _adapt_aiohttp,
}
