"""`requests`, `urllib.request` and `urllib3` inside workerd, against a server on this machine."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import python_worker
from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from vinext_worker.local_runtime import LocalRuntime

LIBRARIES = ["requests", "urllib.request", "urllib3"]
EVERY_BYTE = bytes(range(256)) * 100


@pytest.fixture(scope="module")
def runtime() -> Iterator[LocalRuntime]:
    with python_worker({"VINEXT_PAGE_HANDLER": "http_app:handler"}) as started:
        yield started


def ask(runtime: LocalRuntime, library: str, url: str, method: str = "GET", **query: str) -> dict[str, Any]:
    address = f"{runtime.url}/?{urlencode({'library': library, 'url': url, 'method': method, **query})}"
    answer: dict[str, Any] = httpx.get(address, trust_env=False, timeout=30).json()
    return answer


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_binary_body_comes_as_it_is(runtime: LocalRuntime, httpserver: HTTPServer, library: str) -> None:
    httpserver.expect_request("/bytes").respond_with_data(EVERY_BYTE, headers={"X-Theirs": "2"}, content_type="text/html")
    answer = ask(runtime, library, httpserver.url_for("/bytes"))
    assert (answer["status"], answer["headers"]["x-theirs"]) == (200, "2")
    assert bytes.fromhex(answer["body"]) == EVERY_BYTE
    assert httpserver.log[-1][0].headers["X-Mine"] == "1"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_body_is_sent_as_it_is(runtime: LocalRuntime, httpserver: HTTPServer, library: str) -> None:
    def echo(request: Request) -> Response:
        return Response(request.get_data(), headers={"X-Type": request.headers["Content-Type"]})

    httpserver.expect_request("/echo", method="POST").respond_with_handler(echo)
    answer = ask(runtime, library, httpserver.url_for("/echo"), "POST")
    assert bytes.fromhex(answer["body"]) == b"\x00\xffbody"
    assert answer["headers"]["x-type"] == "application/x-test"


@pytest.mark.parametrize("library", ["requests", "urllib.request"])
def test_redirects_are_followed(runtime: LocalRuntime, httpserver: HTTPServer, library: str) -> None:
    httpserver.expect_request("/from").respond_with_response(Response(status=302, headers={"Location": "/to"}))
    httpserver.expect_request("/to").respond_with_data("there")
    assert bytes.fromhex(ask(runtime, library, httpserver.url_for("/from"))["body"]) == b"there"


def test_urllib3_leaves_a_redirect_alone_if_told_not_to_retry(runtime: LocalRuntime, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/from").respond_with_response(Response(status=302, headers={"Location": "/to"}))
    answer = ask(runtime, "urllib3", httpserver.url_for("/from"))
    assert (answer["status"], answer["headers"]["location"]) == (302, "/to")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_server_that_is_not_there_is_the_librarys_own_error(runtime: LocalRuntime, library: str) -> None:
    error = ask(runtime, library, "http://127.0.0.1:9/")["error"]
    names = {"requests": "requests.exceptions.ConnectionError", "urllib3": "urllib3.exceptions.HTTPError"}
    assert names.get(library, "urllib.error.URLError") in error


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_a_slow_server_is_the_librarys_own_timeout(runtime: LocalRuntime, httpserver: HTTPServer, library: str) -> None:
    has_failed = Event()

    def slow(_request: Request) -> Response:
        has_failed.wait(60)
        return Response("late")

    httpserver.expect_request("/slow").respond_with_handler(slow)
    try:
        error = ask(runtime, library, httpserver.url_for("/slow"), timeout="0.2")["error"]
    finally:
        has_failed.set()
    names = {"requests": "requests.exceptions.Timeout", "urllib3": "urllib3.exceptions.TimeoutError"}
    assert names[library] in error


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_a_status_of_failure_is_an_answer(runtime: LocalRuntime, httpserver: HTTPServer, library: str) -> None:
    httpserver.expect_request("/missing").respond_with_data("no", status=404)
    assert ask(runtime, library, httpserver.url_for("/missing"))["status"] == 404


def test_the_error_says_if_stacks_cannot_be_switched(runtime: LocalRuntime) -> None:
    (error,) = ask(runtime, "urllib.request", "http://127.0.0.1:9/", "CALLBACK")["error"]
    assert "stack switching is not available here" in error
