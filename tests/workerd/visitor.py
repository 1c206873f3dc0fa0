from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from threading import Barrier
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def state(self) -> str | None:
        return self.headers.get("x-vinext-cache")

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Visitor:
    """Asks one Worker over HTTP, with request lines that go out exactly as they are given."""

    url: str

    def ask(self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        connection = self._send(path, method, headers or {}, body)
        try:
            return _receive(connection)
        finally:
            connection.close()

    def ask_raw(self, path: str) -> bytes:
        """What comes over the wire until the connection ends, an answer that is cut off included."""
        with self._asked(path) as connection:
            received = b""
            while part := _receive_some(connection):
                received += part
            return received

    def leave(self, path: str) -> None:
        """Ask, and close the connection when the answer has begun."""
        with self._asked(path) as connection:
            assert connection.recv(1000)

    def ask_together(self, paths: Sequence[str], when_all_are_sent: Callable[[], object]) -> list[Answer]:
        """Ask for all paths at once: none is answered before every request is on its way, if the callback lets them go on."""
        barrier = Barrier(len(paths) + 1)

        def ask(path: str) -> Answer:
            connection = self._send(path, "GET", {}, None)
            try:
                barrier.wait(_TIMEOUT_SECONDS)
                return _receive(connection)
            finally:
                connection.close()

        with ThreadPoolExecutor(len(paths)) as threads:
            waiting = [threads.submit(ask, path) for path in paths]
            try:
                barrier.wait(_TIMEOUT_SECONDS)
            finally:
                when_all_are_sent()
            return [each.result() for each in waiting]

    def _asked(self, path: str) -> socket.socket:
        parts = urlsplit(self.url)
        connection = socket.create_connection((parts.hostname or "", parts.port or 80), _TIMEOUT_SECONDS)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        return connection

    def _send(self, path: str, method: str, headers: Mapping[str, str], body: bytes | None) -> HTTPConnection:
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return connection


def _receive_some(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def _receive(connection: HTTPConnection) -> Answer:
    response = connection.getresponse()
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Answer(response.status, headers, response.read())
