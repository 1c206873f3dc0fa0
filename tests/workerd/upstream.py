"""A server on this machine that does to its clients what servers do."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_BYTE = bytes(range(256)) * 100
MEGABYTE = b"0123456789abcdef" * 65_536


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go = Event()
        self.seen: list[dict[str, str]] = []
        self.received_bytes = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone."""


class Upstream:
    def __init__(self, server: _Server) -> None:
        self._server = server

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    @property
    def last_headers(self) -> dict[str, str]:
        return self._server.seen[-1]


@contextmanager
def upstream() -> Iterator[Upstream]:
    server = _Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Upstream(server)
    finally:
        server.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _respond(self) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        split = urlsplit(self.path)
        getattr(self, "_" + split.path.strip("/").replace("-", "_"))(parse_qs(split.query))

    do_GET = do_HEAD = do_POST = do_PUT = _respond  # noqa: N815 - the base class looks for them

    def _send(self, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _bytes(self, _query: object) -> None:
        self._send(200, EVERY_BYTE, ("X-Theirs", "2"), ("Content-Type", "text/html"))

    def _megabyte(self, _query: object) -> None:
        self._send(200, MEGABYTE)

    def _gzip(self, _query: object) -> None:
        self._send(200, gzip.compress(EVERY_BYTE), ("Content-Encoding", "gzip"))

    def _status(self, query: dict[str, list[str]]) -> None:
        self._send(int(query["is"][0]), b"", ("ETag", '"1"'))

    def _missing(self, _query: object) -> None:
        self._send(404, b"no")

    def _redirect(self, _query: object) -> None:
        self._send(302, b"", ("Location", "/bytes"))

    def _cookies(self, _query: object) -> None:
        self._send(200, b"", ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Path=/"))

    def _seen(self, _query: object) -> None:
        self._send(200, self.headers.get("Cookie", "").encode())

    def _echo(self, _query: object) -> None:
        size, first = 0, b""
        for part in self._parts():
            first = first or part[:10]
            size += len(part)
        self._send(200, first, ("X-Size", str(size)), ("X-Type", self.headers["Content-Type"] or ""))

    def _parts(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left:
            part = self.rfile.read(min(left, 1 << 20))
            left -= len(part)
            yield part

    def _cut(self, _query: object) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"ten bytes.")
        self.close_connection = True

    def _cut_chunked(self, _query: object) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"a\r\nten bytes.\r\n")
        self.close_connection = True

    def _unread(self, _query: object) -> None:
        """Answer before the body has come, and read none of it."""
        self.server.go.clear()
        self._send(413, b"too large", ("Connection", "close"))
        self.server.go.wait(20)
        self.close_connection = True

    def _silent(self, _query: object) -> None:
        self.server.go.wait(60)

    def _stalled(self, _query: object) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"ten bytes.")
        self.server.go.wait(60)

    def _halting(self, _query: object) -> None:
        """Send a part, and the other one once the client has asked for /go."""
        self.server.go.clear()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.server.go.wait(20)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def _go(self, _query: object) -> None:
        self.server.go.set()
        self._send(200)
