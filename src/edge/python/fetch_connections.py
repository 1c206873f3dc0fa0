"""Connections for HTTP clients that write to sockets or to asyncio's transports, with `fetch` at the other end."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edge.python.exchange import Exchange, awaited, in_place
from pages.http_client import RequestParser, chunk

if TYPE_CHECKING:
    from collections.abc import Generator

_BUFFER_BYTES = 64 * 1024
_PART_BYTES = 256 * 1024

PROXY_REFUSED = (
    "a Worker's requests cannot go through a proxy. Take it out of the client's arguments, and HTTP_PROXY, HTTPS_PROXY and "
    "ALL_PROXY out of the variables"
)


class _Connection:
    """One request, as a client writes it, and its response, as a server writes it."""

    def __init__(self, scheme: str, host: str, port: int | None) -> None:
        name = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self._origin = f"{scheme}://{name}" if port is None else f"{scheme}://{name}:{port}"
        self._parser = RequestParser()
        self._is_begun = False
        self._is_chunked = False
        self.exchange: Exchange | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the whole request has been written."""
        return self._parser.is_complete

    def write(self, data: Any) -> list[bytes]:
        """Take what the client writes; return the parts of the body in it."""
        if self._parser.is_complete:
            return []
        parts = self._parser.feed(bytes(data))
        head = self._parser.head
        if self.exchange is None and head is not None:
            if not head.target.startswith("/"):
                raise OSError(PROXY_REFUSED)
            self.exchange = Exchange(self._origin + head.target, head)
        return parts

    def read(self, most_bytes: int, timeout_seconds: float | None) -> Generator[Any, Any, Any]:
        """Return what the server writes next: bytes, or a `Uint8Array` of at most so many; None is the end.

        A body that breaks off ends early, as on a connection, and clients see that it does.
        """
        if self.exchange is None:
            return None
        if not self._is_begun:
            head = yield from self.exchange.head(timeout_seconds)
            self._is_begun = True
            self._is_chunked = head.size_bytes is None
            return head.to_bytes()
        try:
            part = yield from self.exchange.read(most_bytes, timeout_seconds)
        except ConnectionResetError:
            return None
        if not self._is_chunked:
            return part
        self._is_chunked = part is not None
        return chunk(b"" if part is None else part.to_bytes())


class FetchSocket:
    """As much of a socket as `http.client` uses. What it raises is what a socket raises."""

    def __init__(self, scheme: str, host: str, port: int, timeout_seconds: float | None) -> None:
        self.connection = _Connection(scheme, host, port)
        self.timeout_seconds = timeout_seconds

    def settimeout(self, timeout_seconds: float | None) -> None:
        self.timeout_seconds = timeout_seconds

    def setsockopt(self, *_option: Any) -> None:
        """Take an option of a connection, of which `fetch` has none."""

    def sendall(self, data: Any) -> None:
        was_complete = self.connection.is_complete
        parts = self.connection.write(data)
        exchange = self.connection.exchange
        if exchange is None or was_complete:
            return
        for part in parts:
            in_place(exchange.send(part, self.timeout_seconds))
        if self.connection.is_complete:
            in_place(exchange.finish(self.timeout_seconds))

    def require_answer(self) -> None:
        """Wait for the answer. Raise ConnectionError where there is none; what it is, and a time-out, are for who reads."""
        if self.connection.exchange is not None:
            with suppress(TimeoutError):
                in_place(self.connection.exchange.head(self.timeout_seconds))

    def makefile(self, *_mode: Any, **_options: Any) -> io.BufferedReader:
        return io.BufferedReader(_Answer(self), _BUFFER_BYTES)

    def close(self) -> None:
        """Do nothing: as with a socket, its file is there until it is closed too."""


class _Answer(io.RawIOBase):
    """The socket's file."""

    def __init__(self, socket: FetchSocket) -> None:
        self._socket = socket
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            part = in_place(self._socket.connection.read(len(buffer), self._socket.timeout_seconds))
            if part is None:
                return 0
            if not isinstance(part, bytes):
                size: int = part.length
                part.assign_to(buffer[:size])
                return size
            self._rest = memoryview(part)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        exchange = self._socket.connection.exchange
        if not self.closed and exchange is not None:
            exchange.cancel()
        super().close()


class FetchTransport(asyncio.Transport):
    """As much of a transport as aiohttp uses."""

    def __init__(self, scheme: str, host: str, port: int | None, protocol: Any) -> None:
        super().__init__()
        self._connection = _Connection(scheme, host, port)
        self._protocol = protocol
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._has_written = asyncio.Event()
        self._is_reading = asyncio.Event()
        self._is_reading.set()
        self._is_closing = False
        self._is_write_paused = False
        self._task: asyncio.Task[None] | None = None
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        parts = self._connection.write(data)
        self._unsent.extend(parts)
        self._unsent_bytes += sum(map(len, parts))
        self._has_written.set()
        if self._task is None and self._connection.exchange is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._connection.exchange))
        if self._unsent_bytes > _PART_BYTES and not self._is_write_paused:
            self._is_write_paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def pause_reading(self) -> None:
        self._is_reading.clear()

    def resume_reading(self) -> None:
        self._is_reading.set()

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if self._connection.exchange is not None:
                self._connection.exchange.cancel()
            self._has_written.set()
            self._is_reading.set()

    abort = close

    async def _run(self, exchange: Exchange) -> None:
        lost: Exception | None = None
        try:
            await self._send(exchange)
            await self._receive()
        except Exception as error:  # noqa: BLE001 - the client is told
            lost = None if self._is_closing else error
        self._is_closing = True
        self._protocol.connection_lost(lost)

    async def _send(self, exchange: Exchange) -> None:
        while not self._is_closing:
            while self._unsent:
                part = self._unsent.popleft()
                await awaited(exchange.send(part, None))
                self._unsent_bytes -= len(part)
            if self._is_write_paused:
                self._is_write_paused = False
                self._protocol.resume_writing()
            if self._connection.is_complete:
                await awaited(exchange.finish(None))
                return
            self._has_written.clear()
            await self._has_written.wait()

    async def _receive(self) -> None:
        while not self._is_closing:
            part = await awaited(self._connection.read(_PART_BYTES, None))
            if part is None:
                return
            self._protocol.data_received(part if isinstance(part, bytes) else part.to_bytes())
            await self._is_reading.wait()
