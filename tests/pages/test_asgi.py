"""Apps that follow the ASGI specification, and apps that do not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.flight import FakeFlight
from tests.fakes.ports import FakeBackground, FakeLog

from pages.asgi import AsgiExchange, Lifespan, http_scope
from pages.handler import PageError, TimedPages, WholeResponse
from pages.policy import Rendering, no_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pages.handler import PageResponse
    from pages.request import HeaderItems

START = {"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"1"), (b"x-a", b"2")]}


@dataclass
class FakeBody:
    """An exception among the parts is raised in its turn."""

    parts: list[bytes | PageError] = field(default_factory=list)

    async def read(self) -> bytes | None:
        await asyncio.sleep(0)
        part = self.parts.pop(0) if self.parts else None
        if isinstance(part, PageError):
            raise part
        return part


@dataclass
class FakeStream:
    """A streamed answer and its sink in one."""

    parts: list[bytes] = field(default_factory=list)
    aborted: str = ""
    is_closed: bool = False
    go: Callable[[], None] = lambda: None

    def open(self, status: int, headers: HeaderItems, on_gone: Callable[[], None]) -> tuple[PageResponse, FakeStream]:
        self.go = on_gone
        return WholeResponse(status, headers, None), self

    async def write(self, part: bytes) -> None:
        self.parts.append(part)

    async def close(self) -> None:
        self.is_closed = True

    async def abort(self, reason: str) -> None:
        self.aborted = reason


@dataclass
class Exchange:
    method: str = "GET"
    body: Iterable[bytes | PageError] = ()
    stream: FakeStream = field(default_factory=FakeStream)
    log: FakeLog = field(default_factory=FakeLog)
    background: FakeBackground = field(default_factory=FakeBackground)
    rendering: Rendering = field(default_factory=Rendering)

    async def run(self, app: Callable[..., Any]) -> PageResponse:
        scope = http_scope(method=self.method, url="http://site.test/a", headers=[], state={}, env=None)
        exchange = AsgiExchange("the app", FakeBody(list(self.body)), self.stream.open, self.rendering, self.log)
        response = await asyncio.wait_for(exchange.run(app, scope, self.background), 60)
        assert await self.background.done() == []
        return response


def sends(*messages: dict[str, Any]) -> Callable[..., Any]:
    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        for message in messages:
            await send(message)

    return app


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def test_a_whole_answer() -> None:
    response = await Exchange().run(sends(START, part(b"page")))
    assert isinstance(response, WholeResponse)
    assert response.body is not None
    assert (response.status, response.header("X-a"), response.body.to_bytes()) == (200, "1, 2", b"page")
    assert list(response.header_items()) == [("x-a", "1, 2")]
    assert response.header("missing") is None


@pytest.mark.parametrize(("sent", "text"), [("é日".encode(), "é日"), ("é".encode("latin-1"), "é")], ids=["utf-8", "latin-1"])
async def test_a_header_that_is_utf_8_goes_out_as_it_is(sent: bytes, text: str) -> None:
    """The runtime sends text as UTF-8."""
    response = await Exchange().run(sends(START | {"headers": [(b"x-a", sent)]}, part(b"page")))
    assert response.header("x-a") == text


async def test_a_whole_answer_is_copied_within_its_limit() -> None:
    response = await Exchange().run(sends(START, part(b"page")))
    visitors, copy = response.split()
    assert visitors is response
    kept = await copy.read(4)
    assert kept is not None
    assert kept.to_bytes() == b"page"
    assert await response.copy().read(3) is None
    await response.drop()


async def test_a_streamed_answer() -> None:
    exchange = Exchange()
    await exchange.run(sends(START, part(b"a", more=True), part(b"b", more=True), part(b"")))
    assert (exchange.stream.parts, exchange.stream.is_closed, exchange.stream.aborted) == ([b"a", b"b"], True, "")


async def test_a_request_body_comes_in_parts_even_where_reading_is_cancelled() -> None:
    received: list[dict[str, Any]] = []

    async def app(_scope: object, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0)
        while (message := await receive())["more_body"]:
            received.append(message["body"])
        await send(START)
        await send(part(b""))
        received.append(await receive())

    await Exchange(body=[b"a", b"b"]).run(app)
    assert received == [b"a", b"b", {"type": "http.disconnect"}]


async def test_an_app_learns_that_its_visitor_has_gone() -> None:
    exchange = Exchange()

    async def app(_scope: object, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        await receive()
        await send(START)
        await send(part(b"a", more=True))
        exchange.stream.go()
        assert await receive() == {"type": "http.disconnect"}
        await send(part(b"b", more=True))

    await exchange.run(app)
    assert exchange.stream.parts == [b"a"]
    assert exchange.log.lines == []  # an OSError that the app lets through then is not a failure


async def test_an_upload_that_breaks_off_is_a_visitor_who_has_gone() -> None:
    received: list[dict[str, Any]] = []

    async def app(_scope: object, receive: Callable[..., Any], _send: object) -> None:
        received.extend([await receive() for _ in range(3)])
        raise ValueError("the upload is not whole")

    exchange = Exchange(body=[b"a", PageError("the request's body broke off")])
    with pytest.raises(PageError, match="not whole"):
        await exchange.run(app)
    gone = {"type": "http.disconnect"}
    assert received == [{"type": "http.request", "body": b"a", "more_body": True}, gone, gone]
    assert exchange.log.lines == []


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        pytest.param([], "the app ended without an answer", id="nothing"),
        pytest.param([START], "the app ended without an answer", id="a start alone"),
        pytest.param([part(b"")], "http.response.body where ASGI has no place for it", id="a body without a start"),
        pytest.param(
            [START | {"status": 700}], "status of a response is a whole number from 200 to 599, not 700", id="status 700"
        ),
        pytest.param([START | {"headers": [(b"X A", b"1")]}], "name of a header has letters.*'X A'", id="a header's name"),
        pytest.param([START | {"headers": [(b"X-A", b"1\r\nB: 2")]}], "header X-A has a line break", id="a header's value"),
        pytest.param([{"type": "nonsense"}], "nonsense where ASGI has no place for it", id="nonsense"),
    ],
)
async def test_an_app_that_does_not_answer_is_named(messages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(PageError, match=message):
        await Exchange().run(sends(*messages))


async def test_a_failure_after_the_first_part_breaks_the_body_off() -> None:
    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        await send(START)
        await send(part(b"a", more=True))
        raise ValueError("late")

    exchange = Exchange()
    await exchange.run(app)
    assert "raised ValueError: late" in exchange.stream.aborted
    assert exchange.log.names() == ["page.raised"]


async def test_a_failure_after_a_whole_answer_is_logged_alone() -> None:
    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        await send(START)
        await send(part(b"a"))
        raise ValueError("late")

    exchange = Exchange()
    assert (await exchange.run(app)).status == 200
    assert exchange.log.names() == ["page.raised"]


async def test_a_message_after_the_end_is_an_error_of_the_app() -> None:
    exchange = Exchange()
    await exchange.run(sends(START, part(b"a"), part(b"b")))
    assert exchange.log.names() == ["page.raised"]


async def test_an_answer_to_head_has_no_body() -> None:
    exchange = Exchange(method="HEAD")
    response = await exchange.run(sends(START, part(b"a", more=True), part(b"b")))
    assert isinstance(response, WholeResponse)
    assert (response.body, exchange.stream.parts) == (None, [])


async def test_the_policy_of_a_page_becomes_headers() -> None:
    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        no_store()
        await send(START)
        await send(part(b"a"))

    assert (await Exchange().run(app)).header("cache-control") == "private, no-store"


async def others_end() -> None:
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})


async def test_an_app_is_cancelled_when_its_time_to_answer_is_over() -> None:
    ended: list[bool] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    class Pages:
        async def answer(self, _request: object) -> PageResponse:
            return await Exchange().run(app)

        render = answer

    timed = TimedPages(Pages(), "the pages", 10, FakeBackground())
    for call in (timed.answer, timed.render):
        with pytest.raises(PageError, match="the pages did not begin to answer within 10 ms"):
            await call(None)  # type: ignore[arg-type]  # the handler does not look
    await others_end()
    assert ended == [True, True]


async def test_an_app_that_ignores_its_cancellation_is_not_waited_for() -> None:
    woken = asyncio.Event()

    class Pages:
        async def answer(self, _request: object) -> PageResponse:
            with contextlib.suppress(asyncio.CancelledError):
                await woken.wait()
            await woken.wait()
            raise ValueError("nobody hears this")

        render = answer

    with pytest.raises(PageError, match="the pages did not begin to answer within 10 ms"):
        await TimedPages(Pages(), "the pages", 10, FakeBackground()).answer(None)  # type: ignore[arg-type]  # the handler does not look
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    woken.set()
    await others_end()
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/x%20y/%C3%BC?q=%20", ("https", "/x y/ü", b"/x%20y/%C3%BC", b"q=%20", ("a.test", 443))),
        ("http://a.test:8787", ("http", "/", b"/", b"", ("a.test", 8787))),
        ("http://[::1]:80/#f", ("http", "/", b"/", b"", ("[::1]", 80))),
    ],
)
def test_a_scope_describes_the_url(url: str, expected: tuple[object, ...]) -> None:
    headers = [(b"cf-connecting-ip", b"1.2.3.4")]
    scope = http_scope(method="GET", url=url, headers=headers, state={"a": 1}, env=None)
    assert tuple(scope[name] for name in ("scheme", "path", "raw_path", "query_string", "server")) == expected
    assert (scope["client"], scope["state"]) == (("1.2.3.4", 0), {"a": 1})
    assert scope["headers"][0][0] == b"host"


def test_a_render_for_everybody_has_the_address_of_nobody() -> None:
    assert http_scope(method="GET", url="https://a.test/", headers=[], state={}, env=None)["client"] == ("0.0.0.0", 0)  # noqa: S104


def test_a_websocket_has_a_scheme_of_its_own() -> None:
    scope = http_scope(method="GET", url="https://a.test/", headers=[(b"host", b"b")], state={}, env=None, kind="websocket")
    assert (scope["type"], scope["scheme"], scope["headers"]) == ("websocket", "wss", [(b"host", b"b")])


def lifespan(app: Callable[..., Any]) -> Lifespan:
    return Lifespan(app, "the app", FakeFlight(), FakeLog())


async def test_an_app_is_started_once() -> None:
    starts: list[str] = []

    async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        starts.append((await receive())["type"])
        scope["state"]["a"] = 1
        await send({"type": "lifespan.startup.complete"})
        await receive()

    started = lifespan(app)
    assert await started.state() == {"a": 1}
    assert await started.state() == {"a": 1}
    assert starts == ["lifespan.startup"]


async def test_requests_at_the_same_time_start_an_app_once() -> None:
    starts: list[int] = []

    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        starts.append(1)
        await asyncio.sleep(0)
        await send({"type": "lifespan.startup.complete"})

    started = lifespan(app)
    assert list(await asyncio.gather(started.state(), started.state())) == [{}, {}]
    assert starts == [1]


async def test_an_app_without_a_lifespan_is_served_too() -> None:
    async def app(scope: dict[str, Any], _receive: object, _send: object) -> None:
        assert scope["type"] == "http"

    assert await lifespan(app).state() == {}


async def test_a_failed_start_is_retried() -> None:
    failures = ["no database"]

    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        if failures:
            await send({"type": "lifespan.startup.failed", "message": failures.pop()})
        else:
            await send({"type": "lifespan.startup.complete"})

    started = lifespan(app)
    with pytest.raises(PageError, match="the app did not start: no database"):
        await started.state()
    assert await started.state() == {}


async def test_an_app_without_an_end_is_ended_when_head_is_answered() -> None:
    async def app(_scope: object, _receive: object, send: Callable[..., Any]) -> None:
        await send(START)
        while True:
            await send(part(b"a", more=True))

    exchange = Exchange(method="HEAD")
    assert (await exchange.run(app)).status == 200
    assert exchange.log.names() == []
