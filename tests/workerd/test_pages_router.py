"""A real app of the Pages Router behind the Worker, alone and beside the App Router."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.workerd.builds import copy_as_built_now
from tests.workerd.patience import eventually
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.workerd.visitor import Answer

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

SITES = {"alone": ("pages-router",), "beside-app": ("pages-router", "pages-router-beside-app")}
LANGUAGES = ("pages-router", "pages-router-in-two-languages")
_AT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


class Site:
    def __init__(self, built: SiteBuild, url: str) -> None:
        self.build_id = json.loads(built.manifest.read_text())["buildId"]
        self.visitor = Visitor(url)

    def page(self, path: str, **headers: str) -> Answer:
        return self.visitor.ask(path, headers=headers)

    def data(self, path: str, query: str = "", **headers: str) -> Answer:
        return self.visitor.ask(f"/_next/data/{self.build_id}{path}.json{query}", headers=headers)


@pytest.fixture(scope="module", params=SITES)
def site(
    request: pytest.FixtureRequest, project: Project, example_build: SiteBuild, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    del example_build  # whose packages this site uses
    with served(project, f"pages-router-{request.param}", SITES[request.param], tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def in_two_languages(project: Project, example_build: SiteBuild, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    del example_build
    with served(project, "pages-router-in-two-languages", LANGUAGES, tmp_path_factory.mktemp("site")) as site:
        yield site


@contextmanager
def served(project: Project, name: str, parts: Sequence[str], copy: Path) -> Iterator[Site]:
    """A site, put together of its parts, behind the Worker."""
    folder = project.local / name
    shutil.rmtree(folder, ignore_errors=True)
    for part in parts:
        shutil.copytree(project.root / "tests" / "fixtures" / "sites" / part, folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(project.root / "examples" / "vinext" / "node_modules")
    built = build_vinext_site(folder, project.tools, Console(stderr=True))
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": BuildService(built.server_config)},
        assets_directory=copy_as_built_now(built, copy),
    )
    with LocalRuntime(options) as runtime:
        yield Site(built, runtime.url)


def at(answer: Answer) -> str:
    match = _AT.search(answer.text)
    assert match, answer.text
    return match[0]


def is_kept(site: Site, path: str) -> bool:
    return site.page(path).state == "HIT"


def test_the_pages_of_the_build_and_their_data_are_hits_from_the_first_request_on(site: Site) -> None:
    for path, name in [("/", "/index"), ("/blog/one", "/blog/one"), ("/blog/%C3%A9t%C3%A9", "/blog/%C3%A9t%C3%A9")]:
        page, data = site.page(path), site.data(name)
        assert (page.status, page.state, data.status, data.state) == (200, "HIT", 200, "HIT")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert data.headers["content-type"] == "application/json"
        assert page.headers["cache-control"] == data.headers["cache-control"]
        assert json.loads(data.body)["pageProps"]["at"] == at(page)
    assert site.page("/static").state == "HIT"
    assert site.data("/static").text == '{"pageProps":{}}'


def test_data_are_those_of_the_html_also_when_the_page_is_made_again(site: Site) -> None:
    def is_made_again(answer: Answer, other: Answer) -> bool:
        return {answer.state, other.state} == {"HIT"} and at(answer) == at(other) != before

    before = at(site.page("/isr"))
    eventually(lambda: is_made_again(site.page("/isr"), site.data("/isr")))
    data = site.data("/isr")
    assert r"a \u003cb\u003e \u0026 é \u2028 \u003c/script\u003e" in data.text


def test_a_request_for_data_keeps_the_page(site: Site) -> None:
    first = site.data("/block/by-data")
    assert (first.status, first.state) == (200, None)
    eventually(lambda: is_kept(site, "/block/by-data"))
    kept = site.data("/block/by-data")
    assert (kept.state, at(kept)) == ("HIT", at(site.page("/block/by-data")))
    assert site.data("/block/by-data", "?slug=by-data").state == "HIT"


def test_a_page_that_is_not_there_and_a_redirect_are_kept_with_their_data(site: Site) -> None:
    gone = site.page("/block/gone")
    assert (gone.status, gone.state) == (404, "MISS")
    eventually(lambda: is_kept(site, "/block/gone"))
    assert (site.data("/block/gone").status, site.data("/block/gone").text) == (404, '{"notFound":true}')
    moved = site.page("/block/moved")
    assert (moved.status, moved.state, moved.headers["location"]) == (307, "MISS", "/block/one")
    eventually(lambda: is_kept(site, "/block/moved"))
    kept, data = site.page("/block/moved"), site.data("/block/moved")
    assert (kept.status, kept.headers["location"], kept.body) == (307, "/block/one", moved.body)
    assert (data.status, data.state) == (200, "HIT")
    assert json.loads(data.body) == {"pageProps": {"__N_REDIRECT": "/block/one", "__N_REDIRECT_STATUS": 307}}


def test_what_a_page_shows_before_its_data_is_there_is_not_kept(site: Site) -> None:
    for _ in range(2):
        shell = site.page("/blog/later")
        assert (shell.status, shell.state) == (200, None)
        assert "Loading" in shell.text
    assert site.data("/blog/later").status == 200
    eventually(lambda: is_kept(site, "/blog/later"))
    assert "<h1>later</h1>" in site.page("/blog/later").text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_path_that_get_static_paths_does_not_name_has_no_page(site: Site, method: str) -> None:
    assert site.page("/strict/one").state == "HIT"
    for _ in range(2):
        assert site.visitor.ask("/strict/none", method).status == 404
        assert site.data("/strict/none").status == 404
    assert site.page("/strict/none").state is None


def test_revalidate_makes_the_page_anew_before_its_caller_is_answered(site: Site) -> None:
    for path in ("/block/one", "/blog/on-demand"):
        before = site.page(path)
        assert json.loads(site.page(f"/api/revalidate?path={path}").body) == {"revalidated": True}
        after, data = site.page(path), site.data(path)
        assert (after.state, data.state) == ("HIT", "HIT"), path
        assert at(after) == at(data)
        assert after.body != before.body
    refused = site.page("/api/revalidate?path=/strict/none")
    assert (refused.status, "x-vinext-revalidated-pages" in refused.headers) == (500, False)
    posted = site.visitor.ask("/api/revalidate?path=/blog/posted", "POST")
    assert "x-vinext-revalidated-pages" not in posted.headers
    assert site.page("/blog/posted").state == "HIT"


def test_draft_mode_neither_reads_nor_writes(site: Site) -> None:
    cookie = site.page("/api/draft").headers["set-cookie"].partition(";")[0]
    assert "<b>draft</b>" in site.page("/block/one", Cookie=cookie).text
    assert json.loads(site.data("/block/one", Cookie=cookie).body)["pageProps"]["draft"] is True
    assert "<b>draft</b>" not in site.page("/block/one").text


def test_a_page_for_each_request_and_data_of_another_build_are_passed_on(site: Site) -> None:
    assert site.page("/ssr").state is None
    assert site.data("/ssr").state is None
    other = site.page("/_next/data/another/isr.json")
    assert (other.status, other.text) == (404, "{}")


def test_each_language_has_pages_of_its_own(in_two_languages: Site) -> None:
    site = in_two_languages
    for path, heading in [("/news/one", "one in en"), ("/en/news/one", "one in en"), ("/fr/news/un", "un in fr")]:
        page = site.page(path)
        assert (page.state, f"<h1>{heading}</h1>" in page.text) == ("HIT", True), path
        # The period is none that vinext could read in the source.
        assert page.headers["cache-control"].startswith("s-maxage=60, ")
    data = site.data("/fr/news/un")
    assert (data.state, json.loads(data.body)["pageProps"]["locale"]) == ("HIT", "fr")
    assert data.headers["x-nextjs-matched-path"] == "/fr/news/[slug]"
    assert site.page("/fr/news/one").state == "MISS"
    assert site.page("/news/one").state == "HIT"


def test_a_domain_has_a_language_of_its_own(in_two_languages: Site) -> None:
    site = in_two_languages
    assert "two in fr" in site.page("/news/two", Host="exemple.fr").text
    eventually(lambda: site.page("/news/two", Host="exemple.fr").state == "HIT")
    other = site.page("/news/two")
    assert (other.state, "two in en" in other.text) == ("MISS", True)


def test_a_visitor_of_the_root_is_led_to_their_language(in_two_languages: Site) -> None:
    led = in_two_languages.page("/", **{"Accept-Language": "fr-FR,fr;q=0.9"})
    assert (led.status, led.headers["location"]) == (307, "/fr")
    assert in_two_languages.page("/", **{"Accept-Language": "en"}).state == "HIT"


def test_a_page_is_made_anew_in_its_language(in_two_languages: Site) -> None:
    site = in_two_languages
    before = site.page("/fr/news/un")
    assert site.page("/api/revalidate?path=/fr/news/un").status == 200
    after = site.page("/fr/news/un")
    assert (after.state, after.body != before.body) == ("HIT", True)
