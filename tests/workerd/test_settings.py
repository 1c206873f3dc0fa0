"""The Worker with settings and bindings that are wrong, and the rules of the top level."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually
from tests.workerd.stubs import AssetsStub, PagesStub, assets_service, events, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ImportFailedError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.project import Project


def options(project: Project, **variables: str) -> RuntimeOptions:
    return RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": pages_service(), "ASSETS": assets_service()},
        variables=variables,
    )


def test_with_a_wrong_setting_the_page_handler_answers_and_the_log_says_what_is_allowed(project: Project, tmp_path: Path) -> None:
    build = SmallBuild(tmp_path)
    build.page("/page")
    with LocalRuntime(options(project, VINEXT_KV_LAYOUT="x")) as runtime:
        AssetsStub(runtime).fill(build.copy())
        visitor = Visitor(runtime.url)
        for _ in range(5):
            answer = visitor.ask("/page")
            assert (answer.status, answer.state) == (200, None)
            assert answer.text.startswith("page ")
        assert len(PagesStub(runtime).requests("/page")) == 5
        assert visitor.ask("/__prerender/build.json").status == 404
        (event,) = eventually(lambda: events(runtime, "settings.wrong"))
        assert event["error"] == "VINEXT_KV_LAYOUT is 'x', allowed: vinext, framed"
        assert [line.level for line in runtime.logs if "settings.wrong" in line.message] == ["error"]


def test_without_the_page_handler_s_binding_the_build_s_pages_are_served_and_others_say_what_is_missing(
    project: Project, tmp_path: Path
) -> None:
    build = SmallBuild(tmp_path)
    build.page("/page")
    given = options(project, VINEXT_PAGE_HANDLER="service:NOWHERE")
    with LocalRuntime(replace(given, services={**given.services, "VINEXT_ANALYTICS": pages_service()})) as runtime:
        AssetsStub(runtime).fill(build.copy())
        visitor = Visitor(runtime.url)
        assert (visitor.ask("/page").state, visitor.ask("/page").text) == ("HIT", "built /page")
        for _ in range(3):
            answer = visitor.ask("/other")
            assert (answer.status, answer.state, answer.body) == (500, None, b"")
            assert answer.headers["cache-control"] == "no-store"
        (event,) = eventually(lambda: events(runtime, "page.failed"))
        assert "NOWHERE" in event["error"]
        assert "wrangler.toml" in event["error"]
        (event,) = events(runtime, "binding.wrong")
        assert event["error"] == "it is bound to Fetcher, not to AnalyticsEngine, and is not used"


def test_the_worker_s_code_obeys_the_rules_of_the_top_level(project: Project, tmp_path: Path) -> None:
    copied = tmp_path / "worker"
    copied.mkdir()
    shutil.copy(project.configuration, copied)
    shutil.copytree(project.root / "src", copied / "src", ignore=shutil.ignore_patterns("__pycache__"))
    config = WranglerConfig.read(copied / project.configuration.name)
    # Unchanged it starts: every other test here shows that. Whether the rules are checked in it is shown by breaking one.
    with (copied / "src" / "edge" / "bodies.py").open("a") as module:
        module.write("\nKEPT = js.Headers.new()\n")
    with pytest.raises(ImportFailedError, match=r"src/edge/bodies\.py: KEPT holds a JavaScript object"):
        LocalRuntime(RuntimeOptions(config=config, tools=project.tools, without=frozenset({"PAGES", "ASSETS"}))).start()
