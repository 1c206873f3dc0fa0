"""Pages that go from KV to the visitor while they are still being read: the framed layout, without memory in front of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import KEPT, LARGE, large_and_small
from tests.workerd.patience import eventually
from tests.workerd.stubs import PagesStub, assets_service, events, pages_service
from tests.workerd.visitor import Visitor

from cache.entry import AppPageValue, CacheEntry
from cache.keys import KeySchema, kv_key, page_key
from cache.stored import write_framed
from core.body import text_body
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workerd.builds import SmallBuild

    from vinext_worker.project import Project


@pytest.fixture(scope="module")
def runtime(project: Project) -> Iterator[LocalRuntime]:
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": pages_service(), "ASSETS": assets_service()},
        variables={"VINEXT_KV_LAYOUT": "framed", "VINEXT_MEMORY_BYTES": "0"},
        faults=True,
    )
    with LocalRuntime(options) as started:
        yield started


@pytest.fixture(scope="module")
def build(runtime: LocalRuntime, tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    return large_and_small(runtime, tmp_path_factory.mktemp("build"))


@pytest.mark.parametrize(("path", "text"), [("/large", LARGE), ("/small", "é")])
@pytest.mark.usefixtures("build")
def test_a_page_is_read_and_sent_as_often_as_it_is_asked_for(runtime: LocalRuntime, path: str, text: str) -> None:
    visitor = Visitor(runtime.url)
    assert visitor.ask(path).state == "MISS"
    answer = eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")
    for hit in (answer, visitor.ask(path), *visitor.ask_together([path] * 8, lambda: None)):
        assert (hit.status, hit.state, hit.text) == (200, "HIT", text)
        assert hit.headers["content-length"] == str(len(text.encode()))
        assert hit.headers["content-type"] == "text/html"


@pytest.mark.usefixtures("build")
def test_a_body_that_is_not_sent_is_in_nobodys_way(runtime: LocalRuntime) -> None:
    """HEAD and 304 read a page and leave its body: more of them than there may be reads at a time."""
    visitor = Visitor(runtime.url)
    hit = eventually(lambda: visitor.ask("/large"), lambda answer: answer.state == "HIT")
    for _ in range(20):
        head = visitor.ask("/large", "HEAD")
        assert (head.status, head.state, head.body) == (200, "HIT", b"")
        unmodified = visitor.ask("/large", headers={"If-None-Match": hit.headers["etag"]})
        assert (unmodified.status, unmodified.state, unmodified.body) == (304, "HIT", b"")
    assert visitor.ask("/large").body == hit.body
    assert not any(events(runtime, f"cache.{what}_failed") for what in ("read", "write"))


def test_a_value_is_its_page_s_body_and_one_of_before_is_read_as_well(runtime: LocalRuntime, build: SmallBuild) -> None:
    visitor, kv = Visitor(runtime.url), runtime.kv()
    eventually(lambda: visitor.ask("/small"), lambda answer: answer.state == "HIT")
    key = kv_key(page_key(KeySchema.V2, build.build_id, "/small", "html"))
    assert kv.get(key) == "é".encode()
    head = kv.metadata(key)
    entry = CacheEntry.make(AppPageValue(html=text_body("in one")), tuple(head["tags"]), head["lastModified"])
    kv.put(key, b"".join(part if isinstance(part, bytes) else part.to_bytes() for part in write_framed(entry)))
    assert eventually(lambda: visitor.ask("/small"), lambda answer: answer.text == "in one").state == "HIT"
    assert events(runtime, "cache.entry_corrupt") == []


@pytest.mark.usefixtures("build")
def test_where_kv_breaks_off_so_does_the_answer_and_the_next_is_whole(runtime: LocalRuntime) -> None:
    visitor = Visitor(runtime.url)
    whole = eventually(lambda: visitor.ask("/large"), lambda answer: answer.state == "HIT")
    runtime.fail("VINEXT_CACHE", "getWithMetadata", "break")
    try:
        torn = visitor.ask_raw("/large")
    finally:
        runtime.heal()
    assert torn.startswith(b"HTTP/1.1 200")
    assert not torn.endswith(b"0\r\n\r\n")
    assert b"<p>99999" not in torn
    assert visitor.ask("/large").body == whole.body


def test_a_stale_page_is_sent_and_made_again(runtime: LocalRuntime, build: SmallBuild) -> None:
    visitor, kv, pages = Visitor(runtime.url), runtime.kv(), PagesStub(runtime)
    first = eventually(lambda: visitor.ask("/stale"), lambda answer: answer.state == "HIT")
    key = kv_key(page_key(KeySchema.V2, build.build_id, "/stale", "html"))
    head = kv.metadata(key)
    kv.put(key, first.body, {"metadata": {**head, "revalidateAt": head["lastModified"]}})
    made = len(pages.requests("/stale", rsc=False))
    stale = eventually(lambda: visitor.ask("/stale"), lambda answer: answer.state == "STALE")
    assert stale.body == first.body
    fresh = eventually(lambda: visitor.ask("/stale"), lambda answer: answer.state == "HIT")
    assert fresh.body != first.body
    assert len(pages.requests("/stale", rsc=False)) == made + 1


def test_a_head_that_is_damaged_is_a_miss_and_is_replaced(runtime: LocalRuntime, build: SmallBuild) -> None:
    visitor, kv = Visitor(runtime.url), runtime.kv()
    hit = eventually(lambda: visitor.ask("/damaged"), lambda answer: answer.state == "HIT")
    key = kv_key(page_key(KeySchema.V2, build.build_id, "/damaged", "html"))
    kv.put(key, hit.body, {"metadata": {**kv.metadata(key), "body": "rscData"}})
    miss = eventually(lambda: visitor.ask("/damaged"), lambda answer: answer.state == "MISS")
    assert miss.status == 200
    eventually(lambda: visitor.ask("/damaged"), lambda answer: answer.state == "HIT")
    (event,) = eventually(lambda: events(runtime, "cache.entry_corrupt"))
    assert event["key"] == key


@pytest.mark.parametrize("text", ["<p>cut", "<p>" + "longer " * 10], ids=["short", "long"])
def test_a_value_of_another_size_than_its_head_says_is_a_miss(runtime: LocalRuntime, build: SmallBuild, text: str) -> None:
    visitor, kv = Visitor(runtime.url), runtime.kv()
    path = f"/size/{len(text)}"
    hit = eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")
    key = kv_key(page_key(KeySchema.V2, build.build_id, path, "html"))
    kv.put(key, text, {"metadata": kv.metadata(key)})
    miss = eventually(lambda: visitor.ask(path), lambda answer: answer.body != hit.body)
    assert (miss.status, miss.state) == (200, "MISS")
    eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")
    (event,) = [event for event in events(runtime, "cache.entry_corrupt") if event["key"] == key]
    assert "its head says" in event["error"]


@pytest.mark.parametrize(("path", "change"), [("/cut", -10), ("/torn", -500_000), ("/longer", 10)])
def test_a_large_value_of_another_size_breaks_off(runtime: LocalRuntime, build: SmallBuild, path: str, change: int) -> None:
    """It is on its way already, so its visitor has to see that something is missing."""
    visitor, kv, pages = Visitor(runtime.url), runtime.kv(), PagesStub(runtime)
    pages.plan_for({path: {**KEPT, "body": LARGE}, "*": KEPT})
    whole = eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")
    key = kv_key(page_key(KeySchema.V2, build.build_id, path, "html"))
    changed = whole.body[:change] if change < 0 else whole.body + b"x" * change
    kv.put(key, changed, {"metadata": kv.metadata(key)})
    head, _, body = visitor.ask_raw(path).partition(b"\r\n\r\n")
    assert f"content-length: {len(whole.body)}".encode() in head.lower()
    assert len(body) < len(whole.body)
