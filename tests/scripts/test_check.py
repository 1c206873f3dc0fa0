"""What `check` expects of an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import KeySchema
from core.paths import normalize_path
from seed.build import Artifact, Build, RouteRecord
from vinext_worker.check.expectation import CheckedAnswer, CheckResult, Request, faults, is_of_a_rule
from vinext_worker.check.report import html_page
from vinext_worker.check.run import page_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.deployments import CommandLine

BUILD = Build("b", KeySchema.V2, 0, False, "", {"X-Vinext-RSC-Compatibility-Id": "c1"}, "", 0)  # noqa: FBT003
GOOD = {"X-Vinext-Cache": "HIT", "Cache-Control": "s-maxage=60, stale-while-revalidate=3540", "Content-Type": "text/html"}
GOOD_RSC = GOOD | {"Content-Type": "text/x-component", "X-Vinext-RSC-Compatibility-Id": "c1"}


HEADERS = {"X-Frame-Options": "DENY", "link": "</a.js>; rel=preload", "content-type": "text/html"}


def record(status: int = 200, revalidate: float | None = 60, headers: Mapping[str, str] | None = None) -> RouteRecord:
    return RouteRecord(revalidate, 3600, (), status, headers or {}, headers or {}, {})


def request(artifact: Artifact = Artifact.HTML, **given_record: object) -> Request:
    return Request("/a", artifact, record(**given_record))  # type: ignore[arg-type]


def test_the_headers_of_the_configuration_are_expected() -> None:
    for asked, good in ((request(headers=HEADERS), GOOD), (request(Artifact.RSC, headers=HEADERS), GOOD_RSC)):
        sent = good | {"x-frame-options": "DENY", "link": "</b.js>; rel=preload"}
        assert faults(asked, BUILD, 200, sent) == ()
        assert faults(asked, BUILD, 200, sent | {"x-frame-options": "SAMEORIGIN"}) == (
            "x-frame-options is 'SAMEORIGIN', expected 'DENY'",
        )
        assert faults(asked, BUILD, 200, good) == (
            "x-frame-options is missing, expected 'DENY'",
            "link is missing, expected '</a.js>; rel=preload'",
        )


def test_those_that_the_request_stage_adds_are_expected_too() -> None:
    build = replace(BUILD, header_sets=({"x-a": "a"}, {"x-b": "b"}))
    asked = Request("/a", Artifact.HTML, replace(record(), header_set=1))
    assert faults(asked, build, 200, GOOD) == ("x-b is missing, expected 'b'",)
    assert faults(asked, build, 200, GOOD | {"x-b": "b"}) == ()


@pytest.mark.parametrize(
    ("asked", "headers"),
    [
        pytest.param(request(), GOOD, id="html"),
        pytest.param(request(Artifact.RSC), GOOD_RSC, id="rsc"),
        pytest.param(request(), GOOD | {"X-Vinext-Cache": "STALE"}, id="stale"),
        pytest.param(request(Artifact.ROUTE), GOOD | {"Content-Type": "application/xml"}, id="route"),
        pytest.param(
            request(revalidate=None), GOOD | {"Cache-Control": "s-maxage=31536000, stale-while-revalidate"}, id="static"
        ),
    ],
)
def test_an_answer_as_expected_has_no_faults(asked: Request, headers: dict[str, str]) -> None:
    headers = dict(headers)
    if headers["X-Vinext-Cache"] == "STALE":
        headers["Cache-Control"] = "s-maxage=60, stale-while-revalidate=3540"
    assert faults(asked, BUILD, 200, headers) == ()


@pytest.mark.parametrize(
    ("asked", "status", "changes", "fault"),
    [
        pytest.param(request(), 404, {}, "status 404, expected 200", id="status"),
        pytest.param(request(status=308), 200, {}, "status 200, expected 308", id="redirect"),
        pytest.param(request(), 200, {"X-Vinext-Cache": "MISS"}, "X-Vinext-Cache is MISS, expected HIT or STALE", id="miss"),
        pytest.param(request(), 200, {"X-Vinext-Cache": ""}, "X-Vinext-Cache is missing", id="no state"),
        pytest.param(request(), 200, {"Cache-Control": "no-store"}, "Cache-Control is 'no-store'", id="cache control"),
        pytest.param(request(headers={"cache-control": "s-maxage=60"}), 200, {}, "expected 's-maxage=60'", id="its own"),
        pytest.param(request(), 200, {"Content-Type": "text/plain"}, "expected text/html", id="type"),
        pytest.param(request(Artifact.RSC), 200, {"Content-Type": "text/html"}, "expected text/x-component", id="rsc type"),
        pytest.param(
            request(Artifact.RSC), 200, {"X-Vinext-RSC-Compatibility-Id": "c2"}, "clients reload the whole page", id="id"
        ),
    ],
)
def test_what_is_not_as_expected_is_said(asked: Request, status: int, changes: dict[str, str], fault: str) -> None:
    good = GOOD_RSC if asked.artifact is Artifact.RSC else GOOD
    (found,) = faults(asked, BUILD, status, good | changes)
    assert fault in found


def test_a_page_has_the_cache_control_that_it_was_built_with() -> None:
    asked = request(headers={"Cache-Control": "public, max-age=0, s-maxage=60"})
    assert faults(asked, BUILD, 200, GOOD | {"Cache-Control": "public, max-age=0, s-maxage=60"}) == ()


def ruled(artifact: Artifact = Artifact.HTML) -> Request:
    return replace(request(artifact), is_ruled=True)


@pytest.mark.parametrize(("status", "headers"), [(401, {"Content-Type": "text/plain"}), (307, {"Location": "/login"})])
def test_a_rule_may_answer_in_place_of_the_page(status: int, headers: dict[str, str]) -> None:
    for artifact in (Artifact.HTML, Artifact.RSC):
        assert is_of_a_rule(ruled(artifact), status, headers)
        assert faults(ruled(artifact), BUILD, status, headers) == ()
    assert faults(request(), BUILD, status, headers) != ()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param(500, {}, id="a failure"),
        pytest.param(404, {"Content-Type": "text/html"}, id="no such page"),
        pytest.param(410, {"Content-Type": "text/html"}, id="no such page any more"),
        pytest.param(200, {"Content-Type": "text/html"}, id="made for each request"),
        pytest.param(404, GOOD, id="another status from the cache"),
    ],
)
def test_no_rule_excuses(status: int, headers: dict[str, str]) -> None:
    assert faults(ruled(), BUILD, status, headers) != ()


def test_a_rule_may_change_who_keeps_the_page() -> None:
    assert faults(ruled(), BUILD, 200, GOOD | {"Cache-Control": "no-store"}) == ()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=4))
def test_the_url_of_a_page_leads_back_to_its_path(segments: list[str]) -> None:
    from core.javascript import encode_uri_component  # noqa: PLC0415 - here alone

    path = normalize_path("/" + "/".join(map(encode_uri_component, segments)))
    url = page_url(path, BUILD)
    assert url.isascii()
    assert "?" not in url
    assert normalize_path(url) == path


@pytest.mark.parametrize(
    ("path", "trailing_slash", "base_path", "url"),
    [
        ("/", False, "", "/"),
        ("/", True, "/docs", "/docs/"),
        ("/", False, "/docs", "/docs"),
        ("/a b", False, "", "/a%20b"),
        ("/a%2Fb", False, "", "/a%2Fb"),
        ("/100%", False, "", "/100%25"),
        ("/a", True, "/docs", "/docs/a/"),
        ("/sitemap.xml", True, "", "/sitemap.xml"),
        ("/日本", False, "", "/%E6%97%A5%E6%9C%AC"),
        ("/[id]", False, "", "/%5Bid%5D"),
    ],
)
def test_urls(path: str, trailing_slash: bool, base_path: str, url: str) -> None:  # noqa: FBT001
    build = Build("b", KeySchema.V2, 0, trailing_slash, base_path, {}, "", 0)
    assert page_url(path, build) == url


def test_the_page_shows_faults_first_and_escapes_what_it_shows() -> None:
    good = CheckedAnswer("/good", "html", 200, "HIT", "s-maxage=60", 1.0, ())
    bad = CheckedAnswer("/<bad>", "rsc", None, "", "", None, ("no answer: <script>",))
    script = CheckedAnswer("/_next/static/a.js", "script", 404, "", "", 1.0, ("status 404, expected 200, in /good",))
    noted = CheckedAnswer("/noted", "html", 200, "MISS", "s-maxage=60", 1.0, (), ("it was rendered anew",))
    at = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
    page = html_page("https://example.com/?<x>", CheckResult((good, noted, bad), (script,)), "build-<1>", at)
    assert page.index("&lt;bad&gt;") < page.index("/good")
    assert page.index("a.js") < page.index(">/noted") < page.index(">/good")
    assert "Build <code>build-&lt;1&gt;</code>" in page
    assert "2026-11-28 12:30 UTC" in page
    assert "<script>" not in page
    assert "3 answers and 1 file checked: 2 not as expected; 1 invalidated since the build" in page
    assert "1 answer checked: all as expected" in html_page("https://example.com", CheckResult((good,)), "b", at)


NO_URLS = ["example.com", "ftp://example.com", "https://", "", "http://[::1", "http://a:99999", "http://a:0", "http://a..b"]


@pytest.mark.parametrize("url", NO_URLS)
@pytest.mark.parametrize("command", [("check",), ("revalidate", "--tag", "a"), ("inspect",), ("deploy", "--url")])
def test_what_is_no_url_is_refused(url: str, command: tuple[str, ...], command_line: CommandLine, tmp_path: object) -> None:
    options = ("--from", tmp_path) if command == ("check",) else ()
    said = command_line.run(*command, url, *options)
    assert (said.status, said.errors) == (1, [f"vinext-worker: {url!r} is no URL of a server; write it as https://HOST"])


def test_a_token_that_no_header_can_carry_is_one_line(command_line: CommandLine, tmp_path: object) -> None:
    command_line.set({"VINEXT_ADMIN_TOKEN": "caf\u00e9"})
    said = command_line.run("check", "https://example.com", "--from", tmp_path)
    assert (said.status, "VINEXT_ADMIN_TOKEN is no token" in said.err) == (1, True)
