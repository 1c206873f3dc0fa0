"""Deploying with the real wrangler, to a stand-in of Cloudflare's interface."""

from __future__ import annotations

import json
import shutil
import tomllib
from typing import TYPE_CHECKING

import click
import pytest
from tests.fakes.cloudflare import ACCOUNT, NAMESPACE
from tests.fakes.shop import FRONT, PAGES, make_shop

from vinext_worker.cloudflare.deployment import Deployment
from vinext_worker.cloudflare.login import Login
from vinext_worker.cloudflare.wrangler import ProgramRunner, Wrangler
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.copy.earlier_builds import EarlierBuilds
from vinext_worker.deploy import command, new_namespace, preflight
from vinext_worker.deploy.preflight import asset_faults
from vinext_worker.deploy.write_permissions import write_faults
from vinext_worker.errors import UserError
from vinext_worker.terminal.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine, FakeDeployment, Said


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    return make_shop(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def nobody_is_logged_in(command_line: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> None:
    command_line.set({"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("home"))})


def deploy(shop: FakeDeployment, command_line: CommandLine, *options: str) -> Said:
    return command_line.run("deploy", shop.folder / "site", "--config", shop.config, "--no-check", *options)


@pytest.fixture
def admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is logged in is not asked, which takes three starts of wrangler."""
    monkeypatch.setattr(command, "log_in", lambda *_: Login(ACCOUNT, "User API Token"))


def said_of(said: Said) -> dict[str, str]:
    return {row["step"]: row["said"] for row in said.document["steps"]}


def test_both_workers_are_deployed_and_the_entries_written(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    said = deploy(shop, command_line, "--json")
    assert said.status == 0, said.err
    assert said_of(said)["preflight"] == f"account {ACCOUNT}, by User API Token"
    assert [name for name, _ in cloudflare.workers.log] == ["pages", "front"]
    front = cloudflare.workers.scripts["front"].versions[-1]
    assert {"entry.py", "python_modules/workers/__init__.py"} <= set(front.modules)
    assert "/__prerender/build.json" in front.assets
    assert front.metadata["annotations"]["workers/message"] == "build b1"
    assert len(cloudflare.stored) == 2
    assert said_of(said)["deploy the Worker"] == "live at https://front.example.workers.dev"


def test_wranglers_login_is_enough(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, tmp_path: Path
) -> None:
    command_line.set({**cloudflare.login(tmp_path / "home"), "CLOUDFLARE_API_TOKEN": ""})
    said = deploy(shop, command_line, "--json")
    assert said.status == 0, said.err
    assert said_of(said)["preflight"] == f"account {ACCOUNT}, by OAuth Token"
    assert said_of(said)["populate"] == "2 entries written, 0 were already there"
    assert len(cloudflare.bulk_sizes) == 1
    written = dict(cloudflare.stored)

    # A run with a token has the same journal, and writes nothing.
    command_line.set({**cloudflare.environment()})
    again = command_line.run("populate", "--config", shop.config, "--json")
    assert (again.document["written"], again.document["unchanged"]) == (0, 2)
    # And writes the same.
    again = command_line.run("populate", "--config", shop.config, "--json", "--again")
    assert cloudflare.stored == written


def test_populating_by_a_login_never_stops_a_deploy(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, tmp_path: Path
) -> None:
    command_line.set({**cloudflare.login(tmp_path / "home"), "CLOUDFLARE_API_TOKEN": ""})
    cloudflare.refuses_values = True
    said = deploy(shop, command_line, "--json")
    assert said.status == 0, said.err
    assert "nothing written (`wrangler kv bulk put` exited with 1: " in said_of(said)["populate"]
    assert "Authentication error [code: 10000]" in said_of(said)["populate"]
    assert [name for name, _ in cloudflare.workers.log] == ["pages", "front"]


def test_wranglers_own_error_is_shown(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    cloudflare.workers.refused = "Uncaught SyntaxError: invalid syntax at entry.py:1"
    said = deploy(shop, command_line)
    assert said.status == 1
    assert "Uncaught SyntaxError: invalid syntax at entry.py:1 [code: 10021]" in said.err
    assert "Logs were written" not in said.err
    assert "the live app" not in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_cron_trigger_that_is_refused_leaves_the_new_version_live(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    shop.configure(f'{FRONT}[triggers]\ncrons = ["0 3 * * *"]')
    said = deploy(shop, command_line)
    assert said.status == 1
    assert 'Trigger configuration for "front" was only partially' in said.err
    assert (
        "; it may be live all the same, see `vinext-worker versions`; already live: deploy the page handler; not done" in said.err
    )
    assert [name for name, _ in cloudflare.workers.log] == ["pages", "front"]
    # So its files stay for open tabs, even after another build.
    (build,) = EarlierBuilds.read(shop.assets).builds
    assert (build.is_begun, build.is_deployed) == (True, False)


def test_a_dry_run_needs_no_namespace_says_nothing_of_live_and_shows_no_modules(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": ""})
    shop.config.write_text(shop.config.read_text().replace(NAMESPACE, "0" * 32))
    said = deploy(shop, command_line, "--dry-run")
    assert (said.status, said.err) == (0, "")
    assert "has no KV namespace yet, which a deploy needs" in said.out
    assert "2 entries would be written, 0 pages skipped" in said.out
    assert cloudflare.requests == []
    assert "live" not in said.out
    assert "Total Upload" not in said.out


def test_a_dry_run_that_fails_says_nothing_of_live_and_verbose_shows_wranglers_lines(
    shop: FakeDeployment, command_line: CommandLine
) -> None:
    (shop.folder / "src" / "entry.py").unlink()
    said = deploy(shop, command_line, "--dry-run", "--verbose")
    assert said.status == 1
    assert "Total Upload" in said.out
    assert "live" not in said.out + said.err
    assert 'The entry-point file at "src/entry.py" was not found.' in said.err


CONFIGURATION = {
    "another service": ('service = "pages"', 'service = "page"', "[[services]] PAGES is 'page', but the app's Worker is 'pages'"),
    "no service": ('binding = "PAGES"', 'binding = "OTHER"', 'no [[services]] with binding = "PAGES", service = "pages"; add it'),
    "no real namespace": (NAMESPACE, "0" * 32, "is not the id of a namespace"),
    "a date to come": ("2026-10-01", "2099-01-01", "is in the future, which Cloudflare refuses"),
    "an old date": ("2026-10-01", "2026-01-01", "is before 2026-09-08, so Python is too old"),
    "no date": ("2026-10-01", "soon", "'soon' is no date"),
    "no Python": ('["python_workers"]', "[]", 'compatibility_flags lacks "python_workers"; add it'),
    "a setting without its cache": ("[vars]", '[vars]\nVINEXT_EDGE_CACHE = "on"', "but no cache is in front of the Worker"),
    "a cache that builds share": (
        "[vars]",
        '[cache]\nenabled = true\ncross_version_cache = true\n[vars]\nVINEXT_EDGE_CACHE = "on"',
        "pages of an earlier build would stay; remove it from [cache]",
    ),
    "no assets": ("[assets]", "[other]", "has no [assets]"),
}


@pytest.mark.parametrize(("old", "new", "message"), CONFIGURATION.values(), ids=CONFIGURATION)
def test_a_wrong_configuration_stops_before_anything_is_built(  # noqa: PLR0913, PLR0917 - fixtures
    old: str, new: str, message: str, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    (shop.folder / "site" / "wrangler.json").write_text(json.dumps(PAGES))
    shop.config.write_text(shop.config.read_text().replace(old, new))
    said = deploy(shop, command_line)
    assert said.status == 1
    assert said.err.startswith("vinext-worker: preflight failed: ")
    assert message in said.err
    assert "not done: build, copy" in said.err
    assert cloudflare.requests == []


def test_a_service_that_only_the_build_names_stops_before_anything_is_written(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    shop.config.write_text(shop.config.read_text().replace('service = "pages"', 'service = "page"'))
    said = deploy(shop, command_line)
    assert "copy failed: " in said.err
    assert "the app's Worker is 'pages'" in said.err
    assert (cloudflare.stored, cloudflare.workers.log) == ({}, [])


def test_packages_that_are_not_there_are_no_deploy(shop: FakeDeployment, command_line: CommandLine) -> None:
    modules = shop.folder / "python_modules"
    record = modules / "sdk-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Name: sdk\nVersion: 1.0\n")
    (record / "RECORD").write_text("workers/__init__.py,,\nworkers/lost.py,,\nworkers/tests/not_uploaded.py,,\n")
    said = deploy(shop, command_line, "--dry-run")
    assert f"{modules} lacks workers/lost.py; delete the folder" in said.err
    modules.rename(shop.folder / "elsewhere")
    said = deploy(shop, command_line, "--dry-run")
    assert f"{modules} lacks workers, which the Worker imports" in said.err


@pytest.mark.parametrize(("options", "step"), [((), "copy"), (("--skip-build",), "preflight")])
def test_more_files_than_any_plan_takes_stop_before_anything_is_copied(
    options: tuple[str, ...], step: str, shop: FakeDeployment, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vinext_worker.deploy.preflight.PAID_ASSETS", 2)
    shutil.rmtree(shop.assets)
    said = deploy(shop, command_line, "--dry-run", *options)
    assert f"{step} failed: the build makes about 4 files, and Cloudflare takes 2; pre-render fewer pages" in said.err
    assert not shop.assets.exists()


def test_a_file_that_is_too_large_stops_before_anything_is_written_to_cloudflare(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    video = shop.folder / "site" / "dist" / "client" / "video.mp4"
    video.parent.mkdir(parents=True, exist_ok=True)
    with video.open("wb") as file:
        file.truncate(25 * 1024 * 1024 + 1)
    said = deploy(shop, command_line)
    assert f"copy failed: {shop.assets}/video.mp4 is larger than the 25 MiB that Cloudflare takes" in said.err
    assert "the live app is unchanged" in said.err
    assert (cloudflare.stored, cloudflare.workers.log) == ({}, [])


def test_more_files_than_the_free_plan_takes_are_a_note() -> None:
    faults, notes = asset_faults(30_000, "assets has")
    assert (faults, notes) == ([], ["assets has 30,000 files: the free plan takes 20,000, a paid one 100,000"])


def test_a_namespace_is_created_if_the_user_wants_it(
    shop: FakeDeployment, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "confirm", lambda text: "Use front-vinext-cache, made if there is none" in text)
    monkeypatch.setattr(new_namespace, "account_of", lambda *_: Login(ACCOUNT, "User API Token"))
    shop.config.write_text("# mine\n" + shop.config.read_text().replace(NAMESPACE, "0" * 32))
    deployment = Deployment.read(shop.config, None)
    wrangler = Wrangler(deployment.project.tools, ProgramRunner(lambda _: None), shop.folder)
    changed = new_namespace.with_namespace(deployment, wrangler, Output())
    ((created, title),) = cloudflare.titles.items()
    assert title == "front-vinext-cache"
    assert changed.config.kv_namespaces == {"VINEXT_CACHE": created}
    assert shop.config.read_text().startswith("# mine\n")


class FakeWrangler:
    """Has a namespace of that name already, and creates none."""

    def of_account(self, _account: str) -> FakeWrangler:
        return self

    def ask(self, *_arguments: str) -> list[dict[str, str]]:
        return [{"id": "1" * 32, "title": "other"}, {"id": "2" * 32, "title": "front-staging-vinext-cache"}]


def test_a_namespace_of_that_name_is_taken_for_the_environment(shop: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "confirm", lambda _: True)
    monkeypatch.setattr(new_namespace, "account_of", lambda *_: Login(ACCOUNT, "User API Token"))
    shop.config.write_text(shop.config.read_text() + '[[env.staging.kv_namespaces]]\nbinding = "VINEXT_CACHE"\n')
    deployment = Deployment.read(shop.config, "staging")
    changed = new_namespace.with_namespace(deployment, FakeWrangler(), Output())  # type: ignore[arg-type]
    assert changed.config.kv_namespaces == {"VINEXT_CACHE": "2" * 32}
    assert tomllib.loads(shop.config.read_text())["kv_namespaces"][0]["id"] == NAMESPACE


def test_the_id_is_put_into_json_with_its_comments(shop: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "confirm", lambda _: True)
    monkeypatch.setattr(new_namespace, "account_of", lambda *_: Login(ACCOUNT, "User API Token"))
    file = shop.folder / "wrangler.jsonc"
    text = """{
  "name": "front-staging", // mine
  "compatibility_date": "2026-10-01",
  "kv_namespaces": [{ "binding": "OTHER", "id": "x" }, { "binding": "VINEXT_CACHE", "id": "ZEROS" }],
}
"""
    file.write_text(text.replace("ZEROS", "0" * 32))
    new_namespace.with_namespace(Deployment.read(file, None), FakeWrangler(), Output())  # type: ignore[arg-type]
    assert file.read_text() == text.replace("ZEROS", "2" * 32)


def test_a_user_who_wants_no_namespace_is_told_how_to_make_one(shop: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "confirm", lambda _: False)
    shop.config.write_text(shop.config.read_text().replace(NAMESPACE, "0" * 32))
    with pytest.raises(UserError, match="create one with `npx wrangler kv namespace create VINEXT_CACHE`"):
        new_namespace.with_namespace(Deployment.read(shop.config, None), FakeWrangler(), Output())  # type: ignore[arg-type]


def test_nobody_is_logged_in(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": ""})
    said = deploy(shop, command_line)
    assert (
        "preflight failed: nobody is logged in at Cloudflare; run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN" in said.err
    )
    assert ".dev.vars is for the Worker's own variables" in said.err
    assert "loggedIn" not in said.err


def test_a_token_that_is_none(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": "another-token"})
    said = deploy(shop, command_line)
    assert "preflight failed: Cloudflare does not accept the token of CLOUDFLARE_API_TOKEN in the environment" in said.err
    assert "another-token" not in said.err
    assert "loggedIn" not in said.err


def test_a_token_that_may_do_little(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.permissions.clear()
    said = deploy(shop, command_line)
    assert "Workers KV is refused" in said.err
    assert "needs Workers KV Storage: Edit" in said.err
    assert "needs Workers Scripts: Edit" in said.err


READS_ONLY: dict[str, tuple[bool, bool, list[str]]] = {
    "it may write": (False, False, []),
    "KV": (True, False, ["Workers KV Storage"]),
    "Workers": (False, True, ["Workers Scripts"]),
    "both": (True, True, ["Workers Scripts", "Workers KV Storage"]),
}


@pytest.mark.parametrize(("kv", "workers", "lacking"), READS_ONLY.values(), ids=READS_ONLY)
def test_a_token_that_may_only_read_is_found_out_by_writing_nothing(
    kv: bool,  # noqa: FBT001 - of a table
    workers: bool,  # noqa: FBT001 - likewise
    lacking: list[str],
    shop: FakeDeployment,
    cloudflare: FakeCloudflare,
) -> None:
    cloudflare.refuses_values, cloudflare.workers.is_read_only = kv, workers
    faults = write_faults(WranglerConfig.read(shop.config), Login(ACCOUNT, "User API Token"))
    assert faults == [f"the User API Token may read {name} and not write; give it {name}: Edit" for name in lacking]
    assert (cloudflare.stored, cloudflare.workers.scripts) == ({}, {})


def test_a_token_that_may_only_read_is_refused(
    shop: FakeDeployment, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudflare.workers.is_read_only = True
    monkeypatch.setattr(preflight, "account_of", lambda *_: Login(ACCOUNT, "User API Token"))
    monkeypatch.setattr(Wrangler, "ask", lambda *_: [{"id": NAMESPACE}])
    monkeypatch.setattr(preflight, "_worker_faults", lambda *_: [])
    deployment = Deployment.read(shop.config, None)
    wrangler = Wrangler(deployment.project.tools, ProgramRunner(lambda _: None), shop.folder)
    with pytest.raises(UserError, match=r"^the User API Token may read Workers Scripts and not write; give it"):
        preflight.log_in(wrangler, deployment)


def test_a_namespace_of_another_account_and_a_bucket_that_is_not_there(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    shop.config.write_text(shop.config.read_text() + '[[r2_buckets]]\nbinding = "VINEXT_CACHE_R2"\nbucket_name = "pages"\n')
    cloudflare.namespaces = ["d" * 32]
    said = deploy(shop, command_line)
    assert f"the account {ACCOUNT} has no KV namespace {NAMESPACE}; create one" in said.err
    assert f"the account {ACCOUNT} has no R2 bucket pages; create it with `npx wrangler r2 bucket create pages`" in said.err


def test_an_account_that_is_not_named(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.accounts.append("e" * 32)
    said = deploy(shop, command_line)
    assert "has 2 accounts; set CLOUDFLARE_ACCOUNT_ID" in said.err
    command_line.set({"CLOUDFLARE_ACCOUNT_ID": "f" * 32})
    said = deploy(shop, command_line)
    assert f"the account {'f' * 32} is none of this" in said.err
