"""Deploying: the order of the steps, what stops it, and what is said then."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import built_site, written_build
from tests.fakes.cloudflare import NAMESPACE
from tests.fakes.deployments import FakeDeployment
from werkzeug import Response

from vinext_worker.check import run
from vinext_worker.cloudflare.deployment import Deployment
from vinext_worker.cloudflare.login import Login
from vinext_worker.cloudflare.wrangler import Finished, ProgramRunner
from vinext_worker.copy.earlier_builds import EarlierBuilds
from vinext_worker.deploy import command, site_check
from vinext_worker.deploy.preflight import app_name
from vinext_worker.deploy.steps import Step, run_steps
from vinext_worker.errors import UserError
from vinext_worker.populate import command as populating
from vinext_worker.populate.report import PopulateReport
from vinext_worker.prerender import command as prerendering
from vinext_worker.prerender.run import PrerenderReport
from vinext_worker.terminal.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_httpserver import HTTPServer
    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine
    from werkzeug import Request

    from vinext_worker.sites.python_project import PythonProject
    from vinext_worker.sites.site_build import SiteBuild

URL = "https://front.example.workers.dev"
PYTHON = 'main = "src/entry.py"\ncompatibility_flags = ["python_workers"]'


@dataclass
class FakePrograms:
    """Stands for every program; fails where the command has one of `failing` in it."""

    failing: str = "\0"
    targets: tuple[str, ...] = (URL,)
    before: Callable[[Sequence[str]], None] = lambda _command: None
    commands: list[Sequence[str]] = field(default_factory=list)
    variables: list[Mapping[str, str | None]] = field(default_factory=list)

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        assert folder.is_dir()
        self.before(command)
        self.commands.append(command)
        self.variables.append(variables)
        if self.failing in " ".join(command):
            return Finished(1, "wrangler said\n✘ [ERROR] Authentication error [code: 10000]\n\nLogs were written to x\n")
        log = variables["WRANGLER_OUTPUT_FILE_PATH"]
        assert log is not None
        rows = [{"type": "wrangler-session"}, {"type": "deploy", "targets": list(self.targets)}]
        Path(log).write_text("\n".join(map(json.dumps, rows)) + "\n")
        return Finished(0, "")

    def deployed(self) -> list[str]:
        return [str(command[command.index("--config") + 1]) for command in self.commands]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    fake = FakePrograms()
    monkeypatch.setattr(command, "ProgramRunner", lambda _on_line: fake)
    monkeypatch.setattr(command, "log_in", lambda *_: Login("a" * 32, "User API Token"))
    monkeypatch.setattr(site_check, "_PAUSES_SECONDS", (0, 0, 0, 0))
    return fake


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    deployment = FakeDeployment.of_pages(tmp_path, {"/": b"<p>", "/a": b"<p>"})
    server = tmp_path / "site" / "dist" / "server"
    (server / "wrangler.json").write_text('{"name": "pages", "compatibility_date": "2026-10-01"}')
    deployment.configure('[[services]]\nbinding = "PAGES"\nservice = "pages"')
    built: list[SiteBuild] = []

    def site_of(_folder: Path, *_more: object) -> SiteBuild:
        built.append(built_site(tmp_path / "site", server / "prerendered-routes"))
        return built[-1]

    monkeypatch.setattr(command, "build_vinext_site", site_of)
    monkeypatch.setattr(command, "find_build", site_of)
    return deployment


def states(document: dict[str, object]) -> dict[str, str]:
    rows = document["steps"]
    assert isinstance(rows, list)
    return {row["step"]: row["state"] for row in rows}


def test_entries_are_there_before_anything_goes_live(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    stored: list[int] = []
    programs.before = lambda _command: stored.append(len(cloudflare.stored))
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config, "--no-check", "--json")
    assert said.status == 0, said.err
    assert states(said.document) == {
        "preflight": "done",
        "build": "done",
        "copy": "done",
        "populate": "done",
        "tpr": "skipped",
        "deploy the page handler": "done",
        "deploy the Worker": "done",
        "check": "skipped",
    }
    server_config = deployment.folder / "site" / "dist" / "server" / "wrangler.json"
    assert programs.deployed() == [str(server_config), str(deployment.config)]
    assert stored == [2, 2]
    assert all("--dry-run" not in command for command in programs.commands)


def test_a_dry_run_sends_nothing(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config, "--dry-run", "--tpr")
    assert said.status == 0
    assert all("--dry-run" in command for command in programs.commands)
    assert len(programs.commands) == 2
    assert cloudflare.requests == []
    assert "2 entries would be written" in said.out
    assert "\x1b" not in said.out


def test_the_namespace_that_is_made_at_a_terminal_is_the_one_that_is_filled_and_deployed(
    deployment: FakeDeployment,
    command_line: CommandLine,
    cloudflare: FakeCloudflare,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(given: Deployment, *_: object) -> Deployment:
        deployment.config.write_text(deployment.config.read_text().replace("0" * 32, NAMESPACE))
        return Deployment.read(given.config.path, None)

    monkeypatch.setattr(command, "can_ask", lambda _: True)
    monkeypatch.setattr(command, "with_namespace", made)
    deployment.config.write_text(deployment.config.read_text().replace(NAMESPACE, "0" * 32))
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config, "--no-check")
    assert said.status == 0, said.err
    assert len(cloudflare.stored) == 2


def test_a_build_as_it_is_and_kv_left_alone(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    arguments = ("--skip-build", "--no-populate-kv", "--no-check", "--json")
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config, *arguments)
    assert states(said.document)["build"] == states(said.document)["populate"] == "skipped"
    assert cloudflare.requests == []


def test_an_environment_is_handed_on(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    deployment.config.write_text(
        deployment.config.read_text()
        + '[env.staging]\nvars = {}\n[[env.staging.services]]\nbinding = "PAGES"\nservice = "pages"\n'
    )
    # The command sets it for the build; this takes it away again.
    command_line.set({"CLOUDFLARE_ENV": ""})
    site = deployment.folder / "site"
    said = command_line.run("deploy", site, "--config", deployment.config, "--env", "staging", "--no-check", "--json")
    assert said.status == 0, said.err
    pages, front = programs.commands
    assert "--env" not in pages
    assert front[front.index("--env") + 1] == "staging"
    assert states(said.document)["populate"] == "skipped"
    assert [variables["CLOUDFLARE_ENV"] for variables in programs.variables] == [None, None]


def test_a_python_site_whose_environment_has_no_page_handler_is_refused(
    tmp_path: Path, command_line: CommandLine, programs: FakePrograms
) -> None:
    deployment = FakeDeployment(tmp_path)
    deployment.configure(PYTHON, variables='VINEXT_PAGE_HANDLER = "asgi:app:app"\n[env.staging.vars]\nAPI = "https://staging"')
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    command_line.set({"CLOUDFLARE_ENV": ""})
    said = command_line.run("deploy", "--config", deployment.config, "--env", "staging", "--dry-run")
    assert (said.status, programs.commands) == (1, [])
    assert "env.staging.vars lacks VINEXT_PAGE_HANDLER" in said.err
    assert 'write VINEXT_PAGE_HANDLER = "asgi:app:app" there' in said.err


def test_a_python_site_is_rendered_with_the_variables_that_are_deployed(
    tmp_path: Path, command_line: CommandLine, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = FakeDeployment(tmp_path)
    deployment.configure(PYTHON, variables='API = "https://first"\n[env.staging.vars]\nAPI = "https://staging"')
    deployment.config.rename(tmp_path / "other.toml")
    deployment.configure(PYTHON, variables='API = "https://another"')
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / ".dev.vars").write_text("API=http://localhost\nKEY=secret\n")
    rendered_with: list[Mapping[str, str]] = []

    def rendered(project: PythonProject, _tools: object, output: Output, *, may_be_empty: bool) -> PrerenderReport:
        assert may_be_empty
        output.steps_console.print("what uv says")
        rendered_with.append(project.config.variables)
        written_build(tmp_path, {"buildId": "b1", "trailingSlash": False, "routes": []}, {})
        return PrerenderReport("b1", 0, (), ())

    monkeypatch.setattr(prerendering, "run_prerender", rendered)
    command_line.set({"CLOUDFLARE_ENV": ""})
    arguments = ("--config", tmp_path / "other.toml", "--env", "staging", "--no-populate-kv", "--dry-run")
    said = command_line.run("deploy", *arguments)
    assert "rendering with KEY of .dev.vars" in said.out, said.err
    assert rendered_with == [{"API": "https://staging", "KEY": "secret"}]
    said = command_line.run("deploy", *arguments, "--json")
    assert states(said.document)["copy"] == "done"
    assert "what uv says" in said.err


PERHAPS = "; it may be live all the same, see `vinext-worker versions`"
FAILURES = {
    "the page handler": ("site/dist/server", f"{PERHAPS}; not done: deploy the Worker, check; fix it"),
    "the Worker": ("wrangler.toml", f"{PERHAPS}; already live: deploy the page handler; not done: check; fix it"),
}


@pytest.mark.parametrize(("failing", "message"), FAILURES.values(), ids=FAILURES)
def test_a_deploy_that_fails_says_what_is_live(  # noqa: PLR0913, PLR0917 - fixtures
    failing: str,
    message: str,
    deployment: FakeDeployment,
    command_line: CommandLine,
    cloudflare: FakeCloudflare,
    programs: FakePrograms,
) -> None:
    programs.failing = failing
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config)
    assert said.status == 1
    assert len(said.err.strip().splitlines()) == 1
    assert f"exited with 1: Authentication error [code: 10000]{message}" in said.err


INTERRUPTIONS = {
    "before anything is live": ("build", "build failed: it was interrupted; the live app is unchanged; not done: copy, "),
    "in the first deploy": (
        "site/dist/server/wrangler.json",
        f"deploy the page handler failed: it was interrupted{PERHAPS}; not done: ",
    ),
    "between the deploys": (
        "deploy the Worker …",
        "deploy the Worker failed: it was interrupted; already live: deploy the page handler; not done: check",
    ),
    "in the second deploy": (
        "wrangler.toml",
        f"deploy the Worker failed: it was interrupted{PERHAPS}; already live: deploy the page handler; not done: check",
    ),
    "in the check": (
        "check",
        "check failed: it was interrupted; already live: deploy the page handler, deploy the Worker; fix it",
    ),
}


@pytest.mark.parametrize(("where", "message"), INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_a_deploy_that_is_interrupted_says_what_is_live(  # noqa: PLR0913, PLR0917 - fixtures
    where: str,
    message: str,
    deployment: FakeDeployment,
    command_line: CommandLine,
    cloudflare: FakeCloudflare,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*given: object) -> str:
        raise KeyboardInterrupt

    def interrupt_at(command: Sequence[str]) -> None:
        if any(argument.endswith(where) for argument in command):
            raise KeyboardInterrupt

    def line(_output: Output, text: str, _style: str = "") -> None:
        if text == where:
            raise KeyboardInterrupt

    programs.before = interrupt_at
    monkeypatch.setattr(Output, "line", line)
    if where in {"build", "check"}:
        monkeypatch.setattr(command.Deploy, f"_{where}", interrupted)
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config)
    assert said.status == 1
    assert said.err.strip().removeprefix("vinext-worker: ").startswith(message)
    (build,) = EarlierBuilds.read(deployment.assets).builds
    assert build.is_begun is (where != "build")
    assert build.is_deployed is (where == "check")


def test_populating_that_fails_stops_before_anything_goes_live(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    command_line.set({"CLOUDFLARE_API_TOKEN": "another-token"})
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config, "--json")
    assert (said.status, programs.commands) == (1, [])
    assert states(said.document)["populate"] == "failed"
    assert states(said.document)["deploy the Worker"] == "not done"
    assert "the live app is unchanged" in said.err


@pytest.mark.parametrize(("token", "state"), [("", "done"), ("token", "failed")], ids=["wrangler's login", "a token"])
def test_entries_that_could_not_be_written_stop_a_deploy_with_a_token_alone(  # noqa: PLR0913, PLR0917 - fixtures
    token: str,
    state: str,
    deployment: FakeDeployment,
    command_line: CommandLine,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = PopulateReport("somewhere", "b1", entries=2)
    report.failed.add("key", "reason")
    monkeypatch.setattr(populating, "populate_build", lambda *_: report)
    command_line.set({"CLOUDFLARE_API_TOKEN": token})
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config, "--no-check", "--json")
    assert states(said.document)["populate"] == state
    assert len(programs.commands) == (2 if state == "done" else 0)
    assert "1 of 2 entries were not written" in said.out


def test_a_check_that_fails_is_a_failure(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    programs.targets = ("http://127.0.0.1:1",)
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config)
    assert said.status == 1
    assert "http://127.0.0.1:1 cannot be reached" in said.err
    assert "already live: deploy the page handler, deploy the Worker" in said.err


@dataclass
class FakeSite:
    """The site that is live: the page handler's builds and the pages' states in turn; the last one stays."""

    builds: list[str] = field(default_factory=lambda: ["b1"])
    states: list[str] = field(default_factory=lambda: ["HIT"])

    def answer(self, request: Request) -> Response:
        if request.method == "POST":
            return Response("none", 404, {"X-Vinext-App-Build": self._next(self.builds)})
        headers = {"X-Vinext-Cache": self._next(self.states), "Cache-Control": "s-maxage=60, stale-while-revalidate"}
        return Response("<p>", headers=headers, content_type="text/html")

    @staticmethod
    def _next(values: list[str]) -> str:
        return values.pop(0) if len(values) > 1 else values[0]


SITES = {
    "as expected": (FakeSite(), 0, "2 answers checked: all as expected"),
    "the page handler of before for a moment": (FakeSite(["b0", "b0", "b1"]), 0, "2 answers checked: all as expected"),
    "pages of before for a moment": (FakeSite(states=["MISS", "HIT"]), 0, "2 answers checked: all as expected"),
    "the page handler of before": (FakeSite(["b0"]), 1, "the page handler that answers is of build b0, not of b1"),
    "pages in no cache": (FakeSite(states=["MISS"]), 1, "2 answers checked: 2 not as expected"),
}


@pytest.mark.parametrize(("site", "status", "message"), SITES.values(), ids=SITES)
def test_a_red_check_is_believed_once_the_deploy_is_known_everywhere(  # noqa: PLR0913, PLR0917 - fixtures
    site: FakeSite,
    status: int,
    message: str,
    deployment: FakeDeployment,
    command_line: CommandLine,
    cloudflare: FakeCloudflare,
    programs: FakePrograms,
    httpserver: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "_WAITS_SECONDS", (0.01,))
    httpserver.expect_request(re.compile(".*")).respond_with_handler(site.answer)
    programs.targets = (httpserver.url_for(""),)
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config)
    assert (said.status, message in said.out + said.err) == (status, True), said
    assert said.out.count("\n/a\t") <= 1, "the pages are listed once"


def test_a_check_waits_first_and_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    def red() -> None:
        raise UserError("red")

    site_check.once_known(lambda: slept.append(-1))
    assert slept == [2, -1]
    slept.clear()
    with pytest.raises(UserError, match="red"):
        site_check.once_known(red)
    assert slept == [2, 3, 5, 7]


def test_nobody_says_where_it_is(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, programs: FakePrograms
) -> None:
    programs.targets = ()
    said = command_line.run("deploy", deployment.folder / "site", "--config", deployment.config)
    assert (said.status, "name it with --url" in said.err) == (1, True)


def test_steps_after_a_failure_are_not_done() -> None:
    done: list[str] = []

    def work() -> str:
        done.append("one")
        return "said"

    def fail() -> str:
        raise UserError("no")

    steps = [
        Step("one", work),
        Step("two", fail),
        Step("three", work),
        Step("four", fail, skip="not wanted"),
    ]
    results = run_steps(steps, lambda _step: None, lambda _result: None)
    assert [(result.state, result.said) for result in results] == [
        ("done", "said"),
        ("failed", "no"),
        ("not done", ""),
        ("not done", ""),
    ]
    assert done == ["one"]


def test_programs_run_for_real(tmp_path: Path) -> None:
    lines: list[str] = []
    runner = ProgramRunner(lines.append)
    finished = runner.run(["sh", "-c", "echo $GIVEN-$HOME; echo oops >&2; exit 3"], tmp_path, {"GIVEN": "a", "HOME": None})
    assert (finished.status, sorted(lines), finished.answer) == (3, ["a-", "oops"], "a-\n")


@pytest.mark.parametrize("token", ["right", "right\n", "wrong right"])
def test_no_line_of_a_program_shows_the_token(
    token: str, tmp_path: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    lines: list[str] = []
    ProgramRunner(lines.append).run(["sh", "-c", "echo is right, is it"], tmp_path, {})
    assert lines == ["is ***, is it"]


def test_a_program_does_not_go_on_when_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ProgramRunner(interrupt).run(["sh", "-c", "echo $$ > pid; echo begun; exec sleep 600"], tmp_path, {})
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("ignored", [False, True])
def test_an_end_from_outside_is_an_interruption_unless_it_is_ignored(name: str, ignored: bool) -> None:  # noqa: FBT001 - of a table
    program = f"""
import os, signal
from vinext_worker.terminal.interruption import end_as_by_ctrl_c
signal.signal(signal.{name}, signal.{"SIG_IGN" if ignored else "SIG_DFL"})
end_as_by_ctrl_c()
try:
    os.kill(os.getpid(), signal.{name})
    print("ignored")
except KeyboardInterrupt:
    print("interrupted")
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ("ignored" if ignored else "interrupted")


@pytest.mark.parametrize(
    ("own", "environment", "name"),
    [
        pytest.param('name = "app"', None, "app", id="none is asked for"),
        pytest.param('name = "app"\n[env.staging]\nvars = {}', "staging", "app-staging", id="an environment"),
        pytest.param('name = "app"\n[env.staging]\nname = "other"', "staging", "other", id="with a name of its own"),
        pytest.param('name = "app"', "staging", "app-staging", id="that the app's configuration does not have"),
    ],
)
def test_the_name_of_an_apps_worker_is_known_before_its_build(
    tmp_path: Path, own: str, environment: str | None, name: str
) -> None:
    (tmp_path / "wrangler.toml").write_text(f'compatibility_date = "2026-10-01"\n{own}\n')
    assert app_name(tmp_path, environment) == name
