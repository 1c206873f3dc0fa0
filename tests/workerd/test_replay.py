"""The requests that were recorded against vinext's own Workers, replayed: we answer as they do, but for what the tables say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.workerd.builds import copy_as_built_now
from tests.workerd.example import ServedExample
from tests.workerd.replay import NO_STORE, PERIOD, Differs, Replay
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

HTML = "text/html; charset=utf-8"
NEVER_STALE = "s-maxage=31536000, stale-while-revalidate"
YEAR = f"{PERIOD}=<the rest of a year>"

LONG = "/docs/reference/a-path-that-is-rather-long/" + "/".join(f"and-goes-on-for-part-{number}" for number in range(1, 10))
RECORDED_LONG = (
    "/docs/reference/a-very-long-section-name-that-somebody-generated-from-a-heading"
    "/another-rather-long-subsection-name-with-many-words-in-it/and-yet-another-level-of-nesting-below-the-subsection"
    "/finally-the-leaf-page-of-this-deeply-nested-documentation-tree"
)
RECORDED_UNICODE_DOCS = "/docs/%E3%82%AC%E3%82%A4%E3%83%89/%E5%A7%8B%E3%82%81%E6%96%B9"

_NOT_BUILT = "the site has no such page"
_PAGES_ROUTER = "the site has no Pages Router"
_TOO_LONG = "its period is longer than a test should take"

V2 = Replay(
    "1.4.0/reference-responses-worker-seeded.json",
    paths={
        "/blog/first-post": "/blog/first-light",
        "/blog/missing-thing": "/docs/missing-thing",
        "/docs/not/listed": "/blog/also-on-demand",
        RECORDED_UNICODE_DOCS: "/docs/caching/tags",
        RECORDED_LONG: LONG,
        "/does-not-exist": "/missing",
        "/hello.txt": "/favicon.ico",
    },
    skipped={
        **dict.fromkeys(("limited-known", "limited-unknown (dynamicParams=false)"), _NOT_BUILT),
        **dict.fromkeys(("force-static", "rsc-canonical /forced", "sitemap", "robots"), _NOT_BUILT),
        **dict.fromkeys(("pages-static", "pages-isr-1", "pages-isr-2", "pages-ssr", "pages-dynamic"), _PAGES_ROUTER),
        **dict.fromkeys(("pages-data", "rsc-canonical /legacy"), _PAGES_ROUTER),
        **dict.fromkeys(("isr-blog-3-expired",), _TOO_LONG),
        **dict.fromkeys(("asset", "asset-br"), "its name is the build's; the tests of the example ask for every file"),
    },
    differences=[
        Differs(
            ("static-about-rsc-header", "static-about-rsc-header-accept", "static-about-rsc-query", "big-rsc"),
            "A payload in the cache is served for any _rsc, or none; vinext redirects to its canonical URL first.",
            like="static-about-dot-rsc",
        ),
        Differs(
            ("isr-blog-rsc", "slug-rsc héllo wörld", "docs-long-rsc"),
            "The same, of a page with a period.",
            like="slug-rsc-suffix first-post",
        ),
        Differs(
            ("static-about-query", "static-about-br", "static-about-if-none-match", "static-about-range"),
            "vinext had replaced its entry by one it does not read again, after a request with a query. Ours never writes then.",
            like="static-about",
        ),
        Differs(
            ("rsc-canonical /about", "rsc-canonical about head"),
            "The same, after revalidatePath: vinext makes a page that is never stale anew for each request.",
            like="static-about-dot-rsc",
        ),
        Differs(("about-after-revalidatePath-2", "rsc-canonical without RSC header"), "The same.", like="static-about"),
        Differs(
            ("isr-blog-1",),
            "Our build is seconds old; the recorded one was past its period.",
            but={"state": "HIT"},
        ),
        Differs(
            (
                "slug-html what? really!",
                'slug-html it\'s (quoted), "ok"',
                "slug-html time 10:30; at@home",
                "slug-html slash/inside",
                "slug-html index",
                "slug-html UPPER-Case-Slug",
            ),
            "The site's build does not know these slugs.",
            but={"state": "MISS", "policy": NO_STORE},
        ),
        Differs(
            ("slug-html 100% sure",),
            "vinext takes a slug that does not decode twice for dynamic, which is no MISS here.",
            but={"state": None},
        ),
        Differs(("docs-intro", "docs-unicode", "docs-long"), "The site's documentation has a period.", but={"policy": YEAR}),
        Differs(("rsc-suffix long", "rsc-canonical /docs/reference/a-very-long-section-name"), "The same.", but={"policy": YEAR}),
        Differs(
            ("tagged-1", "tagged-2", "tagged-4", "rsc-canonical /tagged"),
            "The site's page has no period.",
            but={"policy": NEVER_STALE},
        ),
        Differs(
            ("page-redirect",),
            "The site's redirect is permanent, and the build has pre-rendered it.",
            like="static-about",
            but={"status": 308, "location": "/about"},
        ),
        Differs(
            ("page-redirect-rsc", "rsc-canonical /moved"),
            "The same; the payload names the redirect, and vinext sends the location beside it.",
            like="static-about-dot-rsc",
            but={"location": "/about"},
        ),
        Differs(
            ("404-path",),
            "The build has pre-rendered the page for what is missing; it never gets stale.",
            but={"state": "HIT", "policy": NEVER_STALE},
        ),
        Differs(
            ("static-about-put", "static-about-options", "api-time-post"),
            "With an adapter that waits for completed pages, vinext says no-store of whatever is no page.",
            but={"policy": NO_STORE},
        ),
        Differs(("public-file", "public-file-head"), "It is another kind of file.", but={"type": "image/vnd.microsoft.icon"}),
        Differs(
            ("static-about-post",),
            "A site that has Server Actions refuses a POST that is none.",
            like="static-about-put",
            but={"policy": NO_STORE},
        ),
    ],
)


V1 = Replay(
    "0.0.38/reference-responses-worker.json",
    paths={
        "/blog": "/posts/another",
        "/blog/": "/posts/",
        "/docs/intro": "/about",
        RECORDED_UNICODE_DOCS: "/about",
        RECORDED_LONG: "/about",
        "/big": "/about",
    },
    skipped={
        **dict.fromkeys(("limited-known", "limited-unknown (dynamicParams=false)", "force-static"), _NOT_BUILT),
        **dict.fromkeys(
            ("page-redirect", "page-redirect-rsc", "sitemap", "robots", "public-file", "public-file-head"), _NOT_BUILT
        ),
        **dict.fromkeys(("search-no-query", "search-query", "slug-not-found-in-page", "docs-not-listed"), _NOT_BUILT),
        **dict.fromkeys(("asset", "asset-br"), "its name is the build's"),
        **dict.fromkeys(
            ("pages-static", "pages-isr-1", "pages-isr-2", "pages-ssr", "pages-dynamic", "pages-data"), _PAGES_ROUTER
        ),
        **dict.fromkeys(("api-time-3-expired (10 s)", "api-time-4-after-regen", "isr-blog-3-expired"), _TOO_LONG),
        "tick-1": "the build has pre-rendered the page, and may be two seconds old",
    },
    differences=[
        Differs(
            (
                "static-home",
                "static-home-again",
                "static-about",
                "static-about-rsc-header",
                "static-about-rsc-header-accept",
                "static-about-dot-rsc",
                "static-about-dot-rsc-with-header",
                "static-about-rsc-query",
                "static-about-head",
                "static-about-br",
                "static-about-if-none-match",
                "static-about-range",
                "docs-intro",
                "docs-unicode",
                "docs-long",
                "docs-long-rsc",
                "big",
                "big-rsc",
            ),
            "vinext 0.0.38 makes a static page for each request, although its build has it. We serve the build's.",
            but={"state": "HIT", "policy": NEVER_STALE},
        ),
        Differs(("404-path",), "The same.", but={"state": "HIT", "policy": NEVER_STALE}),
        Differs(
            ("about-after-revalidatePath",),
            "An answer without Cache-Control is kept as long as the manifest says, which is for ever.",
            but={"state": "MISS"},
        ),
        Differs(("about-after-revalidatePath-2",), "The same.", but={"state": "HIT", "policy": NEVER_STALE}),
        Differs(("tagged-1",), "The build has pre-rendered the page.", but={"state": "HIT"}),
        Differs(
            ("isr-blog-query",),
            "A query is passed on: 0.0.38 takes pages that read it for static, so its entry may be for another query.",
            but={"state": None},
        ),
        Differs(
            ("api-time-2", "api-time-head"),
            "We say what an answer from the cache varies by, where the entry does not.",
            but={"vary": "RSC, Accept"},
        ),
    ],
)


@pytest.fixture(scope="module")
def v1_answers(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    built = build_vinext_site(
        project.root / "tests" / "fixtures" / "sites" / "vinext-0.0.38", project.tools, Console(stderr=True)
    )
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": BuildService(built.server_config)},
        assets_directory=copy_as_built_now(built, tmp_path_factory.mktemp("replay-v1")),
        variables={"VINEXT_APP_PREFIX": "own", "VINEXT_TAG_CACHE_MS": "0", "VINEXT_CLOCK_SKEW_MS": "0"},
    )
    with LocalRuntime(options) as runtime:
        return V1.run(Visitor(runtime.url))


@pytest.fixture(scope="module")
def v2_answers(
    project: Project, example_build: SiteBuild, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, object]]:
    with ServedExample.start(project, example_build, tmp_path_factory.mktemp("replay"), frozenset()) as served:
        return V2.run(served.visitor)


@pytest.mark.parametrize("name", V2.expected())
def test_the_example_answers_as_vinext_1_4_does(v2_answers: Mapping[str, Mapping[str, object]], name: str) -> None:
    assert v2_answers[name] == V2.expected()[name]


@pytest.mark.parametrize("name", V1.expected())
def test_a_site_of_vinext_0_0_38_is_answered_as_it_answers_itself(
    v1_answers: Mapping[str, Mapping[str, object]], name: str
) -> None:
    assert v1_answers[name] == V1.expected()[name]


@pytest.mark.parametrize("replay", [pytest.param(V1, id="0.0.38"), pytest.param(V2, id="1.4.0")])
def test_the_tables_name_recorded_answers_and_real_differences_once(replay: Replay) -> None:
    recorded = {each.name: each.traits for each in replay.recorded()}
    names = [name for row in replay.differences for name in row.names]
    assert sorted(names) == sorted(set(names))
    assert {*names, *replay.skipped} <= set(recorded)
    assert [name for name in names if replay.expected()[name] == recorded[name]] == []
