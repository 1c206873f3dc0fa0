"""Web frameworks as the page handler, in workerd: the same requests and the same expectations for each.

`docs/frameworks.md` shows the table. Django 5.2 cannot be in one Worker with Django 6: VINEXT_WORKER_EVERY_APP=1 tests it, too.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.python_worker import PROJECT
from tests.fakes.websocket import WebSocketClient
from tests.workerd.patience import eventually
from tests.workerd.stubs import FIXTURES

from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.prerender.run import PrerenderRun
from vinext_worker.sites.python_packages import install_python_packages
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import python_build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SITE = FIXTURES / "frameworks"
DOMAIN = "frameworks.test"
MEBIBYTE = 1024 * 1024


@dataclass
class Site:
    """The app of one framework, which has a host of its own."""

    name: str
    runtime: LocalRuntime
    texts: dict[str, str] = field(default_factory=dict)
    """The last body of each path."""

    @property
    def host(self) -> str:
        return f"{self.name}.{DOMAIN}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.runtime.url, headers={"Host": self.host}, trust_env=False, timeout=60)


@dataclass(frozen=True)
class Step:
    """A request and its answer. Bodies and headers are patterns; `same` compares the body with the last one of the path."""

    path: str
    method: str = "GET"
    status: int = 200
    state: str | None = None
    text: str = ".*"
    headers: Mapping[str, str] = field(default_factory=dict)
    same: bool | None = None
    soon: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)

    def take(self, site: Site, client: httpx.Client) -> None:
        path = self.path.format(name=site.name)

        def ask() -> tuple[list[object], httpx.Response]:
            answer = client.request(self.method, path, **self.given)
            client.cookies.clear()
            return self.differences(answer, site.texts.get(path)), answer

        differences, answer = eventually(ask, lambda found: not found[0]) if self.soon else ask()
        assert differences == []
        site.texts[path] = answer.text

    def differences(self, answer: httpx.Response, before: str | None) -> list[object]:
        found = (answer.status_code, answer.headers.get("X-Vinext-Cache"))
        differences: list[object] = [] if found == (self.status, self.state) else [(found, answer.text)]
        if not re.fullmatch(self.text, answer.text, re.DOTALL):
            differences.append(answer.text)
        for name, pattern in self.headers.items():
            if not re.fullmatch(pattern, answer.headers.get(name, "")):
                differences.append((name, answer.headers.get(name)))
        if self.same is not None and (answer.text == before) is not self.same:
            differences.append((before, answer.text))
        return differences


def steps(*given: Step) -> Callable[[Site], None]:
    def take(site: Site) -> None:
        with site.client() as client:
            for step in given:
                step.take(site, client)

    return take


def post(path: str, status: int = 204, **given: Any) -> Step:
    return Step(path, "POST", status, **given)


def parts_arrive_one_by_one(site: Site) -> None:
    with site.client() as client, client.stream("GET", "/held") as answer:
        parts = answer.iter_text()
        assert next(parts) == "first\n"
        assert client.post("/release").status_code == 204
        assert "".join(parts) == "last\n"


def websocket(site: Site) -> None:
    with WebSocketClient(f"{site.runtime.url}/ws", {"Host": site.host}) as socket:
        assert socket.status == 101
        for text in ("ü", "b"):
            socket.send(text)
            assert socket.receive() == f"you said {text}"


def cookie(text: str) -> dict[str, Any]:
    return {"headers": {"Cookie": text}}


FILE = {"data": {"name": "ü"}, "files": {"file": ("a.bin", b"\x00" * 300_000)}}

COOKIES = Step(
    "/cookies",
    text=r'\{"a": ?"b", ?"c": ?"d"\}\s*',
    headers={"Set-Cookie": "one=1.*two=2.*"},
    given=cookie("a=b; c=d"),
)

FEATURES: dict[str, tuple[Callable[[Site], None], ...]] = {
    "pre-rendered": (steps(Step("/prebuilt/{name}", state="HIT", text="<p>[a-z]+ prebuilt [12]</p>")),),
    "HIT": (
        steps(
            Step("/kept", state="MISS", text="<p>.* kept .*</p>", headers={"Content-Type": "text/html; charset=utf-8"}),
            Step("/kept", state="HIT", same=True, soon=True),
        ),
    ),
    "STALE": (
        steps(
            post("/invalidate/posts?profile=max"),
            Step("/kept", state="STALE", same=True),
            Step("/kept", state="HIT", same=False, soon=True),
        ),
    ),
    "invalidated": (
        steps(
            Step("/kept", state="HIT"),
            post("/invalidate/posts"),
            Step("/kept", state="MISS", same=False),
            Step("/kept", state="HIT", same=True, soon=True),
        ),
    ),
    "no period": (steps(Step("/dynamic"), Step("/dynamic", same=False), Step("/dynamic", "HEAD", text="")),),
    "async views": (steps(*(Step("/waits", text=r"waited \d") for _ in range(2))),),
    "no-store": (
        steps(
            *(Step("/personal", text=user, given=cookie(f"user={user}")) for user in ("ann", "ben")),
            Step("/personal", text="nobody", headers={"Cache-Control": "private, no-store"}),
        ),
    ),
    "data cache": (
        steps(
            Step("/data"), Step("/data", same=True, soon=True), post("/invalidate/stock"), Step("/data", same=False, soon=True)
        ),
    ),
    "streams": (
        parts_arrive_one_by_one,
        steps(
            Step("/streamed", state="MISS", text="part 0\npart 1\npart 2\n"),
            Step("/streamed", state="HIT", same=True, soon=True),
        ),
    ),
    "cookies": (steps(COOKIES, COOKIES),),
    "forms": (steps(post("/form", 200, text=r'\{"name": ?"(ü|\\u00fc)"\}\s*', given={"data": {"name": "ü"}})),),
    "uploads": (steps(post("/upload", 200, text='.*"a.bin".*300000.*', given=FILE)),),
    "404 and 500": (
        steps(
            Step("/none", status=404, text="nothing at /none"),
            Step("/raises", status=500, text="we are sorry"),
        ),
    ),
    "redirects": (
        steps(
            Step("/away", status=302, headers={"Location": "/kept"}),
            Step("/old", status=301, state="MISS", headers={"Location": "/kept"}),
            Step("/old", status=301, state="HIT", headers={"Location": "/kept"}, soon=True),
        ),
    ),
    "background": (steps(Step("/later", text='"?soon"?'), Step("/done", text='.*"later".*', soon=True)),),
    "WebSocket": (websocket,),
    "static files": (steps(Step("/static/site.css", text="body .*", headers={"ETag": '".+"', "Content-Type": "text/css.*"})),),
}
"""Each feature's steps for every framework, in this order: later ones find the pages of earlier ones in the cache."""

FRAMEWORKS = {
    "fastapi": "FastAPI",
    "starlette": "Starlette",
    "flask": "Flask",
    "django": "Django 6, 5.2",
    "django-asgi": "Django 6, 5.2 by ASGI",
}
"""The names of hosts, and of the rows of the docs."""

WITHOUT = {("flask", "WebSocket"), ("django", "WebSocket"), ("django-asgi", "WebSocket")}

OLDER = ("django", "django-asgi") if os.environ.get("VINEXT_WORKER_EVERY_APP") else ()

ROWS = [
    pytest.param(version, framework, feature, id=f"{framework}{version} {feature}")
    for version, names in (("", FRAMEWORKS), ("5.2", OLDER))
    for framework in names
    for feature in FEATURES
    if (framework, feature) not in WITHOUT
]


def copied(folder: Path) -> PythonProject:
    """A copy of the site without its packages."""
    shutil.copytree(SITE, folder, ignore=shutil.ignore_patterns("python_modules", ".vinext", "dist"))
    return found(folder)


def found(folder: Path) -> PythonProject:
    site = PythonProject.find(folder)
    assert site is not None
    return site


def serve(site: PythonProject, packages: Path) -> Iterator[LocalRuntime]:
    """Pre-render the site's pages, and serve it."""
    assets = site.root / ".vinext" / "assets"
    assets.mkdir(parents=True)

    def options(variables: Mapping[str, str]) -> RuntimeOptions:
        return RuntimeOptions(site.config, PROJECT.tools, assets_directory=assets, vendored=packages, variables=variables)

    with LocalRuntime(options({"VINEXT_PRERENDER": "on"})) as runtime:
        report = asyncio.run(PrerenderRun(site, runtime.direct_url, 4, print, may_be_empty=False).run(None))
    assert (report.skipped, report.failed) == ((), ())
    copy_build(python_build(site), assets)
    with LocalRuntime(options({"VINEXT_LANGUAGES": "en,de"})) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def all_frameworks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    installed = found(SITE)
    install_python_packages(installed, PROJECT.tools, Console(quiet=True))
    yield from serve(copied(tmp_path_factory.mktemp("frameworks") / "site"), installed.packages)


@pytest.fixture(scope="module")
def older_django(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    site = copied(tmp_path_factory.mktemp("older") / "site")
    project = '[project]\nname = "older"\nversion = "0.1.0"\ndependencies = ["vinext-worker", "django~=5.2"]\n'
    site.requirements.write_text(project)
    install_python_packages(site, PROJECT.tools, Console(quiet=True))
    yield from serve(site, site.packages)


@pytest.fixture(scope="module")
def sites() -> dict[tuple[str, str], Site]:
    return {}


@pytest.mark.parametrize(("version", "framework", "feature"), ROWS)
def test_features(
    request: pytest.FixtureRequest, sites: dict[tuple[str, str], Site], version: str, framework: str, feature: str
) -> None:
    runtime = request.getfixturevalue("older_django" if version else "all_frameworks")
    site = sites.setdefault((version, framework), Site(framework, runtime))
    for check in FEATURES[feature]:
        check(site)


@pytest.fixture
def client(all_frameworks: LocalRuntime) -> Iterator[Callable[[str], httpx.Client]]:
    clients: list[httpx.Client] = []

    def connect(name: str) -> httpx.Client:
        clients.append(Site(name, all_frameworks).client())
        return clients[-1]

    yield connect
    for each in clients:
        each.close()


def state(answer: httpx.Response) -> str | None:
    return answer.headers.get("X-Vinext-Cache")


def is_hit(answer: httpx.Response) -> bool:
    return state(answer) == "HIT"


def test_compiled_packages_work_in_a_snapshot_and_behind_it(client: Callable[[str], httpx.Client]) -> None:
    *results, first, second = client("starlette").get("/native").json()
    assert results == ["teapot", "utf_16"]
    assert first.endswith(".so")
    assert second.endswith(".so")


def test_flask_reads_a_large_body_part_by_part(client: Callable[[str], httpx.Client]) -> None:
    parts = (b"x" * MEBIBYTE for _ in range(8))
    assert client("flask").post("/size", content=parts).json() == {"size": 8 * MEBIBYTE}


def test_django_keeps_a_page_in_each_language(client: Callable[[str], httpx.Client]) -> None:
    """LocaleMiddleware sends `Vary: Accept-Language`. The path ends in a slash, as Django's do."""
    django = client("django")
    for language in ("en", "de"):
        text = django.get("/language/", headers={"Accept-Language": language}).text
        headers = {"Accept-Language": f"{language}-XX, xx;q=0.1"}
        answer = eventually(partial(django.get, "/language/", headers=headers), is_hit)
        assert (answer.text, answer.headers["Content-Language"]) == (text, language)
        assert text.startswith(language)


def test_django_s_forms_with_a_token_are_never_kept_and_work(client: Callable[[str], httpx.Client]) -> None:
    django = client("django")
    answers = [django.get("/guarded/") for _ in range(2)]
    assert [state(answer) for answer in answers] == [None, None]
    headers = {"X-CSRFToken": answers[1].text}
    assert django.post("/guarded/", data={"name": "ann"}, headers=headers).json() == {"name": "ann"}
    django.cookies.clear()
    assert django.post("/guarded/", data={"name": "ann"}).status_code == 403


@pytest.mark.parametrize("name", ["django", "django-asgi"])
def test_django_s_synchronous_views_may_ask_a_database(client: Callable[[str], httpx.Client], name: str) -> None:
    """Django allows that in no thread that runs a loop."""
    assert client(name).get("/queried").json() == [2]


def test_the_docs_have_the_table() -> None:
    text = (PROJECT.root / "docs" / "frameworks.md").read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["", *FRAMEWORKS.values()]
    for feature, row in zip(FEATURES, lines[2:], strict=True):
        assert row == [feature, *("" if (framework, feature) in WITHOUT else "✓" for framework in FRAMEWORKS)]
