"""Promises that requests share: whoever stops waiting leaves nothing behind that another request would have to settle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import python_worker
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.local_runtime import LocalRuntime


@pytest.fixture(scope="module")
def runtime() -> Iterator[LocalRuntime]:
    with python_worker({"VINEXT_PAGE_HANDLER": "flight_app:handler"}) as started:
        yield started


def ask(runtime: LocalRuntime, path: str) -> str:
    return httpx.get(f"{runtime.url}{path}", trust_env=False, timeout=30).text


def test_requests_that_waited_in_vain_are_not_settled_by_another(runtime: LocalRuntime) -> None:
    with ThreadPoolExecutor(4) as visitors:
        leading = visitors.submit(ask, runtime, "/lead")
        waited = [eventually(lambda: ask(runtime, "/follow"), lambda text: "waited" in text) for _ in range(3)]
        assert waited == ["waited long enough"] * 3
        assert leading.result() == "led"
    assert not [line for line in runtime.logs if "different request context" in line.message]
