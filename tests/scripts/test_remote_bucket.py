"""Populating a bucket of R2 through its S3 interface, and removing older builds from it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import BUILT_AT_MS
from tests.fakes.cloudflare import ACCOUNT, TOKEN, Stored
from tests.fakes.deployments import FakeDeployment
from tests.fakes.ports import FakeBackground, FakeClock
from tests.fakes.r2 import InMemoryR2
from tests.fakes.s3_api import StoredObject

from cache.entry import AppPageValue, CacheEntry
from cache.keys import KeySchema, kv_key, page_key
from cache.kv import KVCacheHandler
from cache.kv_record import TTLPolicy, kv_record
from cache.r2 import R2_LIMITS
from cache.stored import Codec, Layout, whole_bytes
from core.body import text_body
from seed.entries import SeedEntry, seed_entries
from seed.from_directory import open_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine

R2 = '[[r2_buckets]]\nbinding = "VINEXT_CACHE_R2"\nbucket_name = "pages"\n'


@pytest.fixture
def bucket(cloudflare: FakeCloudflare) -> dict[str, StoredObject]:
    return cloudflare.r2.buckets.setdefault("pages", {})


@pytest.fixture
def deployment(tmp_path: Path) -> FakeDeployment:
    return FakeDeployment.of_pages(tmp_path, {"/a": b"<p>a", "/b": b"<p>b", "/c": b"<p>c"}, text=R2, namespace=None)


def test_what_is_set_up_for_aws_is_left_alone(
    deployment: FakeDeployment, command_line: CommandLine, bucket: dict[str, StoredObject], tmp_path: Path
) -> None:
    (tmp_path / "aws").write_text("no configuration")
    command_line.set({"AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(tmp_path / "aws")})
    said = command_line.run("populate", "--config", deployment.config)
    assert said.status == 0, said.err
    assert bucket


async def test_the_objects_are_those_that_the_workers_own_handler_writes(
    tmp_path: Path, command_line: CommandLine, bucket: dict[str, StoredObject]
) -> None:
    deployment = FakeDeployment.of_version("1.4.0", tmp_path, text=R2, namespace=None)
    clock, background = FakeClock(0), FakeBackground()
    own = InMemoryR2(clock)
    handler = KVCacheHandler(own, clock=clock, background=background, limits=R2_LIMITS, layout=Layout.FRAMED)
    async for item in seed_entries(await open_directory(deployment.assets)):
        assert isinstance(item, SeedEntry)
        await handler.set(item.key, item.entry.value, item.context)
    assert await background.done() == []
    # The command has an event loop of its own.
    said = await asyncio.to_thread(command_line.run, "populate", "--config", deployment.config, "--verify", "5", "--json")
    assert (said.status, said.document["verified"], said.document["wrong"]["count"]) == (0, 5, 0)
    assert said.document["target"] == f"bucket pages of account {ACCOUNT}"
    written = {key: (found.value, json.loads(found.metadata["vinext"])) for key, found in bucket.items()}
    assert written == {key: (found.value, found.metadata) for key, found in own.stored.items()}
    assert len(written) == 75
    # The journal knows them, for another run.
    bucket.clear()
    again = await asyncio.to_thread(command_line.run, "populate", "--config", deployment.config, "--json")
    assert (again.document["written"], again.document["unchanged"], bucket) == (0, 75, {})


def test_verify_finds_what_is_not_as_written(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, bucket: dict[str, StoredObject]
) -> None:
    cloudflare.r2.keeps_values = False
    said = command_line.run("populate", "--config", deployment.config, "--verify", "2", "--json")
    assert said.status == 1
    assert [row["reason"] for row in said.document["wrong"]["first"]] == ["it is missing"] * 2
    cloudflare.r2.keeps_values = True
    assert command_line.run("populate", "--config", deployment.config, "--again").status == 0
    for stored in bucket.values():
        stored.value += b"!"
    said = command_line.run("populate", "--config", deployment.config, "--verify", "2", "--json")
    assert "where its head says" in said.document["wrong"]["first"][0]["reason"]


REFUSALS = {
    "no bucket": (
        [(404, "NoSuchBucket")],
        f"the account {ACCOUNT} has no R2 bucket pages; create it with `npx wrangler r2 bucket create pages`",
    ),
    "no permission": ([(403, "AccessDenied")], "R2 refuses the token (AccessDenied); give that of CLOUDFLARE_API_TOKEN"),
    "something else": ([(400, "InvalidArgument")], "R2 answered with status 400: made to fail (InvalidArgument)"),
}


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("refusals", "text"), REFUSALS.values(), ids=REFUSALS)
def test_what_r2_refuses_is_one_line_without_the_token(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, refusals: list[tuple[int, str]], text: str
) -> None:
    cloudflare.r2.refusals = [*refusals * 200]
    said = command_line.run("populate", "--config", deployment.config)
    assert said.status == 1
    assert text in said.err
    assert len(said.errors) == 1
    assert TOKEN not in said.out + said.err


def test_a_passing_fault_costs_no_entry(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, bucket: dict[str, StoredObject]
) -> None:
    cloudflare.r2.refusals = [(503, "SlowDown"), (429, "TooManyRequests")]
    assert command_line.run("populate", "--config", deployment.config).status == 0
    assert len(bucket) == 3


def test_without_a_token_it_says_what_else_to_do(
    deployment: FakeDeployment, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    assert (
        "or send the pages to the deployed Worker with --into worker"
        in command_line.run("populate", "--config", deployment.config).err
    )


def store(bucket: dict[str, StoredObject], build: str, at_ms: int, pages: int) -> None:
    for number in range(pages):
        key = kv_key(page_key(KeySchema.V2, build, f"/{number} & [x]/日", "html"))
        entry = CacheEntry.make(AppPageValue(html=text_body("<p>")), ("/日",), at_ms)
        record = kv_record(entry, Codec(Layout.FRAMED, KeySchema.V2), TTLPolicy.THIRTY_DAYS, key, R2_LIMITS)
        # What the Worker writes is not ASCII, and the S3 interface shows it encoded (RFC 2047).
        metadata = "=?utf-8?q?" + "".join(f"={byte:02X}" for byte in (record.metadata or "").encode()) + "?="
        bucket[key] = StoredObject(whole_bytes(record.parts), {"vinext": metadata})


@pytest.mark.parametrize("has_kv", [False, True], ids=["R2 alone", "KV and R2"])
def test_older_builds_go_from_the_bucket_too(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare, bucket: dict[str, StoredObject], *, has_kv: bool
) -> None:
    cloudflare.r2.page_size = 4
    for build, at_ms in (("oldest", -3000), ("older", -2000), ("now", 0), ("newer", 1)):
        store(bucket, build, BUILT_AT_MS + at_ms, 3)
    bucket["__tag:a"] = StoredObject(b"1")
    if has_kv:
        cloudflare.stored.update({key: Stored(b"", json.loads('{"r2":1,"tags":[]}')) for key in bucket if ":oldest:" in key})
    deployment = FakeDeployment.of_pages(tmp_path, {"/": b"<p>"}, "now", text=R2, **({} if has_kv else {"namespace": None}))
    said = command_line.run("prune", "--config", deployment.config, "--keep", "1", "--json").document
    removed = {row["buildId"]: row["entries"] for row in said["removed"]}
    assert removed == {"oldest": 6 if has_kv else 3, "older": 3}
    assert {key.split(":")[3] for key in bucket if key.startswith("cache:")} == {"now", "newer"}
    assert (len(bucket), cloudflare.stored) == (7, {})
