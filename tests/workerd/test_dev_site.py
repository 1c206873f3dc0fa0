"""The main job on the example site: built, copied, and served by both Workers in one workerd."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.workerd.patience import eventually

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.dev.preparation import pages_binding, prepare_vinext_site
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions
from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Project.find()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    # A root of its own, so that neither the pages nor the entries of whoever develops here are touched.
    root = tmp_path_factory.mktemp("project")
    for name in ("node_modules", "python_modules", "src"):
        (root / name).symlink_to(HERE.root / name)
    shutil.copy(HERE.configuration, root)
    project = Project(root / "wrangler.toml")
    config = WranglerConfig.read(project.configuration)
    output = io.StringIO()
    console, assets = Console(file=output, width=200), config.assets_directory
    build = prepare_vinext_site(HERE.root / "examples" / "vinext", project.tools, config, console, assets)
    assert "pre-rendered pages of" in output.getvalue()
    assert "rendered on request: " in output.getvalue()
    assert "after a change of its sources, start `vinext-worker dev` again" in output.getvalue()
    services = {pages_binding(config, build): BuildService(build)}
    options = RuntimeOptions(config=config, tools=project.tools, services=services, state=root / "state", log_requests=True)
    with LocalRuntime(options) as runtime:
        yield runtime


def test_a_prerendered_page_is_a_hit_on_the_very_first_request(served: LocalRuntime) -> None:
    answer = httpx.get(f"{served.url}/about", headers={"Host": "site.example"}, trust_env=False)
    assert (answer.status_code, answer.headers["X-Vinext-Cache"]) == (200, "HIT")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    reported = eventually(lambda: [(line.path, line.status, line.cache, line.host) for line in served.requests])
    assert reported == [("/about", 200, "HIT", "site.example")]


def test_prerendered_files_are_not_public(served: LocalRuntime) -> None:
    for path in ("/__prerender/about.html", "/%5f_prerender/about.html", "/__prerender/"):
        assert httpx.get(f"{served.url}{path}", trust_env=False).status_code == 404


def test_a_page_that_is_not_prerendered_comes_from_the_app(served: LocalRuntime) -> None:
    answer = httpx.get(f"{served.url}/search?q=word", trust_env=False)
    assert answer.status_code == 200
    assert "X-Vinext-Cache" not in answer.headers
