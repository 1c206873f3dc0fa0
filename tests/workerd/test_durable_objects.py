"""Durable Objects written in Python, in the embedded runtime: as in production, one of a name whichever isolate asks."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from tests.fakes.websocket import WebSocketClient
from tests.workerd.patience import eventually

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ImportFailedError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURE = Path(__file__).parents[1] / "fixtures" / "objects"


def options(folder: Path = FIXTURE, **changes: Any) -> RuntimeOptions:
    return RuntimeOptions(WranglerConfig.read(folder / "wrangler.toml"), Tools(folder), **changes)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    with LocalRuntime(options(isolates=2, state=tmp_path_factory.mktemp("state"))) as started:
        yield started


def call(url: str, *parts: object) -> Any:
    return httpx.get("/".join([url, *map(str, parts)]), trust_env=False).raise_for_status().json()


def test_isolates_share_one_object_of_a_name(runtime: LocalRuntime) -> None:
    assert call(runtime.urls[0], "hall", "say", "one") == {"calls": 1, "words": ["one"]}
    assert call(runtime.urls[1], "hall", "say", "two") == {"calls": 2, "words": ["one", "two"]}
    assert call(runtime.urls[1], "attic", "say", "other") == {"calls": 1, "words": ["other"]}


def test_storage_is_waited_for_by_one_call_at_a_time(runtime: LocalRuntime) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda turn: call(runtime.urls[turn % 2], "counter", "count"), range(16)))
    assert sorted(counts) == list(range(1, 17))


def test_fetch_gets_the_request_and_answers_it(runtime: LocalRuntime) -> None:
    assert httpx.post(f"{runtime.url}/hall", content="grüße", trust_env=False).text == "POST /hall grüße"


def test_a_method_may_wait_without_await(runtime: LocalRuntime) -> None:
    assert [call(url, "hall", "synchronous") for url in runtime.urls] == ["waited for without await"] * 2


def test_what_a_method_raises_reaches_the_caller(runtime: LocalRuntime) -> None:
    answer = httpx.get(f"{runtime.url}/hall/fail", trust_env=False)
    assert (answer.status_code, "ValueError: a failure in the object" in answer.text) == (500, True)


def test_an_alarm_goes_off(runtime: LocalRuntime) -> None:
    call(runtime.url, "clock", "remind", 50)
    eventually(lambda: "alarm" in call(runtime.url, "clock", "say", "tick")["words"])


def test_sockets_are_the_objects_own(runtime: LocalRuntime) -> None:
    with WebSocketClient(f"{runtime.urls[0]}/chat") as one, WebSocketClient(f"{runtime.urls[1]}/chat") as two:
        assert one.status == 101
        one.send("hello")
        assert (one.receive(), two.receive()) == ("0: hello", "0: hello")
        two.close(4001)
        eventually(lambda: "closed with 4001" in call(runtime.url, "chat", "say", "x")["words"])


def test_a_class_that_the_entry_does_not_export_is_named(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path, dirs_exist_ok=True)
    entry = tmp_path / "src" / "entry.py"
    entry.write_text(entry.read_text().replace('["Default", "Room"]', '["Default"]'))
    with pytest.raises(ImportFailedError, match=r"^the main module entry has no Durable Object Room, which .* binds as ROOMS;"):
        LocalRuntime(options(tmp_path)).start()


def test_storage_and_alarms_outlive_the_runtime(runtime: LocalRuntime) -> None:
    """The last test: another workerd takes the place of the others'."""
    call(runtime.url, "cellar", "say", "kept")
    call(runtime.url, "cellar", "set_topic", "keys")
    assert call(runtime.url, "cellar", "topic") == {"stored": "keys", "loaded": None}
    call(runtime.url, "cellar", "remind", 20_000)
    call(runtime.url, "bell", "remind", 1000)
    runtime.reload()
    assert call(runtime.url, "cellar", "topic") == {"stored": "keys", "loaded": "keys"}
    assert call(runtime.url, "cellar", "say", "again")["words"][0] == "kept"
    assert call(runtime.url, "cellar", "reminder")
    # Once at least, as Cloudflare promises it.
    eventually(lambda: call(runtime.url, "bell", "say", "tick")["words"], lambda words: "alarm" in words)
