"""Traffic-aware pre-rendering: which pages, and what becomes of them."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloudflare import Fault, Traffic
from tests.fakes.deployments import FakeDeployment
from werkzeug import Response

from cache.keys import KeySchema
from isr.served_build import ServedBuild
from seed.rules import Rule
from vinext_worker.cloudflare.analytics import PathCount, zone_candidates
from vinext_worker.tpr.selection import select

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine
    from werkzeug import Request

    from vinext_worker.local_runtime import RuntimeOptions

SITE = ServedBuild("b1", KeySchema.V2, trailing_slash=False)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("example.com", ["example.com"]),
        ("shop.example.com", ["shop.example.com", "example.com"]),
        ("a.shop.example.co.uk", ["a.shop.example.co.uk", "shop.example.co.uk", "example.co.uk", "co.uk"]),
        ("localhost", ["localhost"]),
    ],
)
def test_every_name_that_a_zone_may_have_is_tried(host: str, names: list[str]) -> None:
    assert zone_candidates(host) == names


SKIPPED = {
    "/favicon.ico": "a file",
    "/photo.JPG": "a file",
    "/_next/static/x.js": "a file of the framework",
    "/api/time": "a route handler below /api/",
    "/__vinext/seed": "the Worker's own endpoint",
    "/cdn-cgi/trace": "Cloudflare's own",
    "/about.rsc": "an RSC payload; it is rendered together with its page",
    "/__prerender/build.json": "a file",
    "/%5F_prerender/x": "below a hidden folder",
    "wp-login": "not a path",
    "/a//b": "a path that is not canonical",
}


def test_what_is_no_page_is_left_out_with_the_reason() -> None:
    found = select([PathCount(path, 5) for path in [*SKIPPED, "/blog"]], SITE, 0.9, 10)
    assert dict(found.skipped) == SKIPPED
    assert [candidate.lookup.path for candidate in found.chosen] == ["/blog"]
    assert found.requests == 5


@pytest.mark.parametrize(
    ("has_stages", "reason"),
    [
        (True, "a rule of the app comes first, and decides for each visitor"),
        (False, "a rule of the app (middleware.ts: /account/:path*)"),
    ],
)
def test_a_page_that_a_rule_of_the_app_may_touch_is_left_out(*, has_stages: bool, reason: str) -> None:
    rules = (Rule("/account", is_prefix=True, name="middleware.ts: /account/:path*"),)
    site = ServedBuild("b1", KeySchema.V2, trailing_slash=False, rules=rules, has_stages=has_stages)
    found = select([PathCount("/account/orders", 5), PathCount("/blog", 5)], site, 1, 10)
    assert found.skipped == (("/account/orders", reason),)
    assert [candidate.lookup.path for candidate in found.chosen] == ["/blog"]


def test_spellings_of_one_page_count_together() -> None:
    found = select(
        [PathCount("/b%C3%BCcher", 5), PathCount("/b%C3%BCcher/", 4), PathCount("/b%c3%bccher", 3), PathCount("/a", 11)],
        SITE,
        1,
        10,
    )
    assert [(candidate.lookup.path, candidate.requests) for candidate in found.chosen] == [("/bücher", 12), ("/a", 11)]


@pytest.mark.parametrize(
    ("coverage", "limit", "chosen"),
    [
        pytest.param(0.9, 1000, ["/a", "/b"], id="the fewest that reach it"),
        pytest.param(0.91, 1000, ["/a", "/b", "/c"], id="a little more"),
        pytest.param(1, 1000, ["/a", "/b", "/c", "/d"], id="all"),
        pytest.param(0, 1000, [], id="none"),
        pytest.param(1, 1, ["/a"], id="limit"),
    ],
)
def test_the_fewest_pages_that_reach_the_coverage(coverage: float, limit: int, chosen: list[str]) -> None:
    paths = [PathCount("/a", 60), PathCount("/b", 30), PathCount("/c", 9), PathCount("/d", 1)]
    found = select(paths, SITE, coverage, limit)
    assert [candidate.lookup.path for candidate in found.chosen] == chosen
    assert len(found.skipped) == 4 - len(chosen)


def test_without_traffic_nothing_is_chosen() -> None:
    found = select([], SITE, 0.9, 10)
    assert (found.chosen, found.coverage) == ((), 0)


def answer(request: Request) -> Response:
    rsc = request.headers.get("RSC") == "1"
    headers = {"Vary": "RSC", "Cache-Control": "s-maxage=60, stale-while-revalidate=3540", "X-Vinext-Cache-Tags": "posts,a%20b"}
    if request.path == "/private":
        headers["Cache-Control"] = "private, no-store"
    if request.path == "/gone":
        return Response("gone", 500)
    if rsc:
        headers["X-Vinext-RSC-Compatibility-Id"] = "c1"
    text = f"{'payload' if rsc else 'page'} {request.path} for {request.headers['Host']}"
    return Response(text, 200, headers, content_type="text/x-component" if rsc else "text/html; charset=utf-8")


@pytest.fixture
def deployment(tmp_path: Path, cloudflare: FakeCloudflare, httpserver: HTTPServer) -> FakeDeployment:
    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    cloudflare.traffic = [
        Traffic("/hot", 900),
        Traffic("/in-build", 800),
        Traffic("/private", 700),
        Traffic("/gone", 600),
        Traffic("/日本", 500),
        Traffic("/logo.svg", 5000),
        Traffic("/cold", 1),
    ]
    deployment = FakeDeployment(tmp_path)
    deployment.build({"/in-build": b"<p>"})
    deployment.configure('routes = [{ pattern = "shop.example.com/*", zone_name = "example.com" }]')
    return deployment


def test_hot_pages_are_rendered_and_populated_with_the_right_keys_tags_and_periods(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, httpserver: HTTPServer
) -> None:
    said = command_line.run("tpr", "--config", deployment.config, "--from", httpserver.url_for("/"), "--json", "--coverage", "99")
    assert said.status == 0, said.err
    assert set(cloudflare.stored) == {f"cache:app:v2:b1:/{page}:{form}" for page in ("hot", "日本") for form in ("html", "rsc")}
    stored = cloudflare.stored["cache:app:v2:b1:/hot:html"]
    entry = json.loads(stored.value)
    assert entry["value"]["html"].startswith("page /hot for ")
    assert entry["value"]["status"] == 200
    assert entry["cacheControl"] == {"revalidate": 60, "expire": 3600}
    assert entry["tags"] == ["/hot", "_N_T_/hot", "_N_T_/layout", "_N_T_/hot/layout", "_N_T_/hot/page", "posts", "a b"]
    assert stored.expiration_ttl == 2_592_000
    headers = json.loads(cloudflare.stored["cache:app:v2:b1:/hot:rsc"].value)["value"]["headers"]
    assert headers["x-vinext-rsc-compatibility-id"] == "c1"
    assert "x-vinext-cache-tags" not in headers
    assert "cache-control" not in headers
    reasons = {row["name"]: row["reason"] for row in said.document["skipped"]["first"]}
    assert reasons == {
        "/in-build": "the build pre-rendered it, so it is populated with the build",
        "/private": "no-store",
        "/gone": "status 500",
    }
    assert {row["path"]: row["reason"] for row in said.document["skippedPaths"]} == {
        "/logo.svg": "a file",
        "/cold": "the coverage is reached without it",
    }


def test_a_page_that_is_rendered_for_a_tenant_is_kept_for_it_alone(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, httpserver: HTTPServer
) -> None:
    deployment.configure(variables='VINEXT_TENANTS = "shop.example.com=shop, www.example.com=www, *.b.example=b-{label}"')
    cloudflare.zones |= {"b.example": "2"}
    cloudflare.traffic = [Traffic("/hot", 1)]
    for host, prefix in (("shop.example.com", "shop"), ("Any.b.example", "b-any")):
        cloudflare.stored.clear()
        said = command_line.run("tpr", "--config", deployment.config, "--from", httpserver.url_for("/"), "--host", host)
        assert said.status == 0, said.err
        assert set(cloudflare.stored) == {f"{prefix}:cache:app:v2:b1:/hot:{form}" for form in ("html", "rsc")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--host", "example.com"], "example.com is none of the hosts in VINEXT_TENANTS", id="no tenant"),
        pytest.param(
            ["--host", "shop.example.com", "--into", "worker", "--url", "https://www.example.com"],
            "--url is the address of www.example.com, which has another cache than shop.example.com",
            id="another tenant's address",
        ),
    ],
)
def test_pages_of_one_tenant_are_not_written_for_another(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, arguments: list[str], message: str
) -> None:
    deployment.configure(variables='VINEXT_TENANTS = "shop.example.com=shop, www.example.com=www"')
    said = command_line.run("tpr", "--config", deployment.config, "--from", "http://127.0.0.1:1", *arguments)
    assert (said.status, len(said.errors)) == (1, 1)
    assert message in said.err
    assert cloudflare.stored == {}


def test_a_server_that_answers_nothing_is_a_failure(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    said = command_line.run("tpr", "--config", deployment.config, "--from", "http://127.0.0.1:1")
    assert said.status == 1
    assert "http://127.0.0.1:1 has answered no request" in said.errors[-1]


def test_the_zone_is_found_below_the_host(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, httpserver: HTTPServer
) -> None:
    command_line.run("tpr", "--config", deployment.config, "--from", httpserver.url_for("/"), "--dry-run")
    zones = [path for _, path, _ in cloudflare.requests if "/zones" in path]
    assert [path.partition("name=")[2] for path in zones] == ["shop.example.com", "example.com"]
    assert cloudflare.stored == {}


@pytest.mark.parametrize(
    ("zones", "arguments", "message"),
    [
        pytest.param({}, [], "the token sees no zone for shop.example.com (tried shop.example.com, example.com)", id="zone"),
        pytest.param({"other.org": "1"}, ["--host", "other.org"], "zone not found or not authorized", id="not authorized"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(  # noqa: PLR0913, PLR0917 - fixtures
    zones: dict[str, str],
    arguments: list[str],
    message: str,
    deployment: FakeDeployment,
    command_line: CommandLine,
    cloudflare: FakeCloudflare,
) -> None:
    cloudflare.zones = zones
    if arguments:
        cloudflare.may_see_traffic = False
    said = command_line.run("tpr", "--config", deployment.config, "--from", "http://127.0.0.1:1", *arguments)
    assert (said.status, len(said.errors)) == (1, 1)
    assert message in said.err


def test_a_passing_fault_of_the_analytics_is_no_failure(
    deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare, httpserver: HTTPServer
) -> None:
    cloudflare.faults = [Fault(500), None, Fault(429, retry_after="0"), Fault(cut="before")]
    assert command_line.run("tpr", "--config", deployment.config, "--from", httpserver.url_for("/")).status == 0


def test_without_a_custom_domain_it_says_what_to_do(
    tmp_path: Path, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {"/": b"<p>"})
    said = command_line.run("tpr", "--config", deployment.config, "--from", "http://127.0.0.1:1")
    assert (said.status, "names no custom domain" in said.err) == (1, True)


def test_a_builds_own_worker_renders_with_the_variables_that_are_deployed(
    deployment: FakeDeployment,
    command_line: CommandLine,
    cloudflare: FakeCloudflare,
    httpserver: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = deployment.folder / "site" / "dist" / "server"
    (deployment.folder / "site" / "package.json").write_text('{"dependencies": {"vinext": "1.4.0"}}')
    (server / "index.js").write_text("export default {}")
    built = {"name": "pages", "main": "index.js", "compatibility_date": "2026-10-01", "vars": {"API": "https://api"}}
    (server / "wrangler.json").write_text(json.dumps(built))
    # The build copies the app's file.
    (server / ".dev.vars").write_text("API=http://localhost\nKEY=secret\n")
    started: list[RuntimeOptions] = []

    @contextmanager
    def local_runtime(options: RuntimeOptions) -> Iterator[object]:
        started.append(options)
        yield SimpleNamespace(service_urls={"PAGES": httpserver.url_for("/")})

    monkeypatch.setattr("vinext_worker.local_runtime.LocalRuntime", local_runtime)
    said = command_line.run("tpr", deployment.folder / "site", "--config", deployment.config, "--dry-run")
    assert said.status == 0, said.err
    assert started[0].services["PAGES"].to_wire(None)["variables"] == {"API": "https://api", "KEY": "secret"}


@pytest.mark.parametrize("arguments", [[], ["--from", "http://127.0.0.1:1", "."]])
def test_one_server_is_named(arguments: list[str], command_line: CommandLine) -> None:
    assert command_line.run("tpr", *arguments).status == 2


def test_no_traffic_is_nothing_to_do(deployment: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare) -> None:
    cloudflare.traffic = []
    said = command_line.run("tpr", "--config", deployment.config, "--from", "http://127.0.0.1:1")
    assert (said.status, "nothing to render" in said.out) == (0, True)
