"""What the commands of a deploy put into a cache is what the Worker serves, in the real runtime."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.builds import VERSIONS
from tests.fakes.cloudflare import FakeCloudflare, Traffic
from tests.fakes.deployments import CommandLine, FakeDeployment
from tests.workerd.builds import copy_as_built_now
from tests.workerd.visitor import Visitor

from vinext_worker.check.page_files import files_of
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions, ScriptService
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

TOKEN = "a-token-of-this-test"
PAGES = """export default { fetch({ url, headers }) {
    return new Response(`made ${new URL(url).pathname} ${headers.get("x-vinext-debug")}`, { status: 500 })
} }"""


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture(params=VERSIONS)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> FakeDeployment:
    return FakeDeployment.of_version(request.param, tmp_path, int(time.time() * 1000))


def options(project: Project, deployment: FakeDeployment, *, without: frozenset[str] = frozenset()) -> RuntimeOptions:
    """The Worker, which knows the build but cannot read a single page of it from the assets."""
    bare = deployment.folder / "bare"
    (bare / "__prerender").mkdir(parents=True)
    shutil.copyfile(deployment.assets / "__prerender" / "build.json", bare / "__prerender" / "build.json")
    for artifact in (deployment.assets / "__prerender" / "packs").iterdir():
        for file in files_of(artifact.read_text(errors="replace"), "http://site.example/"):
            (bare / file.target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (bare / file.target.lstrip("/")).touch()
    return RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": ScriptService(PAGES)},
        assets_directory=bare,
        variables={"VINEXT_ADMIN_TOKEN": TOKEN},
        without=without,
    )


def test_entries_written_through_the_rest_interface_are_hits(
    project: Project, deployment: FakeDeployment, command_line: CommandLine
) -> None:
    with FakeCloudflare() as cloudflare, LocalRuntime(options(project, deployment)) as runtime:
        command_line.set(cloudflare.environment())
        assert command_line.run("populate", "--config", deployment.config).status == 0
        for key, stored in cloudflare.stored.items():
            given = {"metadata": stored.metadata, "expirationTtl": stored.expiration_ttl}
            runtime.kv().put(key, stored.value, {name: value for name, value in given.items() if value is not None})
        said = command_line.run("check", runtime.url, "--patience", "0", "--from", deployment.assets, "--json")
        answers = said.document["answers"]
        assert [answer for answer in answers if answer["faults"]] == []
        # Before 1.0 the page handler answers for the files, and here it always fails.
        wrong_files = {file["path"].split("/")[1] for file in said.document["files"] if file["faults"]}
        assert (wrong_files, said.status) in ((set(), 0), ({"assets"}, 1))
        # A page with a period of seconds may be past it by now.
        assert {answer["cache"] for answer in answers if answer["path"] != "/tick"} == {"HIT"}
        # A page of the Pages Router and its data are one entry.
        assert len([answer for answer in answers if answer["form"] != "data"]) == len(cloudflare.stored)


def test_entries_given_to_the_worker_are_hits_whatever_its_cache(
    project: Project, deployment: FakeDeployment, command_line: CommandLine
) -> None:
    with LocalRuntime(options(project, deployment, without=frozenset({"VINEXT_CACHE"}))) as runtime:
        command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
        into = ("populate", "--config", deployment.config, "--into", "worker", "--url", runtime.url, "--json")
        said = command_line.run(*into)
        assert (said.status, said.document["failed"]["count"]) == (0, 0)
        assert said.document["written"] == said.document["entries"] > 70
        assert command_line.run(*into).document["unchanged"] == said.document["entries"]
        check = command_line.run("check", runtime.url, "--patience", "0", "--from", deployment.assets, "--sample", "20", "--json")
        assert [answer for answer in check.document["answers"] if answer["faults"]] == []
        assert TOKEN not in said.out + said.err + str(runtime.logs)


@pytest.fixture(scope="module")
def served(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeDeployment, LocalRuntime]]:
    deployment = FakeDeployment.of_version("1.4.0", tmp_path_factory.mktemp("served"), int(time.time() * 1000))
    made = options(project, deployment)
    shutil.copytree(deployment.assets, made.assets_directory or deployment.folder, dirs_exist_ok=True)
    with LocalRuntime(made) as runtime:
        yield deployment, runtime


def test_revalidate_reaches_the_deployed_app(served: tuple[FakeDeployment, LocalRuntime], command_line: CommandLine) -> None:
    deployment, runtime = served
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    assert command_line.run("check", runtime.url, "--patience", "0", "--from", deployment.assets).status == 0
    said = command_line.run("revalidate", runtime.url, "--path", "/about", "--prefix", "/docs", "--config", deployment.config)
    assert (said.status, said.out.strip()) == (0, f"invalidated at {runtime.url}: _N_T_/about, /docs/…")
    said = command_line.run("check", runtime.url, "--patience", "0", "--from", deployment.assets, "--json")
    wrong = {answer["path"] for answer in said.document["answers"] if answer["faults"]}
    assert "/about" in wrong  # its page handler fails, so that it is rendered for nobody
    assert all(path == "/about" or path.startswith("/docs") for path in wrong)
    assert len(wrong) == 7


def test_a_wrong_token_is_refused_and_not_shown(
    served: tuple[FakeDeployment, LocalRuntime], command_line: CommandLine, tmp_path: Path
) -> None:
    deployment, runtime = served
    command_line.set({"VINEXT_ADMIN_TOKEN": "not-the-token"})
    said = command_line.run("populate", "--config", deployment.config, "--into", "worker", "--url", runtime.url)
    assert said.status == 1
    assert "refuses the token" in said.err
    assert "not-the-token" not in said.out + said.err


def test_check_says_what_is_wrong_and_writes_a_page(
    served: tuple[FakeDeployment, LocalRuntime], command_line: CommandLine, tmp_path: Path
) -> None:
    deployment, runtime = served
    page = tmp_path / "reports" / "check.html"
    other = FakeDeployment.of_pages(tmp_path, {"/nowhere": b"<p>", "/about": b"<p>"})
    said = command_line.run("check", runtime.url, "--from", other.assets, "--html", page)
    assert said.status == 1
    assert "2 answers checked: 2 not as expected" in said.out
    assert "not as expected" in said.out
    assert "status 500, expected 200" in page.read_text()
    assert "X-Vinext-Cache is missing" in said.out
    assert deployment.assets.is_dir()


def test_everything_below_the_endpoints_folder_is_answered_by_the_worker(
    served: tuple[FakeDeployment, LocalRuntime], command_line: CommandLine
) -> None:
    _, runtime = served
    visitor = Visitor(runtime.url)
    for path in ("/__vinext/seed", "/%5F_vinext/seed", "/__vinext/other", "/a/..%2f__vinext/x"):
        answer = visitor.ask(path, "POST", {"Content-Type": "application/json"}, b"{}")
        assert answer.status in {401, 404}
        assert b"made" not in answer.body
    answer = visitor.ask("/__vinext/seed", "POST", {"Authorization": f"Bearer {TOKEN}"}, b"{}")
    assert (answer.status, json.loads(answer.body)["refused"][0]["line"]) == (200, 1)


@pytest.mark.parametrize("name", ["vinext-1.4.0", "vinext-0.0.38"])
def test_vinexts_own_worker_reads_them_as_hits(name: str, project: Project, tmp_path: Path, command_line: CommandLine) -> None:
    """With its own cache handler for KV, from its published packages. 0.0.38 never asks its cache for pages without a period."""
    built = build_vinext_site(project.root / "tests" / "fixtures" / "sites" / name, project.tools, Console(stderr=True))
    deployment = FakeDeployment(tmp_path)
    shutil.copytree(copy_as_built_now(built, tmp_path / "copied"), deployment.assets)
    deployment.configure(variables='VINEXT_APP_PREFIX = "own"')
    started = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": BuildService(built.server_config)},
        assets_directory=deployment.assets,
        variables={"VINEXT_APP_PREFIX": "own"},
    )
    with FakeCloudflare() as cloudflare, LocalRuntime(started) as runtime:
        command_line.set(cloudflare.environment())
        said = command_line.run("populate", "--config", deployment.config, "--json")
        assert (said.status, said.document["written"]) == (0, len(cloudflare.stored))
        for key, stored in cloudflare.stored.items():
            given = {"metadata": stored.metadata, "expirationTtl": stored.expiration_ttl}
            runtime.kv().put(key, stored.value, {option: value for option, value in given.items() if value is not None})
        theirs = Visitor(runtime.service_urls["PAGES"])
        states: dict[str, str | None] = {}
        for key, stored in cloudflare.stored.items():
            path, _, form = key.partition(":/")[2].rpartition(":")
            is_asked_for = name == "vinext-1.4.0" or json.loads(stored.value)["revalidateAt"] is not None
            if path == "404" or "__hash" in key or not is_asked_for:
                continue
            url = "/" + quote(path)
            headers = {"RSC": "1", "Accept": "text/x-component"} if form == "rsc" else {"Accept": "text/html"}
            states[f"{url} {form}"] = theirs.ask(url if form == "html" else f"{url or '/index'}.rsc", headers=headers).state
        # A page with a period of seconds may be past it by now.
        assert set(states.values()) <= {"HIT", "STALE"}, states
        assert {state for url, state in states.items() if "tick" not in url} == {"HIT"}


def test_pages_that_visitors_want_are_rendered_in_the_local_runtime(
    project: Project, example_build: SiteBuild, tmp_path: Path, command_line: CommandLine
) -> None:
    deployment = FakeDeployment(tmp_path)
    shutil.copytree(copy_as_built_now(example_build, tmp_path / "copied"), deployment.assets)
    deployment.configure('main = "src/entry.py"\ncompatibility_flags = ["python_workers"]\nroute = "www.example.com/*"')
    for name in ("src", "python_modules"):
        (tmp_path / name).symlink_to(project.root / name)
    traffic = [Traffic("/blog/of-today", 90), Traffic("/about", 5), Traffic("/dash", 4), Traffic("/missing", 1)]
    with FakeCloudflare(traffic=traffic) as cloudflare:
        command_line.set(cloudflare.environment())
        said = command_line.run("tpr", example_build.root, "--config", deployment.config, "--coverage", "100", "--json")
        assert said.status == 0, said.err
        assert {row["name"] for row in said.document["skipped"]["first"]} == {"/about", "/dash", "/missing"}
        build_id = said.document["buildId"]
        html = cloudflare.stored[f"cache:app:v2:{build_id}:/blog/of-today:html"]
        rsc = cloudflare.stored[f"cache:app:v2:{build_id}:/blog/of-today:rsc"]
    entry = json.loads(html.value)
    assert entry["cacheControl"]["revalidate"] == 3600
    assert "_N_T_/blog/[slug]/page" in entry["tags"]
    assert set(entry["tags"]) == set(json.loads(rsc.value)["tags"])
    served = options(project, deployment)
    with LocalRuntime(served) as runtime:
        for key, stored in cloudflare.stored.items():
            runtime.kv().put(key, stored.value, {"metadata": stored.metadata})
        visitor = Visitor(runtime.url)
        assert visitor.ask("/blog/of-today").state == "HIT"
        payload = visitor.ask("/blog/of-today?_rsc=abc", headers={"RSC": "1", "Accept": "text/x-component"})
        assert (payload.state, "x-vinext-rsc-compatibility-id" in payload.headers) == ("HIT", True)


def test_the_examples_pages_are_as_check_expects(
    project: Project, example_build: SiteBuild, tmp_path: Path, command_line: CommandLine
) -> None:
    """Straight from the assets, redirects and errors among them, with the example's own Worker behind."""
    assets = copy_as_built_now(example_build, tmp_path)
    served = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": BuildService(example_build.server_config)},
        assets_directory=assets,
    )
    with LocalRuntime(served) as runtime:
        said = command_line.run("check", runtime.url, "--from", assets, "--json")
        assert [answer for answer in said.document["answers"] if answer["faults"]] == []
        assert {answer["status"] for answer in said.document["answers"]} == {200, 308, 404}


def test_why_is_told_by_the_deployed_app(served: tuple[FakeDeployment, LocalRuntime], command_line: CommandLine) -> None:
    deployment, runtime = served
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    before = runtime.kv().names()
    for page in ("/", "/never-asked"):
        said = command_line.run("why", page, "--at", runtime.url, "--config", deployment.config, "--json")
        assert said.status == 0, said.err
        expected = ("HIT", "served.fresh") if page == "/" else ("MISS", "cache.absent")
        assert (said.document["outcome"], said.document["reason"]) == expected
    assert runtime.kv().names() == before


def test_a_request_with_the_token_is_told_why(served: tuple[FakeDeployment, LocalRuntime]) -> None:
    _, runtime = served
    bare = httpx.get(f"{runtime.url}/", trust_env=False)
    debugged = httpx.get(f"{runtime.url}/", headers={"X-Vinext-Debug": TOKEN}, trust_env=False)
    assert debugged.headers["x-vinext-cache-reason"] == "HIT: served.fresh (it is fresh)"
    phases = [part.partition(";")[0].strip() for part in debugged.headers["server-timing"].split(",")]
    assert (phases[0], phases[-1]) == ("route", "worker")
    assert debugged.content == bare.content
    passed = httpx.get(f"{runtime.url}/nowhere", headers={"X-Vinext-Debug": TOKEN}, trust_env=False)
    # Another test may have asked for it a moment ago, and then nobody waits for the same again.
    line = passed.headers["x-vinext-cache-reason"]
    assert re.fullmatch(r"passed on: answer\.failed-status \((this|the last) answer .* not kept: status 500.*\)", line), line
    assert "handler;dur=" in passed.headers["server-timing"]
    assert passed.text == "made /nowhere null"


def test_a_wrong_token_is_as_none(served: tuple[FakeDeployment, LocalRuntime]) -> None:
    _, runtime = served
    shown = []
    for headers in ({}, {"X-Vinext-Debug": f"{TOKEN}x"}):
        answers = [httpx.get(f"{runtime.url}{path}", headers=headers, trust_env=False) for path in ("/", "/nowhere")]
        shown.append([(one.status_code, one.content, {**one.headers, "date": "", "age": ""}) for one in answers])
    assert shown[0] == shown[1]
    assert "x-vinext-cache-reason" not in shown[1][0][2]
