"""The HTTP clients of Python inside workerd, against a server on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import fixture_packages, python_worker
from tests.workerd.stubs import FIXTURES
from tests.workerd.upstream import EVERY_BYTE, upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workerd.upstream import Upstream

    from vinext_worker.local_runtime import LocalRuntime

SITE = FIXTURES / "clients"
CLIENTS = ["requests", "urllib3", "urllib.request", "httpx", "httpx, async", "httpx2", "httpx2, async", "aiohttp"]
ERRORS = {
    "refused": {
        "requests": "requests.exceptions.ConnectionError",
        "urllib3": "urllib3.exceptions.ProtocolError",
        "urllib.request": "urllib.error.URLError",
        "httpx": "httpx.ConnectError",
        "aiohttp": "aiohttp.client_exceptions.ClientOSError",
    },
    "proxy": {
        "requests": "requests.exceptions.ProxyError",
        "urllib3": "urllib3.exceptions.ProxyError",
        "urllib.request": "urllib.error.URLError",
        "httpx": "httpx.ProxyError",
        "aiohttp": "aiohttp.client_exceptions.ClientProxyConnectionError",
    },
    "cut": {
        "requests": "requests.exceptions.ChunkedEncodingError",
        "urllib3": "urllib3.exceptions.ProtocolError",
        "urllib.request": "http.client.IncompleteRead",
        "httpx": "httpx.RemoteProtocolError",
        "aiohttp": "aiohttp.client_exceptions.ClientPayloadError",
    },
    "silent": {
        "requests": "requests.exceptions.ReadTimeout",
        "urllib3": "urllib3.exceptions.ReadTimeoutError",
        "urllib.request": "TimeoutError",
        "httpx": "httpx.ReadTimeout",
        "aiohttp": "aiohttp.client_exceptions.SocketTimeoutError",
    },
    "stalled": {
        "requests": "requests.exceptions.ConnectionError",  # as everywhere
        "urllib3": "urllib3.exceptions.ReadTimeoutError",
        "urllib.request": "TimeoutError",
        "httpx": "httpx.ReadTimeout",
        "aiohttp": "aiohttp.client_exceptions.SocketTimeoutError",
    },
}


def error_of(case: str, client: str) -> str:
    """The client's own error, which it raises elsewhere too."""
    package = client.removesuffix(", async")
    return ERRORS[case].get(package) or ERRORS[case]["httpx"].replace("httpx", package)


@pytest.fixture(scope="module")
def runtime() -> Iterator[LocalRuntime]:
    with python_worker(folder=SITE, vendored=fixture_packages(SITE)) as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


class Asking:
    """One of the clients, in the Worker."""

    def __init__(self, runtime: LocalRuntime, client: str) -> None:
        self._runtime = runtime
        self.client = client

    def __call__(self, url: str, case: str = "once", *, body: str = "", size: int = 0, then: str = "", **options: Any) -> Any:
        asked = {"client": self.client, "case": case, "url": url, "body": body, "size": size, "then": then, "options": options}
        answer = httpx.post(self._runtime.url, json=asked, trust_env=False, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def error(self, case: str, url: str, **options: Any) -> str:
        """Ask what fails; return the message."""
        said = self(url, **options)
        assert error_of(case, self.client) in said.get("error", said), said
        message: str = said["message"]
        return message


@pytest.fixture(params=CLIENTS)
def ask(request: pytest.FixtureRequest, runtime: LocalRuntime) -> Asking:
    return Asking(runtime, request.param)


def test_a_binary_body_comes_as_it_is(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/bytes"))
    assert (said.get("status"), said.get("body")) == (200, EVERY_BYTE.hex()), said.get("message")
    assert ["x-theirs", "2"] in said["headers"]
    assert server.last_headers["x-mine"] == "1"
    assert server.last_headers.get("user-agent", "").startswith(("python", "Python")), server.last_headers


def test_an_encoded_body_is_decoded(ask: Asking, server: Upstream) -> None:
    assert ask(server.url("/gzip"))["body"] == EVERY_BYTE.hex()


def test_head_has_the_length_and_no_body(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/bytes"), method="HEAD")
    assert (said["status"], said["size"]) == (200, 0)
    assert ["content-length", str(len(EVERY_BYTE))] in said["headers"]


@pytest.mark.parametrize("status", [204, 205, 304, 404, 500])
def test_a_status_is_an_answer(ask: Asking, server: Upstream, status: int) -> None:
    said = ask(server.url(f"/status?is={status}"))
    if ask.client == "urllib.request" and status >= 300:
        assert "urllib.error.HTTPError" in said["error"]  # as everywhere
    else:
        assert (said["status"], said["size"]) == (status, 0)
        assert ["etag", '"1"'] in said["headers"]


def test_redirects_are_followed(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/redirect"))
    assert (said.get("status"), said.get("body")) == (200, EVERY_BYTE.hex()), said.get("message")
    assert said["url"].endswith("/bytes")


def test_redirects_are_left_alone(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/redirect"), follow=False)
    if ask.client == "urllib.request":
        assert "urllib.error.HTTPError" in said["error"]
    else:
        assert (said["status"], said["size"]) == (302, 0)
        assert ["location", "/bytes"] in said["headers"]


def test_several_cookies_are_set(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/cookies"))
    assert [value[:4] for name, value in said["headers"] if name == "set-cookie"] == ["a=1;", "b=2;"]


def test_a_session_sends_its_cookies(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/cookies"), "twice", then=server.url("/seen"))
    cookies = set(filter(None, bytes.fromhex(said["body"]).decode().split("; ")))
    assert cookies == (set() if ask.client == "urllib3" else {"a=1", "b=2"})


def test_a_body_is_sent_as_it_is(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/echo"), method="POST", body="bytes", size=6)
    assert bytes.fromhex(said["body"]) == b"\x00\xffxxxx"
    assert ["x-size", "6"] in said["headers"]
    assert ["x-type", "application/x-test"] in said["headers"]


@pytest.mark.parametrize("body", ["bytes", "file", "parts"])
def test_a_body_of_any_kind_is_sent(ask: Asking, server: Upstream, body: str) -> None:
    said = ask(server.url("/echo"), method="PUT", body=body, size=400_000)
    assert ["x-size", "400000"] in said["headers"], said


def test_a_large_body_is_sent(ask: Asking, server: Upstream) -> None:
    body = {"requests": "file", "urllib.request": "parts", "httpx2, async": "parts"}.get(ask.client, "bytes")
    said = ask(server.url("/echo"), method="PUT", body=body, size=30_000_000)
    assert ["x-size", "30000000"] in said["headers"], said


def test_an_answer_before_the_end_of_the_body_is_an_answer(ask: Asking, server: Upstream) -> None:
    said = ask(server.url("/unread"), method="POST", body="parts", size=30_000_000)
    if ask.client == "urllib.request":
        assert "urllib.error.HTTPError" in said["error"], said
    else:
        assert said.get("status") == 413, said


def test_a_body_comes_part_by_part(ask: Asking, server: Upstream) -> None:
    assert ask(server.url("/halting"), "streamed", then=server.url("/go"))["parts"] == ["first", "second"]


def test_a_large_body_comes_in_few_parts(ask: Asking, server: Upstream) -> None:
    ask(server.url("/seen"), "counted")
    calls = ask(server.url("/megabyte"), "counted")["calls"] - ask(server.url("/seen"), "counted")["calls"]
    assert calls < 1500  # by `requests` in parts of 10 KB 3000


@pytest.mark.parametrize("path", ["/cut", "/cut-chunked"])
def test_a_body_that_is_cut_off_is_an_error(ask: Asking, server: Upstream, path: str) -> None:
    ask.error("cut", server.url(path))


@pytest.mark.parametrize("case", ["silent", "stalled"])
def test_a_slow_server_is_a_timeout(ask: Asking, server: Upstream, case: str) -> None:
    ask.error(case, server.url(f"/{case}"), timeout=0.2)


def test_a_server_that_is_not_there_is_a_failed_connection(ask: Asking) -> None:
    assert "127.0.0.1:9" in ask.error("refused", "http://127.0.0.1:9/")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://127.0.0.1:9/"])
def test_a_proxy_is_refused(ask: Asking, url: str) -> None:
    assert "cannot go through a proxy" in ask.error("proxy", url, proxy="http://127.0.0.1:9")


def test_a_client_that_is_imported_in_a_request_works_too(runtime: LocalRuntime, server: Upstream) -> None:
    said = Asking(runtime, "urllib3, late")(server.url("/cookies"))
    assert [name for name, _ in said["headers"]].count("set-cookie") == 2


def test_the_error_says_if_stacks_cannot_be_switched(runtime: LocalRuntime) -> None:
    (error,) = Asking(runtime, "urllib.request")("http://127.0.0.1:9/", "callback")["error"]
    assert "stack switching is not available" in error


# When one of these fails, its reason in `edge.python.http_clients` is gone, and perhaps what is there for it can go too.


def test_urllib3_still_keeps_one_of_several_cookies(runtime: LocalRuntime, server: Upstream) -> None:
    said = Asking(runtime, "urllib3 as it is")(server.url("/cookies"))
    assert [value[:4] for name, value in said["headers"] if name == "set-cookie"] == ["b=2;"]


def test_urllib3_still_drops_the_user_agent(runtime: LocalRuntime, server: Upstream) -> None:
    Asking(runtime, "urllib3 as it is")(server.url("/bytes"))
    assert "python" not in server.last_headers.get("user-agent", "")


def test_urllib3_still_sends_no_files(runtime: LocalRuntime, server: Upstream) -> None:
    said = Asking(runtime, "urllib3 as it is")(server.url("/echo"), method="PUT", body="file", size=1000)
    assert ["x-size", "1000"] not in said["headers"]


def test_urllib3_still_has_no_read_timeout(runtime: LocalRuntime, server: Upstream) -> None:
    said = Asking(runtime, "urllib3 as it is")(server.url("/silent"), timeout=0.2)
    assert "urllib3.exceptions.TimeoutError" in said["error"]
    assert "urllib3.exceptions.ReadTimeoutError" not in said["error"]


def test_httpx2_still_fails_without_a_body(runtime: LocalRuntime, server: Upstream) -> None:
    assert "AttributeError" in Asking(runtime, "httpx2 as it is")(server.url("/status?is=204"))["error"]


def test_httpx2_still_follows_every_redirect(runtime: LocalRuntime, server: Upstream) -> None:
    assert Asking(runtime, "httpx2 as it is")(server.url("/redirect"), follow=False)["status"] == 200


def test_httpx2_still_keeps_one_of_several_cookies(runtime: LocalRuntime, server: Upstream) -> None:
    said = Asking(runtime, "httpx2 as it is")(server.url("/cookies"))
    assert [value[:4] for name, value in said["headers"] if name == "set-cookie"] == ["b=2;"]
