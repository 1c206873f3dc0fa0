"""Populating Workers KV through the REST interface."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.builds import SCHEMAS, VERSIONS, VINEXT, dump
from tests.fakes.cloudflare import ACCOUNT, NAMESPACE, TOKEN, Fault
from tests.fakes.deployments import FakeDeployment
from tests.fakes.kv import InMemoryKV
from tests.fakes.ports import FakeBackground, FakeClock

from cache.entry import AppPageValue
from cache.keys import KeySchema
from cache.kv import KVCacheHandler
from cache.kv_namespace import KVWhole
from cache.kv_record import TTLPolicy
from cache.stored import Codec, Layout
from core.body import BytesBody
from core.javascript import json_text
from seed.entries import SeedEntry, seed_entries
from seed.from_directory import open_directory
from vinext_worker.cloudflare import retrying_client
from vinext_worker.copy.pack import MAX_PACKED_BYTES
from vinext_worker.populate import command
from vinext_worker.populate import kv as kv_populator
from vinext_worker.populate.report import PopulateReport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine

PAGES = {f"/p/{number}": f"<html>page {number} — Straße".encode() for number in range(30)}


@pytest.mark.parametrize(
    ("arguments", "has_run", "folder"),
    [
        pytest.param((), True, "assets", id="KV"),
        pytest.param(("--into", "local"), True, ".vinext/dev/assets", id="the store of dev"),
        pytest.param(("--into", "local"), False, "assets", id="the store of dev, which has not run"),
    ],
)
def test_the_store_of_dev_gets_the_pages_of_dev(  # noqa: PLR0913, PLR0917 - fixtures
    arguments: tuple[str, ...],
    has_run: bool,  # noqa: FBT001
    folder: str,
    tmp_path: Path,
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    if has_run:
        (tmp_path / ".vinext" / "dev" / "assets").mkdir(parents=True)
    read: list[Path] = []

    def populated(_deployment: object, pages: Path, *_: object) -> PopulateReport:
        read.append(pages)
        return PopulateReport("somewhere", "b1")

    monkeypatch.setattr(command, "populate_build", populated)
    assert command_line.run("populate", "--config", deployment.config, *arguments).status == 0
    assert read == [tmp_path / folder]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("variables", "settings"),
    [
        pytest.param("", {}, id="default"),
        pytest.param('VINEXT_KV_LAYOUT = "framed"', {"layout": Layout.FRAMED}, id="framed"),
        pytest.param('VINEXT_KV_TTL = "ten_times"', {"ttl": TTLPolicy.TEN_TIMES}, id="ten times"),
        pytest.param('VINEXT_APP_PREFIX = "shop"', {"app_prefix": "shop"}, id="prefix"),
    ],
)
async def test_what_is_written_is_what_the_workers_own_handler_writes(  # noqa: PLR0913, PLR0917 - fixtures
    version: str, variables: str, settings: dict[str, Any], tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_version(version, tmp_path, variables=variables)
    namespace, clock, background = InMemoryKV(FakeClock(0)), FakeClock(0), FakeBackground()
    handler = KVCacheHandler(namespace, clock=clock, background=background, schema=SCHEMAS[version], **settings)
    async for item in seed_entries(await open_directory(deployment.assets)):
        assert isinstance(item, SeedEntry)
        await handler.set(item.key, item.entry.value, item.context)
    assert await background.done() == []
    # The command has an event loop of its own.
    said = await asyncio.to_thread(command_line.run, "populate", "--config", deployment.config)
    assert said.status == 0
    written = {key: (found.value, found.metadata, found.expiration_ttl) for key, found in cloudflare.stored.items()}
    assert written == {key: (found.value, found.metadata, found.expiration) for key, found in namespace.stored.items()}
    assert len(written) == {"0.0.38": 79, "1.4.0": 75}[version]


def test_the_entries_of_0_0_38_are_those_of_its_own_seeder(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    """Apart from the listed faults: its keys of encoded paths and of long ones, and that it stores no path tags."""
    deployment = FakeDeployment.of_version("0.0.38", tmp_path)
    assert command_line.run("populate", "--config", deployment.config).status == 0
    same = 0
    for row in dump("0.0.38", "seed-dump")["entries"]:
        stored = cloudflare.stored.get(f"cache:{row['key']}")
        if stored is None:
            assert "%" in row["key"] or "__hash:" in row["key"] or len(row["key"]) > 190, row["key"]
            continue
        same += 1
        entry = json.loads(stored.value)
        value = row["value"]
        assert entry["value"]["kind"] == value["kind"]
        assert entry["value"]["html"] == value["html"]
        assert entry["value"].get("rscData") == value.get("rscData", {}).get("$base64")
        period = row["ctx"].get("revalidate")
        assert entry["revalidateAt"] == (entry["lastModified"] + period * 1000 if period else None)
        assert stored.expiration_ttl == (2_592_000 if period else None)
    assert same > 50


@pytest.mark.parametrize("version", VERSIONS)
def test_entries_have_the_fields_of_those_that_vinexts_own_worker_wrote(
    version: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    """Keys, tags, periods, metadata and kinds; bodies are another build's.

    Listed faults: its static entries have a cacheControl that it refuses itself, and 30 days to live; entries that it makes at
    run time keep a renderObservation, which is about that rendering, and no headers of ours.
    """
    deployment = FakeDeployment.of_version(version, tmp_path)
    assert command_line.run("populate", "--config", deployment.config).status == 0
    ours = {without_build(key): found for key, found in cloudflare.stored.items()}
    compared = 0
    for row in dump(version, "kv-dump")["entries"]:
        stored = ours.get(without_build(row["key"]))
        if stored is None or row["valueKind"] != "APP_PAGE":
            continue
        theirs, entry = json.loads(row["value"]), json.loads(stored.value)
        period = entry.get("cacheControl", {}).get("revalidate") if version == "1.4.0" else None
        assert set(entry) - {"cacheControl", "keyHash"} == set(theirs) - {"cacheControl"}
        # The union of the path's tags and the build's, in that order; the build's come from splitting at commas.
        # vinext leaves out tags with a colon.
        path_alone = {tag for tag in entry["tags"] if ":" not in tag} - set(theirs["tags"])
        assert set(theirs["tags"]) <= set(entry["tags"]) or "," in row["key"], row["key"]
        assert version == "1.4.0" or not path_alone
        assert all(tag.startswith("_N_T_/") for tag in path_alone) or "," in row["key"], row["key"]
        assert stored.metadata in ({"tags": entry["tags"]}, None)
        assert stored.metadata is not None or len(json.dumps({"tags": entry["tags"]}, ensure_ascii=False).encode()) > 1024
        assert set(entry["value"]) - {"headers"} == set(theirs["value"]) - {"headers", "renderObservation"}
        assert entry["value"]["status"] == theirs["value"]["status"]
        if theirs["revalidateAt"] is not None:
            assert entry["revalidateAt"] - entry["lastModified"] == theirs["revalidateAt"] - theirs["lastModified"]
        if period is not None:
            assert entry["cacheControl"] == theirs["cacheControl"]
            assert entry["expireAt"] - entry["lastModified"] == theirs["expireAt"] - theirs["lastModified"]
        compared += 1
    assert compared > 20


def test_a_second_run_sends_nothing_and_a_changed_page_is_sent_alone(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    assert command_line.run("populate", "--config", deployment.config, "--json").document["written"] == 30
    again = command_line.run("populate", "--config", deployment.config, "--json").document
    assert (again["written"], again["unchanged"], again["complete"]) == (0, 30, True)
    deployment.build(PAGES | {"/p/7": b"changed"})
    assert command_line.run("populate", "--config", deployment.config, "--json").document["written"] == 1
    assert json.loads(cloudflare.stored["cache:app:v2:b1:/p/7:html"].value)["value"]["html"] == "changed"
    deployment.build(PAGES, build_id="b2")
    assert command_line.run("populate", "--config", deployment.config, "--json").document["written"] == 30
    assert command_line.run("populate", "--config", deployment.config, "--again", "--json").document["written"] == 30


def test_entries_that_kv_has_dropped_since_are_sent_again(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    command_line.run("populate", "--config", deployment.config)
    (journal,) = (tmp_path / ".vinext" / "populate").glob("*.sqlite")
    with sqlite3.connect(journal) as database:
        database.execute("UPDATE written SET until = 1")
    database.close()
    assert command_line.run("populate", "--config", deployment.config, "--json").document["written"] == 30


def some(keys: list[str]) -> Iterable[str]:
    return keys[::3]


FAULTS = {
    "429 with seconds": [Fault(429, retry_after="0")],
    "429 with a date": [Fault(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT")],
    "429 without": [Fault(429), Fault(429)],
    "500": [Fault(500), Fault(503)],
    "cut before the write": [Fault(cut="before")],
    "cut after the write": [Fault(cut="after")],
    "partly unsuccessful": [Fault(unsuccessful=some), None, Fault(unsuccessful=some)],
    "all at once": [Fault(429), Fault(cut="after"), Fault(500), Fault(unsuccessful=some)],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_passing_fault_costs_no_entry(
    faults: list[Fault | None], tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    cloudflare.faults = list(faults)
    said = command_line.run("populate", "--config", deployment.config, "--batch-entries", 10, "--json")
    assert (said.status, said.document["written"], said.document["failed"]["count"]) == (0, 30, 0)
    assert len(cloudflare.stored) == 30
    assert cloudflare.faults == []


def test_a_server_that_hangs_is_asked_again(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = replace(retrying_client.RetryPolicy(), timeout_seconds=2)
    monkeypatch.setattr(retrying_client, "RetryPolicy", lambda: hasty)
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    cloudflare.faults = [Fault(hang_seconds=2.5)]
    assert command_line.run("populate", "--config", deployment.config).status == 0
    assert len(cloudflare.stored) == 30


def test_it_is_waited_as_long_as_the_server_asks(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    cloudflare.faults = [Fault(429, retry_after="1")]
    assert command_line.run("populate", "--config", deployment.config).status == 0
    first, second = [at for method, _, at in cloudflare.requests if method == "PUT"]
    assert second - first >= 1


def test_keys_that_stay_unwritten_are_named_and_the_status_says_so(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    cloudflare.faults = [Fault(unsuccessful=lambda keys: [key for key in keys if key.endswith("/p/3:html")])] * 5
    said = command_line.run("populate", "--config", deployment.config, "--json")
    assert said.status == 1
    assert (said.document["complete"], said.document["written"]) == (False, 29)
    assert [row["name"] for row in said.document["failed"]["first"]] == ["cache:app:v2:b1:/p/3:html"]
    said = command_line.run("populate", "--config", deployment.config)
    assert (said.status, len(cloudflare.stored)) == (0, 30)


def test_a_server_that_stays_down_ends_it_and_the_next_run_goes_on(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    cloudflare.faults = [None, *[Fault(500)] * 40]
    said = command_line.run("populate", "--config", deployment.config, "--batch-entries", 10)
    assert said.status == 1
    assert len(said.errors) == 1
    assert "failed 4 times" in said.errors[0]
    written = len(cloudflare.stored)
    assert 0 < written < 30
    cloudflare.faults = []
    again = command_line.run("populate", "--config", deployment.config, "--json").document
    assert (again["unchanged"], again["written"]) == (written, 30 - written)
    assert set(cloudflare.writes.values()) == {1}


REFUSED = {
    "wrong token": ({"CLOUDFLARE_API_TOKEN": "another-token-that-is-secret"}, "status 401"),
    "no token": ({"CLOUDFLARE_API_TOKEN": ""}, "nobody is logged in at Cloudflare"),
    "token with a line in it": ({"CLOUDFLARE_API_TOKEN": "another-token\nthat-is-secret"}, "is no token"),
    "wrong account": ({"CLOUDFLARE_ACCOUNT_ID": "f" * 32}, "status 403"),
}


@pytest.mark.parametrize(("variables", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_one_line_without_the_token(
    variables: dict[str, str], message: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    # Nobody's login is there.
    command_line.set({"XDG_CONFIG_HOME": str(tmp_path / "home"), **variables})
    said = command_line.run("populate", "--config", deployment.config)
    assert said.status == 1
    assert message in said.err
    assert len(said.errors) == 1
    assert "secret" not in said.out + said.err
    assert TOKEN not in said.out + said.err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"namespace": "e" * 32}, "namespace not found", id="missing"),
        pytest.param({"namespace": "0" * 32}, "wrangler kv namespace create", id="unset"),
        pytest.param({"namespace": "<your id>"}, "wrangler kv namespace create", id="no id"),
        pytest.param({"namespace": None}, "no KV namespace bound as VINEXT_CACHE", id="not bound"),
    ],
)
def test_a_wrong_namespace_is_one_line_that_says_what_to_do(
    settings: dict[str, Any], message: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES, **settings)
    said = command_line.run("populate", "--config", deployment.config)
    assert (said.status, len(said.errors)) == (1, 1)
    assert message in said.err


@pytest.mark.parametrize(
    ("accounts", "status", "message"),
    [
        pytest.param([ACCOUNT], 0, "", id="one"),
        pytest.param([ACCOUNT, "d" * 32], 1, "several accounts; set CLOUDFLARE_ACCOUNT_ID", id="several"),
        pytest.param([], 1, "no account", id="none"),
    ],
)
def test_the_account_is_looked_up_where_there_is_one(  # noqa: PLR0913, PLR0917 - fixtures
    accounts: list[str], status: int, message: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    cloudflare.accounts = accounts
    said = command_line.run("populate", "--config", deployment.config)
    assert said.status == status
    assert message in said.err


@pytest.mark.parametrize("by", ["configuration", "environment"])
def test_an_account_that_is_named_is_not_looked_up(
    by: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    cloudflare.accounts = [ACCOUNT, "d" * 32]
    text = f'account_id = "{ACCOUNT}"' if by == "configuration" else ""
    if by == "environment":
        command_line.set({"CLOUDFLARE_ACCOUNT_ID": ACCOUNT})
    deployment = FakeDeployment(tmp_path)
    deployment.build(PAGES)
    deployment.configure(text)
    assert command_line.run("populate", "--config", deployment.config).status == 0
    assert all("/storage/kv/" in path for _, path, _ in cloudflare.requests)


def test_the_environment_says_which_namespace_and_which_settings(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment(tmp_path)
    deployment.build(PAGES)
    (tmp_path / "wrangler.jsonc").write_text(
        json.dumps(
            {
                "name": "front",
                "compatibility_date": "2026-10-01",
                "assets": {"directory": "assets", "binding": "ASSETS"},
                "kv_namespaces": [{"binding": "VINEXT_CACHE", "id": "e" * 32}],
                "vars": {"VINEXT_APP_PREFIX": "top"},
                "env": {
                    "staging": {
                        "kv_namespaces": [{"binding": "VINEXT_CACHE", "id": NAMESPACE}],
                        "vars": {"VINEXT_APP_PREFIX": "staging"},
                    }
                },
            }
        )
    )
    assert command_line.run("populate", "--config", tmp_path / "wrangler.jsonc", "--env", "staging").status == 0
    assert all(key.startswith("staging:cache:") for key in cloudflare.stored)
    said = command_line.run("populate", "--config", tmp_path / "wrangler.jsonc", "--env", "other")
    assert (said.status, "no environment 'other' (staging)" in said.err) == (1, True)


def test_each_tenant_gets_the_entries(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES, variables='VINEXT_TENANTS = "a.example=a, b.example=b"')
    assert command_line.run("populate", "--config", deployment.config).status == 0
    assert {key.partition(":")[0] for key in cloudflare.stored} == {"a", "b"}
    assert len(cloudflare.stored) == 60


def test_batches_stay_within_the_limits(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {f"/{number}": b"x" for number in range(10_050)}
    deployment = FakeDeployment.of_pages(tmp_path, pages)
    said = command_line.run("populate", "--config", deployment.config, "--json")
    assert said.document["written"] == 10_050
    assert sorted(pairs for pairs, _ in cloudflare.bulk_sizes) == [50, 10_000]
    limits = kv_populator.KVPopulator.limits
    assert limits.max_bytes <= 95_000_000
    monkeypatch.setattr(kv_populator.KVPopulator, "limits", type(limits)(10_000, 5000, 3000, 2))
    cloudflare.bulk_sizes.clear()
    deployment.build(PAGES)
    assert command_line.run("populate", "--config", deployment.config, "--again", "--batch-entries", 1000).status == 0
    assert len(cloudflare.bulk_sizes) > 5
    assert max(size for _, size in cloudflare.bulk_sizes) <= 3001
    assert cloudflare.max_at_once <= 5


def test_base64_is_used_only_where_it_is_needed(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    encoder = kv_populator._value_fields
    assert json.loads(b"{%b}" % encoder("plain “text”".encode())) == {"value": "plain “text”"}
    for value in (b"\xff\x00binary", b"\x01" * 100):
        fields = json.loads(b"{%b}" % encoder(value))
        assert fields["base64"] is True
        assert base64.b64decode(fields["value"]) == value


def test_verify_reads_a_sample_back(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    said = command_line.run("populate", "--config", deployment.config, "--verify", 30, "--json")
    assert (said.status, said.document["verified"], said.document["wrong"]["count"]) == (0, 30, 0)


@pytest.mark.parametrize("damage", ["gone", "other value", "other metadata", "no entry"])
def test_verify_finds_what_is_not_as_written(
    damage: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_populator, "_READ_AGAIN_SECONDS", 0.001)
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    key = "cache:app:v2:b1:/p/5:html"

    def harm(_number: int) -> None:
        match damage:
            case "gone":
                del cloudflare.stored[key]
            case "other value":
                cloudflare.stored[key].value = cloudflare.stored["cache:app:v2:b1:/p/6:html"].value
            case "other metadata":
                cloudflare.stored[key].metadata = {"tags": []}
            case _:
                cloudflare.stored[key].value = b"{}"

    cloudflare.before_answer = harm
    said = command_line.run("populate", "--config", deployment.config, "--verify", 100, "--json")
    assert (said.status, said.document["complete"]) == (1, False)
    assert [row["name"] for row in said.document["wrong"]["first"]] == [key]


def test_a_dry_run_writes_nothing_and_counts(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    said = command_line.run("populate", "--config", deployment.config, "--dry-run")
    assert (said.status, cloudflare.stored) == (0, {})
    assert "30 entries would be written" in said.out


def test_two_runs_at_once_are_refused(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    command_line.run("populate", "--config", deployment.config)
    (journal,) = (tmp_path / ".vinext" / "populate").glob("*.sqlite")
    database = sqlite3.connect(journal, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    said = command_line.run("populate", "--config", deployment.config)
    database.close()
    assert (said.status, "another run is populating" in said.err) == (1, True)


def test_what_is_wrong_with_single_pages_is_said_and_the_rest_is_written(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    large = {f"/large-{number}": bytes((number,)) * (MAX_PACKED_BYTES + 1) for number in range(2)}
    deployment = FakeDeployment.of_pages(tmp_path, PAGES | large)
    (missing, unreadable) = (deployment.assets / "__prerender" / "artifacts").iterdir()
    missing.unlink()
    unreadable.unlink()
    unreadable.mkdir()
    said = command_line.run("populate", "--config", deployment.config, "--json")
    assert (said.status, said.document["written"], said.document["skipped"]["count"]) == (0, 30, 2)
    assert all("is missing" in row["reason"] for row in said.document["skipped"]["first"])


def test_of_a_pack_that_is_cut_off_the_whole_pages_are_written(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    (pack,) = (deployment.assets / "__prerender" / "packs").iterdir()
    pack.write_bytes(pack.read_bytes()[:-1])
    said = command_line.run("populate", "--config", deployment.config, "--json")
    assert (said.status, said.document["written"], said.document["skipped"]["count"]) == (0, 29, 1)
    (row,) = said.document["skipped"]["first"]
    assert "does not hold the html that was built; copy the build again" in row["reason"]


def test_a_page_of_more_than_25_mib_is_skipped(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {"/small": b"small", "/large": b"x" * (25 * 1024 * 1024)})
    said = command_line.run("populate", "--config", deployment.config, "--json")
    assert (said.status, said.document["written"]) == (0, 1)
    (row,) = said.document["skipped"]["first"]
    assert row["name"] == "/large"
    assert "the store takes 26214400" in row["reason"]


BROKEN = {
    "truncated": (b'{"buildId": "b", "routes": [{"route": "/", "sta', "is not JSON"),
    "no build ID": (b'{"routes": []}', "has no buildId"),
    "no routes": (b'{"buildId": "b"}', "has no list of routes"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_build_that_cannot_be_read_is_refused_in_one_line(
    text: bytes, message: str, tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment(tmp_path)
    deployment.configure()
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "vinext-prerender.json").write_bytes(text)
    said = command_line.run("populate", "--config", deployment.config, "--from", tmp_path / "server")
    assert (said.status, len(said.errors)) == (1, 1)
    assert message in said.err


def test_a_build_without_routes_is_nothing_to_do(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {})
    said = command_line.run("populate", "--config", deployment.config, "--json")
    assert (said.status, said.document["entries"], cloudflare.bulk_sizes) == (0, 0, [])


def test_output_that_is_no_terminal_has_no_colours_and_no_bars(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    said = command_line.run("populate", "--config", deployment.config, "--verify", 3)
    assert "\x1b" not in said.out + said.err
    assert said.err == ""
    assert "30 entries written" in said.out


def test_entries_of_a_build_that_was_not_copied_are_the_same_but_for_their_names(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_version("1.4.0", tmp_path)
    assert command_line.run("populate", "--config", deployment.config).status == 0
    copied = {key: json.loads(found.value) for key, found in cloudflare.stored.items()}
    cloudflare.stored.clear()
    server = tmp_path / "site" / "dist" / "server"
    (server / "prerendered-routes").symlink_to(VINEXT / "1.4.0" / "prerendered-routes")
    assert command_line.run("populate", "--config", deployment.config, "--from", server, "--again").status == 0
    plain = {key: json.loads(found.value) for key, found in cloudflare.stored.items()}
    for entry in copied.values():
        del entry["value"]["headers"]["etag"]
    assert plain == copied


def without_build(key: str) -> str:
    for build in ("vapp-0038-cf1", "vapp-140-cf1", "vapp-0038-build1", "8dd92ee6-2d78-4cda-8910-512f5d198150"):
        key = key.replace(f":{build}:", ":BUILD:")
    return key


def test_the_codec_reads_what_was_written(tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES, variables='VINEXT_KV_LAYOUT = "framed"')
    assert command_line.run("populate", "--config", deployment.config).status == 0
    codec = Codec(Layout.VINEXT, KeySchema.V2)
    for found in cloudflare.stored.values():
        entry = asyncio.run(codec.read_value(KVWhole(json_text(found.metadata), BytesBody(found.value))))
        assert isinstance(entry.value, AppPageValue)
        assert found.value == entry.value.html.to_bytes()
    assert {found.value for found in cloudflare.stored.values()} == set(PAGES.values())


def test_without_a_network_it_says_that_it_tries_again_and_gives_up_soon(
    tmp_path: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hasty = replace(retrying_client.RetryPolicy(), unreachable_seconds=2, first_wait_seconds=0.1)
    monkeypatch.setattr(retrying_client, "RetryPolicy", lambda: hasty)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "token")
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", "http://127.0.0.1:9")
    deployment = FakeDeployment.of_pages(tmp_path, PAGES)
    said = command_line.run("populate", "--config", deployment.config)
    assert said.status == 1
    assert "retrying …" in said.err
    assert "Cloudflare cannot be reached" in said.err
    assert said.err.rstrip().endswith("check the network, then run this again")


def test_a_dry_run_needs_no_namespace(tmp_path: Path, command_line: CommandLine) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, PAGES, namespace="0" * 32)
    said = command_line.run("populate", "--config", deployment.config, "--dry-run")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("30 entries would be written to VINEXT_CACHE, which has no namespace yet")


def test_a_misspelt_setting_is_named_with_the_nearest_one(tmp_path: Path, command_line: CommandLine) -> None:
    variables = 'VINEXT_TAG_CACH_MS = "1"\nVINEXT_KV_TTL = "30d"\nOTHER = "1"\n'
    deployment = FakeDeployment.of_pages(tmp_path, PAGES, namespace="0" * 32, variables=variables)
    said = command_line.run("populate", "--config", deployment.config, "--dry-run")
    assert "no setting is called VINEXT_TAG_CACH_MS, so it has no effect; did you mean VINEXT_TAG_CACHE_MS?" in said.err
    assert said.err.count("warning:") == 1
