"""The rules of `vinext.testing` and of tests/conformance inside workerd: from Python, over the real bindings of KV and R2.

The clock of the handlers is turned there. KV's own cannot be: that a value goes when its time has come is shown with the
fake in tests/cache/test_fake_kv.py, which obeys the same rules.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cache.test_corruption import damaged_bytes, damaged_documents
from tests.cache.vectors import rows
from tests.conformance import kv_namespace, r2_bucket

from core.body import MAX_DEPTH
from vinext.testing import RULES
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vinext_worker.project import Project

TESTS = Path(__file__).parents[1]
SUBJECTS = (
    "memory",
    "memory-js",
    "kv-v1-vinext",
    "kv-v2-vinext",
    "kv-v2-vinext-js",
    "kv-v2-framed",
    "kv-v2-framed-js",
    "tiered-v2-vinext",
    "tiered-v2-framed-js",
    "kv-v2-framed-js-r2",
    "kv-v2-framed-js-both",
    "tiered-v2-framed-js-r2",
    "tiered-v2-framed-js-both",
    "kv-v2-framed-js-regional",
)
"""Store, schema and layout; `js`: the bodies that are written are in JavaScript's memory.

`r2` instead of KV, or `both`; `regional`: the Cache API before KV.
"""


@pytest.fixture(scope="module")
def runtime(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder = tmp_path_factory.mktemp("conformance") / "worker"
    shutil.copytree(TESTS / "fixtures" / "conformance", folder)
    for package in ("core", "cache", "pages", "datacache", "edge", "vinext"):
        shutil.copytree(project.root / "src" / package, folder / "src" / package)
    shutil.copytree(TESTS / "conformance", folder / "src" / "conformance")
    with LocalRuntime(
        RuntimeOptions(config=WranglerConfig.read(folder / "wrangler.toml"), tools=project.tools, faults=True)
    ) as started:
        yield started


@pytest.fixture(scope="module")
def client(runtime: LocalRuntime) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=runtime.direct_url, timeout=60, trust_env=False) as connected:
        yield connected


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_handler_obeys(client: httpx.Client, subject: str, rule: str) -> None:
    failure = client.get(f"/handler/{subject}/{rule}").raise_for_status().json()["failure"]
    assert failure is None, failure


@pytest.mark.parametrize("rule", [rule.__name__ for rule in kv_namespace.RULES])
def test_binding_obeys(client: httpx.Client, rule: str) -> None:
    failure = client.get(f"/namespace/{rule}").raise_for_status().json()["failure"]
    assert failure is None, failure


@pytest.mark.parametrize("rule", [rule.__name__ for rule in r2_bucket.RULES])
def test_bucket_obeys(client: httpx.Client, rule: str) -> None:
    failure = client.get(f"/bucket/{rule}").raise_for_status().json()["failure"]
    assert failure is None, failure


@pytest.mark.parametrize(("binding", "path"), [("VINEXT_CACHE", "/hang"), ("VINEXT_CACHE_R2", "/hang/r2")], ids=["kv", "r2"])
def test_a_store_that_never_answers_is_given_up(runtime: LocalRuntime, client: httpx.Client, binding: str, path: str) -> None:
    for method in ("get", "getWithMetadata", "put", "delete", "list"):
        runtime.fail(binding, method, "hang")
    try:
        answer = client.get(path).raise_for_status().json()
    finally:
        runtime.heal()
    outcomes = answer["outcomes"]
    assert outcomes["get"] == "None"
    assert outcomes["set"] == "None"
    assert outcomes["is_invalidated"] == "True"
    assert outcomes["revalidate_tag"] == "None"  # KV is told later
    assert outcomes["revalidate_by_path_prefix"].startswith("InvalidationError: could not invalidate '_N_T_/docs/layout'")
    assert [line.split()[1] for line in answer["log"]] == ["cache.read_failed", "cache.write_failed", "cache.markers_failed"]


def test_work_in_the_background_that_does_not_end_is_given_up_with_one_line(client: httpx.Client) -> None:
    (line,) = client.get("/endless").raise_for_status().json()["log"]
    assert line.startswith("warning background.given_up")
    assert "endless work did not end within 50 ms" in line


STRANGE = [
    *(row["text"] for row in rows("reads")),
    "\ufeff" + json.dumps({"value": None, "tags": [], "lastModified": 1, "revalidateAt": None}),
    *(
        json.dumps({"value": value, "tags": [], "lastModified": 1, "revalidateAt": None})
        for value in (
            {"kind": "APP_PAGE", "html": "\ufeff\x00\ud800é\udc00🎉"},
            {"kind": "APP_PAGE", "html": "", "postponed": "\ud83c", "rscData": ""},
            {"kind": "APP_PAGE", "html": "", "rscData": " QQ="},
            {"kind": "APP_PAGE", "html": "", "rscData": "QQ  "},
            {"kind": "APP_PAGE", "html": "", "rscData": "    "},
            {"kind": "APP_PAGE", "html": "", "rscData": "QQ\n=="},
            {"kind": "APP_PAGE", "html": "", "rscData": "QUJD\n\r\t "},
            {"kind": "APP_PAGE", "html": "", "rscData": "QUJDQQ"},
            {"kind": "APP_PAGE", "html": "", "rscData": "QU-_"},
            {"kind": "APP_PAGE", "html": {"toString": 5}},
            {"kind": "APP_PAGE", "html": ["x"]},
            {"kind": "APP_PAGE", "html": None, "__proto__": {"html": "x"}},
            {"kind": "toString", "html": ""},
            {"kind": "APP_PAGE", "html": "", "extra": [1e21, -0.0, 1.5, 2**53, 2**53 + 1, 0.1, None, True]},
            {"kind": "IMAGE", "etag": "", "buffer": "QR==", "extension": ""},
        )
    ),
]


def read_both_ways(client: httpx.Client, values: Sequence[bytes]) -> list[tuple[Any, Any]]:
    encoded = [base64.b64encode(value).decode() for value in values]
    return [(ours, plain) for ours, plain in client.post("/read", json=encoded).raise_for_status().json()]


def read_differently(client: httpx.Client, values: Sequence[bytes]) -> list[bytes]:
    """Return the values that are read differently out of JavaScript's memory and out of Python's."""
    answers = read_both_ways(client, values)
    return [value for value, (ours, plain) in zip(values, answers, strict=True) if ours != plain]


def test_a_stored_value_is_read_alike_in_javascript_and_in_python(client: httpx.Client) -> None:
    assert read_differently(client, [text.encode("utf-8", "surrogatepass") for text in STRANGE]) == []


@pytest.mark.parametrize("depth", [50, 450, MAX_DEPTH, 5_000, 100_000])
def test_a_deeply_nested_document_is_refused_or_read_and_nothing_worse(client: httpx.Client, depth: int) -> None:
    text = json.dumps({"value": None, "tags": [], "lastModified": 1, "revalidateAt": None, "more": "@"})
    nested = text.replace('"@"', "[" * depth + "]" * depth)
    ((ours, _),) = read_both_ways(client, [nested.encode()])
    assert (ours is None) is (depth >= MAX_DEPTH)
    assert client.get("/handler/kv-v2-vinext/the_last_write_wins").json() == {"failure": None}


def fits_javascript(data: bytes) -> bool:
    """Return whether JavaScript can represent the numbers: one that is too large becomes Infinity, and is written as null."""
    return b"0" * 300 not in data


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(values=st.lists(st.one_of(damaged_bytes(), damaged_documents()).filter(fits_javascript), min_size=20, max_size=30))
def test_damaged_values_are_read_alike_in_javascript_and_in_python(client: httpx.Client, values: list[bytes]) -> None:
    assert read_differently(client, values) == []
