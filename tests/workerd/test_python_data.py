"""The data cache in workerd: beside vinext's own, under pages, and in front of a server."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.python_worker import FIXTURE, PROJECT, python_worker
from tests.workerd.patience import eventually

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService
from vinext_worker.sites.files import locked
from vinext_worker.sites.npm_build import install_npm_packages
from vinext_worker.sites.vinext_project import VinextProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer

    from vinext_worker.local_runtime import LocalRuntime

CLOCK_ERROR_MS = 1000
SITE = PROJECT.root / "tests" / "fixtures" / "sites" / "vinext-1.4.0"


@pytest.fixture(scope="module")
def vinext(tmp_path_factory: pytest.TempPathFactory) -> BuildService:
    """The bundle of tests/fixtures/python/vinext_data.js with the packages of vinext."""
    with locked(SITE):
        install_npm_packages(VinextProject.read(SITE), PROJECT.tools.node, Console(stderr=True))
    folder = tmp_path_factory.mktemp("vinext")
    source = SITE / "node_modules" / ".vinext_data.js"
    shutil.copyfile(FIXTURE / "vinext_data.js", source)
    esbuild = PROJECT.tools.node_modules / "esbuild" / "bin" / "esbuild"
    outside = ["--external:node:*", "--external:cloudflare:*"]
    command = [PROJECT.tools.node, esbuild, source, "--bundle", "--format=esm", f"--outfile={folder / 'index.js'}", *outside]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    source.unlink()
    assert done.returncode == 0, done.stderr
    namespaces = WranglerConfig.read(FIXTURE / "wrangler.toml").kv_namespaces
    configuration = {
        "name": "vinext-data",
        "main": "index.js",
        "compatibility_date": "2026-10-01",
        "compatibility_flags": ["nodejs_compat"],
        "kv_namespaces": [{"binding": binding, "id": name} for binding, name in namespaces.items()],
    }
    (folder / "wrangler.json").write_text(json.dumps(configuration))
    return BuildService(folder / "wrangler.json")


@pytest.fixture(scope="module")
def runtime(vinext: BuildService) -> Iterator[LocalRuntime]:
    variables = {"VINEXT_PAGE_HANDLER": "data_app:handler", "VINEXT_TAG_CACHE_MS": "0", "VINEXT_MEMORY_BYTES": "0"}
    with python_worker(variables, services={"VINEXT": vinext}) as started:
        yield started


def python(runtime: LocalRuntime, path: str, **query: str) -> httpx.Response:
    return httpx.get(f"{runtime.url}{path}?{urlencode(query)}", trust_env=False, timeout=20)


def beside(runtime: LocalRuntime, path: str, **query: str) -> str:
    return httpx.get(f"{runtime.service_urls['VINEXT']}{path}?{urlencode(query)}", trust_env=False, timeout=20).text


def test_python_and_vinext_read_each_others_results(runtime: LocalRuntime) -> None:
    source = beside(runtime, "/source")
    assert beside(runtime, "/value", slug="a ü") == "vinext a ü 1"
    assert python(runtime, "/shared", slug="a ü", source=source).text == "vinext a ü 1"
    assert python(runtime, "/shared", slug="b", source=source).text == "python b 1"
    assert beside(runtime, "/value", slug="b") == "python b 1"


def test_an_invalidation_by_vinext_reaches_python(runtime: LocalRuntime) -> None:
    source = beside(runtime, "/source")
    first = python(runtime, "/shared", slug="c", source=source).text
    time.sleep(0.01)
    beside(runtime, "/invalidate")
    assert python(runtime, "/shared", slug="c", source=source).text != first


def test_an_invalidation_by_python_is_vinexts_own_marker(runtime: LocalRuntime) -> None:
    before_ms = time.time() * 1000
    python(runtime, "/invalidate", tag="other")
    after_ms = time.time() * 1000
    marker = runtime.kv().get("__tag:other")
    assert marker is not None
    assert before_ms - CLOCK_ERROR_MS < int(marker) < after_ms + CLOCK_ERROR_MS


def test_concurrent_requests_share_one_run(runtime: LocalRuntime) -> None:
    python(runtime, "/hold", name="together")
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(python, runtime, "/slow", name="together") for _ in range(4)]
        eventually(lambda: python(runtime, "/runs", name="together asked").text, lambda text: text == "4")
        python(runtime, "/release", name="together")
        assert [answer.result().text for answer in answers] == ["1"] * 4


@pytest.mark.parametrize(("url", "failure"), [({}, "ValueError run 2"), ({"url": "nowhere:"}, "JsException TypeError")])
def test_a_function_that_fails_is_not_run_for_each_who_waits(runtime: LocalRuntime, url: dict[str, str], failure: str) -> None:
    name = f"failing {url}"
    python(runtime, "/hold", name=name)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(python, runtime, "/failing", name=name, **url) for _ in range(8)]
        eventually(lambda: python(runtime, "/runs", name=f"{name} asked").text, lambda text: text == "8")
        python(runtime, "/release", name=name)
        texts = sorted(answer.result().text for answer in answers)
    assert sum(text.startswith(failure) for text in texts) >= 6, texts
    assert int(python(runtime, "/runs", name=name).text) < 4


def test_a_stale_result_is_returned_while_it_is_refreshed(runtime: LocalRuntime) -> None:
    assert python(runtime, "/slow", name="stale").text == "1"
    python(runtime, "/hold", name="stale")
    time.sleep(1.1)
    assert [python(runtime, "/slow", name="stale").text for _ in range(2)] == ["1", "1"]
    python(runtime, "/release", name="stale")
    eventually(lambda: python(runtime, "/slow", name="stale").text, lambda text: text == "2")


def test_a_page_carries_the_tags_and_the_period_of_its_data(runtime: LocalRuntime) -> None:
    answer = httpx.get(f"{runtime.url}/page", trust_env=False)
    assert (answer.headers["X-Vinext-Cache"], answer.headers["Cache-Control"]) == (
        "MISS",
        "s-maxage=1, stale-while-revalidate",
    )
    runtime.wait_for_log('"page.stored", "path": "/page"')
    assert {"page", "slow"} <= set(runtime.kv().metadata("cache:app:v2:/page:html")["tags"])


def test_a_regenerated_page_has_fresh_data(runtime: LocalRuntime) -> None:
    first = python(runtime, "/page").text
    eventually(lambda: python(runtime, "/page").text, lambda text: text != first)
    runtime.wait_for_log('"page.regenerated", "path": "/page"')


def test_a_fetched_answer_is_kept(runtime: LocalRuntime, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/data", headers={"X-From": "worker"}).respond_with_data(
        b"\x00\xff", content_type="application/x-test"
    )
    url = httpserver.url_for("/data")
    for _ in range(2):
        answer = python(runtime, "/fetch", url=url)
        assert (answer.content, answer.headers["Content-Type"]) == (b"\x00\xff", "application/x-test")
    assert len(httpserver.log) == 1
