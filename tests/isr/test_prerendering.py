"""What the Worker tells the command that pre-renders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from tests.fakes.requests import request

from core.body import BytesBody
from core.http import OUTCOME_HEADER
from core.paths import PATHS_URL, url_path
from isr.prerendering import Prerendering
from isr.variants import VariantRules
from pages.handler import PageError, WholeResponse

if TYPE_CHECKING:
    from isr.answer import CachedAnswer
    from pages.handler import PageResponse
    from pages.request import PageRequest, RenderRequest


class Pages:
    def __init__(self, *headers: tuple[str, str], status: int = 200) -> None:
        self.headers = (("content-type", "text/html"), *headers)
        self.status = status

    async def answer(self, _request: PageRequest) -> PageResponse:
        raise AssertionError("pages are made for the cache")

    async def render(self, request: RenderRequest) -> PageResponse:
        if request.path == "/raises":
            raise PageError("it broke")
        return WholeResponse(self.status, self.headers, BytesBody(f"page {request.path}".encode()))


def outcome(answer: CachedAnswer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unquote(dict(answer.headers)[OUTCOME_HEADER]))
    return found


async def test_a_page_comes_with_what_is_kept_of_it() -> None:
    pages = Pages(("cache-control", "s-maxage=60, stale-while-revalidate=40"), ("x-vinext-cache-tags", "a,b"), ("x-own", "é"))
    answer = await Prerendering(pages, None, VariantRules(8)).answer(request("/a"))
    assert answer.body == BytesBody(b"page /a")
    assert outcome(answer) == {
        "artifact": "html",
        "status": 200,
        "headers": {"content-type": "text/html", "x-own": "é"},
        "revalidate": 60,
        "expire": 100,
        "tags": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("pages", "path", "expected"),
    [
        pytest.param(Pages(), "/a", {"skipped": "no period"}, id="no period"),
        pytest.param(Pages(status=500), "/a", {"error": "status 500"}, id="a failure"),
        pytest.param(Pages(), "/raises", {"error": "it broke"}, id="no answer"),
        pytest.param(
            Pages(("cache-control", "s-maxage=60")),
            "/a/",
            {"skipped": "it ends in a slash, and is rendered when it is asked for"},
            id="a slash at the end",
        ),
    ],
)
async def test_other_pages_come_with_the_reason(pages: Pages, path: str, expected: dict[str, str]) -> None:
    answer = await Prerendering(pages, None, VariantRules(8)).answer(request(path))
    assert (outcome(answer), answer.body) == (expected, None)


async def test_too_large_a_page_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isr.prerendering.MAX_BODY_BYTES", 3)
    answer = await Prerendering(Pages(("cache-control", "s-maxage=60")), None, VariantRules(8)).answer(request("/a"))
    assert outcome(answer) == {"skipped": "a body of more than 3 bytes"}


async def listed() -> list[str]:
    return ["/", "/ü b", "/%C3%BC%20b", "/100%25"]


def failing() -> list[str]:
    raise ValueError("no database")


async def test_paths_are_listed_once_and_as_urls_have_them() -> None:
    answer = await Prerendering(Pages(), listed, VariantRules(8)).answer(request(PATHS_URL))
    assert answer.body is not None
    assert json.loads(answer.body.to_bytes()) == ["/", "/%C3%BC%20b", "/100%25"]
    assert url_path("/a?b#c") == "/a%3Fb%23c"


@pytest.mark.parametrize(
    ("static_paths", "expected"),
    [
        pytest.param(None, {"skipped": "there is no static_paths() beside the page handler"}, id="none"),
        pytest.param(failing, {"error": "static_paths() raised ValueError: no database"}, id="raises"),
        pytest.param(lambda: ["a"], {"error": "static_paths() gives 'a', allowed: paths that begin with /"}, id="no path"),
        pytest.param(lambda: [1], {"error": "static_paths() gives 1, allowed: paths that begin with /"}, id="no text"),
        pytest.param(lambda: 5, {"error": "static_paths() raised TypeError: 'int' object is not iterable"}, id="no list"),
    ],
)
async def test_paths_that_cannot_be_listed_are_explained(static_paths: Any, expected: dict[str, str]) -> None:
    assert outcome(await Prerendering(Pages(), static_paths, VariantRules(8)).answer(request(PATHS_URL))) == expected
