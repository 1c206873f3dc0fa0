"""A Starlette app as the page handler, in workerd."""

from __future__ import annotations

import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import python_worker
from tests.fakes.websocket import Closed, WebSocketClient
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.local_runtime import LocalRuntime


UNCHANGED = 20
"""An app that made no progress during so many requests is held back."""


@pytest.fixture(scope="module")
def runtime() -> Iterator[LocalRuntime]:
    with python_worker({"VINEXT_PAGE_TIMEOUT_MS": "3000", "VINEXT_LANGUAGES": "en,de"}) as started:
        yield started


@pytest.fixture
def client(runtime: LocalRuntime) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=runtime.url, trust_env=False, timeout=20) as connected:
        yield connected


def state(answer: httpx.Response) -> str | None:
    return answer.headers.get("X-Vinext-Cache")


def counts(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/counts").json()
    return found


def until_stored(runtime: LocalRuntime, path: str) -> None:
    eventually(lambda: any(f'"page.stored", "path": "{path}"' in line.message for line in list(runtime.logs)))


@pytest.mark.parametrize("path", ["/kept", "/forever", "/header", "/wrapped/kept"])
def test_a_page_with_a_period_is_a_miss_and_then_a_hit(runtime: LocalRuntime, client: httpx.Client, path: str) -> None:
    first = client.get(path)
    until_stored(runtime, path)
    second = client.get(path)
    assert (first.status_code, state(first), state(second)) == (200, "MISS", "HIT")
    assert first.text == second.text
    assert not {"x-vinext-cache-tags", "x-vinext-shared-cache-control"}.intersection(first.headers)
    if path == "/header":
        assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "s-maxage=60"


def test_its_tags_are_on_the_entry(runtime: LocalRuntime, client: httpx.Client) -> None:
    client.get("/kept")
    until_stored(runtime, "/kept")
    metadata = runtime.kv().metadata("cache:app:v2:/kept:html")
    assert {"posts", "_N_T_/kept"} <= set(metadata["tags"])


def test_a_stale_page_is_served_while_it_is_regenerated(runtime: LocalRuntime, client: httpx.Client) -> None:
    first = client.get("/short").text
    until_stored(runtime, "/short")
    time.sleep(1.1)
    stale = client.get("/short")
    assert (state(stale), stale.text) == ("STALE", first)
    eventually(lambda: client.get("/short").text != first)


def test_a_stale_page_stays_if_its_handler_fails(runtime: LocalRuntime, client: httpx.Client) -> None:
    client.get("/fragile")
    until_stored(runtime, "/fragile")
    time.sleep(1.1)
    for _ in range(2):
        stale = client.get("/fragile")
        assert (stale.status_code, state(stale), stale.text) == (200, "STALE", "<p>the first fragile</p>")
    runtime.wait_for_log("it broke")


def test_a_page_without_a_period_is_rendered_for_each_request(client: httpx.Client) -> None:
    first, second = client.get("/dynamic"), client.get("/dynamic")
    assert (state(first), state(second)) == (None, None)
    assert first.text != second.text


def test_no_store_applies_if_a_nested_function_calls_it(client: httpx.Client) -> None:
    first, second = client.get("/personal"), client.get("/personal")
    assert (state(first), first.headers["Cache-Control"]) == (None, "private, no-store")
    assert first.text != second.text


def test_no_store_after_the_first_part_keeps_the_page_out_of_the_cache(runtime: LocalRuntime, client: httpx.Client) -> None:
    late = client.get("/late")
    assert late.text == "<p>first</p><p>second</p>"
    assert late.headers["Cache-Control"] == "private, no-store", "no cache on the way may keep it either"
    runtime.wait_for_log("came after the answer had begun")
    assert runtime.kv().get("cache:app:v2:/late:html") is None


def test_an_answer_for_a_visitor_with_cookies_is_not_served_to_others(runtime: LocalRuntime, client: httpx.Client) -> None:
    mine = client.get("/zipped/streamed", headers={"Cookie": "who=me"})
    assert (state(mine), mine.headers["Cache-Control"]) == (None, "private, no-store")
    eventually(lambda: state(client.get("/zipped/streamed")) == "HIT")


def test_the_first_part_arrives_before_the_last_is_rendered(client: httpx.Client) -> None:
    with client.stream("GET", "/held") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"<p>first</p>"
        assert client.get("/release").text == "released"
        assert b"".join(parts) == b"<p>last</p>"


@pytest.mark.parametrize(
    ("path", "said"),
    [("/no-status", "a whole number from 200 to 599, not 700"), ("/no-header", "letters, digits and hyphens, not 'x own'")],
)
def test_what_http_does_not_have_is_a_500_and_a_line(runtime: LocalRuntime, client: httpx.Client, path: str, said: str) -> None:
    assert client.get(path).status_code == 500
    assert '"event": "page.raised"' in runtime.wait_for_log(said).message


def test_a_handler_that_raises_is_a_500_and_nothing_is_stored(runtime: LocalRuntime, client: httpx.Client) -> None:
    answer = client.get("/raises")
    assert (answer.status_code, state(answer)) == (500, None)
    line = runtime.wait_for_log("nothing to see")
    assert line.event is not None
    assert "asgi_app.py" in line.event["traceback"]
    assert runtime.kv().get("cache:app:v2:/raises:html") is None


def test_a_body_that_breaks_off_is_never_served_as_a_whole_page(runtime: LocalRuntime, client: httpx.Client) -> None:
    with pytest.raises(httpx.TransportError):
        client.get("/broken")
    runtime.wait_for_log("in the middle")
    assert runtime.kv().get("cache:app:v2:/broken:html") is None


def test_a_handler_that_never_answers_times_out(runtime: LocalRuntime, client: httpx.Client) -> None:
    assert client.get("/never").status_code == 500
    runtime.wait_for_log("asgi:asgi_app:app did not begin to answer within 3000 ms")


def test_code_that_waits_for_another_thread_holds_nobody_up_and_times_out(runtime: LocalRuntime) -> None:
    waits = ["event", "queue", "simple-queue", "future", "lock", "sleep"]
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda what: httpx.get(f"{runtime.url}/waits/{what}", trust_env=False, timeout=20), waits)
        assert [answer.status_code for answer in answers] == [500] * len(waits)
    for what in waits:
        runtime.wait_for_log(f'"path": "/waits/{what}", "reason": "the page handler gave no answer"')


def test_code_that_waits_goes_on_once_another_request_lets_it(runtime: LocalRuntime, client: httpx.Client) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(httpx.get, f"{runtime.url}/waits/until-set", trust_env=False, timeout=20)
        assert client.get("/waits/short").text == "False"
        assert client.get("/waits/executor").text == "concurrent.futures.thread"
        assert client.get("/waits/set").text == "None"
        assert waiting.result().text == "True"


@pytest.mark.parametrize(("what", "most"), [("lock", 1), ("semaphore", 2)])
def test_requests_share_a_lock_of_asyncio(runtime: LocalRuntime, what: str, most: int) -> None:
    with ThreadPoolExecutor() as pool:
        urls = [f"{runtime.url}/shares/{what}/{number}" for number in range(8)]
        answers = list(pool.map(lambda url: httpx.get(url, trust_env=False, timeout=20), urls))
    assert {answer.status_code for answer in answers} == {200}
    assert max(int(answer.text) for answer in answers) == most


def test_a_thread_that_cannot_be_started_is_named(runtime: LocalRuntime, client: httpx.Client) -> None:
    assert client.get("/waits/thread").status_code == 500
    runtime.wait_for_log("the mailer cannot be started: a Worker has one thread")


def test_the_lifespan_is_run_once_an_isolate(client: httpx.Client) -> None:
    assert "hello from the lifespan" in client.get("/dynamic").text
    assert counts(client)["lifespans"] == ["started"]


def test_a_visitor_who_leaves_ends_the_stream(client: httpx.Client) -> None:
    with client.stream("GET", "/endless") as answer:
        next(answer.iter_raw())
    eventually(lambda: "streaming" in counts(client)["disconnects"])


def test_a_page_is_stored_even_if_its_visitor_left(runtime: LocalRuntime, client: httpx.Client) -> None:
    with client.stream("GET", "/abandoned") as answer:
        next(answer.iter_raw())
    until_stored(runtime, "/abandoned")
    kept = client.get("/abandoned")
    assert (state(kept), kept.text.count("part")) == ("HIT", 5)


def test_a_slow_reader_holds_the_app_back(client: httpx.Client) -> None:
    with client.stream("GET", "/big") as answer:
        next(answer.iter_raw())
        # An app that is not held back makes progress between two requests.
        made: list[int] = []
        while len(made) < UNCHANGED or len(set(made[-UNCHANGED:])) > 1:
            made.append(counts(client)["counts"]["big"])
    assert made[-1] < 200


@pytest.mark.parametrize(("path", "entry"), [("/background", "async"), ("/background-sync", "sync"), ("/begun", "begun")])
def test_background_tasks_run_after_the_answer(client: httpx.Client, path: str, entry: str) -> None:
    assert client.get(path).text == "soon"
    eventually(lambda: entry in counts(client)["background"])


def test_forms_and_uploads(client: httpx.Client) -> None:
    answer = client.post("/form", data={"name": "é"}, files={"file": ("a.bin", b"\x00" * 200_000)})
    assert answer.json() == {"name": "é", "file": "a.bin", "size": 200_000}


def test_cookies_in_and_out(runtime: LocalRuntime) -> None:
    answer = httpx.get(f"{runtime.url}/cookies", headers={"Cookie": "a=b; c=d"}, trust_env=False)
    assert answer.json() == {"a": "b", "c": "d"}
    assert [value.partition(";")[0] for value in answer.headers.get_list("set-cookie")] == ["one=1", "two=2"]


def test_the_request_as_it_was_sent(client: httpx.Client) -> None:
    answer = client.put("/echo/a%20b/%C3%BC?x=1&y=%26", content=b"z" * 300_000).json()
    assert answer["method"] == "PUT"
    assert (answer["path"], answer["query"], answer["length"]) == ("a b/ü", {"x": "1", "y": "&"}, 300_000)


def test_forwarded_host_headers_do_not_reach_an_answer_that_may_be_stored(client: httpx.Client) -> None:
    answer = client.get("/echo/claimed", headers={"X-Forwarded-Host": "evil.example"}).json()
    assert answer["forwarded"] is None


def test_what_a_visitor_sends_with_a_get_is_on_nobody_elses_page(client: httpx.Client) -> None:
    mine = client.request("GET", "/body", content=b"of a visitor")
    assert (state(mine), mine.text) == (None, "of a visitor")
    assert [client.get("/body").text for _ in range(2)] == ["", ""]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        pytest.param("/teapot", 418, "handled: short and stout", id="exception handler"),
        pytest.param("/empty", 204, "", id="no body"),
        pytest.param("/nothing-here", 404, "Not Found", id="no route"),
        pytest.param("/files/hello.css", 200, "body { color: teal }", id="static files"),
    ],
)
def test_starlettes_own_answers(client: httpx.Client, path: str, status: int, text: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (status, text)


def test_a_redirect_is_passed_on(client: httpx.Client) -> None:
    answer = client.get("/redirect")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/kept")


def test_head_has_headers_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/dynamic")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_middleware_runs(client: httpx.Client) -> None:
    assert client.get("/wrapped/kept", headers={"Cookie": "a=b"}).headers["X-Middleware"] == "seen"


@pytest.mark.parametrize(("path", "repeats"), [("dynamic", 1), ("dynamic-streamed", 3)])
def test_an_answer_that_the_app_compresses_is_compressed_once(client: httpx.Client, path: str, repeats: int) -> None:
    """With a query, so that the app sees which encodings the visitor takes."""
    with client.stream("GET", f"/zipped/{path}?x=1", headers={"Accept-Encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(sent) == b"<p>large</p>" * 1000 * repeats


def test_a_page_of_an_app_that_compresses_is_kept(runtime: LocalRuntime, client: httpx.Client) -> None:
    """Every visitor takes gzip: an app that sees it would compress each answer, and none could be stored."""
    compressed = {"Accept-Encoding": "gzip, br"}
    assert state(client.get("/zipped/large", headers=compressed)) == "MISS"
    until_stored(runtime, "/zipped/large")
    kept = client.get("/zipped/large", headers=compressed)
    assert (state(kept), kept.text, kept.headers["Vary"]) == ("HIT", "<p>large</p>" * 1000, "Accept-Encoding")


def test_a_websocket_is_passed_through(runtime: LocalRuntime, client: httpx.Client) -> None:
    with WebSocketClient(f"{runtime.url}/ws", {"Sec-WebSocket-Protocol": "chat"}) as socket:
        assert (socket.status, socket.headers["sec-websocket-protocol"]) == (101, "chat")
        socket.send("ü")
        assert socket.receive() == "hello from the lifespan: ü"
        socket.send("bytes")
        assert socket.receive() == b"\x00\x01"
        socket.send("close")
        assert socket.receive() == Closed(4001, "as asked")


def test_the_app_learns_that_a_websocket_was_closed(runtime: LocalRuntime, client: httpx.Client) -> None:
    with WebSocketClient(f"{runtime.url}/ws") as socket:
        socket.send("x")
        socket.receive()
        socket.close()
        assert socket.receive() == Closed(1000, "")
    eventually(lambda: "websocket" in counts(client)["disconnects"])


def test_a_websocket_that_the_app_refuses_is_a_403(runtime: LocalRuntime) -> None:
    with WebSocketClient(f"{runtime.url}/ws-refused") as socket:
        assert socket.status == 403


def until_kept(runtime: LocalRuntime, path: str, count: int) -> None:
    eventually(lambda: sum(f":{path}:" in name for name in runtime.kv().names()) >= count)


def test_each_visitor_gets_the_variant_that_the_request_selects(runtime: LocalRuntime, client: httpx.Client) -> None:
    """VINEXT_LANGUAGES is en,de: browsers' spellings of a language are one variant, and the app sees the site's name of it."""
    asked = {"": "Hello ", "de": "Hallo de", "de-AT, de;q=0.9, xx;q=0.1": "Hallo de", "en-GB": "Hello en"}
    for number, wanted in enumerate(("", "de", "en"), 1):
        client.get("/language", headers={"Accept-Language": wanted} if wanted else {})
        until_kept(runtime, "/language", number)
    for wanted, text in asked.items():
        answer = client.get("/language", headers={"Accept-Language": wanted} if wanted else {})
        assert (answer.text, state(answer), answer.headers["vary"]) == (text, "HIT", "Accept-Language")
        assert "x-vinext-selected" not in answer.headers


def test_a_browser_of_another_origin_gets_the_headers_that_it_asks_for(runtime: LocalRuntime, client: httpx.Client) -> None:
    """Starlette's CORSMiddleware sends `Vary: Origin`, where the request has one."""
    origins = ("https://a.example", "https://b.example")
    for number, origin in enumerate(origins, 1):
        client.get("/cors/shared", headers={"Origin": origin})
        until_kept(runtime, "/cors/shared", number)
    for origin in origins:
        answer = client.get("/cors/shared", headers={"Origin": origin})
        assert (state(answer), answer.headers["access-control-allow-origin"]) == ("HIT", origin)
    assert "access-control-allow-origin" not in client.get("/cors/shared").headers
