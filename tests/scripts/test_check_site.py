"""`check` against small sites, each with one fault."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from pytest_httpserver import HTTPServer
from tests.fakes.deployments import FakeDeployment
from werkzeug import Response

from seed.rules import STAGES_VERSION
from vinext_worker.check import run
from vinext_worker.dev.running import RunningDev

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.deployments import CommandLine, Said
    from werkzeug import Request

PAGE = """<!DOCTYPE html><html><head><link rel="stylesheet" href="/_next/static/a.css"></head><body><h1>Page</h1>
<img src="/logo.png" srcset="/small.png 1x, /logo.png 2x"><script src="https://elsewhere.example/a.js"></script>
<script type="module" src="/_next/static/a.js"></script><script>import("/_next/static/b.js")</script></body></html>"""
FILES = {
    "/_next/static/a.css": "text/css",
    "/_next/static/a.js": "text/javascript",
    "/_next/static/b.js": "text/javascript",
    "/logo.png": "image/png",
    "/small.png": "image/png",
}
PERIOD = "s-maxage=60, stale-while-revalidate"
STALE = "s-maxage=0, stale-while-revalidate"


@dataclass
class Site:
    """A site with one page, whose answers have these states and ages in turn; the last one stays."""

    states: list[str] = field(default_factory=lambda: ["HIT"])
    ages: list[int] = field(default_factory=lambda: [10])
    headers: dict[str, str] = field(default_factory=dict)
    page: str = PAGE
    first_page: str | None = None
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    asked: list[str] = field(default_factory=list)
    told: str = ""
    tokens: set[str] = field(default_factory=set)
    status: int = 200
    own: Response = field(default_factory=lambda: Response(status=404))
    """The answer below /__prerender."""

    def answer(self, request: Request) -> Response:
        if request.path.startswith("/__prerender/"):
            return self.own
        if request.path != "/about":
            content_type = self.files.get(request.path)
            return Response(status=404) if content_type is None else Response(b"x", content_type=content_type)
        self.asked.append(request.path)
        token = request.headers.get("X-Vinext-Debug")
        if token is not None:
            self.tokens.add(token)
            self.headers["X-Vinext-Cache-Reason"] = self.told
        number = len(self.asked) - 1
        state, age = self.states[min(number, len(self.states) - 1)], self.ages[min(number, len(self.ages) - 1)]
        headers = {"Age": str(age), "Cache-Control": STALE if state == "STALE" else PERIOD} | self.headers
        if state:
            headers["X-Vinext-Cache"] = state
        page = self.page if number or self.first_page is None else self.first_page
        return Response(page, self.status, headers=headers, content_type="text/html; charset=utf-8")


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "_WAITS_SECONDS", (0.01,))
    return FakeDeployment.of_pages(tmp_path, {"/about": PAGE.encode()}).assets


@pytest.fixture
def check(assets: Path, httpserver: HTTPServer, command_line: CommandLine) -> Check:
    return Check(assets, httpserver, command_line)


@dataclass
class Check:
    assets: Path
    server: HTTPServer
    command_line: CommandLine

    def __call__(self, site: Site, *options: str) -> Said:
        self.server.clear()
        self.server.expect_request(re.compile(".*")).respond_with_handler(site.answer)
        return self.command_line.run("check", self.server.url_for("").rstrip("/"), "--from", self.assets, *options)


def test_the_bindings_of_the_configuration_come_with_it(check: Check, command_line: CommandLine) -> None:
    check(Site())
    given = ("check", check.server.url_for("").rstrip("/"), "--config", check.assets.parent / "wrangler.toml")
    said = command_line.run(*given)
    assert "VINEXT_CACHE\tbound\tKV keeps the pages; others see a write within a minute or so\n" in said.out
    rows = {row["name"]: row["bound"] for row in command_line.run(*given, "--json").document["bindings"]}
    assert (rows["VINEXT_CACHE"], rows["VINEXT_CACHE_R2"]) == (True, False)


def test_dev_is_checked_for_the_pages_that_it_has_copied_for_itself(check: Check, command_line: CommandLine) -> None:
    url, folder = check.server.url_for("").rstrip("/"), check.assets.parent
    own = folder / ".vinext" / "dev" / "assets"
    own.parent.mkdir(parents=True)
    check.assets.rename(own)
    RunningDev(url.replace("localhost", "127.0.0.1"), "token").note(folder / ".vinext")
    check.server.expect_request(re.compile(".*")).respond_with_handler(Site().answer)
    said = command_line.run("check", url, "--config", folder / "wrangler.toml")
    assert (said.status, "1 answer and 5 files checked: all as expected" in said.out) == (0, True)


def test_a_page_and_its_files_are_as_expected(check: Check) -> None:
    said = check(Site())
    assert (said.status, "1 answer and 5 files checked: all as expected" in said.out) == (0, True)


def test_a_page_that_cannot_be_written_does_not_cost_the_result(check: Check, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = check(Site(), "--html", str(tmp_path / "file" / "a.html"))
    assert "1 answer and 5 files checked: all as expected" in said.out
    assert (said.status, f"{tmp_path / 'file'} cannot be written" in said.err) == (1, True)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_a_fault(name: str, check: Check) -> None:
    said = check(Site(files={file: kind for file, kind in FILES.items() if file != name}))
    assert said.status == 1
    (line,) = (line for line in said.out.splitlines() if line.startswith(f"{name}\t"))
    assert line.endswith("\tstatus 404, expected 200, in /about")
    assert "1 answer and 5 files checked: 1 not as expected" in said.out


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_type_that_browsers_refuse_is_a_fault(name: str, check: Check) -> None:
    said = check(Site(files=FILES | {name: "text/plain"}), "--json")
    (wrong,) = [file for file in said.document["files"] if file["faults"]]
    assert (wrong["path"], wrong["status"]) == (name, 200)
    assert "text/plain" in wrong["faults"][0]


@pytest.mark.parametrize(
    ("states", "ages"),
    [
        pytest.param(["STALE", "HIT"], [100, 0], id="made again"),
        pytest.param(["STALE", "STALE", "STALE", "HIT"], [100, 100, 100, 0], id="made again after a while"),
        pytest.param(["STALE", "STALE"], [100, 0], id="with a period that has passed again"),
    ],
)
def test_a_stale_page_is_as_expected_if_it_is_made_again(states: list[str], ages: list[int], check: Check) -> None:
    site = Site(states, ages)
    assert check(site).status == 0
    assert len(site.asked) == len(states)


def test_a_page_that_stays_stale_is_a_fault(check: Check) -> None:
    said = check(Site(["STALE"], [100]), "--patience", "0.1")
    assert said.status == 1
    assert "it stays STALE: it was not made again within 0.1 s of a period of 60 s" in said.out


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        pytest.param(["MISS"], "the answer is a MISS after 3 requests", id="stored again and again"),
        pytest.param([""], "the answer has no X-Vinext-Cache after 3 requests", id="passed on"),
        pytest.param(["STALE", ""], "the answer has no X-Vinext-Cache after 3 requests", id="no longer kept"),
    ],
)
def test_a_page_that_is_made_for_each_request_is_a_fault(states: list[str], shown: str, check: Check) -> None:
    site = Site(states, [100])
    said = check(site)
    assert said.status == 1
    assert f"it is made for each request, although the build gives it a period of 60 s: {shown}" in said.out
    assert len(site.asked) == 3


def test_a_page_that_was_in_no_cache_is_a_fault_of_its_own(check: Check) -> None:
    said = check(Site(["MISS", "HIT"]))
    assert (said.status, "expected HIT or STALE" in said.out, "for each request" in said.out) == (1, True, False)


@pytest.mark.parametrize(
    ("reason", "options", "status"),
    [
        pytest.param("build.invalidated (the tag t%0A was invalidated)", [], 0, id="invalidated since the build"),
        pytest.param("cache.invalidated (the tag t%0A was invalidated)", [], 0, id="invalidated since it was rendered"),
        pytest.param("build.invalidated (the tag t%0A was invalidated)", ["--strict"], 1, id="strict"),
        pytest.param("cache.absent (no entry)", [], 1, id="in no cache"),
    ],
)
def test_a_page_that_was_invalidated_is_a_note(
    reason: str, options: list[str], status: int, check: Check, command_line: CommandLine
) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": "secret"})
    site = Site(["MISS", "HIT"], told=f"MISS: {reason}")
    said = check(site, *options, "--json")
    assert said.status == status
    (answer,) = said.document["answers"]
    assert answer["notes"] == ([] if status else ["it was rendered anew, because the tag t\n was invalidated"])
    assert site.tokens == (set() if options else {"secret"})


def test_a_note_is_no_excuse_for_a_page_that_is_never_kept(check: Check, command_line: CommandLine) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": "secret"})
    said = check(Site(["MISS"], told="MISS: build.invalidated (the tag t was invalidated)"))
    assert (said.status, "it is made for each request" in said.out) == (1, True)


@pytest.mark.parametrize("options", [[], ["--against", "http://127.0.0.1:1"]])
def test_a_server_that_is_down_is_one_line(
    options: list[str], assets: Path, command_line: CommandLine, httpserver: HTTPServer
) -> None:
    url = httpserver.url_for("") if options else "http://127.0.0.1:1"
    said = command_line.run("check", url, "--from", assets, *options)
    assert (said.status, said.out) == (1, "")
    (line,) = said.err.strip().splitlines()
    assert "http://127.0.0.1:1 cannot be reached" in line


@pytest.fixture
def app() -> Iterator[HTTPServer]:
    with HTTPServer() as server:
        yield server


def test_what_the_app_alone_answers_otherwise_is_a_fault(check: Check, app: HTTPServer) -> None:
    alone = Site([""], headers={"X-Frame-Options": "DENY", "Set-Cookie": "seen=1"}, page=PAGE.replace("Page", "Another"))
    app.expect_request(re.compile(".*")).respond_with_handler(alone.answer)
    said = check(Site(), "--against", app.url_for(""), "--json")
    assert said.status == 1
    (answer,) = said.document["answers"]
    assert answer["faults"] == [
        "x-frame-options is missing, but the app's own is 'DENY'",
        "it sets the cookies (none), the app's own answer seen",
        "the body has 'Page' where the app's own has 'Another'",
    ]


def test_a_page_is_compared_as_it_is_once_it_was_made_again(check: Check, app: HTTPServer) -> None:
    old = PAGE.replace("Page", "Old")
    site, alone = Site(["STALE", "HIT"], [100, 0]), Site([""])
    app.expect_request(re.compile(".*")).respond_with_handler(alone.answer)
    site.first_page = old
    assert check(site, "--against", app.url_for("")).status == 0


def test_a_pattern_that_is_none_is_refused(check: Check) -> None:
    said = check(Site(), "--ignore", "(")
    assert (said.status, "--ignore '(' is no regular expression" in said.err) == (1, True)


@pytest.fixture
def ruled(check: Check) -> Check:
    """Middleware of the app covers every page."""
    file = check.assets / "__prerender" / "build.json"
    rule = '{"path": "/", "prefix": true, "name": "proxy.ts, which has no matcher"}'
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"rules": [json.loads(rule)], "stages": STAGES_VERSION}))
    return check


LOGIN = {"Location": "/login"}


def test_a_site_whose_every_page_is_behind_a_login_of_its_own_is_as_expected(ruled: Check) -> None:
    said = ruled(Site([""], status=307, headers=LOGIN))
    assert (said.status, "1 answer checked: all as expected; 1 answered by a rule of the app" in said.out) == (0, True)


STRANGERS = {
    "a login in front of everything": (307, LOGIN, Response(status=302, headers=LOGIN), "status 302, to /login"),
    "a page for everything": (403, {}, Response("no", 403, content_type="text/html"), "status 403"),
    "another Worker, which has no such page either": (401, {}, Response("none", 404, content_type="text/plain"), "status 404"),
}


@pytest.mark.parametrize(("status", "headers", "own", "shown"), STRANGERS.values(), ids=STRANGERS)
def test_nothing_is_as_expected_where_something_else_answers(
    status: int, headers: dict[str, str], own: Response, shown: str, ruled: Check
) -> None:
    said = ruled(Site([""], status=status, headers=headers, own=own))
    assert said.status == 1
    assert "1 answer checked: no page comes from the cache, and vinext-worker does not answer at http://" in said.out
    assert f"such as the app itself or a login; check the URL (/__prerender/build.json: {shown})" in said.out
    assert "all as expected" not in said.out


def test_a_version_without_any_page_is_not_as_expected(ruled: Check) -> None:
    said = ruled(Site([""], status=404))
    assert (said.status, "status 404, expected 200" in said.out) == (1, True)


def test_rules_that_keep_pages_out_of_the_cache_are_named(check: Check) -> None:
    file = check.assets / "__prerender" / "build.json"
    rule = '{"path": "/", "prefix": true, "name": "proxy.ts, which has no matcher"}'
    file.write_text(file.read_text().replace('"rules": []', f'"rules": [{rule}]'))
    said = check(Site())
    assert said.status == 0
    assert "proxy.ts, which has no matcher: pages that it may touch are not cached, and not checked" in said.out


def test_it_waits_for_all_stale_pages_at_once(tmp_path: Path, check: Check) -> None:
    pages = {f"/{number}": b"<p>" for number in range(20)}
    assets = FakeDeployment.of_pages(tmp_path / "many", pages).assets
    headers = {"Age": "100", "Cache-Control": STALE, "X-Vinext-Cache": "STALE", "Content-Type": "text/html"}
    check.server.expect_request(re.compile(".*")).respond_with_handler(lambda _: Response("x", headers=headers))
    said = check.command_line.run("check", check.server.url_for(""), "--from", assets, "--patience", "0.5")
    assert said.out.count("it stays STALE") == 20
    second_time = [request.path for request, _ in check.server.log[20:40]]
    assert set(second_time) == set(pages), "each is asked for again before one is a third time"
