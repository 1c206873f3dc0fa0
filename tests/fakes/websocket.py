"""A WebSocket client of a few lines (RFC 6455): text in, whatever comes out."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_TEXT, _BINARY, _CLOSE = 1, 2, 8
_SHORT = 126


@dataclass
class Closed:
    code: int
    reason: str


class WebSocketClient:
    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60)
        self._file = self._socket.makefile("rb")
        lines = [
            f"GET {parts.path} HTTP/1.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *(f"{name}: {value}" for name, value in ({"Host": parts.netloc} | (headers or {})).items()),
        ]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def send(self, text: str) -> None:
        self._frame(_TEXT, text.encode())

    def receive(self) -> str | bytes | Closed:
        first, second = self._file.read(2)
        length = second & 0x7F
        if length >= _SHORT:
            (length,) = struct.unpack("!H", self._file.read(2))
        data = self._file.read(length)
        if first & 0xF == _CLOSE:
            return Closed(struct.unpack("!H", data[:2])[0], data[2:].decode())
        return data.decode() if first & 0xF == _TEXT else data

    def close(self, code: int = 1000) -> None:
        self._frame(_CLOSE, struct.pack("!H", code))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        self._socket.close()

    def _frame(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | kind, 0x80 | len(data)]) + mask + masked)
