"""The deployed Worker's own endpoints: the token, and every kind of answer."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.fakes.deployments import FakeDeployment
from werkzeug import Response

from vinext_worker.dev.running import RunningDev

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from tests.fakes.deployments import CommandLine, Said

TOKEN = "secret-of-the-worker"


@pytest.fixture
def populate(tmp_path: Path, command_line: CommandLine, impatient: None) -> Callable[[str], Said]:
    """Populate a build of one page through the Worker at a URL."""
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    deployment = FakeDeployment.of_pages(tmp_path, {"/a": b"<p>"})
    return lambda url: command_line.run("populate", "--config", deployment.config, "--into", "worker", "--url", url)


@pytest.fixture
def revalidate(command_line: CommandLine, impatient: None) -> Callable[[str], Said]:
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    return lambda url: command_line.run("revalidate", url, "--tag", "a")


def ours(status: int, reason: str) -> Response:
    return Response(json.dumps({"error": reason}), status, content_type="application/json")


def page(status: int, **headers: str) -> Response:
    return Response("<html>no, " + TOKEN, status, headers, content_type="text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(ours(401, "no token"), "{url} refuses the token: VINEXT_ADMIN_TOKEN is not the Worker's secret", id="token"),
        pytest.param(ours(401, "no token"), "name the --env that `dev` runs", id="token of dev"),
        pytest.param(ours(400, "stale is 1"), "{url} refused: stale is 1; if the Worker there is older", id="an older Worker"),
        pytest.param(ours(413, f"no, {TOKEN}"), "{url} refused with status 413: no, ***; look at its log", id="another reason"),
        pytest.param(Response("", 404), "has no such endpoint (status 404), so its Worker has no secret", id="no secret"),
        pytest.param(page(404), "does not answer at {url}, but something else", id="the app itself"),
        pytest.param(page(403), "such as the app itself or a login; check the URL (status 403, text/html)", id="a login"),
        pytest.param(page(302, Location="https://b.example/"), "redirects to https://b.example/ (status 302)", id="a redirect"),
        pytest.param(page(419), "check the URL (status 419, text/html)", id="a status that is not registered"),
        pytest.param(page(200), "does not answer at {url}, but something else", id="a page"),
        pytest.param(page(799), "failed 4 times: status 799", id="a status of no class"),
    ],
)
@pytest.mark.parametrize("command", ["populate", "revalidate"])
def test_a_refusal_is_one_line_that_says_who_refused_and_what_to_do(
    request: pytest.FixtureRequest, httpserver: HTTPServer, command: str, answer: Response, message: str
) -> None:
    path = f"/__vinext/{'seed' if command == 'populate' else command}"
    httpserver.expect_request(path).respond_with_response(answer)
    url = httpserver.url_for("")
    said = request.getfixturevalue(command)(url)
    assert (said.status, len(said.errors)) == (1, 1)
    assert message.format(url=url) in said.err
    assert TOKEN not in said.err


def test_a_proxy_sees_nothing_that_stays_on_this_machine(
    httpserver: HTTPServer, populate: Callable[[str], Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy", raising=False)
    httpserver.expect_request("/__vinext/seed").respond_with_json({"refused": []})
    said = populate(httpserver.url_for(""))
    assert said.status == 0, said.err
    assert os.environ["NO_PROXY"].split(",") == ["intranet.example", "127.0.0.1", "::1", "localhost"]


def test_where_nobody_listens_on_this_machine_dev_is_named(populate: Callable[[str], Said]) -> None:
    said = populate("http://127.0.0.1:9")
    assert said.status == 1
    assert said.errors[-1].endswith("; start `vinext-worker dev`, or name another URL, then run this again")


@pytest.mark.parametrize("status", [429, 500, 520, 599])
def test_a_failure_of_the_server_is_tried_again_whether_its_status_is_registered_or_not(
    httpserver: HTTPServer, populate: Callable[[str], Said], status: int
) -> None:
    httpserver.expect_ordered_request("/__vinext/seed").respond_with_data("not now", status=status)
    httpserver.expect_ordered_request("/__vinext/seed").respond_with_json({"refused": []})
    said = populate(httpserver.url_for(""))
    assert said.status == 0, said.err
    assert len(httpserver.log) == 2


def test_a_server_that_goes_on_failing_is_one_line(httpserver: HTTPServer, populate: Callable[[str], Said]) -> None:
    httpserver.expect_request("/__vinext/seed").respond_with_handler(lambda _: Response("down", status=520))
    said = populate(httpserver.url_for(""))
    assert (said.status, len(said.errors)) == (1, 1)
    assert "failed 4 times: status 520 down" in said.err


@pytest.mark.parametrize(
    ("options", "wanted", "line"),
    [
        pytest.param([], {}, "invalidated at", id="at once"),
        pytest.param(["--stale=3600"], {"stale": 3600}, "made stale at", id="stale for an hour"),
        pytest.param(["--stale"], {"stale": 31_536_000}, "made stale at", id="stale for a year"),
    ],
)
def test_an_invalidation_says_whether_pages_stay_stale(
    httpserver: HTTPServer, command_line: CommandLine, options: list[str], wanted: dict[str, object], line: str
) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    sent = {"tags": ["a"], "paths": ["/b"], "prefixes": []} | wanted
    answer = {"tags": ["a", "_N_T_/b"], "prefixes": []} | wanted
    httpserver.expect_request("/__vinext/revalidate", json=sent).respond_with_json(answer)
    url = httpserver.url_for("")
    said = command_line.run("revalidate", url, "--tag", "a", "--path", "/b", *options)
    assert (said.status, said.out.strip()) == (0, f"{line} {url}: a, _N_T_/b")
    said = command_line.run("revalidate", url, "--tag", "a", "--path", "/b", "--json", *options)
    assert (said.status, said.document) == (0, answer)


def test_what_is_not_written_yet_is_sent_again(httpserver: HTTPServer, revalidate: Callable[[str], Said]) -> None:
    first, again = ({"tags": tags, "paths": [], "prefixes": []} for tags in (["a"], ["x"]))
    late = {"tags": ["a"], "prefixes": [], "unwritten": ["x"]}
    httpserver.expect_ordered_request("/__vinext/revalidate", json=first).respond_with_json(late, status=202)
    httpserver.expect_ordered_request("/__vinext/revalidate", json=again).respond_with_json(late, status=202)
    httpserver.expect_ordered_request("/__vinext/revalidate", json=again).respond_with_json({"tags": ["x"], "prefixes": []})
    url = httpserver.url_for("")
    said = revalidate(url)
    assert (said.status, said.out.strip()) == (0, f"invalidated at {url}: a")
    httpserver.check_assertions()


def test_what_is_not_written_in_the_end_is_an_error_that_names_it(
    httpserver: HTTPServer, revalidate: Callable[[str], Said]
) -> None:
    late = {"tags": ["a"], "prefixes": [], "unwritten": ["a"]}
    httpserver.expect_request("/__vinext/revalidate").respond_with_json(late, status=202)
    said = revalidate(httpserver.url_for(""))
    assert (said.status, len(said.errors)) == (1, 1)
    assert "not written yet: a;" in said.err


def test_what_may_still_be_in_front_of_the_worker_is_an_error_with_the_reason(
    httpserver: HTTPServer, revalidate: Callable[[str], Said]
) -> None:
    late = {"tags": ["a"], "prefixes": [], "unpurged": ["rate limited (1134)"]}
    httpserver.expect_request("/__vinext/revalidate").respond_with_json(late, status=202)
    said = revalidate(httpserver.url_for(""))
    assert (said.status, len(said.errors)) == (1, 1)
    assert "may still have pages: rate limited (1134); run the command again" in said.err


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param(["--tag", "a", "--stale=0"], "0 is not in the range", id="zero"),
        pytest.param(["--tag", "a", "--stale=soon"], "'soon' is not a valid integer", id="no number"),
        pytest.param(["--prefix", "/docs", "--stale"], "--stale is for tags and paths", id="prefix"),
    ],
)
def test_a_wrong_time_of_staleness_is_refused(command_line: CommandLine, options: list[str], error: str) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    said = command_line.run("revalidate", "https://example.com", *options)
    assert (said.status, error in said.err) == (2, True)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("example.com", "is no URL of a server", id="no URL"),
        pytest.param("http://example.com", "unencrypted", id="no encryption"),
    ],
)
def test_the_token_is_sent_nowhere_it_could_be_read(url: str, message: str, command_line: CommandLine) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    said = command_line.run("revalidate", url, "--tag", "a")
    assert (said.status, message in said.err) == (1, True)
    assert TOKEN not in said.err


def test_without_a_token_revalidate_says_what_to_do(command_line: CommandLine) -> None:
    said = command_line.run("revalidate", "https://example.com", "--tag", "a")
    assert (said.status, "wrangler secret put VINEXT_ADMIN_TOKEN" in said.err) == (1, True)
    said = command_line.run("revalidate", "example.com", "--tag", "a")
    assert (said.status, "'example.com' is no URL of a server" in said.err) == (1, True)
    assert command_line.run("revalidate", "https://example.com").status == 2


STORY = {
    "url": "/a?b=c",
    "outcome": "MISS",
    "reason": "answer.no-store",
    "says": "the last answer was not kept: no-store",
    "steps": [
        {
            "step": "store",
            "artifact": "html",
            "says": "an entry that a tag has invalidated",
            "reason": "cache.invalidated",
            "tags": ["t"],
            "invalidations": [{"tag": "t", "at": "2026-11-28T12:00:00.000Z", "staleUntil": "2026-11-28T13:00:00.000Z"}],
        },
    ],
}


def test_a_story_is_told_in_words_and_as_json(httpserver: HTTPServer, command_line: CommandLine) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    sent = {"url": "/a?b=c", "method": "GET", "headers": {"RSC": "1", "Accept": "text/x-component", "X": "y"}}
    httpserver.expect_request("/__vinext/why", json=sent).respond_with_json(STORY)
    options = ["--rsc", "--header", "X: y"]
    said = command_line.run("why", httpserver.url_for("/a?b=c"), *options)
    assert said.status == 0, said.err
    assert said.out.splitlines() == [
        "MISS: the last answer was not kept: no-store (answer.no-store)",
        "  store       html: an entry that a tag has invalidated (cache.invalidated)",
        "              tags t",
        "              t was invalidated at 2026-11-28T12:00:00.000Z, stale until 2026-11-28T13:00:00.000Z",
    ]
    said = command_line.run("why", "/a?b=c", "--at", httpserver.url_for("/"), "--json", *options)
    assert (said.status, said.document) == (0, STORY)


def test_a_path_is_asked_for_at_the_running_dev(httpserver: HTTPServer, command_line: CommandLine, tmp_path: Path) -> None:
    fake = FakeDeployment(tmp_path)
    fake.configure()
    headers = {"Authorization": "Bearer made-by-dev"}
    httpserver.expect_request("/__vinext/why", headers=headers).respond_with_json(STORY)
    (tmp_path / ".vinext").mkdir()
    RunningDev(httpserver.url_for("").replace("localhost", "127.0.0.1"), "made-by-dev").note(tmp_path / ".vinext")
    said = command_line.run("why", "/a", "--config", fake.config, "--json")
    assert (said.status, said.document) == (0, STORY), said.err
    httpserver.expect_request("/__vinext/revalidate", headers=headers).respond_with_json({"tags": ["t"], "prefixes": []})
    said = command_line.run("revalidate", httpserver.url_for(""), "--tag", "t", "--config", fake.config)
    assert said.status == 0, said.err
    hint = f"ask with --at http://localhost:{httpserver.port}"
    assert hint in command_line.run("why", "/a", "--config", fake.config).out
    command_line.set({"VINEXT_ADMIN_TOKEN": "made-by-dev"})
    assert hint not in command_line.run("why", "/a", "--config", fake.config, "--at", f"http://localhost:{httpserver.port}").out


def test_a_story_of_a_worker_that_tells_none_is_one_line(httpserver: HTTPServer, command_line: CommandLine) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": TOKEN})
    httpserver.expect_ordered_request("/__vinext/why").respond_with_data("", status=404)
    httpserver.expect_ordered_request("/__vinext/why").respond_with_json({"steps": [1]})
    said = command_line.run("why", httpserver.url_for("/a"))
    assert (said.status, len(said.errors)) == (1, 1)
    assert "a Worker that is older than this command" in said.err
    said = command_line.run("why", httpserver.url_for("/a"))
    assert "vinext-worker does not answer at" in said.err
    assert command_line.run("why", "/a", "--header", "nothing").status == 2
    said = command_line.run("why", "a")
    assert (said.status, "'a' is neither a path nor a URL; write it as /PATH" in said.err) == (2, True)
