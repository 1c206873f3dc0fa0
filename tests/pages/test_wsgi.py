"""WSGI apps as ASGI apps. The stack is switched by a thread here, as the runtime does it in one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest

from pages.asgi import http_scope
from pages.wsgi import WsgiApp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

Environ = dict[str, Any]


def at_once(awaitable: Awaitable[Any]) -> Any:
    """Return what an awaitable gives that waits for nothing."""
    try:
        next(awaitable.__await__())
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits")


class Exchange:
    """The server's side of one request."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)
        self.reads = 0
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        self.reads += 1
        part = self._parts.pop(0) if self._parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def run(app: Callable[..., Iterable[bytes]], exchange: Exchange, url: str = "https://a.example/", **given: Any) -> Exchange:
    headers = given.pop("headers", [])
    scope = http_scope(method=given.pop("method", "GET"), url=url, headers=headers, state={}, env="bindings")
    await WsgiApp(app, at_once)(scope, exchange.receive, exchange.send)
    return exchange


def hello(environ: Environ, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Two", "1"), ("X-Two", "2")])
    return [b"hello"]


async def test_status_headers_and_body_go_out_in_order() -> None:
    sent = (await run(hello, Exchange())).sent
    headers = [(b"content-type", b"text/plain"), (b"x-two", b"1"), (b"x-two", b"2")]
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b"hello", "more_body": True},
        {"type": "http.response.body", "body": b""},
    ]


async def test_a_body_that_is_as_long_as_its_headers_say_ends_with_its_last_part() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hel", b"lo", b"", b"more"]

    sent = (await run(app, Exchange())).sent
    assert [message.get("more_body") for message in sent[1:]] == [True, False]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_the_environment_is_as_the_standard_demands(method: str) -> None:
    app = validator(hello)

    def without_arguments(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read(0)
        return app(environ, start_response)

    headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
    assert (await run(without_arguments, Exchange(), method=method, headers=headers)).body in {b"hello", b""}


async def test_the_request_is_in_the_environment() -> None:
    seen: Environ = {}

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.update(environ)
        return hello(environ, start_response)

    headers = [
        (b"content-type", b"a/b"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-many", b"1"),
        (b"x-many", b"2"),
        (b"x_many", b"3"),
        (b"cf-connecting-ip", b"1.2.3.4"),
    ]
    await run(app, Exchange(), "http://a.example:81/%C3%BC/b%20c?q=%C3%BC", headers=headers)
    expected = {
        "PATH_INFO": "/\xc3\xbc/b c",
        "QUERY_STRING": "q=%C3%BC",
        "SERVER_NAME": "a.example",
        "SERVER_PORT": "81",
        "CONTENT_TYPE": "a/b",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_MANY": "1,2",
        "HTTP_HOST": "a.example:81",
        "REMOTE_ADDR": "1.2.3.4",
        "wsgi.url_scheme": "http",
        "workers.env": "bindings",
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert "HTTP_CONTENT_TYPE" not in seen


async def test_a_request_body_is_read_as_far_as_the_app_asks() -> None:
    lengths = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        lengths.append(exchange.reads)
        line = body.readline()
        lengths.append(exchange.reads)
        start_response("200 OK", [])
        return [line, body.read(), body.read()]

    exchange = Exchange(b"one\ntw", b"o", b"\nthree")
    assert (await run(app, exchange, method="POST")).body == b"one\ntwo\nthree"
    assert lengths == [0, 1]


async def test_a_request_body_that_breaks_off_does_not_pass_for_a_whole_one() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    class BrokenOff(Exchange):
        async def receive(self) -> dict[str, Any]:
            return await super().receive() | {"more_body": True} if self._parts else {"type": "http.disconnect"}

    with pytest.raises(OSError, match="gone in the middle"):
        await run(app, BrokenOff(b"one", b"two"), method="POST")


async def test_parts_go_out_as_they_come_and_the_app_is_closed() -> None:
    events: list[str] = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            for number in range(3):
                events.append(f"make {number}")
                yield b"x"

        def close(self) -> None:
            events.append("close")

    class Recorded(Exchange):
        async def send(self, message: dict[str, Any]) -> None:
            events.append(message["type"])

    def app(environ: Environ, start_response: Any) -> Parts:
        start_response("200 OK", [])
        return Parts()

    await run(app, Recorded())
    body, start = "http.response.body", "http.response.start"
    assert events == ["make 0", start, body, "make 1", body, "make 2", body, body, "close"]


async def test_an_app_that_fails_while_its_answer_goes_out_is_closed_too() -> None:
    closed = asyncio.Event()

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"
            raise ValueError("late")

        def close(self) -> None:
            closed.set()

    def app(environ: Environ, start_response: Any) -> Parts:
        start_response("200 OK", [])
        return Parts()

    with pytest.raises(ValueError, match="late"):
        await run(app, Exchange())
    assert closed.is_set()


async def test_an_error_page_takes_the_place_of_what_has_not_gone_out() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        error = ValueError("broken")
        start_response("500 Broken", [], (type(error), error, None))
        return [b"sorry"]

    exchange = await run(app, Exchange())
    assert (exchange.sent[0]["status"], exchange.body) == (500, b"sorry")


async def test_the_old_way_to_write_works() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"a")
        return [b"b"]

    assert (await run(app, Exchange())).body == b"ab"


@pytest.mark.parametrize("starts", [0, 2])
async def test_an_app_that_breaks_the_protocol_is_told(starts: int) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        for _ in range(starts):
            start_response("200 OK", [])
        return [b"x"]

    with pytest.raises(RuntimeError, match=r"the WSGI app has .*start_response"):
        await run(app, Exchange())


async def test_the_lifespan_is_over_at_once_and_a_websocket_is_refused() -> None:
    exchange = Exchange()
    await WsgiApp(hello, at_once)({"type": "lifespan"}, exchange.receive, exchange.send)
    assert exchange.sent == [{"type": "lifespan.startup.complete"}]
    with pytest.raises(ValueError, match="websocket"):
        await WsgiApp(hello, at_once)({"type": "websocket"}, exchange.receive, exchange.send)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/%C3%BC", b"/\xc3\xbc"), ("/caf%E9", b"/caf\xe9"), ("/a%2Fb%20c", b"/a/b c")],
    ids=["utf-8", "latin-1", "ascii"],
)
async def test_the_path_has_the_bytes_that_were_sent(path: str, expected: bytes) -> None:
    """PEP 3333: a character for each byte."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode("latin-1")]

    assert (await run(app, Exchange(), f"https://a.example{path}")).body == expected
