"""The embedded runtime, seen from outside: it keeps the promises of the Workers runtime to Python code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.compiled import SUFFIX, compiled_module
from tests.workerd.patience import eventually

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ImportFailedError, RuntimeStartError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions, ScriptService
from vinext_worker.project import Project
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"

PAGES = """
let count = 0;
export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === "/count") return new Response(String(count));
    count += 1;
    return new Response(`page ${count} at ${new URL(request.url).pathname} for ${env.WHO}`);
  },
};
"""


def options(folder: Path = FIXTURE, **changes: object) -> RuntimeOptions:
    return RuntimeOptions(WranglerConfig.read(folder / "wrangler.toml"), Tools(folder), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runtime() -> Iterator[LocalRuntime]:
    services = {"PAGES": ScriptService(PAGES, {"WHO": "the test"})}
    with LocalRuntime(options(services=services, faults=True, isolates=2, log_requests=True)) as started:
        yield started


@pytest.fixture
def client(runtime: LocalRuntime) -> Iterator[httpx.Client]:
    runtime.heal()
    with httpx.Client(base_url=runtime.url, trust_env=False) as connected:
        yield connected


def test_answers_with_the_sdks_response_and_its_variables(client: httpx.Client) -> None:
    answer = client.get("/hello")
    assert (answer.status_code, answer.text) == (200, "hello from blue")


def test_passes_on_a_raw_javascript_response(client: httpx.Client) -> None:
    answer = client.get("/raw-response")
    assert (answer.text, answer.headers["X-Raw"]) == ("raw", "yes")


def test_passes_the_request_with_its_body_to_python(client: httpx.Client) -> None:
    answer = client.post("/echo", content="grüße")
    assert (answer.text, answer.headers["X-Method"]) == ("grüße", "POST")


def test_keeps_module_state_between_requests(client: httpx.Client) -> None:
    first, second = (int(client.get("/").headers["X-Requests"]) for _ in range(2))
    assert second == first + 1


def test_looks_to_python_like_production(client: httpx.Client) -> None:
    facts = client.get("/facts").json()
    assert facts["python"].startswith("3.14.")
    assert facts["path"] == [
        "/lib/python314.zip",
        "/lib/python3.14/lib-dynload",
        "/session/metadata/python_modules",
        "/lib/python3.14/site-packages",
        "/session/metadata",
        "/session/lib/python3.14/site-packages",
    ]
    assert (facts["home"], facts["hash_seed"], facts["flag"]) == ("/session", "111", True)
    assert facts["bindings"] == ["ASSETS", "COLOUR", "PAGES", "STORE"]
    assert facts["request"] == "workers.request"


def test_reads_and_writes_the_key_value_store(runtime: LocalRuntime, client: httpx.Client) -> None:
    assert client.get("/kv").json() == {"value": "välue", "missing": None}
    store = runtime.kv("STORE")
    assert (store.get("key"), store.metadata("key")) == ("välue".encode(), {"n": 1})
    store.put("key", b"\xff\x00")
    assert store.get("key") == b"\xff\x00"
    store.delete("key")
    assert (store.names(), store.get("key")) == ([], None)


def test_isolates_share_the_store_but_no_state(runtime: LocalRuntime, client: httpx.Client) -> None:
    runtime.kv("STORE").put("key", "shared")
    assert [httpx.get(f"{url}/kv-or-error", trust_env=False).text for url in runtime.urls] == ["got shared"] * 2
    client.get("/hello")
    assert httpx.get(f"{runtime.urls[1]}/hello", trust_env=False).headers["X-Requests"] == "2"


def test_serves_assets_as_the_configuration_says(client: httpx.Client) -> None:
    assert client.get("/assets").text == "a file\n"
    assert client.get("/_next/static/a.js").text == "static\n"
    assert client.get("/file.txt").text == "no such path"


def test_direct_address_passes_the_assets_by(runtime: LocalRuntime) -> None:
    assert httpx.get(f"{runtime.direct_url}/_next/static/a.js", trust_env=False).text == "no such path"


def test_calls_a_service_and_lets_the_test_ask_it_too(runtime: LocalRuntime, client: httpx.Client) -> None:
    assert client.get("/pages").text == "page 1 at /somewhere for the test"
    assert httpx.get(f"{runtime.service_urls['PAGES']}/count", trust_env=False).text == "1"


@pytest.mark.parametrize("direct", [False, True], ids=["behind the assets", "direct"])
def test_wait_until_keeps_python_awaitables_alive(runtime: LocalRuntime, direct: bool) -> None:  # noqa: FBT001
    runtime.logs.clear()
    assert httpx.get(f"{runtime.direct_url if direct else runtime.url}/background", trust_env=False).text == "answered"
    runtime.wait_for_log("kept alive by the context")
    runtime.wait_for_log("kept alive by the module")


def test_a_failure_in_the_background_is_not_logged_by_the_runtime(runtime: LocalRuntime, client: httpx.Client) -> None:
    runtime.logs.clear()
    assert client.get("/background-failure").text == "answered"
    runtime.wait_for_log("it fails now")
    client.get("/background")
    runtime.wait_for_log("kept alive by the context")
    assert not [line for line in runtime.logs if "a failure in the background" in line.message]


def test_a_coroutine_can_be_waited_for_synchronously(client: httpx.Client) -> None:
    assert client.get("/synchronous").text == "waited for without await"


def test_randomness_works_in_a_request(client: httpx.Client) -> None:
    assert client.get("/randomness").text != client.get("/randomness").text


def test_a_failing_handler_is_a_500_with_one_traceback(runtime: LocalRuntime, client: httpx.Client) -> None:
    assert client.get("/failure").status_code == 500
    assert client.get("/hello").status_code == 200
    runtime.wait_for_log("a failure in the handler")
    lines = [line for line in runtime.logs if "a failure in the handler" in line.message]
    assert len(lines) == 1
    assert lines[0].level == "error"
    assert 'File "src/entry.py"' in lines[0].message
    assert "host.py" not in lines[0].message


def test_structured_logs_are_read_as_events(runtime: LocalRuntime, client: httpx.Client) -> None:
    client.get("/log")
    line = runtime.wait_for_log('"something"')
    assert (line.level, line.event) == ("warn", {"event": "something", "key": "a"})


def test_a_binding_fails_on_command(runtime: LocalRuntime, client: httpx.Client) -> None:
    runtime.kv("STORE").put("key", "value")
    runtime.fail("STORE", "get")
    assert client.get("/kv-or-error").text == "failed: Error: STORE.get failed as asked for"
    runtime.heal()
    assert client.get("/kv-or-error").text == "got value"


def test_a_binding_hangs_on_command(runtime: LocalRuntime, client: httpx.Client) -> None:
    runtime.fail("STORE", "get", "hang")
    with pytest.raises(httpx.ReadTimeout):
        client.get("/kv-or-error", timeout=httpx.Timeout(20, read=0.3))
    assert client.get("/hello").status_code == 200


def test_assets_answer_with_a_status_on_command(runtime: LocalRuntime, client: httpx.Client) -> None:
    runtime.fail("ASSETS", "fetch", 503)
    assert client.get("/assets").status_code == 503
    runtime.heal()
    assert client.get("/assets").status_code == 200


def test_each_request_is_reported(runtime: LocalRuntime, client: httpx.Client) -> None:
    client.get("/hello?a=1")
    client.get("/hello")
    eventually(lambda: ("GET", "/hello?a=1", 200) in [(line.method, line.path, line.status) for line in runtime.requests])


@pytest.mark.parametrize("binding", ["STORE", "ASSETS", "PAGES"])
def test_the_control_socket_needs_the_token(runtime: LocalRuntime, binding: str) -> None:
    url = runtime.control()._client.base_url
    assert httpx.post(url, json={"action": "kv.list", "binding": binding}, trust_env=False).status_code == 403


def write_project(folder: Path, entry: str, **modules: str) -> Path:
    shutil.copytree(FIXTURE, folder / "project")
    source = folder / "project" / "src"
    (source / "entry.py").write_text(entry)
    for name, text in modules.items():
        (source / f"{name}.py").write_text(text)
    return folder / "project"


ANSWER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response({text!r})
"""


@pytest.mark.parametrize(
    ("top_level", "message"),
    [
        pytest.param(
            "from js import Headers\nHEADERS = Headers.new()",
            "src/kept.py: HEADERS holds a JavaScript object ([object Headers]); make it in the first request",
            id="an object in a global",
        ),
        pytest.param(
            "from pyodide.ffi import to_js\nSTATE = {'options': [to_js({})]}",
            "src/kept.py: STATE['options'][0] holds a JavaScript object ([object Object]); make it in the first request",
            id="an object inside a container",
        ),
        pytest.param(
            "from pyodide.ffi import create_proxy\nCALLBACK = create_proxy(print)",
            "src/kept.py: CALLBACK holds a JavaScript object (<built-in function print>); make it in the first request",
            id="a proxy of a Python function",
        ),
        pytest.param("import random\nSEED = random.random()", "random.random is not allowed at module level", id="random"),
        pytest.param("import random\nSOURCE = random.Random()", "random.Random() is not allowed at module level", id="Random()"),
        pytest.param("import os\nKEY = os.urandom(8)", "os.urandom is not allowed at module level", id="urandom"),
        pytest.param("import secrets\nKEY = secrets.token_hex()", "os.urandom is not allowed at module level", id="secrets"),
        pytest.param("import uuid\nKEY = uuid.uuid4()", "os.urandom is not allowed at module level", id="uuid4"),
        pytest.param("import nowhere", "ModuleNotFoundError: No module named 'nowhere'", id="a missing module"),
    ],
)
def test_the_top_levels_rules_are_checked_when_the_code_is_imported(tmp_path: Path, top_level: str, message: str) -> None:
    project = write_project(tmp_path, "import kept\n" + ANSWER.format(text="one"), kept=top_level)
    with pytest.raises(ImportFailedError) as failure:
        LocalRuntime(options(project)).start()
    assert message in str(failure.value)
    assert "src/kept.py" in str(failure.value)


NEEDY_PATCH = """
from contextlib import contextmanager
from _cloudflare.allow_entropy import allow_bad_entropy_calls
from _cloudflare.import_patch_manager import register_exec_patch

@register_exec_patch("needy")
@contextmanager
def needy(module):
    with allow_bad_entropy_calls(1):
        yield
"""

ALLOWED = """
import asyncio, random
from js import Response, Object
from pyodide.ffi import to_js
LOCK = asyncio.Lock()
SEEDED = random.Random(1).random()
"""


def test_the_top_level_may_hold_classes_and_locks_and_the_sources_are_reloaded(tmp_path: Path) -> None:
    project = write_project(tmp_path, ALLOWED + ANSWER.format(text="one"))
    entry = project / "src" / "entry.py"
    with LocalRuntime(options(project, state=tmp_path / "state", log_requests=True)) as runtime:
        runtime.kv("STORE").put("kept", "on disk")
        entry.write_text("import nowhere\n" + ANSWER.format(text="two"))
        with pytest.raises(ImportFailedError, match="nowhere"):
            runtime.reload()
        assert httpx.get(runtime.url, trust_env=False).text == "one"
        url = runtime.url
        entry.write_text(ANSWER.format(text="three"))
        runtime.reload()
        assert runtime.url == url
        assert httpx.get(runtime.url, trust_env=False).text == "three"
        assert runtime.kv("STORE").get("kept") == b"on disk"
    assert not runtime.is_running


def test_a_package_that_the_sdk_lets_through_may_draw_numbers_while_it_is_imported(tmp_path: Path) -> None:
    project = write_project(tmp_path, "import needy\n" + ANSWER.format(text="imported"))
    vendored = project / "python_modules"
    shutil.copytree(Project.find().root / "python_modules", vendored)
    (vendored / "needy.py").write_text("import os\nKEY = os.urandom(4)")
    with pytest.raises(ImportFailedError, match=r"os\.urandom is not allowed at module level"):
        LocalRuntime(options(project)).start()

    (vendored / "needy_patch.pth").write_text("import needy_patch\n")
    (vendored / "needy_patch.py").write_text(NEEDY_PATCH)
    with LocalRuntime(options(project)) as runtime:
        assert httpx.get(runtime.url, trust_env=False).text == "imported"


COMPILED = """
import time
import tiny
from workers import Response, WorkerEntrypoint

IMPORTED_AT = time.time()

class Default(WorkerEntrypoint):
    def fetch(self, request):
        return Response(f"{tiny.__name__} {tiny.__file__.rpartition('/')[2]} {IMPORTED_AT > 1_000_000_000}")
"""


def test_a_compiled_package_is_in_the_snapshot_of_each_isolate(tmp_path: Path) -> None:
    project = write_project(tmp_path, COMPILED)
    vendored = project / "python_modules"
    shutil.copytree(Project.find().root / "python_modules", vendored)
    (vendored / f"tiny{SUFFIX}").write_bytes(compiled_module("tiny"))
    with LocalRuntime(options(project, isolates=2)) as runtime:
        texts = [httpx.get(url, trust_env=False, timeout=60).text for url in runtime.urls]
    assert texts == [f"tiny tiny{SUFFIX} False"] * 2


def test_a_taken_port_is_named(tmp_path: Path, runtime: LocalRuntime) -> None:
    port = httpx.URL(runtime.url).port
    with pytest.raises(RuntimeStartError, match=rf"port {port} on 127\.0\.0\.1 cannot be used .*--port"):
        LocalRuntime(options(port=port)).start()


def test_a_binding_can_be_omitted_and_a_service_can_replace_the_assets(tmp_path: Path) -> None:
    assets = ScriptService("export default { fetch: () => new Response('instead', { status: 418 }) }")
    with LocalRuntime(options(services={"ASSETS": assets}, without=frozenset({"STORE"}))) as runtime:
        assert httpx.get(f"{runtime.url}/assets", trust_env=False).status_code == 418
        assert "STORE" not in httpx.get(f"{runtime.url}/facts", trust_env=False).json()["bindings"]
