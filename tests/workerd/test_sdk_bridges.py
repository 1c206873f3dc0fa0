"""Why ASGI and WSGI apps do not run in the SDK's own bridges: the same apps in `workers.asgi` and `workers.wsgi`, and in ours.

If a test fails because the SDK's answer is right, the docstring of `pages.asgi` has one reason less.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.local_runtime import LocalRuntime

ENTRY = """
import apps
from workers import asgi, wsgi
from vinext.worker import Default as Worker


class Default(Worker):
    async def fetch(self, request):
        if "/sdk/wsgi/" in request.url:
            return await wsgi.fetch(apps.wsgi_app, request, self.env, self.ctx)
        if "/sdk/" in request.url:
            return await asgi.fetch(apps.for_sdk, request, self.env, self.ctx)
        return await super().fetch(request)
"""
APPS = """
import json
import sys

from pyodide.ffi import run_sync

from vinext import use_asgi
from vinext.pages.wsgi import WsgiApp


class App:
    starts = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                self.starts += 1
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"].rpartition("/")[2]
        headers = [(b"x-latin", b"caf\\xe9")] if path == "latin" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if path == "breaks":
            await send({"type": "http.response.body", "body": b"half ", "more_body": True})
            raise ValueError("in the middle")
        await send({"type": "http.response.body", "body": str(self.starts).encode()})


def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"].endswith("/replaced"):
        try:
            raise ValueError("no page")
        except ValueError:
            start_response("503 Service Unavailable", [], sys.exc_info())
    return [json.dumps({name: environ.get(name) for name in ("HTTP_X_NAME", "wsgi.input_terminated")}).encode()]


for_sdk, for_us, wsgi_for_us = App(), App(), WsgiApp(wsgi_app, run_sync)


async def ours(scope, receive, send):
    await (wsgi_for_us if "/wsgi/" in scope.get("path", "") else for_us)(scope, receive, send)


use_asgi(ours)
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "src").mkdir()
    (folder / "src" / "entry.py").write_text(ENTRY)
    (folder / "src" / "apps.py").write_text(APPS)
    (folder / "wrangler.toml").write_text((FIXTURE / "wrangler.toml").read_text())
    with python_worker(folder=folder) as started:
        yield started


def ask(runtime: LocalRuntime, path: str, **options: object) -> httpx.Response:
    return httpx.get(f"{runtime.url}{path}", trust_env=False, timeout=60, **options)  # type: ignore[arg-type]


def test_an_answer_that_breaks_off_is_whole_for_the_sdk(runtime: LocalRuntime) -> None:
    assert ask(runtime, "/sdk/breaks").text == "half "
    with pytest.raises(httpx.TransportError):
        ask(runtime, "/ours/breaks")


def test_a_header_in_latin_1_fails_in_the_sdk(runtime: LocalRuntime) -> None:
    assert ask(runtime, "/sdk/latin").status_code == 500
    assert ask(runtime, "/ours/latin").status_code == 200


def test_the_sdk_starts_an_app_for_each_request(runtime: LocalRuntime) -> None:
    for bridge, more in (("sdk", 1), ("ours", 0)):
        first, second = (int(ask(runtime, f"/{bridge}/starts").text) for _ in range(2))
        assert second - first == more


@pytest.mark.parametrize(("bridge", "answers"), [("sdk", False), ("ours", True)])
def test_the_sdk_reads_a_body_to_its_end_before_the_app_begins(runtime: LocalRuntime, bridge: str, *, answers: bool) -> None:
    address = urlsplit(runtime.url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=60) as connection:
        head = f"POST /{bridge}/upload HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"
        connection.sendall(head.encode())
        # Of the SDK's answer there is nothing, however long one waits.
        connection.settimeout(60 if answers else 0.5)
        try:
            assert connection.recv(12) == b"HTTP/1.1 200"
        except TimeoutError:
            assert not answers
        else:
            assert answers


@pytest.mark.parametrize(("bridge", "status"), [("sdk", 500), ("ours", 503)])
def test_wsgi_replaces_what_has_not_been_sent(runtime: LocalRuntime, bridge: str, status: int) -> None:
    assert ask(runtime, f"/{bridge}/wsgi/replaced").status_code == status


def test_wsgi_s_environment(runtime: LocalRuntime) -> None:
    spoofed = {"X_Name": "a visitor"}
    assert ask(runtime, "/sdk/wsgi/", headers=spoofed).json() == {"HTTP_X_NAME": "a visitor", "wsgi.input_terminated": None}
    assert ask(runtime, "/ours/wsgi/", headers=spoofed).json() == {"HTTP_X_NAME": None, "wsgi.input_terminated": True}
