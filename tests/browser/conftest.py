from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright
from rich.console import Console
from tests.browser.inspector import TOKEN
from tests.browser.pictures import Pictures
from tests.browser.tab import PATIENCE_MS, Tab
from tests.workerd.example import ServedExample

from vinext_worker.project import Project
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
REQUIRED = "VINEXT_WORKER_REQUIRE_BROWSER"
"""Where this environment variable is set, a missing browser is a failure."""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


# For one module only: while Playwright runs, no other test can have an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing = f"there is no {CHROMIUM}; apt-get install chromium"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def example(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedExample]:
    """The example, built just now, behind the Worker with KV."""
    project = Project.find()
    built = build_vinext_site(project.root / "examples" / "vinext", project.tools, Console(stderr=True))
    folder = tmp_path_factory.mktemp("browser")
    with ServedExample.start(project, built, folder, frozenset(), VINEXT_ADMIN_TOKEN=TOKEN) as served:
        yield served


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def tab(request: pytest.FixtureRequest, browser: Browser, example: ServedExample) -> Iterator[Tab]:
    """An empty tab of a browser that knows nothing. A test that fails leaves a picture of it in .vinext/browser."""
    with browser.new_context(viewport={"width": 1100, "height": 800}) as context:
        tab = Tab(context.new_page(), example.runtime.url)
        yield tab
        if request.node.stash.get(_failed, False):
            name = re.sub(r"[^\w.-]+", "-", request.node.name)
            picture = Project.find().local / "browser" / f"{name}.png"
            tab.page.screenshot(path=picture, full_page=True)
            print(f"{tab.page.url} looked like {picture}; it had asked for:", *tab.requests, sep="\n  ")  # noqa: T201 - for whoever reads the failure
            return
        assert tab.complaints == []
