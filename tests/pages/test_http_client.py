"""The bytes of HTTP clients."""

from __future__ import annotations

import pytest

from pages.http_client import RequestHead, RequestParser, ResponseHead, chunk

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nX-Long: one\r\n\ttwo\r\nConnection: close\r\n\r\n"
SIZED = b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n"


def test_a_head_is_what_the_client_asks_without_what_fetch_writes() -> None:
    parser = RequestParser()
    assert parser.feed(GET) == []
    assert parser.head == RequestHead("GET", "/a?b=c", (("Accept", "*/*"), ("X-Long", "one two")), 0)
    assert parser.is_complete


@pytest.mark.parametrize(("written", "size_bytes"), [(SIZED, 5), (CHUNKED, None)], ids=["of known length", "in chunks"])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_body_comes_however_it_is_written(written: bytes, size_bytes: int | None, step: int) -> None:
    parser = RequestParser()
    parts: list[bytes] = []
    for start in range(0, len(written), step):
        parts += parser.feed(written[start : start + step])
    assert b"".join(parts) == b"hello"
    assert parser.is_complete
    assert parser.head is not None
    assert parser.head.size_bytes == size_bytes


@pytest.mark.parametrize("written", [b"GET /\r\n\r\n", b"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_request_is_refused(written: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        RequestParser().feed(written)


ENCODED = {"content-encoding": "zstd", "content-length": "5"}
DECODED = {"content-encoding": "GZIP", "content-length": "5"}


@pytest.mark.parametrize(
    ("asked", "headers", "expected", "size_bytes"),
    [
        ("GET 200", {"content-length": "5", "connection": "x"}, {"content-length": "5"}, 5),
        ("GET 200", {"transfer-encoding": "chunked"}, {}, None),
        ("GET 200", DECODED, {}, None),
        ("GET 200", ENCODED, ENCODED, 5),
        ("GET 200 without a body", {}, {"content-length": "0"}, 0),
        ("HEAD 200 without a body", DECODED, DECODED, 0),
        ("GET 304 without a body", {"etag": "1"}, {"etag": "1"}, 0),
        ("GET 205 without a body", {"Content-Length": "5"}, {"content-length": "0"}, 0),
        ("HEAD 205 without a body", {"content-length": "5"}, {"content-length": "5"}, 0),
    ],
)
def test_a_response_has_the_headers_that_are_still_true(
    asked: str, headers: dict[str, str], expected: dict[str, str], size_bytes: int | None
) -> None:
    method, status, *without = asked.split()
    head = ResponseHead.of(method, int(status), "", headers.items(), has_body=not without)
    assert (dict(head.headers), head.size_bytes) == (expected, size_bytes)


def test_a_response_of_unknown_length_is_written_in_chunks() -> None:
    head = ResponseHead(200, "OK", (("set-cookie", "a"), ("set-cookie", "b")), None)
    assert head.to_bytes() == (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\nset-cookie: a\r\nset-cookie: b\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    assert chunk(b"0123456789abcdef") == b"10\r\n0123456789abcdef\r\n"
    assert chunk(b"") == b"0\r\n\r\n"
