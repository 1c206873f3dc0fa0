"""Answers of the Worker while a service it depends on fails, and afterwards."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually

from vinext_worker.copy.pack import MAX_PACKED_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.workerd.worker_pool import ColdWorker

    from vinext_worker.local_runtime import Fault

KEPT = {"headers": {"Cache-Control": "s-maxage=600"}}
# The page handler has its own cache, so its pages are neither stored nor remembered as uncacheable.
PASSED = {"headers": {"Cache-Control": "no-store", "X-Vinext-Cache": "MISS"}}
LARGE = "x" * (MAX_PACKED_BYTES + 1)
BUILD_FILE = "/__prerender/build.json"
KV_READS = ("get", "getWithMetadata")


@pytest.fixture
def build(tmp_path: Path) -> SmallBuild:
    """A build with two pages that are never stale."""
    small = SmallBuild(tmp_path)
    small.page("/page")
    small.page("/other")
    return small


def logged(worker: ColdWorker, name: str, at_least: int = 1) -> Sequence[dict[str, Any]]:
    """Return the events of a name, which may arrive after the answer."""
    return eventually(lambda: worker.events(name), lambda found: len(found) >= at_least)


def only(files: dict[str, bytes], part: str) -> list[str]:
    return [path for path in files if part in path]


@pytest.mark.parametrize("fault", ["throw", 503])
def test_while_the_assets_fail_the_page_handler_answers_and_then_the_build_does(
    worker: ColdWorker, build: SmallBuild, fault: str | int
) -> None:
    worker.assets.fill(build.copy())
    worker.assets.fail({"*": fault})
    began = time.monotonic()
    for _ in range(20):
        answer = worker.visitor.ask("/page")
        assert (answer.status, answer.state) == (200, None)
        assert answer.text.startswith("page ")
    (event,) = logged(worker, "seed.failed")
    assert "assets" in event["error"]
    # Once a second, however long the requests took.
    assert worker.assets.counts().total() <= time.monotonic() - began + 2
    worker.assets.fail({})
    hit = eventually(lambda: worker.visitor.ask("/page"), lambda answer: answer.state == "HIT")
    assert hit.text == "built /page"
    assert worker.visitor.ask("/__prerender/build.json").status == 404


def test_assets_that_never_answer_time_out(worker: ColdWorker, build: SmallBuild) -> None:
    worker.assets.fill(build.copy())
    worker.runtime.fail("ASSETS", "fetch", "hang")
    answers = worker.visitor.ask_together(["/page"] * 10, lambda: None)
    assert {(answer.status, answer.state) for answer in answers} == {(200, None)}
    (event,) = logged(worker, "seed.failed")
    assert "nothing came within 5000 ms" in event["error"]
    worker.runtime.heal()
    hit = eventually(lambda: worker.visitor.ask("/page"), lambda answer: answer.state == "HIT")
    assert hit.text == "built /page"


@pytest.mark.parametrize(
    "content", [pytest.param(b"{", id="no JSON"), pytest.param(b'{"version": 1, "buildId": 5}', id="fields that are wrong")]
)
def test_a_corrupt_manifest_is_logged_once_and_read_again(worker: ColdWorker, build: SmallBuild, content: bytes) -> None:
    files = build.copy()
    worker.assets.fill({**files, BUILD_FILE: content})
    for _ in range(20):
        answer = worker.visitor.ask("/page")
        assert (answer.status, answer.state) == (200, None)
    logged(worker, "seed.failed")
    (line,) = [line for line in worker.runtime.logs[worker.first_log :] if "seed.failed" in line.message]
    assert line.level == "error"
    event = json.loads(line.message)
    assert set(event) == {"event", "error"}
    assert event["error"].startswith(BUILD_FILE)
    assert event["error"].endswith("copy the build again")
    worker.assets.fill(files)
    hit = eventually(lambda: worker.visitor.ask("/page"), lambda answer: answer.state == "HIT")
    assert hit.text == "built /page"


def test_a_missing_manifest_is_fetched_once(worker: ColdWorker) -> None:
    worker.pages.plan_for({"*": KEPT})
    states = [worker.visitor.ask("/page").state for _ in range(5)]
    assert states == ["MISS", "HIT", "HIT", "HIT", "HIT"]
    assert [worker.visitor.ask(f"/page-{number}").state for number in range(5)] == ["MISS"] * 5
    assert worker.assets.counts() == {BUILD_FILE: 1, "/__prerender/vinext-prerender.json": 1}
    assert len(logged(worker, "seed.nothing")) == 1


def test_an_artifact_that_fails_affects_its_page_only_until_it_is_available(worker: ColdWorker, build: SmallBuild) -> None:
    build.page("/large", LARGE)
    files = build.copy()
    worker.assets.fill(files)
    worker.pages.plan_for({"*": PASSED})
    (shard,) = only(files, "/index/")
    (page,) = only(files, "/artifacts/")
    worker.assets.fail({page: 500})
    for _ in range(5):
        assert worker.visitor.ask("/large").text.startswith("page ")
    assert worker.visitor.ask("/other").state == "HIT"
    (event,) = logged(worker, "seed.failed")
    assert event["path"] == "/large"
    worker.assets.fail({})
    assert eventually(lambda: worker.visitor.ask("/large"), lambda answer: answer.state == "HIT").text == LARGE
    assert worker.assets.counts()[shard] == 1


def test_a_corrupt_shard_is_read_again(worker: ColdWorker, build: SmallBuild) -> None:
    files = build.copy()
    (shard,) = only(files, "/index/")
    worker.assets.fill({**files, shard: b"{"})
    worker.pages.plan_for({"*": PASSED})
    for path in ("/page", "/other", "/page"):
        assert worker.visitor.ask(path).text.startswith("page ")
    assert [event["error"].startswith(shard) for event in logged(worker, "seed.failed")] == [True]
    worker.assets.fill(files)
    assert eventually(lambda: worker.visitor.ask("/page"), lambda answer: answer.state == "HIT").text == "built /page"


def test_a_missing_artifact_is_fetched_once(worker: ColdWorker, build: SmallBuild) -> None:
    build.page("/large", LARGE)
    files = build.copy()
    (page,) = only(files, "/artifacts/")
    del files[page]
    worker.assets.fill(files)
    worker.pages.plan_for({"*": PASSED})
    for _ in range(5):
        assert worker.visitor.ask("/large").text.startswith("page ")
    assert worker.visitor.ask("/large.rsc").text == "built payload /large"
    assert worker.assets.counts()[page] == 1
    assert len(logged(worker, "seed.failed")) == 1


def test_of_a_pack_that_is_cut_off_the_rest_is_served(worker: ColdWorker, build: SmallBuild) -> None:
    files = build.copy()
    (pack,) = only(files, "/packs/")
    worker.assets.fill({**files, pack: files[pack].removesuffix(b"e")})
    worker.pages.plan_for({"*": PASSED})
    assert files[pack].endswith(b"built payload /page")
    for _ in range(3):
        assert worker.visitor.ask("/page.rsc").text.startswith("payload ")
    assert [worker.visitor.ask(path).text for path in ("/page", "/other")] == ["built /page", "built /other"]
    (event,) = logged(worker, "seed.failed")
    assert event["error"] == f"the pack {pack.rpartition('/')[2]} does not hold the rsc that was built"
    worker.assets.fill(files)
    eventually(lambda: worker.visitor.ask("/page.rsc"), lambda answer: answer.text == "built payload /page")


def test_while_kv_cannot_be_read_the_page_handler_answers(worker: ColdWorker, build: SmallBuild) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": PASSED})
    for method in KV_READS:
        worker.runtime.fail("VINEXT_CACHE", method)
    for path in ("/page", "/new") * 5:
        answer = worker.visitor.ask(path)
        assert (answer.status, answer.state) == (200, None)
        assert answer.text.startswith("page ")
    (event,) = logged(worker, "cache.read_failed")
    assert "VINEXT_CACHE.getWithMetadata failed" in event["error"]
    # It is unknown whether the build's page was invalidated, so it is not served.
    assert len(logged(worker, "cache.markers_failed")) == 1
    worker.runtime.heal()
    assert eventually(lambda: worker.visitor.ask("/page"), lambda answer: answer.state == "HIT").text == "built /page"
    worker.pages.plan_for({"*": KEPT})
    eventually(lambda: worker.visitor.ask("/new"), lambda answer: answer.state == "HIT")


def test_a_kv_that_never_answers_times_out(worker: ColdWorker, build: SmallBuild) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT})
    for method in KV_READS:
        worker.runtime.fail("VINEXT_CACHE", method, "hang")
    answers = worker.visitor.ask_together(["/page.rsc", "/new", "/new"], lambda: None)
    assert [answer.status for answer in answers] == [200] * 3
    assert [event["error"] for event in logged(worker, "cache.read_failed")][:1] == [
        "TimeoutError: KV did not answer within 5000 ms"
    ]
    worker.runtime.heal()
    eventually(lambda: worker.visitor.ask("/new"), lambda answer: answer.state == "HIT")
    eventually(lambda: worker.visitor.ask("/page"), lambda answer: answer.state == "HIT")


@pytest.mark.parametrize("fault", ["throw", "hang"])
def test_while_kv_cannot_be_written_pages_are_served_from_memory(worker: ColdWorker, build: SmallBuild, fault: Fault) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT})
    worker.runtime.fail("VINEXT_CACHE", "put", fault)
    assert [worker.visitor.ask("/page").state for _ in range(3)] == ["HIT"] * 3
    assert [worker.visitor.ask("/new").state for _ in range(3)] == ["MISS", "HIT", "HIT"]
    if fault == "throw":
        assert len(logged(worker, "cache.write_failed")) == 1
    assert not worker.runtime.kv().names(f"cache:app:v2:{build.build_id}:")
    worker.runtime.heal()
    assert worker.visitor.ask("/next").state == "MISS"
    eventually(lambda: worker.runtime.kv().names(f"cache:app:v2:{build.build_id}:/next"))


def test_while_kv_cannot_delete_an_invalidated_page_stays_invalid(worker: ColdWorker, build: SmallBuild) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT, "/invalidate": {"headers": {"X-Vinext-Revalidated-Tags": "_N_T_%2Fpage"}}})
    worker.runtime.fail("VINEXT_CACHE", "delete")
    assert worker.visitor.ask("/page").state == "HIT"
    assert "x-vinext-revalidated-tags" not in worker.visitor.ask("/invalidate", "POST", body=b"").headers
    assert worker.visitor.ask("/page").state == "MISS"
    assert worker.visitor.ask("/page").state == "HIT"


def test_an_invalidation_that_kv_refuses_holds_in_this_isolate_and_is_written_later(
    worker: ColdWorker, build: SmallBuild
) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT, "/invalidate": {"headers": {"X-Vinext-Revalidated-Tags": "_N_T_%2Fother"}}})
    assert worker.visitor.ask("/other").state == "HIT"
    worker.runtime.fail("VINEXT_CACHE", "put")
    answer = worker.visitor.ask("/invalidate", "POST", body=b"")
    assert (answer.status, answer.state) == (200, None)
    assert [event["unwritten"] for event in logged(worker, "cache.invalidated")] == [["_N_T_/other"]]
    worker.runtime.heal()
    assert worker.visitor.ask("/other").state == "MISS"
    eventually(lambda: "__tag:_N_T_/other" in worker.runtime.kv().names("__tag:_N_T_/other"))
    assert worker.events("cache.invalidation_lost") == []


def test_of_two_invalidations_within_a_second_kv_gets_the_second_later(worker: ColdWorker, build: SmallBuild) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT, "/invalidate": {"headers": {"X-Vinext-Revalidated-Tags": "_N_T_%2Ftwice"}}})
    worker.runtime.fail("VINEXT_CACHE", "put", "limit")
    worker.visitor.ask("/invalidate", "POST", body=b"")
    second_ms = int(time.time() * 1000)
    worker.visitor.ask("/invalidate", "POST", body=b"")
    eventually(lambda: worker.runtime.kv().get("__tag:_N_T_/twice"), lambda marker: int(marker or b"0") >= second_ms)
    assert worker.events("cache.invalidation_lost") == []


CORRUPT = {
    "no JSON": b"{",
    "nothing": b"",
    "no text": b"\xff\xfe",
    "fields that are wrong": b'{"value": {"kind": "APP_PAGE", "html": 5}}',
    "no base64": (
        b'{"value":{"kind":"APP_PAGE","html":"","rscData":"!"},"tags":[],"lastModified":1,"revalidateAt":null,"expireAt":null}'
    ),
}


def test_a_corrupt_entry_is_a_miss_and_is_deleted(worker: ColdWorker, build: SmallBuild) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT})
    kv = worker.runtime.kv()
    for number, (name, value) in enumerate(CORRUPT.items()):
        path = f"/new-{number}"
        key = f"cache:app:v2:{build.build_id}:{path}:html"
        kv.put(key, value)
        miss = worker.visitor.ask(path)
        assert (miss.status, miss.state) == (200, "MISS"), name
        hit = worker.visitor.ask(path)
        assert (hit.state, hit.body) == ("HIT", miss.body), name
        eventually(lambda: kv.get(key), lambda found: found != value)  # noqa: B023 - it is called at once
    corrupt = logged(worker, "cache.entry_corrupt", at_least=2)
    errors = [event["error"] for event in corrupt]
    assert len(errors) == len(set(errors))
    assert corrupt[0]["key"] == f"cache:app:v2:{build.build_id}:/new-0:html"
    worker.pages.plan_for({"*": {"headers": {"Cache-Control": "no-store"}}})
    key = f"cache:app:v2:{build.build_id}:/dynamic:html"
    kv.put(key, b"{")
    assert worker.visitor.ask("/dynamic").state is None
    eventually(lambda: kv.get(key) is None)


@pytest.mark.parametrize("bad", ['{"x-own": "a\\nb"}', '{"x own": "a"}', '{"": "a"}', '{"x-own": ["a", "\\u0000"]}'])
def test_an_entry_with_a_header_that_http_does_not_allow_is_a_miss_and_replaced(
    worker: ColdWorker, build: SmallBuild, bad: str
) -> None:
    worker.assets.fill(build.copy())
    worker.pages.plan_for({"*": KEPT})
    key = f"cache:app:v2:{build.build_id}:/new:html"
    entry = {"html": "kept", "headers": json.loads(bad), "kind": "APP_PAGE"}
    stored = {"value": entry, "tags": [], "lastModified": 1, "revalidateAt": None, "expireAt": None}
    worker.runtime.kv().put(key, json.dumps(stored))
    miss = worker.visitor.ask("/new")
    assert (miss.status, miss.state) == (200, "MISS")
    hit = worker.visitor.ask("/new")
    assert (hit.status, hit.state, hit.body) == (200, "HIT", miss.body)
    (event,) = logged(worker, "cache.entry_corrupt")
    assert "header" in event["error"]
