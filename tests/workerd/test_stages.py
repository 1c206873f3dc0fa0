"""An app in stages behind a real service binding: answers of its stages that fail, hang, or do not parse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.workerd.builds import SmallBuild
from tests.workerd.patience import eventually
from tests.workerd.stubs import FIXTURES, events
from tests.workerd.visitor import Visitor

from seed.routing import ROUTING_NAME
from vinext_worker.check.command import check_site
from vinext_worker.check.run import CheckOptions
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions, ScriptService
from vinext_worker.terminal.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from vinext_worker.project import Project

RULES = [{"path": "/ruled", "prefix": True, "name": "middleware.ts: /ruled/:path*"}]
ROUTING = {"version": 1, "stages": 1, "rules": RULES, "headers": {"sets": [], "paths": {}}}

_numbers = count(1)


@dataclass(frozen=True)
class Staged:
    """The Worker in front of tests/fixtures/pages/stages.mjs. A rule of the app may touch each path below /ruled."""

    runtime: LocalRuntime

    @property
    def visitor(self) -> Visitor:
        return Visitor(self.runtime.url)

    def path(self, what: str, folder: str = "ruled") -> str:
        return f"/{folder}/{next(_numbers)}/{what}"

    def events(self, name: str, path: str) -> list[dict[str, Any]]:
        return [event for event in events(self.runtime, name) if event["path"] == path]


@pytest.fixture(scope="module")
def staged(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    folder = tmp_path_factory.mktemp("staged")
    build = SmallBuild(folder)
    for name in ("built", "fails-later", "throws-later", "stalls-later", "dynamic-later"):
        build.page(f"/ruled/{name}", revalidate=1, expire=600)
    (folder / ROUTING_NAME).write_text(json.dumps(ROUTING | {"buildId": build.build_id}))
    build.copy()
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": ScriptService((FIXTURES / "pages" / "stages.mjs").read_text())},
        assets_directory=folder / "assets",
        variables={"VINEXT_PAGE_TIMEOUT_MS": "1000", "VINEXT_BODY_TIMEOUT_MS": "700"},
    )
    with LocalRuntime(options) as runtime:
        yield Staged(runtime)


def test_the_request_stage_s_own_answer_is_passed_on(staged: Staged) -> None:
    answer = staged.visitor.ask(staged.path("own"))
    assert (answer.status, answer.state, answer.text) == (401, None, "who are you?")
    assert answer.headers["set-cookie"] == "a=1, b=2"


def test_a_check_tells_a_site_that_answers_none_of_its_visitors_from_another_server(staged: Staged, tmp_path: Path) -> None:
    build = SmallBuild(tmp_path)
    build.page("/ruled/own")
    (tmp_path / ROUTING_NAME).write_text(json.dumps(ROUTING | {"buildId": build.build_id}))
    build.copy()
    options = CheckOptions(patience_seconds=0)
    result, _ = check_site(staged.runtime.url, tmp_path / "assets", Output(), options)
    assert (result.is_right, result.ruled, len(result.answers)) == (True, 2, 2)
    alone, _ = check_site(staged.runtime.service_urls["PAGES"], tmp_path / "assets", Output(), options)
    assert "no page comes from the cache, and vinext-worker does not answer" in alone.fault


@pytest.mark.parametrize("what", ["page", "page.rsc"])
@pytest.mark.parametrize("folder", ["ruled", "free"])
def test_what_is_rendered_is_kept_when_it_is_complete(staged: Staged, folder: str, what: str) -> None:
    path = staged.path(what, folder)
    first = staged.visitor.ask(path.removesuffix(".rsc"))
    assert (first.state, first.headers["x-nonce"]) == ("MISS", "abc")
    assert first.text.startswith("staged ")
    hit = eventually(lambda: staged.visitor.ask(path), lambda answer: answer.state == "HIT")
    assert hit.text == ("kept rsc" if path.endswith(".rsc") else "kept html")
    assert ("x-nonce" in hit.headers) is (folder == "ruled")


def test_a_page_of_the_build_is_a_hit_with_what_the_request_stage_adds(staged: Staged) -> None:
    answer = eventually(lambda: staged.visitor.ask("/ruled/built"), lambda answer: answer.state == "STALE")
    assert (answer.status, answer.text, answer.headers["x-nonce"]) == (200, "built /ruled/built", "abc")
    assert "x-vinext-revalidated-tags" not in answer.headers
    assert int(answer.headers["age"]) >= 1
    again = eventually(lambda: staged.visitor.ask("/ruled/built"), lambda answer: answer.state == "HIT")
    assert (again.text, again.headers["x-nonce"]) == ("again /ruled/built", "abc")
    same = staged.visitor.ask("/ruled/built", headers={"If-None-Match": again.headers["etag"]})
    assert (same.status, same.body, same.headers["x-nonce"]) == (304, b"", "abc")
    assert not {"content-type", "x-vinext-revalidated-tags"} & same.headers.keys()
    head = staged.visitor.ask("/ruled/built", "HEAD")
    assert (head.status, head.body, head.headers["x-nonce"]) == (200, b"", "abc")


FAILING = [
    ("throws", "the request stage failed as asked for"),
    ("hangs", "did not begin to answer within 1000 ms"),
    ("nothing", "does not parse"),
    ("undefined", "did not begin to answer"),
    ("text", "does not parse"),
    ("empty", "does not parse"),
    ("no-json", "does not parse"),
    ("no-object", "is no object"),
    ("no-text", "does not parse"),
    ("no-response", "without a response"),
    ("no-resource", "is no response of the response stage"),
    ("no-key", "asks for"),
    ("no-answer-to", "resume"),
    ("not-offered", "an entry that it was not offered"),
    ("throws-then", "the response stage failed as asked for"),
    ("hangs-then", "did not begin to answer within 1000 ms"),
]


# The failures whose lines in the log are alike.
ALIKE = ({"text", "nothing", "empty"}, {"hangs", "undefined", "hangs-then"})


@pytest.mark.parametrize(("what", "message"), [pytest.param(what, message, id=what) for what, message in FAILING])
@pytest.mark.parametrize("folder", ["ruled", "free"])
def test_stages_that_fail_leave_the_request_to_the_app(staged: Staged, folder: str, what: str, message: str) -> None:
    path = staged.path(what, folder)
    answer = staged.visitor.ask(path)
    assert (answer.status, answer.state, answer.text) == (200, None, f"whole {path}")
    # A fault of the same words is logged once in ten seconds.
    alike = next((group for group in ALIKE if what in group), {what})
    logged = eventually(
        lambda: [event for event in events(staged.runtime, "stages.failed") if event["path"].split("/")[-1] in alike]
    )
    assert message in logged[0]["error"]
    assert staged.visitor.ask(path).text == f"whole {path}"


@pytest.mark.parametrize("what", ["unknown", "not-admitted", "admission-throws", "admission-no-json", "no-admission", "private"])
def test_what_may_not_be_kept_is_rendered_each_time(staged: Staged, what: str) -> None:
    path = staged.path(what)
    answers = [staged.visitor.ask(path) for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 3
    assert all(answer.text.startswith(f"staged {path} ") for answer in answers)
    assert not staged.events("stages.failed", path)


def test_the_app_is_told_how_long_a_body_may_stall(staged: Staged) -> None:
    path = staged.path("admission-stalls")
    assert staged.visitor.ask(path).status == 200
    given_up = eventually(lambda: staged.events("page.not_stored", path))
    assert "nothing came for 700 ms" in given_up[0]["reason"]
    eventually(lambda: staged.visitor.ask("/ruled/stalls-later"), lambda answer: answer.state == "STALE")
    not_made = eventually(lambda: staged.events("page.not_made", "/ruled/stalls-later"))
    assert "nothing came for 700 ms" in not_made[0]["reason"]


def test_a_version_of_the_stages_that_the_adapter_does_not_know_is_logged(staged: Staged) -> None:
    staged.visitor.ask(staged.path("unknown"))
    event = eventually(lambda: events(staged.runtime, "stages.unknown"))[0]
    assert event["stage"] == "app-page of version 99"


@pytest.mark.parametrize("what", ["fails-later", "throws-later"])
def test_a_stale_page_stays_while_it_cannot_be_rendered_again(staged: Staged, what: str) -> None:
    path = f"/ruled/{what}"
    eventually(lambda: staged.visitor.ask(path), lambda answer: answer.state == "STALE")
    eventually(lambda: staged.events("page.not_made", path))
    answer = staged.visitor.ask(path)
    assert (answer.status, answer.state, answer.text) == (200, "STALE", f"built {path}")


def test_a_stale_page_that_has_become_dynamic_goes(staged: Staged) -> None:
    path = "/ruled/dynamic-later"
    eventually(lambda: staged.visitor.ask(path), lambda answer: answer.state == "STALE")
    answer = eventually(lambda: staged.visitor.ask(path), lambda answer: answer.state != "STALE")
    assert answer.text.startswith(f"staged {path}")
