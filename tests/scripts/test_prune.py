"""Removing the entries of older builds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import BUILT_AT_MS, dump
from tests.fakes.cloudflare import Stored
from tests.fakes.deployments import FakeDeployment

from cache.entry import AppPageValue, CacheEntry
from cache.keys import KeySchema, key_build, kv_key, page_key, pages_router_key
from cache.kv_record import TTLPolicy, kv_record
from cache.stored import Codec, Layout, whole_bytes
from core.body import text_body
from vinext_worker.prune.plan import StoredBuild, plan_prune

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine

LONG = "/" + "x" * 300
CURRENT = "now"


@pytest.mark.parametrize("build", ["b", "2f9d-uuid", "v2", "with:colon", None])
@pytest.mark.parametrize("schema", KeySchema)
@pytest.mark.parametrize("path", ["/", "/a", "/a:b/c", LONG, "/日本"])
def test_the_build_is_read_out_of_every_key_of_a_page(build: str | None, schema: KeySchema, path: str) -> None:
    if (build, schema) == ("v2", KeySchema.V1):
        # It cannot be told from a key of schema v2 without a build.
        assert key_build(page_key(schema, build, path, "html")) is None
        return
    for suffix in ("html", "rsc", "route", "route:trailing-slash"):
        assert key_build(page_key(schema, build, path, suffix)) == build
    assert key_build(pages_router_key(schema, build, path)) == build


def test_other_keys_name_no_build() -> None:
    for key in ("unstable_cache:a:/b:[]", "fetch:abc", "__hash:0123456789abcdef", ""):
        assert key_build(key) is None
    assert key_build("app-fallback-shell:v1:b:/en/[slug]:html") == "b"


@pytest.mark.parametrize(("version", "build"), [("0.0.38", "vapp-0038-cf1"), ("1.4.0", "vapp-140-cf1")])
def test_the_keys_of_vinexts_own_worker_are_read(version: str, build: str) -> None:
    keys = [row["key"].removeprefix("cache:") for row in dump(version, "kv-dump")["entries"] if ":/" in row["key"]]
    assert {key_build(key) for key in keys if key.startswith(("app:", "pages:"))} == {build}


PLANS = {
    "older ones beyond those kept go": ({"a": 1, "b": 2, "c": 3}, 2, {"a", "b"}),
    "only the current one is kept": ({"a": 1, "b": 2}, 1, {"a", "b"}),
    "enough are kept": ({"a": 1, "b": 2}, 5, set()),
    "a newer one never goes": ({"a": 1, "newer": 1001}, 1, {"a"}),
    "one of the same time never goes": ({"same": 1000}, 1, set()),
    "one whose age is unknown never goes": ({"unknown": None}, 1, set()),
}


@pytest.mark.parametrize(("others", "keep", "removed"), PLANS.values(), ids=PLANS)
def test_what_goes(others: dict[str, int | None], keep: int, removed: set[str]) -> None:
    builds = [StoredBuild(CURRENT, 1, None), *(StoredBuild(name, 1, oldest) for name, oldest in others.items())]
    plan = plan_prune(builds, CURRENT, 1000, keep)
    assert {build.build_id for build in plan.removed} == removed
    assert {build.build_id for build, _ in plan.kept} == {CURRENT, *others} - removed


def store(cloudflare: FakeCloudflare, build: str, at_ms: int, pages: int, prefix: str = "") -> None:
    for number in range(pages):
        key = kv_key(page_key(KeySchema.V2, build, f"/{number}", "html"), prefix)
        value = {"kind": "APP_PAGE", "html": "<p>"}
        entry = {"value": value, "tags": [], "lastModified": at_ms + number, "revalidateAt": None}
        cloudflare.stored[key] = Stored(json.dumps(entry).encode())


def builds_in(cloudflare: FakeCloudflare) -> dict[str, int]:
    found = [key_build(key.partition("cache:")[2]) or "" for key in cloudflare.stored]
    return {build: found.count(build) for build in found}


@pytest.fixture
def deployment(tmp_path: Path, cloudflare: FakeCloudflare) -> FakeDeployment:
    cloudflare.page_size = 40
    store(cloudflare, "oldest", BUILT_AT_MS - 3_000_000, 30)
    store(cloudflare, "older", BUILT_AT_MS - 2_000_000, 30)
    store(cloudflare, CURRENT, BUILT_AT_MS, 30)
    store(cloudflare, "newer", BUILT_AT_MS + 1, 30)
    cloudflare.stored["__tag:a"] = Stored(b"1")
    cloudflare.stored["cache:unstable_cache:a:[]"] = Stored(b"{}")
    store(cloudflare, "oldest", 0, 5, prefix="another-app")
    return FakeDeployment.of_pages(tmp_path, {"/": b"<p>"}, build_id=CURRENT)


@pytest.mark.parametrize("is_in_r2", [False, True], ids=["in KV", "the body in R2"])
def test_a_framed_entry_tells_its_age_in_its_metadata(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, *, is_in_r2: bool
) -> None:
    for build, made_ms in (("framed-older", BUILT_AT_MS - 1), ("framed-newer", BUILT_AT_MS + 1)):
        entry = CacheEntry.make(AppPageValue(html=text_body("<p>")), ("t",), made_ms)
        key = kv_key(page_key(KeySchema.V2, build, "/0", "html"))
        record = kv_record(entry, Codec(Layout.FRAMED, KeySchema.V2), TTLPolicy.THIRTY_DAYS, key)
        metadata = json.loads(record.metadata or "null")
        cloudflare.stored[key] = Stored(b"", {"r2": 1, **metadata}) if is_in_r2 else Stored(whole_bytes(record.parts), metadata)
    said = command_line.run("prune", "--config", deployment.config, "--keep", "1", "--json").document
    assert {row["buildId"] for row in said["removed"]} == {"oldest", "older", "framed-older"}


def test_a_dry_run_says_what_would_go(deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    before = dict(cloudflare.stored)
    said = command_line.run("prune", "--config", deployment.config, "--keep", "1", "--dry-run", "--json")
    assert cloudflare.stored == before
    assert {row["buildId"]: row["entries"] for row in said.document["removed"]} == {"oldest": 30, "older": 30}
    assert {row["buildId"] for row in said.document["kept"]} == {CURRENT, "newer"}


def test_older_builds_go_and_nothing_else(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    assert command_line.run("prune", "--config", deployment.config).status == 0
    # The five of "oldest" that are left belong to another app.
    assert builds_in(cloudflare) == {"oldest": 5, "older": 30, CURRENT: 30, "newer": 30, "": 2}
    said = command_line.run("prune", "--config", deployment.config, "--keep", "1")
    assert builds_in(cloudflare) == {"oldest": 5, CURRENT: 30, "newer": 30, "": 2}
    assert "older\t30\tremoved" in said.out


def test_an_older_build_whose_pages_were_made_again_since_stays_until_one_proves_it(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    store(cloudflare, "remade", BUILT_AT_MS + 5, 5)
    said = command_line.run("prune", "--config", deployment.config, "--keep", "1", "--json").document
    assert "remade" in {row["buildId"] for row in said["kept"]}


def test_old_builds_of_tenants_go_where_the_prefix_is_surely_theirs(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    for prefix in ("named", "site-a", "site-b", "alone", "site-"):
        store(cloudflare, "older", BUILT_AT_MS - 1000, 2, prefix=prefix)
        store(cloudflare, CURRENT, BUILT_AT_MS, 1, prefix=prefix)
    tenants = "named.example=named,*.sites.example=site-{label}"
    deployment = FakeDeployment.of_pages(tmp_path, {"/": b"<p>"}, build_id=CURRENT, variables=f'VINEXT_TENANTS = "{tenants}"')
    said = command_line.run("prune", "--config", deployment.config, "--keep", "1", "--json").document
    assert said["removed"] == [{"buildId": "older", "entries": 6}]
    left = sorted(key.partition(":")[0] for key in cloudflare.stored if ":older:" in key)
    assert left == ["alone", "alone", "site-", "site-"]
