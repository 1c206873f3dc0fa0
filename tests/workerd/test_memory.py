"""An isolate's memory that is too small for the uncompressed pages of a site."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.workerd.stubs import PagesStub, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from vinext_worker.project import Project

PAGES = 60
LARGE = 7
MEMORY_BYTES = 400_000
CLOCK_ERROR_SECONDS = 1


def body(number: int) -> str:
    size = 100_000 if number == LARGE else 10_000
    return (f"<nav>größer als alle</nav>{'<a href=/>one for all</a>' * 90}" + f"<p>paragraph of page {number}</p>" * size)[:size]


def headers(number: int) -> dict[str, str]:
    own = {"X-Page": str(number), "Cache-Control": "s-maxage=600", "Content-Type": "text/html; charset=utf-8"}
    return own if number % 3 else {**own, "X-Third": "yes"}


def in_memory(project: Project, **variables: str) -> LocalRuntime:
    return LocalRuntime(
        RuntimeOptions(
            config=WranglerConfig.read(project.configuration),
            tools=project.tools,
            services={"PAGES": pages_service()},
            without=frozenset({"VINEXT_CACHE", "ASSETS"}),
            variables=variables,
        )
    )


def test_large_pages_are_sent_repeatedly_without_a_change(project: Project) -> None:
    """There are more pages, and larger ones, than the Worker keeps ready to send."""
    texts = {f"/{number}": f"<p>größer {number}</p>" * (40_000 if number else 300_000) for number in range(12)}
    with in_memory(project) as runtime:
        pages, visitor = PagesStub(runtime), Visitor(runtime.url)
        pages.plan_for({path: {"headers": headers(1), "body": text} for path, text in texts.items()})
        assert [visitor.ask(path).state for path in texts] == ["MISS"] * len(texts)
        for path in [*texts, *texts, "/1", "/0", "/1", "/0", *reversed(texts), "/2", "/2", "/2"]:
            answer = visitor.ask(path)
            assert (answer.state, answer.text) == ("HIT", texts[path])
        for _ in range(5):
            visitor.leave("/2")
        together = visitor.ask_together(["/2", "/3"] * 4, lambda: None)
        assert [answer.text for answer in together] == [texts["/2"], texts["/3"]] * 4


def test_compressed_pages_are_served_unchanged_with_their_own_headers(project: Project) -> None:
    with in_memory(project, VINEXT_MEMORY_BYTES=str(MEMORY_BYTES)) as runtime:
        pages, visitor = PagesStub(runtime), Visitor(runtime.url)
        pages.plan_for({f"/{number}": {"headers": headers(number), "body": body(number)} for number in range(PAGES)})
        began = time.time()
        made = [visitor.ask(f"/{number}") for number in range(PAGES)]
        assert {answer.state for answer in made} == {"MISS"}
        etags = set()
        # Often enough for some pages to be stored uncompressed.
        for turn in range(20):
            for number in [*range(PAGES), LARGE, LARGE]:
                answer = visitor.ask(f"/{number}")
                assert (answer.status, answer.state, answer.text) == (200, "HIT", body(number)), (turn, number)
                assert answer.headers["x-page"] == str(number)
                assert answer.headers.get("x-third") == headers(number).get("X-Third")
                assert 0 <= int(answer.headers["age"]) <= time.time() - began + CLOCK_ERROR_SECONDS
                etags.add((number, answer.headers["etag"]))
        assert len(etags) == PAGES
        number, etag = min(etags)
        unchanged = visitor.ask(f"/{number}", headers={"If-None-Match": etag})
        assert (unchanged.status, unchanged.body, unchanged.headers["x-page"]) == (304, b"", str(number))
        head = visitor.ask(f"/{LARGE}", "HEAD")
        assert (head.status, head.body, head.headers["x-page"]) == (200, b"", str(LARGE))
        assert sum(len(answer.body) for answer in made) > MEMORY_BYTES * 3 / 2
        assert len(pages.requests(rsc=False)) == PAGES
