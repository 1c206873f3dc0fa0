"""Whether the page handler behind a deployed Worker answers, in the versions that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.deployments import FakeDeployment

from seed.from_directory import open_directory
from vinext_worker.check.page_handler import require_page_handler
from vinext_worker.check.run import CheckOptions, check_all
from vinext_worker.cloudflare.versions import overrides
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

HEADERS = overrides({"front": "f2", "pages": "p2"})


@pytest.fixture
def url(httpserver: HTTPServer) -> str:
    return httpserver.url_for("").rstrip("/")


def answer(httpserver: HTTPServer, status: int = 404, build: str | None = None) -> None:
    headers = {} if build is None else {"X-Vinext-App-Build": build}
    asked = httpserver.expect_request("/__vinext-worker-check", method="POST", headers=HEADERS)
    asked.respond_with_data("", status, headers)


@pytest.mark.parametrize("status", [404, 405, 403, 307])
@pytest.mark.parametrize("build", [None, "b1"])
def test_any_answer_of_the_page_handler_will_do(status: int, build: str | None, url: str, httpserver: HTTPServer) -> None:
    answer(httpserver, status, build)
    for is_live in (False, True):
        assert require_page_handler(url, HEADERS, "b1", is_live=is_live)


def test_an_old_build_is_red_when_all_visitors_should_have_the_new_one(url: str, httpserver: HTTPServer) -> None:
    answer(httpserver, build="b0")
    assert not require_page_handler(url, HEADERS, "b1", is_live=False)
    with pytest.raises(UserError, match="the page handler that answers is of build b0, not of b1"):
        require_page_handler(url, HEADERS, "b1", is_live=True)


def test_an_error_of_the_page_handler_is_red(url: str, httpserver: HTTPServer) -> None:
    answer(httpserver, 502)
    with pytest.raises(UserError, match="the page handler answers with status 502"):
        require_page_handler(url, HEADERS, "b1", is_live=False)


def test_nobody_there_is_red() -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        require_page_handler("http://127.0.0.1:1", {}, "b1", is_live=False)


async def test_a_check_names_the_versions_in_each_request(httpserver: HTTPServer, tmp_path: Path) -> None:
    build = (await open_directory(FakeDeployment.of_pages(tmp_path, {"/": b"<p>"}).assets)).build
    httpserver.expect_request("/", method="HEAD", headers=HEADERS).respond_with_data("")
    await check_all(httpserver.url_for(""), [], build, CheckOptions(headers=HEADERS))
    httpserver.check_assertions()
    assert [request.headers["Cloudflare-Workers-Version-Overrides"] for request, _ in httpserver.log] == list(HEADERS.values())
