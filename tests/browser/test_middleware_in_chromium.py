"""The example with a middleware that sees every path, as a visitor's browser sees it: pages still come from cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from rich.console import Console
from tests.browser.inspector import TOKEN, sign_in
from tests.browser.tab import Tab
from tests.workerd.builds import copy_as_built_now
from tests.workerd.patience import eventually
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions
from vinext_worker.project import Project
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser
    from tests.browser.tab import Requested

# Each run of the middleware gives its response the next number.
PROXY = """
import { NextResponse } from "next/server";

let runs = 0;

export function proxy() {
  const response = NextResponse.next();
  response.headers.set("x-run-of-proxy", String(++runs));
  return response;
}
"""
NOT_OF_THE_APP = shutil.ignore_patterns("node_modules", "dist", ".vinext", ".wrangler")


@pytest.fixture(scope="module")
def url(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example with the middleware, behind the Worker with KV."""
    del browser
    project = Project.find()
    example, site = project.root / "examples" / "vinext", project.local / "behind-middleware"
    shutil.copytree(example, site, ignore=NOT_OF_THE_APP, dirs_exist_ok=True)
    (site / "proxy.ts").write_text(PROXY)
    if not (site / "node_modules").is_symlink():
        (site / "node_modules").symlink_to(example / "node_modules")
    built = build_vinext_site(site, project.tools, Console(stderr=True))
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": BuildService(built.server_config)},
        assets_directory=copy_as_built_now(built, tmp_path_factory.mktemp("behind-middleware")),
        variables={"VINEXT_ADMIN_TOKEN": TOKEN},
    )
    with LocalRuntime(options) as runtime:
        yield runtime.url


class WatchedTab(Tab):
    """A tab that keeps the numbers of the middleware's runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runs: list[int] = []
        self.page.on("response", lambda response: self._count(response.headers.get("x-run-of-proxy")))

    def _count(self, run: str | None) -> None:
        if run is not None:
            self.runs.append(int(run))


@pytest.fixture
def tab(browser: Browser, url: str) -> Iterator[WatchedTab]:
    with browser.new_context(viewport={"width": 1100, "height": 800}) as context:
        tab = WatchedTab(context.new_page(), url)
        yield tab
        assert tab.complaints == []


def test_links_are_followed_and_prefetched_from_cache(tab: WatchedTab) -> None:
    tab.open("/")
    for link, heading, path in [
        ("About", "About", "/about"),
        ("Blog", "Blog", "/blog"),
        ("Docs", "Documentation", "/docs/intro"),
    ]:
        tab.follow(link)
        tab.shows(heading, path)
    tab.settle()
    assert tab.documents == ["/"]
    assert tab.asked("document")[0].state == "HIT"

    def prefetched() -> list[Requested]:
        return [each for each in tab.asked("prefetch") if each.path in {"/about", "/blog", "/docs/intro", "/big"}]

    tab.wait_until(lambda: len(prefetched()) >= 3)
    assert {(each.status, each.state) for each in prefetched()} == {(200, "HIT")}


def test_the_middleware_runs_once_for_each_request(tab: WatchedTab) -> None:
    tab.open("/")
    tab.follow("Blog")
    tab.shows("Blog", "/blog")
    tab.follow("Dashboard")
    tab.shows("Hello, stranger", "/dash")
    tab.wait_until(lambda: len(tab.runs) > 5)
    assert len(set(tab.runs)) == len(tab.runs)
    visitor = Visitor(tab.url)
    rsc = {"RSC": "1", "Accept": "text/x-component"}
    paths = [
        "/about",
        "/about.rsc",
        "/blog/of-nobody",
        "/blog/of-nobody",
        "/dash",
        "/moved",
        "/missing",
        "/api/time",
        "/tick",
        "/tick",
    ]

    def numbers() -> list[int]:
        answers = [visitor.ask(path, headers=rsc if path.endswith(".rsc") else {}) for path in paths]
        return [int(answer.headers["x-run-of-proxy"]) for answer in answers]

    # The tab may still be prefetching between the first of them.
    eventually(numbers, lambda runs: runs == list(range(runs[0], runs[0] + len(paths))))


def test_a_link_that_was_not_prefetched_is_a_hit(tab: WatchedTab) -> None:
    tab.shrink()
    tab.open("/")
    tab.follow_unseen("/docs/caching/tags")
    tab.shows("Documentation", "/docs/caching/tags")
    assert [each.state for each in tab.asked("navigation", "/docs/caching/tags")] == ["HIT"]
    assert tab.documents == ["/"]


def test_a_server_action_that_revalidates_a_path_shows_the_new_page(tab: WatchedTab) -> None:
    tab.open("/blog")
    before = tab.stamp()
    tab.follow("Actions")
    tab.shows("Server Actions", "/actions")
    tab.page.get_by_role("button", name="Invalidate the blog and its posts").click()
    tab.wait_for("action", "/actions")
    assert [each.status for each in tab.asked("action")] == [200]
    tab.follow("Blog")
    tab.shows("Blog", "/blog")

    def reloaded() -> str:
        tab.page.reload()
        return tab.stamp()

    assert eventually(reloaded, lambda stamp: stamp > before)


def test_the_inspector_regenerates_a_page_behind_the_middleware(url: str, browser: Browser) -> None:
    visitor = Visitor(url)
    eventually(lambda: visitor.ask("/about").state, lambda state: state == "HIT")
    before = visitor.ask("/about").text
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{url}/__vinext/inspect")
        sign_in(page)
        page.get_by_role("link", name="/about", exact=True).first.click()
        page.get_by_role("button", name="Regenerate now").click()
        expect(page.get_by_role("status")).to_have_text("The page was rendered just now, and its new entry is stored.")
    after = visitor.ask("/about")
    assert (after.state, after.text != before) == ("HIT", True)
