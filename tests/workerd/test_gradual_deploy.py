"""Deploying in steps: the real wrangler, a stand-in of Cloudflare's interface, and the real check of a site in workerd."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.cloudflare import ACCOUNT, FakeCloudflare
from tests.fakes.deployments import CommandLine
from tests.fakes.shop import make_shop

from vinext_worker.check import run
from vinext_worker.cloudflare.login import Login
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.deploy import command, site_check
from vinext_worker.deploy.command import Deploy
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions, ScriptService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.deployments import FakeDeployment, Said

    from vinext_worker.project import Project

OLD = {"pages": "11111111-1111-4111-8111-111111111111", "front": "22222222-2222-4222-8222-222222222222"}
# Of the versions that the header names, the page handler's is the one that `reaches` says.
HANDLER = """
let state = { build: "b0", reaches: true, fails: false, asked: [] };
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/state") state = { ...state, ...(request.method === "PUT" ? await request.json() : {}) };
    if (pathname === "/state") return Response.json(state);
    const named = request.headers.get("Cloudflare-Workers-Version-Overrides") ?? "";
    if (request.method === "POST") state.asked.push(named);
    const build = state.reaches && named.includes('pages="') ? "b1" : state.build;
    if (state.fails && build === "b1") return new Response("broken", { status: 500 });
    if (request.method === "POST") return new Response("none", { status: 404, headers: { "X-Vinext-App-Build": build } });
    return new Response("<p>again", { headers: { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "s-maxage=60" } });
  },
};
"""


@dataclass(frozen=True)
class Deployed:
    """The site as visitors reach it. `put` changes what its page handler does."""

    runtime: LocalRuntime
    shop: FakeDeployment

    def put(self, **state: object) -> dict[str, object]:
        answer = httpx.put(f"{self.runtime.service_urls['PAGES']}/state", json=state, trust_env=False)
        changed: dict[str, object] = answer.json()
        return changed


@pytest.fixture(scope="module")
def deployed(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        shop = make_shop(tmp_path_factory.mktemp("shop"), monkeypatch)
        options = RuntimeOptions(
            config=WranglerConfig.read(project.configuration),
            tools=project.tools,
            services={"PAGES": ScriptService(HANDLER)},
            assets_directory=shop.assets,
        )
        with LocalRuntime(options) as runtime:
            yield Deployed(runtime, shop)


@pytest.fixture
def cloudflare(monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> Iterator[FakeCloudflare]:
    """The account: both Workers have been deployed before. Who is logged in is not asked: that takes three starts of wrangler."""
    monkeypatch.setattr(command, "log_in", lambda *_: Login(ACCOUNT, "User API Token"))
    monkeypatch.setattr(site_check, "_PAUSES_SECONDS", (0,))
    monkeypatch.setattr(run, "_WAITS_SECONDS", (0.1,))
    with FakeCloudflare() as fake:
        command_line.set(fake.environment())
        for name, version in OLD.items():
            fake.workers.add(name, version)
        yield fake


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def roll_out(deployed: Deployed, command_line: CommandLine, *options: str) -> Said:
    gradually = ("--gradual", "--step-seconds", "0", "--no-populate-kv", "--url", deployed.runtime.url)
    folder = deployed.shop.folder / "site"
    return command_line.run("deploy", folder, "--config", deployed.shop.config, *gradually, *options)


def test_new_versions_come_in_steps_and_go_back_by_one_command(
    deployed: Deployed, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    workers = cloudflare.workers

    def after(name: str, share: dict[str, float]) -> None:
        if name == "pages" and OLD[name] not in share:
            deployed.put(build="b1")

    workers.after_deployment = after
    deployed.put(build="b0", asked=[])
    said = roll_out(deployed, command_line, "--steps", "50", "--json")
    assert said.status == 0, said.out + said.err
    pages, front = (workers.scripts[name].versions[-1].id for name in OLD)
    assert workers.log == [
        ("pages", {OLD["pages"]: 100, pages: 0}),
        ("front", {OLD["front"]: 100, front: 0}),
        ("pages", {pages: 100}),
        ("front", {OLD["front"]: 50, front: 50}),
        ("front", {front: 100}),
    ]
    assert deployed.put()["asked"] == [f'pages="{pages}", front="{front}"'] * 4

    shown = command_line.run("versions", "--config", deployed.shop.config, "--json").document["workers"]
    newest = shown[0]["deployments"][0]["versions"]
    assert (shown[0]["name"], newest) == ("front", [{"id": front, "percentage": 100, "message": "build b1"}])
    said = command_line.run("rollback", "--config", deployed.shop.config, "--json")
    assert said.document["workers"] == [
        {"name": "front", "from": front, "to": OLD["front"]},
        {"name": "pages", "from": pages, "to": OLD["pages"]},
    ]
    assert workers.log[-2:] == [("front", {OLD["front"]: 100}), ("pages", {OLD["pages"]: 100})]


def test_a_page_handler_that_is_reached_only_with_its_visitors_and_fails_is_taken_back(
    deployed: Deployed, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    workers = cloudflare.workers

    def after(name: str, share: dict[str, float]) -> None:
        if name == "pages" and OLD[name] not in share:
            deployed.put(reaches=True, fails=True)

    workers.after_deployment = after
    deployed.put(build="b0", reaches=False)
    try:
        said = roll_out(deployed, command_line)
    finally:
        deployed.put(reaches=True, fails=False)
    assert said.status == 1
    assert "the check has not reached the new page handler yet" in said.out
    assert (
        "the page handler answers with status 500; look at its log; all visitors have the versions from before again" in said.err
    )
    assert "the live app" not in said.err
    assert [name for name, _ in workers.log] == ["pages", "front", "pages", "front", "pages"]
    assert [workers.share(name) for name in OLD] == [{version: 100} for version in OLD.values()]


def test_a_rollout_that_is_ended_from_outside_is_taken_back(
    deployed: Deployed, command_line: CommandLine, cloudflare: FakeCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(_name: str, share: dict[str, float]) -> None:
        if 10 in share.values():
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(Deploy, "_check_versions", lambda *_, **__: "")
    cloudflare.workers.after_deployment = after
    try:
        said = roll_out(deployed, command_line)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert said.status == 1
    assert "roll out failed: it was interrupted; all visitors have the versions from before again; fix it" in said.err
    assert cloudflare.workers.log[-2:] == [(name, {OLD[name]: 100}) for name in ("front", "pages")]


def test_workers_that_are_new_are_live_at_once(deployed: Deployed, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.workers.scripts.clear()
    deployed.put(build="b1", asked=[])
    said = roll_out(deployed, command_line, "--json")
    assert said.status == 0, said.out + said.err
    uploaded = next(row["said"] for row in said.document["steps"] if row["step"] == "upload the versions")
    assert uploaded == "pages is new, so it is live at once, front is new, so it is live at once"
    assert deployed.put()["asked"] == [""]
