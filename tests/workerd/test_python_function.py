"""A Python function as the page handler, and invalid handlers, in workerd."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker
from tests.workerd.patience import eventually
from tests.workerd.upstream import upstream

from vinext_worker.local_runtime import ScriptService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.local_runtime import LocalRuntime


@pytest.fixture(scope="module")
def runtime() -> Iterator[LocalRuntime]:
    variables = {"VINEXT_PAGE_HANDLER": "function_app:handler", "VINEXT_PAGE_TIMEOUT_MS": "2000", "VINEXT_ADMIN_TOKEN": "secret"}
    with python_worker(variables) as started:
        yield started


@pytest.fixture
def client(runtime: LocalRuntime) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=runtime.url, trust_env=False, timeout=20) as connected:
        yield connected


def state(answer: httpx.Response) -> str | None:
    return answer.headers.get("X-Vinext-Cache")


def until_stored(runtime: LocalRuntime, path: str) -> None:
    runtime.wait_for_log(f'"page.stored", "path": "{path}"')


def entry(runtime: LocalRuntime, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(runtime.kv().get(f"cache:app:v2:{key}") or b"null")
    return found


def test_a_task_that_a_handler_has_begun_goes_on_after_the_answer(client: httpx.Client) -> None:
    assert client.get("/begins").text == "soon"
    eventually(lambda: "a task" in client.get("/ended").text)


@pytest.mark.parametrize("path", ["/page", "/forever", "/json", "/kept-response", "/decorated", "/gone"])
def test_what_has_a_period_is_a_miss_and_then_a_hit(runtime: LocalRuntime, client: httpx.Client, path: str) -> None:
    first = client.get(path)
    until_stored(runtime, path)
    second = client.get(path)
    assert (state(first), state(second)) == ("MISS", "HIT")
    assert (first.status_code, first.text) == (second.status_code, second.text)
    assert first.headers["Content-Type"] == second.headers["Content-Type"]


def test_each_request_is_counted_and_gets_a_data_point(runtime: LocalRuntime, client: httpx.Client) -> None:
    before = len(runtime.control().data_points("VINEXT_ANALYTICS"))
    client.get("/forever/counted?a=b")
    client.get("/page")
    until_stored(runtime, "/page")
    assert state(client.get("/page")) == "HIT"
    points = runtime.control().data_points("VINEXT_ANALYTICS")[before:]
    assert [(point["indexes"], point["blobs"][:4]) for point in (points[0], points[-1])] == [
        (["/forever/*"], ["passed_on", "pass.query", "/forever/*", "/forever/counted"]),
        (["/page"], ["hit", "served.fresh", "/page", "/page"]),
    ]
    requests, _, size_bytes, status = points[-1]["doubles"]
    assert (requests, size_bytes, status) == (1, len(client.get("/page").content), 200)
    counters = client.get("/__vinext/metrics", headers={"Authorization": "Bearer secret"}).text
    assert 'vinext_passed_on_total{site="",reason="pass.query"} ' in counters
    assert re.search(r'vinext_requests_total\{site="",outcome="hit"\} [1-9]', counters)


def test_a_page_says_its_periods_tags_and_headers(runtime: LocalRuntime, client: httpx.Client) -> None:
    assert client.get("/page").headers["X-Own"] == "yes"
    until_stored(runtime, "/page")
    found = entry(runtime, "/page:html")
    assert (found["cacheControl"], "posts" in found["tags"]) == ({"revalidate": 60, "expire": 120}, True)


def test_a_decorator_says_it_too(runtime: LocalRuntime, client: httpx.Client) -> None:
    client.get("/decorated")
    until_stored(runtime, "/decorated")
    found = entry(runtime, "/decorated:html")
    assert (found["cacheControl"], "decorated" in found["tags"]) == ({"revalidate": 30}, True)


def test_a_stale_page_is_served_while_it_is_regenerated(runtime: LocalRuntime, client: httpx.Client) -> None:
    client.get("/short")
    until_stored(runtime, "/short")
    time.sleep(1.1)
    stale = client.get("/short")
    assert (state(stale), stale.text) == ("STALE", "<p>short 1</p>")
    runtime.wait_for_log('"page.regenerated", "path": "/short"')
    assert client.get("/short").text == "<p>short 2</p>"


@pytest.mark.parametrize(
    ("path", "status", "control"),
    [
        pytest.param("/zero", 200, "private, no-store", id="a period of zero"),
        pytest.param("/hidden-response", 200, "private, no-store", id="no_store() beats a header"),
        pytest.param("/response", 200, None, id="a response that says nothing"),
        pytest.param("/nothing-here", 404, None, id="no such page"),
    ],
)
def test_what_is_not_kept(client: httpx.Client, path: str, status: int, control: str | None) -> None:
    for answer in (client.get(path), client.get(path)):
        assert (answer.status_code, state(answer), answer.headers.get("Cache-Control")) == (status, None, control)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("/wrong", "function_app:handler returned a dict, which is neither a Page nor a Response", id="wrong type"),
        pytest.param(
            "/negative", "Page.revalidate is -1 (int), allowed: seconds from 0 on, or None, or False", id="negative period"
        ),
        pytest.param("/raises", "function_app:handler raised ValueError: nothing to see", id="raises"),
        pytest.param("/never", "function_app:handler did not begin to answer within 2000 ms", id="never answers"),
        pytest.param("/sleeps", "function_app:handler did not begin to answer within 2000 ms", id="sleeps in place"),
    ],
)
def test_a_failure_is_a_500_that_the_log_explains(runtime: LocalRuntime, client: httpx.Client, path: str, message: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, state(answer)) == (500, None)
    runtime.wait_for_log(message)
    assert runtime.kv().get(f"cache:app:v2:{path}:html") is None


@pytest.mark.parametrize("path", ["/silent", "/stalled"])
def test_the_time_out_ends_an_http_client_that_waits_in_place(client: httpx.Client, path: str) -> None:
    with upstream() as server:
        assert client.get(f"/asks?{server.url(path)}").status_code == 500
        ended = eventually(lambda: client.get("/ended").text, lambda ended: path in ended)
    assert f"{path}:CancelledError" in ended


def test_a_body_is_read_with_the_sdks_request(client: httpx.Client) -> None:
    assert client.post("/post", content="grüße").text == "POST grüße"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        pytest.param("asgi:missing:app", "asgi:missing:app cannot be imported: ModuleNotFoundError", id="no module"),
        pytest.param("gopher:x:y", "VINEXT_PAGE_HANDLER is 'gopher:x:y', allowed: service:NAME", id="no such form"),
    ],
)
def test_a_handler_that_cannot_be_used_is_named(setting: str, message: str) -> None:
    with python_worker({"VINEXT_PAGE_HANDLER": setting}) as runtime:
        assert httpx.get(f"{runtime.url}/x", trust_env=False).status_code == 500
        runtime.wait_for_log(message)


def test_code_chooses_before_the_setting_and_a_function_need_not_be_asynchronous(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE / "src", tmp_path / "src")
    (tmp_path / "src" / "entry.py").write_text(
        "from function_app import sync_handler\nfrom vinext import use_function\nfrom vinext.worker import Default\n"
        "use_function(sync_handler)\n"
    )
    shutil.copyfile(FIXTURE / "wrangler.toml", tmp_path / "wrangler.toml")
    with python_worker(folder=tmp_path) as runtime:
        assert httpx.get(f"{runtime.url}/x", trust_env=False).text == "made without await"


def test_a_service_that_never_answers_is_given_up() -> None:
    # The timer counts as something that is waited for; without one workerd itself ends the request.
    never = ScriptService("export default { fetch() { return new Promise((resolve) => setTimeout(resolve, 60_000)); } };")
    variables = {"VINEXT_PAGE_HANDLER": "service:PAGES", "VINEXT_PAGE_TIMEOUT_MS": "300"}
    with python_worker(variables, services={"PAGES": never}) as runtime:
        assert httpx.get(f"{runtime.url}/x", trust_env=False).status_code == 500
        runtime.wait_for_log("the service PAGES did not begin to answer within 300 ms")
