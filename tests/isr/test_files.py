from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pages import FakeResponse
from tests.fakes.ports import FakeLog
from tests.fakes.requests import request

from isr.files import BuiltFiles
from seed.build import AssetsError

if TYPE_CHECKING:
    from pages.handler import PageResponse
    from pages.request import PageRequest

SCRIPT = "/shop/_next/static/chunks/a.js"


@dataclass
class FakeFiles:
    """One script, unless the assets fail."""

    failure: str | None = None
    asked: list[str] = field(default_factory=list)

    async def file(self, request: PageRequest) -> PageResponse | None:
        self.asked.append(request.path)
        if self.failure is not None:
            raise AssetsError(self.failure)
        return FakeResponse(200, {"content-type": "text/javascript"}, b"a") if request.path == SCRIPT else None


def built(source: FakeFiles, log: FakeLog) -> BuiltFiles:
    return BuiltFiles(("/shop/_next/static/",), frozenset(), source, log)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file_of_the_build_is_answered_from_the_assets(method: str) -> None:
    answer = await built(FakeFiles(), FakeLog()).answer(request(SCRIPT, method=method))
    assert answer is not None
    assert answer.header("content-type") == "text/javascript"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        pytest.param("/shop/_next/static/chunks/none.js", "GET", id="no such file"),
        pytest.param(SCRIPT, "POST", id="another method"),
        pytest.param("/shop/_next/static/../../../__prerender/build.json", "GET", id="dots"),
        pytest.param("/shop/_next/static/..%2f..%2f..%2f__prerender/build.json", "GET", id="encoded slashes"),
        pytest.param("/shop/_next/static/..%255c..%255c..%255c__prerender/build.json", "GET", id="encoded twice"),
    ],
)
async def test_the_page_handler_answers_for_anything_else(path: str, method: str) -> None:
    source, log = FakeFiles(), FakeLog()
    assert await built(source, log).answer(request(path, method=method)) is None
    assert not any("__prerender" in asked for asked in source.asked)
    assert log.names() == []


async def test_assets_that_fail_cost_a_line_in_the_log() -> None:
    log = FakeLog()
    assert await built(FakeFiles("nothing came"), log).answer(request(SCRIPT)) is None
    assert log.names() == ["file.failed"]


@pytest.mark.parametrize(
    "path", ["/gr%C3%B6%C3%9Fe+1.txt", "/gr%c3%b6%c3%9fe+1.txt", "/gr%C3%B6%C3%9Fe%2B1.txt", "/%67r%C3%B6%C3%9Fe%2b1%2Etxt"]
)
def test_a_file_is_asked_for_by_any_spelling_of_its_name(path: str) -> None:
    """Cloudflare's assets redirect from `+` to `%2B`."""
    files = BuiltFiles((), frozenset({"/gr%C3%B6%C3%9Fe+1.txt"}), FakeFiles(), FakeLog())
    assert files.may_have(path)
    assert not files.may_have(f"{path}2")
    assert not files.may_have("/100%25.txt")
