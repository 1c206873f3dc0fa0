"""Large pages in a real R2 bucket, behind KV: sent on while they are read, and missed for one line where R2 fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import KEPT, LARGE, large_and_small
from tests.workerd.patience import eventually
from tests.workerd.stubs import PagesStub, assets_service, events, pages_service
from tests.workerd.visitor import Visitor

from cache.keys import KeySchema, kv_key, page_key
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workerd.builds import SmallBuild

    from vinext_worker.project import Project

BUCKET = "VINEXT_CACHE_R2"

HUGE_BYTES = 40_000_000


@pytest.fixture(scope="module")
def runtime(project: Project) -> Iterator[LocalRuntime]:
    options = RuntimeOptions(
        config=replace(WranglerConfig.read(project.configuration), r2_buckets={BUCKET: "pages"}),
        tools=project.tools,
        services={"PAGES": pages_service(), "ASSETS": assets_service()},
        variables={"VINEXT_KV_BODY_BYTES": "1000", "VINEXT_MEMORY_BYTES": "0", "VINEXT_MAX_PAGE_BYTES": str(HUGE_BYTES)},
        faults=True,
    )
    with LocalRuntime(options) as started:
        yield started


@pytest.fixture(scope="module")
def build(runtime: LocalRuntime, tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    return large_and_small(runtime, tmp_path_factory.mktemp("build"))


def is_hit(visitor: Visitor, path: str, text: str) -> None:
    answer = eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")
    for hit in (answer, *visitor.ask_together([path] * 8, lambda: None)):
        assert (hit.status, hit.state, hit.text) == (200, "HIT", text)
        assert hit.headers["content-length"] == str(len(text.encode()))
    for _ in range(8):
        assert visitor.ask(path, "HEAD").state == "HIT"


def test_a_large_page_is_in_r2_and_a_small_one_in_kv(runtime: LocalRuntime, build: SmallBuild) -> None:
    visitor, kv = Visitor(runtime.url), runtime.kv()
    for path, text in (("/large", LARGE), ("/small", "é")):
        assert visitor.ask(path).state == "MISS"
        is_hit(visitor, path, text)
    large, small = (kv_key(page_key(KeySchema.V2, build.build_id, path, "html")) for path in ("/large", "/small"))
    assert (kv.get(large), kv.get(small)) == (b"", "é".encode())
    assert kv.metadata(large)["bodySize"] == len(LARGE.encode())
    assert not any(events(runtime, f"cache.{what}_failed") for what in ("read", "write"))


@pytest.mark.parametrize("is_lost", [False, True], ids=["R2 fails", "the object is gone"])
def test_without_its_body_a_page_is_rendered_and_stored_again(runtime: LocalRuntime, build: SmallBuild, *, is_lost: bool) -> None:
    visitor = Visitor(runtime.url)
    eventually(lambda: visitor.ask("/large"), lambda answer: answer.state == "HIT")
    before = len(runtime.logs)
    if is_lost:
        runtime.kv(BUCKET).delete(kv_key(page_key(KeySchema.V2, build.build_id, "/large", "html")))
    else:
        runtime.fail(BUCKET, "get", "throw")
    try:
        answer = visitor.ask("/large")
    finally:
        runtime.heal()
    assert (answer.status, answer.state, answer.text) == (200, "MISS", LARGE)
    assert len(events(runtime, "cache.read_failed", before)) == 1
    is_hit(visitor, "/large", LARGE)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "9000000"}], ids=["of unknown size", "of known size"])
def test_a_huge_page_is_stored_part_by_part_as_it_arrives(
    runtime: LocalRuntime, build: SmallBuild, headers: dict[str, str]
) -> None:
    size, path = int(headers.get("Content-Length", HUGE_BYTES)), f"/huge-{len(headers)}"
    PagesStub(runtime).plan_for({path: {"headers": KEPT["headers"] | headers, "bytes": size}})
    visitor, before = Visitor(runtime.url), len(runtime.logs)
    answer = visitor.ask(path)
    assert (answer.state, answer.body) == ("MISS", b"a" * size)
    answer = eventually(lambda: visitor.ask(path), lambda answer: answer.state == "HIT")
    assert (answer.headers["content-length"], answer.body) == (str(size), b"a" * size)
    # A size that is not known when the head is written is not in it.
    known = runtime.kv().metadata(kv_key(page_key(KeySchema.V2, build.build_id, path, "html")))["bodySize"]
    assert known == (size if headers else None)
    assert not events(runtime, "cache.write_failed", before)


SAID = KEPT["headers"] | {"Content-Length": "9000000"}

HUGE = {
    "it breaks off": ({"bytes": 9_000_000, "fault": "break"}, "", "the body broke off after 9000000 bytes"),
    "it is too large": ({"bytes": HUGE_BYTES + 1}, "", f"a body of more than {HUGE_BYTES} bytes (VINEXT_MAX_PAGE_BYTES)"),
    "it breaks off, its size is known": ({"bytes": 8_900_000, "headers": SAID, "fault": "break"}, "", "the body broke off"),
    "R2 fails, the size is known": ({"bytes": 9_000_000, "headers": SAID}, "put", ""),
    "R2 fails": ({"bytes": 9_000_000}, "createMultipartUpload", ""),
}


@pytest.mark.parametrize(("plan", "fault", "reason"), HUGE.values(), ids=HUGE)
def test_of_a_huge_page_that_is_not_stored_nothing_is_left(
    runtime: LocalRuntime, build: SmallBuild, plan: dict[str, object], fault: str, reason: str
) -> None:
    # What was not stored a moment ago is not tried again at once.
    path = f"/not-stored-{list(HUGE.values()).index((plan, fault, reason))}"
    PagesStub(runtime).plan_for({path: {**KEPT, **plan}})
    before = len(runtime.logs)
    if fault:
        runtime.fail(BUCKET, fault, "throw")
    try:
        if "fault" in plan:
            Visitor(runtime.url).ask_raw(path)
        else:
            assert len(Visitor(runtime.url).ask(path).body) == plan["bytes"]
        event = "page.not_stored" if reason else "cache.write_failed"
        found = eventually(lambda: events(runtime, event, before), bool)
    finally:
        runtime.heal()
    assert str(found[0].get("reason", "")).startswith(reason)
    assert bool(reason) is not bool(events(runtime, "cache.write_failed", before))
    name = kv_key(page_key(KeySchema.V2, build.build_id, path, "html"))
    assert (runtime.kv().get(name), runtime.kv(BUCKET).get(name)) == (None, None)
