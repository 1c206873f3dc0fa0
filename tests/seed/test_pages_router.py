"""Pages of the Pages Router, as vinext renders, names and keeps them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import VINEXT, built_site

from cache.entry import PagesValue, RedirectValue
from cache.keys import KeySchema
from core.body import BytesBody
from core.errors import InvalidArgumentError
from seed.build import Artifact, Build, ManifestError, RouteRecord, Skipped, artifact_key
from seed.entries import SeedEntry, seed_entries
from seed.from_directory import open_directory
from seed.i18n import DomainLocale, I18n
from seed.pages_router import data_body, data_page, data_status, data_url, is_for_each_visitor, pages_value, redirect_value
from vinext_worker.copy.build_copy import copy_build

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = VINEXT / "pages-router"
LANGUAGES = I18n(("en", "fr"), "en", (DomainLocale("exemple.fr", "fr"),))


def html(name: str) -> BytesBody:
    return BytesBody((RECORDED / name).read_bytes())


def value_of(name: str, status: int = 200) -> PagesValue:
    value = pages_value(html(name), {"content-type": "text/html; charset=utf-8"}, status, "")
    assert value is not None
    return value


@pytest.mark.parametrize("name", ["isr", "block-two", "i18n/fr-isr"])
def test_the_data_in_the_html_are_those_that_vinext_sends(name: str) -> None:
    value = value_of(f"{name}.html")
    assert data_body(value).to_bytes() == (RECORDED / f"{name}.json").read_bytes()
    assert data_status(value) == 200


def test_the_html_tells_the_route() -> None:
    assert (value_of("block-two.html").headers or {})["x-nextjs-matched-path"] == "/block/[slug]"


def test_a_page_that_is_not_there_has_the_data_that_say_so() -> None:
    value = value_of("not-found.html", 404)
    assert (data_status(value), data_body(value).to_bytes()) == (404, b'{"notFound":true}')
    assert value.html == html("not-found.html")


@pytest.mark.parametrize(
    "body",
    [
        html("shell.html").data,
        b"<h1>no data</h1>",
        b'<script id="__NEXT_DATA__" type="application/json">{"props":',
        b'<script id="__NEXT_DATA__" type="application/json">{"props":1}</script>',
        b'<script id="__NEXT_DATA__" type="application/json">[]</script>',
        b"",
    ],
    ids=["before its data is there", "not of the Pages Router", "cut off", "no props", "a list", "empty"],
)
def test_html_that_does_not_tell_its_data_is_no_page(body: bytes) -> None:
    assert pages_value(BytesBody(body), {}, 200, "") is None


def next_data(**kinds: bool) -> bytes:
    return b'<script id="__NEXT_DATA__" type="application/json">' + json.dumps({"props": {}, **kinds}).encode() + b"</script>"


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"gip": True}, True),
        ({"appGip": True}, True),
        ({"appGip": True, "gsp": True}, False),
        ({"gsp": True}, False),
        ({"autoExport": True}, False),
    ],
    ids=["its own", "the app's", "the app's and getStaticProps", "getStaticProps", "no function"],
)
def test_get_initial_props_makes_a_page_for_each_visitor(kinds: dict[str, bool], *, expected: bool) -> None:
    assert is_for_each_visitor(BytesBody(next_data(**kinds))) is expected


REDIRECTS = [
    ("/block/one", "", {"__N_REDIRECT": "/block/one"}),
    ("/base/block/one", "/base", {"__N_REDIRECT": "/block/one"}),
    ("/base/", "/base", {"__N_REDIRECT": "/"}),
    ("/based", "/base", {"__N_REDIRECT": "/based", "__N_REDIRECT_BASE_PATH": False}),
    ("https://example.com/", "/base", {"__N_REDIRECT": "https://example.com/"}),
]


@pytest.mark.parametrize(("location", "base_path", "props"), REDIRECTS)
def test_a_redirect_and_its_data_lead_to_the_same_place(location: str, base_path: str, props: dict[str, object]) -> None:
    value = pages_value(BytesBody(b"anything"), {"Location": location}, 307, base_path)
    assert value is not None
    data = {"pageProps": {**props, "__N_REDIRECT_STATUS": 307}}
    assert (data_status(value), json.loads(data_body(value).to_bytes())) == (200, data)
    # What vinext itself stores is the data alone.
    again = redirect_value(RedirectValue(props=data), base_path)
    assert again is not None
    assert (again.status, (again.headers or {})["location"], again.html) == (307, location, BytesBody(location.encode()))


def test_a_stored_redirect_that_leads_nowhere_is_none() -> None:
    assert redirect_value(RedirectValue(props={"pageProps": {"__N_REDIRECT": "/a", "__N_REDIRECT_STATUS": 200}}), "") is None
    assert redirect_value(RedirectValue(props={}), "") is None


@pytest.mark.parametrize(
    ("page", "url"),
    [
        ("/", "/_next/data/b/index.json"),
        ("/about", "/_next/data/b/about.json"),
        ("/blog/%C3%A9t%C3%A9", "/_next/data/b/blog/%C3%A9t%C3%A9.json"),
        ("/index", "/_next/data/b/index/index.json"),
        ("/index/a", "/_next/data/b/index/index/a.json"),
    ],
)
def test_the_url_of_data(page: str, url: str) -> None:
    assert data_url(page, "b") == url
    assert data_page(url, "b") == page


@pytest.mark.parametrize(
    "url", ["/_next/data/c/about.json", "/_next/data/b/about", "/_next/data/b/.json", "/_next/data/b", "/about.json", "/"]
)
def test_other_urls_are_no_data_of_the_build(url: str) -> None:
    assert data_page(url, "b") is None
    assert data_page(url, None) is None


@pytest.mark.parametrize(
    ("path", "domain", "key"),
    [
        ("/fr/isr", "", "pages:v2:b:/isr::i18n=locale%3Afr"),
        ("/FR/isr", "", "pages:v2:b:/isr::i18n=locale%3Afr"),
        ("/isr", "", "pages:v2:b:/isr::i18n=locale%3Aen"),
        ("/en", "", "pages:v2:b:/::i18n=locale%3Aen"),
        ("/", "", "pages:v2:b:/::i18n=locale%3Aen"),
        ("/french", "", "pages:v2:b:/french::i18n=locale%3Aen"),
        (
            f"/fr/{'x' * 190}",
            "",
            "pages:v2:b:__hash:885475591d6aa3b9ddbf0fbb4905dc712974eb59672c70ab9ff06d928228452e",
        ),
        ("/isr", ":exemple.fr", "pages:v2:b:/isr::i18n=%5B%22exemple.fr%22%2C%22fr%22%5D"),
        ("/en/isr", ":exemple.fr", "pages:v2:b:/isr::i18n=%5B%22exemple.fr%22%2C%22en%22%5D"),
    ],
)
def test_each_language_has_vinext_s_key_of_its_own(path: str, domain: str, key: str) -> None:
    assert artifact_key(KeySchema.V2, "b", path, f"pages{domain}", LANGUAGES) == key
    assert artifact_key(KeySchema.V2, "b", path, f"data{domain}", LANGUAGES) == key


def test_a_part_that_no_artifact_has_has_no_key() -> None:
    with pytest.raises(InvalidArgumentError):
        artifact_key(KeySchema.V2, "b", "/a", "page")


@pytest.mark.parametrize(
    ("accept_language", "cookie", "host", "leads_away"),
    [
        (None, None, "", False),
        ("en-GB,en;q=0.9", None, "", False),
        ("de", None, "", False),
        ("fr-CA,fr;q=0.8,en;q=0.1", None, "", True),
        ("*", None, "", True),
        ("en", "a=b; NEXT_LOCALE=fr", "", True),
        ("fr", None, "exemple.fr", False),
        ("en", None, "exemple.fr", True),
    ],
)
def test_a_visitor_of_the_root_may_be_led_to_another_language(
    accept_language: str | None,
    cookie: str | None,
    host: str,
    leads_away: bool,  # noqa: FBT001 - a row of the table
) -> None:
    assert LANGUAGES.may_lead_away(host, accept_language, cookie) is leads_away
    assert not I18n(("en", "fr"), "en", has_detection=False).may_lead_away(host, accept_language, cookie)


def test_a_language_stands_for_the_first_of_its_regions() -> None:
    regions = I18n(("en-US", "en-GB"), "en-US")
    assert not regions.may_lead_away("", "en", None)
    assert regions.may_lead_away("", "en-GB", None)


def test_languages_are_the_same_once_they_were_written_down() -> None:
    assert I18n.from_document(json.loads(json.dumps(LANGUAGES.to_document()))) == LANGUAGES
    assert I18n.from_document(None) is None


async def test_a_build_in_two_languages(tmp_path: Path) -> None:
    server = tmp_path / "dist" / "server"
    shutil.copytree(RECORDED / "i18n", server)
    (tmp_path / "dist" / "client").mkdir()
    report = copy_build(built_site(tmp_path, server / "prerendered-routes"), tmp_path / "assets")
    # Two pages have no file.
    assert (report.routes, report.skipped_routes) == (6, 7)
    source = await open_directory(tmp_path / "assets")
    assert (source.build.routers, source.build.i18n) == (("pages",), LANGUAGES)
    entries = {item.key: item.entry async for item in seed_entries(source) if isinstance(item, SeedEntry)}
    prefix = f"pages:v2:{source.build.build_id}:"
    assert sorted(key.removeprefix(prefix) for key in entries) == [
        "/::i18n=locale%3Aen",
        "/::i18n=locale%3Afr",
        "/blog/one::i18n=locale%3Aen",
        "/blog/un::i18n=locale%3Afr",
        "/isr::i18n=locale%3Aen",
        "/isr::i18n=locale%3Afr",
    ]
    french = entries[f"{prefix}/isr::i18n=locale%3Afr"]
    assert isinstance(french.value, PagesValue)
    assert json.loads(data_body(french.value).to_bytes())["pageProps"]["locale"] == "fr"
    # `res.revalidate("/fr/isr")` invalidates the tag of the page, whatever its language.
    assert {"_N_T_/isr", "_N_T_/fr/isr"} <= set(french.tags)
    assert Artifact.DATA.stored is Artifact.PAGES


def test_a_copied_build_tells_its_routers_and_languages() -> None:
    build = Build("b", KeySchema.V2, 0, False, "", {}, "i", 1, routers=("app", "pages"), i18n=LANGUAGES)  # noqa: FBT003
    assert Build.from_json(build.to_json().encode(), "build.json") == build
    older = {name: text for name, text in json.loads(build.to_json()).items() if name not in {"routers", "i18n"}}
    read = Build.from_json(json.dumps(older).encode(), "build.json")
    assert (read.routers, read.i18n) == (("app",), None)


def built_app(tmp_path: Path, routing: dict[str, object] | None, **row: object) -> Path:
    """A build with one page, by whose source vinext could not tell its period."""
    server = tmp_path / "dist" / "server"
    (server / "prerendered-routes").mkdir(parents=True)
    shutil.copy(RECORDED / "isr.html", server / "prerendered-routes")
    rows = [{"route": "/isr", "status": "rendered", "router": "pages", "revalidate": False, **row}]
    manifest = {"buildId": "b", "trailingSlash": False, "routes": rows, "pregeneratedConcretePaths": []}
    (server / "vinext-prerender.json").write_text(json.dumps(manifest))
    if routing is not None:
        document = {"version": 1, "buildId": "b", "rules": [], "headers": {"sets": [], "paths": {}}, **routing}
        (server / "vinext-worker-routing.json").write_text(json.dumps(document))
    return server


PERIODS = [
    ({"periods": {"pages:v2:b:/isr": {"revalidate": 7, "expire": 70}}}, (7, 70)),
    ({"periods": {"pages:v2:b:/isr": {"revalidate": False}}}, (None, None)),
    # Due at once: when it is rendered again, the page states its period.
    ({"periods": {}}, (1, None)),
    (None, (1, None)),
]


@pytest.mark.parametrize(("routing", "periods"), PERIODS, ids=["a period", "never stale", "not rendered", "no adapter"])
async def test_a_page_has_the_period_that_it_was_rendered_with(
    tmp_path: Path, routing: dict[str, object] | None, periods: tuple[float | None, float | None]
) -> None:
    source = await open_directory(built_app(tmp_path, routing))
    (item,) = [item async for item in seed_entries(source)]
    assert isinstance(item, SeedEntry)
    assert (item.entry.revalidate_seconds, item.entry.expire_seconds) == periods
    record = await source.record("/isr")
    assert record is not None
    assert RouteRecord.from_document(json.loads(json.dumps(record.to_document())), "a record") == record


async def test_a_page_without_data_functions_never_gets_stale(tmp_path: Path) -> None:
    server = built_app(tmp_path, None)
    html = (server / "prerendered-routes" / "isr.html").read_text().replace('"gsp":true', '"autoExport":true')
    (server / "prerendered-routes" / "isr.html").write_text(html)
    (item,) = [item async for item in seed_entries(await open_directory(server))]
    assert isinstance(item, SeedEntry)
    assert item.entry.revalidate_seconds is None


async def test_a_page_with_get_initial_props_is_no_page_of_the_build(tmp_path: Path) -> None:
    server = built_app(tmp_path, None)
    (tmp_path / "dist" / "client").mkdir()
    html = (server / "prerendered-routes" / "isr.html").read_text().replace('"gsp":true', '"gip":true')
    (server / "prerendered-routes" / "isr.html").write_text(html)
    report = copy_build(built_site(tmp_path, server / "prerendered-routes"), tmp_path / "assets")
    assert (report.routes, report.skipped) == (0, (("/isr", "its getInitialProps runs for each visitor"),))
    assert [item async for item in seed_entries(await open_directory(server))] == [Skipped(*report.skipped[0])]


@pytest.mark.parametrize("period", [{}, {"revalidate": "5"}, {"revalidate": -1}, {"revalidate": True}, []])
async def test_a_period_that_is_none_is_refused(tmp_path: Path, period: object) -> None:
    server = built_app(tmp_path, {"periods": {"pages:v2:b:/isr": period}})
    with pytest.raises(ManifestError, match=r"vinext-worker-routing\.json cannot be read"):
        await open_directory(server)
