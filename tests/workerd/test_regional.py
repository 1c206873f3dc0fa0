"""Copies in a real Cache API, which the isolates of a place share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually
from tests.workerd.stubs import AssetsStub, PagesStub, assets_service, events, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.project import Project

LARGE = "".join(f"<p>{number} é" for number in range(100_000))
KEPT = {"headers": {"Cache-Control": "s-maxage=600", "Content-Type": "text/html", "X-Name": "é"}}


@pytest.fixture(scope="module")
def runtime(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    config = WranglerConfig.read(project.configuration)
    wrong = {"VINEXT_CACHE_R2": "no bucket", "VINEXT_TAGS": "no object"}
    options = RuntimeOptions(
        config=replace(config, kv_namespaces={**config.kv_namespaces, **wrong}),
        tools=project.tools,
        services={"PAGES": pages_service(), "ASSETS": assets_service()},
        variables={"VINEXT_KV_LAYOUT": "framed", "VINEXT_MEMORY_BYTES": "0", "VINEXT_REGIONAL_CACHE": "60"},
        isolates=2,
        faults=True,
    )
    with LocalRuntime(options) as started:
        fill(started, tmp_path_factory.mktemp("build"))
        yield started


def fill(runtime: LocalRuntime, folder: Path) -> None:
    build = SmallBuild(folder)
    build.page("/page")
    AssetsStub(runtime).fill(build.copy())
    PagesStub(runtime).plan_for({"/large": {**KEPT, "body": LARGE}, "/small": {**KEPT, "body": "é"}, "*": KEPT})


@pytest.mark.parametrize(("path", "text"), [("/large", LARGE), ("/small", "é")])
def test_an_isolate_serves_the_copy_that_another_one_has_made(runtime: LocalRuntime, path: str, text: str) -> None:
    one, other = (Visitor(url) for url in runtime.urls)
    host = {"Host": "shop.example"}
    assert one.ask(path, headers=host).state == "MISS"
    stored = eventually(lambda: one.ask(path, headers=host), lambda answer: answer.state == "HIT")
    runtime.fail("VINEXT_CACHE", "getWithMetadata", "throw")
    try:
        eventually(lambda: one.ask(path, headers=host), lambda answer: answer.state == "HIT")
        for hit in [other.ask(path, headers=host) for _ in range(10)]:
            assert (hit.status, hit.state, hit.text) == (200, "HIT", text)
            assert (hit.headers["etag"], hit.headers["x-name"]) == (stored.headers["etag"], stored.headers["x-name"])
            assert hit.headers["content-length"] == str(len(text.encode()))
    finally:
        runtime.heal()
    assert not events(runtime, "cache.region_failed")


@pytest.mark.parametrize(("binding", "kind"), [("VINEXT_CACHE_R2", "R2Bucket"), ("VINEXT_TAGS", "DurableObjectNamespace")])
def test_a_namespace_in_place_of_another_store_is_one_line_and_not_used(runtime: LocalRuntime, binding: str, kind: str) -> None:
    assert Visitor(runtime.urls[0]).ask("/page").state == "HIT"
    wrong = [event for event in events(runtime, "binding.wrong") if event["binding"] == binding]
    assert 1 <= len(wrong) <= len(runtime.urls)
    assert wrong[0]["error"] == f"it is bound to KvNamespace, not to {kind}, and is not used"
    assert not events(runtime, "tags.unreachable")
