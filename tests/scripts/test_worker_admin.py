"""The deployed Worker's own endpoints: the token, and every kind of answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.deployments import FakeDeployment
from werkzeug import Response

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


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        pytest.param(302, "look at its log", id="a redirect"),
        pytest.param(401, "VINEXT_ADMIN_TOKEN is not the Worker's token", id="a wrong token"),
        pytest.param(404, "wrangler secret put VINEXT_ADMIN_TOKEN", id="no such endpoint"),
        pytest.param(419, "look at its log", id="a status that is not registered"),
        pytest.param(799, "failed 4 times: status 799", id="a status of no class"),
    ],
)
@pytest.mark.parametrize("command", ["populate", "revalidate"])
def test_a_refusal_is_one_line_with_the_status_and_what_to_do(
    request: pytest.FixtureRequest, httpserver: HTTPServer, command: str, status: int, advice: str
) -> None:
    httpserver.expect_request(f"/__vinext/{'seed' if command == 'populate' else command}").respond_with_data(
        f"no, {TOKEN}", status=status
    )
    said = request.getfixturevalue(command)(httpserver.url_for(""))
    assert (said.status, len(said.errors)) == (1, 1)
    assert f"status {status}" in said.err
    assert advice in said.err
    assert TOKEN not in said.err


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
        pytest.param("example.com", "is not the URL of a Worker", id="no URL"),
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
    assert command_line.run("revalidate", "https://example.com").status == 2
