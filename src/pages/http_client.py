"""HTTP/1.1 as a client in Python writes and reads it (RFC 9112), where `fetch` is at the other end instead of a connection."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from core.http import NULL_BODY_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

# What one connection's ends tell each other (RFC 9110, 7.6.1), and the headers that `fetch` writes itself.
_CONNECTIONS = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"})
_WRITTEN_BY_FETCH = _CONNECTIONS | {"content-length", "expect", "host"}

_DECODED_BY_FETCH = frozenset({"gzip", "br"})

_FOLDED_LINE = re.compile(r"\r\n[ \t]+")


@dataclass(frozen=True)
class RequestHead:
    """What precedes a request's body. `size_bytes` is the body's; None: it is not known before its end."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    size_bytes: int | None

    @classmethod
    def of(cls, method: str, target: str, headers: Iterable[tuple[str, str]]) -> RequestHead:
        """Take a request as a client makes it. Raise ValueError where the body's length is no number."""
        size_bytes: int | None = 0
        passed = []
        for name, value in headers:
            match name.lower():
                case "content-length":
                    size_bytes = int(value) if size_bytes is not None else None
                case "transfer-encoding":
                    size_bytes = None
                case lowered if lowered not in _WRITTEN_BY_FETCH:
                    passed.append((name, value))
        return cls(method, target, tuple(passed), size_bytes)


class RequestParser:
    """Takes a request from the bytes that a client writes to its connection, of which each has one request."""

    def __init__(self) -> None:
        self.head: RequestHead | None = None
        self.is_complete = False
        self._rest = b""
        self._left_bytes: int | None = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the parts of the body that have come. Raise ValueError for what is no request."""
        if self.head is None:
            head, end, data = (self._rest + data).partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return []
            self.head = _request_head(head)
            self._rest = b""
            self._left_bytes = self.head.size_bytes
        if self._left_bytes is None:
            return self._chunks(data)
        part = data[: self._left_bytes]
        self._left_bytes -= len(part)
        self.is_complete = not self._left_bytes
        return [part] if part else []

    def _chunks(self, data: bytes) -> list[bytes]:
        rest = self._rest + data
        parts: list[bytes] = []
        while not self.is_complete:
            line, end, following = rest.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16) if end else 0
            if not end or len(following) < size + len(end):
                break
            self.is_complete = size == 0
            parts.append(following[:size])
            rest = following[size + len(end) :]
        self._rest = rest
        return [part for part in parts if part]


def _request_head(head: bytes) -> RequestHead:
    first, *lines = _FOLDED_LINE.sub(" ", head.decode("latin-1")).split("\r\n")
    method, target, _version = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return RequestHead.of(method, target, [(name, value.strip()) for name, _, value in pairs])


@dataclass(frozen=True)
class ResponseHead:
    """What precedes a response's body. `size_bytes` is the body's; None: it is not known before its end."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    size_bytes: int | None

    @classmethod
    def of(cls, method: str, status: int, reason: str, headers: Iterable[tuple[str, str]], *, has_body: bool) -> ResponseHead:
        """Take a response of `fetch`, which has undone the chunks, and the encodings that it knows."""
        given = [(name, value) for name, value in headers if name.lower() not in _CONNECTIONS]
        values = {name.lower(): value for name, value in given}
        if has_body and values.get("content-encoding", "").lower() in _DECODED_BY_FETCH:
            del values["content-encoding"]
            values.pop("content-length", None)
            given = [(name, value) for name, value in given if name.lower() in values]
        length = values.get("content-length")
        if has_body:
            return cls(status, reason, tuple(given), None if length is None else int(length))
        # `fetch` drops the body of a 205, and clients would wait for it.
        if method != "HEAD" and (status == HTTPStatus.RESET_CONTENT or (length is None and status not in NULL_BODY_STATUSES)):
            given = [(name, value) for name, value in given if name.lower() != "content-length"]
            given.append(("content-length", "0"))
        return cls(status, reason, tuple(given), 0)

    def to_bytes(self) -> bytes:
        """Return the head as a server sends it. A body of unknown length follows in chunks, so that its end is seen."""
        ended_by = (("transfer-encoding", "chunked"),) if self.size_bytes is None else ()
        lines = [f"HTTP/1.1 {self.status} {self.reason}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *ended_by)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def chunk(part: bytes) -> bytes:
    """Return a part of a body whose length is not known; an empty one is the end."""
    return b"%x\r\n%b\r\n" % (len(part), part)
