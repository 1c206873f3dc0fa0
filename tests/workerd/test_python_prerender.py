"""Pre-rendering a Python site, and what comes of it: copied and served as a vinext build is."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2 as httpx
import pytest
from click.testing import CliRunner
from tests.fakes.python_worker import FIXTURE, fixture_packages, python_worker

from vinext_worker.copy.build_copy import copy_build
from vinext_worker.errors import UserError
from vinext_worker.main import cli
from vinext_worker.prerender.command import require_python_project
from vinext_worker.prerender.run import PrerenderRun, prerender_site
from vinext_worker.project import Project
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import python_build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vinext_worker.prerender.run import PrerenderReport

PROJECT = Project.find()


def site_in(folder: Path, handler: str = "asgi:asgi_app:app") -> PythonProject:
    shutil.copytree(FIXTURE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("python_modules", ".vinext", "dist"))
    (folder / "python_modules").symlink_to(fixture_packages())
    configuration = folder / "wrangler.toml"
    text = configuration.read_text().replace("asgi:asgi_app:app", handler)
    configuration.write_text(text)
    site = PythonProject.find(folder)
    assert site is not None
    return site


@dataclass(frozen=True)
class Making:
    """A site and the Worker that makes its pages."""

    site: PythonProject
    url: str

    def run(self, paths: Sequence[str] | None = None, *, may_be_empty: bool = False) -> tuple[PrerenderReport, list[str]]:
        made: list[str] = []
        run = PrerenderRun(self.site, self.url, 4, made.append, may_be_empty=may_be_empty)
        return asyncio.run(run.run(paths)), made


@contextmanager
def making(folder: Path, handler: str) -> Iterator[Making]:
    site = site_in(folder, handler)
    variables = {"VINEXT_PRERENDER": "on", "VINEXT_PAGE_HANDLER": handler, "VINEXT_PAGE_TIMEOUT_MS": "2000"}
    with python_worker(variables) as runtime:
        yield Making(site, runtime.direct_url)


@pytest.fixture(scope="module")
def asgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    with making(tmp_path_factory.mktemp("asgi"), "asgi:asgi_app:app") as made:
        yield made


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    with making(tmp_path_factory.mktemp("function"), "function_app:handler") as made:
        yield made


@pytest.fixture(scope="module")
def report(asgi: Making) -> PrerenderReport:
    report, made = asgi.run()
    assert len(made) == report.rendered + len(report.skipped) + len(report.failed)
    return report


def test_pages_with_a_period_are_made_and_others_named(report: PrerenderReport) -> None:
    assert report.rendered == 4
    reasons = {**dict(report.skipped), **dict(report.failed)}
    assert reasons.pop("/broken").startswith("the body broke off")
    assert reasons == {
        "/echo/%C3%BC%20b": "no period",
        "/dynamic": "no period",
        "/personal": "no-store",
        "/raises": "status 500",
        "/late": "no_store(), a tag, a period or stale data came after the answer had begun",
        "/cookies": "it sets a cookie",
        "/never": "asgi:asgi_app:app did not begin to answer within 2000 ms",
        "/redirect": "no period",
    }


def test_a_page_at_the_path_of_a_file_is_refused(function: Making) -> None:
    file = function.site.static_files / "a page"
    file.parent.mkdir()
    file.write_text("a file")
    with pytest.raises(UserError, match=r"^/a%20page is a page, and .*public has a file of that path"):
        function.run(["/page", "/a page"])
    file.unlink()


def test_the_build_is_served_from_the_first_request_on(asgi: Making, report: PrerenderReport, tmp_path: Path) -> None:
    files = asgi.site.static_files
    files.mkdir()
    (files / "robots.txt").write_text("User-agent: *")
    (files / "dynamic").write_text("a file")  # there is a page at its path
    (files / "größe 1+1; it's 100%.txt").write_text("odd")
    copied = copy_build(python_build(asgi.site), tmp_path)
    assert copied.routes == 4
    with python_worker(assets_directory=tmp_path) as runtime:
        answer = httpx.get(f"{runtime.url}/kept", trust_env=False)
        streamed = httpx.get(f"{runtime.url}/streamed", trust_env=False)
        assert httpx.get(f"{runtime.url}/__vinext/static-paths", trust_env=False).status_code == 404
        # The configuration has `run_worker_first = ["/*"]`, so the Worker answers for files.
        robots = httpx.get(f"{runtime.url}/robots.txt", trust_env=False)
        known = {"If-None-Match": robots.headers["ETag"]}
        assert httpx.get(f"{runtime.url}/robots.txt", headers=known, trust_env=False).status_code == 304
        assert httpx.get(f"{runtime.url}/dynamic", trust_env=False).text == "a file"
        for odd in ("gr%C3%B6%C3%9Fe%201+1;%20it's%20100%25.txt", "gr%c3%b6%c3%9fe%201%2b1%3B%20it%27s%20100%25.txt"):
            # The assets redirect to their own spelling of a name.
            assert httpx.get(f"{runtime.url}/{odd}", trust_env=False, follow_redirects=True).text == "odd"
    assert (robots.status_code, robots.headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert (answer.headers["X-Vinext-Cache"], answer.text) == ("HIT", "<p>kept 1</p>")
    assert (streamed.headers["X-Vinext-Cache"], streamed.text.count("part")) == ("HIT", 5)


def test_a_later_run_removes_what_is_gone(asgi: Making, report: PrerenderReport) -> None:
    site = asgi.site
    again, _ = asgi.run(["/forever", "/forever"])
    assert (again.rendered, again.build_id == report.build_id) == (1, False)
    assert [path.name for path in python_build(site).artifacts_directory.rglob("*.html")] == ["forever.html"]
    manifest = json.loads(python_build(site).manifest.read_bytes())
    assert manifest["pregeneratedConcretePaths"] == ["/forever"]
    assert manifest["routes"][0]["revalidate"] is False


def test_a_site_without_a_list_says_what_to_do(function: Making) -> None:
    with pytest.raises(UserError, match=r"there is no static_paths\(\) beside the page handler; fix that, or list the paths"):
        function.run()
    report, made = function.run(may_be_empty=True)
    assert (report.rendered, made) == (0, [])


def test_a_path_that_no_file_can_have_is_left_to_its_visitors(function: Making) -> None:
    path = f"/named/{'страница' * 6}"
    report, _ = function.run(["/page", path])
    assert (report.rendered, dict(report.skipped)) == (1, {quote(path): "its path is too long for the name of a file"})


def test_periods_tags_and_statuses_are_in_the_manifest(function: Making) -> None:
    site = function.site
    report, _ = function.run(["/page", "/json", "/gone", "/wrong"])
    assert (report.rendered, [path for path, _ in report.failed]) == (3, ["/wrong"])
    rows = {row["path"]: row for row in json.loads(python_build(site).manifest.read_bytes())["routes"]}
    assert (rows["/page"]["revalidate"], rows["/page"]["expire"], rows["/page"]["tags"]) == (60, 120, ["posts"])
    assert (rows["/json"]["router"], rows["/gone"]["responseStatus"]) == ("metadata", 410)


SHOWN = """
async def app(scope, receive, send):
    headers = [(b"content-type", b"text/html"), (b"cache-control", b"s-maxage=60")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{scope['env'].API} {scope['env'].KEY}".encode()})
"""


def test_pages_have_the_variables_of_the_environment_that_is_deployed(tmp_path: Path) -> None:
    folder = site_in(tmp_path).root
    (folder / "src" / "shown.py").write_text(SHOWN)
    with (folder / "wrangler.toml").open("a") as configuration:
        configuration.write('[env.staging.vars]\nVINEXT_PAGE_HANDLER = "asgi:shown:app"\nAPI = "https://staging"\n')
    (folder / ".dev.vars.staging").write_text("API=http://localhost\nKEY=secret\n")
    site = require_python_project(folder, None, "staging")
    report = prerender_site(site, PROJECT.tools, paths=["/page"], concurrency=1, on_page=str)
    assert (report.rendered, report.failed) == (1, ())
    assert (python_build(site).artifacts_directory / "page.html").read_text() == "https://staging secret"


def test_the_command_takes_a_file_of_paths_and_speaks_json(tmp_path: Path) -> None:
    example = PROJECT.root / "examples" / "starlette"
    site = tmp_path / "site"
    shutil.copytree(example, site, ignore=shutil.ignore_patterns("dist", "state", "python_modules", "assets"))
    pyproject = site / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("../..", str(PROJECT.root)))
    (tmp_path / "paths.txt").write_text("# the first\n/\n\n/hello\n")
    done = CliRunner().invoke(cli, ["prerender", str(site), "--paths", str(tmp_path / "paths.txt"), "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["rendered"], document["skipped"]) == (1, [{"path": "/hello", "reason": "no period"}])
    assert document["failed"] == []


def test_why_a_page_failed_is_shown_beside_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_in(tmp_path)
    monkeypatch.setattr("vinext_worker.prerender.command.install_python_packages", lambda *_: None)
    (site.sources / "failing_app.py").write_text(
        "import logging\nfrom vinext import Page\n\n\n"
        "def handler(request):\n    logging.error('no such table')\n    raise LookupError('products')\n"
    )
    configuration = tmp_path / "wrangler.toml"
    configuration.write_text(configuration.read_text().replace("asgi:asgi_app:app", "failing_app:handler"))
    (tmp_path / "paths.txt").write_text("/a\n")
    done = CliRunner().invoke(cli, ["prerender", str(tmp_path), "--paths", str(tmp_path / "paths.txt"), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"][0]["path"] == "/a"
    assert "no such table" in done.stderr


def test_code_that_does_not_start_is_named_before_its_traceback(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    (site.sources / "asgi_app.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=f"^the code of {tmp_path} does not start:\nTraceback"):
        prerender_site(site, PROJECT.tools, paths=["/a"], concurrency=1, on_page=lambda _: None)


def test_what_is_no_python_site_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["prerender", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    assert "is no Python site" in str(done.exception)
