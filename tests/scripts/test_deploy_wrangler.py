"""Deploying with the real wrangler, to a stand-in of Cloudflare's interface."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloudflare import ACCOUNT, NAMESPACE
from tests.fakes.deployments import FakeDeployment

from vinext_worker.cloudflare.login import Login
from vinext_worker.deploy import command, gradual
from vinext_worker.deploy.preflight import asset_faults
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine, Said

    from vinext_worker.sites.site_build import SiteBuild

FRONT = """
main = "src/entry.py"
compatibility_flags = ["python_workers"]
[[services]]
binding = "PAGES"
service = "pages"
"""
ENTRY = "from workers import WorkerEntrypoint\n\n\nclass Default(WorkerEntrypoint):\n    pass\n"
PAGES = {"name": "pages", "main": "index.js", "compatibility_date": "2026-10-01", "no_bundle": True}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    """A vinext app's build and the Worker in front of it, ready to be deployed."""
    from tests.fakes.builds import built_site  # noqa: PLC0415 - here alone

    shop = FakeDeployment.of_pages(tmp_path, {"/": b"<p>", "/a": b"<p>"})
    shop.configure(FRONT)
    server = tmp_path / "site" / "dist" / "server"
    (server / "wrangler.json").write_text(json.dumps(PAGES))
    (server / "index.js").write_text("export default { fetch: () => new Response('page') };\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text(ENTRY)
    workers = tmp_path / "python_modules" / "workers"
    workers.mkdir(parents=True)
    (workers / "__init__.py").write_text("class WorkerEntrypoint: ...\n")

    def site_of(_folder: Path, *_more: object) -> SiteBuild:
        return built_site(tmp_path / "site", server / "prerendered-routes")

    monkeypatch.setattr(command, "build_vinext_site", site_of)
    monkeypatch.setattr(command, "find_build", site_of)
    return shop


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
    assert "the live app is unchanged" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_dry_run_says_nothing_of_live_and_shows_no_modules(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": ""})
    said = deploy(shop, command_line, "--dry-run")
    assert (said.status, said.err) == (0, "")
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


def test_more_files_than_any_plan_takes(shop: FakeDeployment, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinext_worker.deploy.preflight.FREE_ASSETS", 2)
    assert "files: the free plan takes 2, a paid one 100,000" in asset_faults(shop.assets)[1][0]
    monkeypatch.setattr("vinext_worker.deploy.preflight.PAID_ASSETS", 2)
    said = deploy(shop, command_line, "--dry-run")
    assert "copy failed: " in said.err
    assert "and Cloudflare takes 2; pre-render fewer pages" in said.err


def test_nobody_is_logged_in(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": ""})
    said = deploy(shop, command_line)
    assert "preflight failed: nobody is logged in at Cloudflare" in said.err
    assert "run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN" in said.err


def test_a_token_that_is_none(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": "another-token"})
    said = deploy(shop, command_line)
    assert "preflight failed: " in said.err
    assert "CLOUDFLARE_API_TOKEN" in said.err
    assert "another-token" not in said.err


def test_a_token_that_may_do_little(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.permissions.clear()
    said = deploy(shop, command_line)
    assert "Workers KV is refused" in said.err
    assert "needs Workers KV Storage: Edit" in said.err
    assert "needs Workers Scripts: Edit" in said.err


def test_a_namespace_of_another_account(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.namespaces = ["d" * 32]
    said = deploy(shop, command_line)
    assert f"the account {ACCOUNT} has no KV namespace {NAMESPACE}; create one" in said.err


def test_an_account_that_is_not_named(shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.accounts.append("e" * 32)
    said = deploy(shop, command_line)
    assert "has 2 accounts; set CLOUDFLARE_ACCOUNT_ID" in said.err
    command_line.set({"CLOUDFLARE_ACCOUNT_ID": "f" * 32})
    said = deploy(shop, command_line)
    assert f"the account {'f' * 32} is none of this" in said.err


OLD = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


@dataclass
class FakeCheck:
    """Stands for the check of the deployed app; is red from a number of checks on."""

    red_from: int = 1_000_000
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, headers: Mapping[str, str]) -> None:
        self.asked.append(dict(headers))
        if len(self.asked) > self.red_from:
            raise UserError("https://shop.example: 3 of 10 answers are wrong")


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> FakeCheck:
    fake = FakeCheck()
    monkeypatch.setattr(command.Deploy, "_check_all", staticmethod(fake))
    monkeypatch.setattr(gradual, "_PAUSES_SECONDS", ())
    return fake


def roll_out(shop: FakeDeployment, command_line: CommandLine) -> Said:
    options = ("--gradual", "--steps", "", "--step-seconds", "0", "--no-populate-kv", "--json")
    return command_line.run("deploy", shop.folder / "site", "--config", shop.config, *options)


def test_new_versions_come_in_steps_and_go_back_by_one_command(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, check: FakeCheck
) -> None:
    workers = cloudflare.workers
    for name, version in zip(("pages", "front"), OLD, strict=True):
        workers.add(name, version)
    said = roll_out(shop, command_line)
    assert said.status == 0, said.err
    pages, front = (workers.scripts[name].versions[-1].id for name in ("pages", "front"))
    assert workers.log == [
        ("pages", {OLD[0]: 100, pages: 0}),
        ("front", {OLD[1]: 100, front: 0}),
        ("pages", {pages: 100}),
        ("front", {front: 100}),
    ]
    header = {"Cloudflare-Workers-Version-Overrides": f'pages="{pages}", front="{front}"'}
    assert check.asked == [header] * 3

    shown = command_line.run("versions", "--config", shop.config, "--json").document["workers"]
    newest = shown[0]["deployments"][0]["versions"]
    assert (shown[0]["name"], newest) == ("front", [{"id": front, "percentage": 100, "message": "build b1"}])
    said = command_line.run("rollback", "--config", shop.config, "--json")
    assert said.document["workers"] == [
        {"name": "front", "from": front, "to": OLD[1]},
        {"name": "pages", "from": pages, "to": OLD[0]},
    ]
    assert workers.log[-2:] == [("front", {OLD[1]: 100}), ("pages", {OLD[0]: 100})]


def test_a_red_check_takes_the_versions_back(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, check: FakeCheck
) -> None:
    workers = cloudflare.workers
    workers.add("pages", OLD[0])
    workers.add("front", OLD[1])
    check.red_from = 1
    said = roll_out(shop, command_line)
    assert said.status == 1
    assert "3 of 10 answers are wrong; all visitors have the versions from before again; the live app is unchanged" in said.err
    assert (workers.share("front"), workers.share("pages")) == ({OLD[1]: 100}, {OLD[0]: 100})


def test_workers_that_are_new_are_live_at_once(
    admitted: None, shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, check: FakeCheck
) -> None:
    said = roll_out(shop, command_line)
    assert said.status == 0, said.err
    assert said_of(said)["upload the versions"] == "pages is new, so it is live at once, front is new, so it is live at once"
    assert len(check.asked) == 1
