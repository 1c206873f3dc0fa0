"""The rules of an app, in what `copy` makes of its build."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.builds import written_build
from tests.scripts.test_copy import FILES, SMALL, build_of, worker

from seed.routing import ROUTING_NAME
from seed.rules import Rule
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.errors import UserError
from vinext_worker.sites.site_build import NO_VINEXT

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.sites.site_build import SiteBuild

ABOUT = {"path": "/about", "prefix": False, "name": "proxy.ts: /about"}
HEADERS = {"sets": [{"x-frame-options": "DENY", "vary": "next.config's"}], "paths": {"/": 0, "/about": 0}}


def with_routing(tmp_path: Path, **changed: Any) -> SiteBuild:
    built = written_build(tmp_path, SMALL, FILES)
    document = {"version": 1, "buildId": "b1", "rules": [ABOUT], "headers": HEADERS} | changed
    (built.manifest.parent / ROUTING_NAME).write_text(json.dumps(document))
    return built


async def test_a_page_that_a_rule_may_touch_is_not_seeded(tmp_path: Path) -> None:
    report = copy_build(with_routing(tmp_path), tmp_path / "assets")
    assert report.rules == ("proxy.ts: /about",)
    assert report.skipped == (("/about", "a rule of the app comes first (proxy.ts: /about)"),)
    assert build_of(tmp_path / "assets").rules == (Rule("/about", is_prefix=False, name="proxy.ts: /about"),)
    served = await worker(tmp_path / "assets")
    assert (await served.get("/blog")).state == "HIT"
    await served.get("/about")
    assert [request.path for request in served.pages.answered] == ["/about"]


@pytest.mark.parametrize("url", ["/", "/.rsc"])
async def test_headers_of_the_configuration_are_on_the_pages_of_the_build(tmp_path: Path, url: str) -> None:
    copy_build(with_routing(tmp_path, rules=[]), tmp_path / "assets")
    got = await (await worker(tmp_path / "assets")).get(url)
    assert (got.state, got.header("x-frame-options")) == ("HIT", "DENY")


async def test_pages_without_such_headers_have_none(tmp_path: Path) -> None:
    copy_build(with_routing(tmp_path), tmp_path / "assets")
    assert (await (await worker(tmp_path / "assets")).get("/blog")).header("x-frame-options") is None


def test_a_file_of_another_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="build the site again"):
        copy_build(with_routing(tmp_path, buildId="b2"), tmp_path / "assets")


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("proxy.ts", "", "proxy.ts, whose matcher the build does not tell"),
        ("src/middleware.js", "", "src/middleware.js, whose matcher the build does not tell"),
        ("proxy.page.ts", "", "proxy.page.ts, whose matcher the build does not tell"),
        ("proxy.md", "", None),
        ("middleware.test.ts", "", None),
        ("src/proxy.d.ts", "", None),
        ("next.config.ts", "async redirects() {}", "redirects of next.config.ts, which the build does not tell"),
        ("next.config.mjs", "export default { headers }", "headers of next.config.mjs, which the build does not tell"),
        ("next.config.js", "module.exports = { i18n: {} }", "i18n of next.config.js, which the build does not tell"),
        ("vite.config.mts", "vinext({ nextConfig: shared })", "nextConfig of vite.config.mts, which the build does not tell"),
        ("vite.config.ts", "vinext()", None),
        ("next.config.mjs", "export default { basePath: '/docs' }", None),
        ("lib/proxy.ts", "", None),
        ("package.json", "{}", None),
    ],
)
def test_rules_that_no_adapter_wrote_down_may_touch_every_page(tmp_path: Path, name: str, text: str, rule: str | None) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    file = built.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    report = copy_build(built, tmp_path / "assets")
    assert report.rules == (() if rule is None else (rule,))
    assert report.routes == (3 if rule is None else 0)


@pytest.mark.parametrize(
    ("configuration", "code", "rule"),
    [
        ('{ "main": "./own.js" }', "fetch: () => new Response()", "new Response of ./own.js, which the build does not tell"),
        (
            '{ "main": "x", "env": { "live": { "main": "own.js" } } } // jsonc',
            "Response.redirect(url)",
            "Response.redirect of own.js, which the build does not tell",
        ),
        ('{ "main": "own.js" }', 'mine.headers.set("a", "b")', "headers.set of own.js, which the build does not tell"),
        ('{ "main": "own.js" }', "fetch: (request): Promise<Response> => handler.fetch(request)", None),
        ('{ "main": "vinext/server/fetch-handler" }', "new Response()", None),
        ('{ "env": [] }', "new Response()", None),
        ('{ "env": { "live": null } }', "new Response()", None),
    ],
)
def test_a_worker_entry_that_answers_may_touch_every_page(
    tmp_path: Path, configuration: str, code: str, rule: str | None
) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    (built.root / "wrangler.jsonc").write_text(configuration)
    (built.root / "own.js").write_text(code)
    assert copy_build(built, tmp_path / "assets").rules == (() if rule is None else (rule,))


def test_a_python_site_has_no_rules(tmp_path: Path) -> None:
    built = replace(written_build(tmp_path, SMALL, FILES), vinext_version=NO_VINEXT)
    (built.root / "proxy.py").write_text("")
    (built.root / "proxy.ts").write_text("")
    assert copy_build(built, tmp_path / "assets").rules == ()
