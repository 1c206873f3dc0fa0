"""Flask and Django as the page handler, in workerd."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.python_worker import PROJECT
from tests.workerd.patience import eventually
from tests.workerd.stubs import FIXTURES

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.sites.python_packages import install_python_packages
from vinext_worker.sites.python_project import PythonProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY_BYTES = 30 * 1024 * 1024


@pytest.fixture(scope="module")
def packages() -> Path:
    site = PythonProject.find(FIXTURES / "wsgi")
    assert site is not None
    install_python_packages(site, PROJECT.tools, Console(quiet=True))
    return site.packages


def serve(packages: Path, folder: Path, handler: str) -> Iterator[httpx.Client]:
    options = RuntimeOptions(
        config=WranglerConfig.read(FIXTURES / "wsgi" / "wrangler.toml"),
        tools=PROJECT.tools,
        assets_directory=folder,
        vendored=packages,
        variables={"VINEXT_PAGE_HANDLER": handler, "VINEXT_LANGUAGES": "en,de"},
    )
    with LocalRuntime(options) as runtime, httpx.Client(base_url=runtime.url, trust_env=False, timeout=60) as connected:
        yield connected


@pytest.fixture(scope="module")
def flask(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    yield from serve(packages, tmp_path_factory.mktemp("no-assets"), "wsgi:flask_app:app")


@pytest.fixture(scope="module")
def django(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    yield from serve(packages, tmp_path_factory.mktemp("no-assets"), "wsgi:django_app:app")


def state(answer: httpx.Response) -> str | None:
    return answer.headers.get("X-Vinext-Cache")


def kept(client: httpx.Client, path: str, **headers: str) -> httpx.Response:
    """The answer from the cache."""
    return eventually(lambda: client.get(path, headers=headers), lambda answer: state(answer) == "HIT")


def test_flask_a_page_is_a_miss_and_then_a_hit(flask: httpx.Client) -> None:
    first = flask.get("/kept")
    assert (first.status_code, state(first), first.headers["Content-Type"]) == (200, "MISS", "text/html; charset=utf-8")
    assert kept(flask, "/kept").text == first.text


def test_flask_a_stale_page_is_served_while_it_is_made_again(flask: httpx.Client) -> None:
    flask.get("/short")
    first = kept(flask, "/short").text
    time.sleep(1.1)
    assert (flask.get("/short").text, eventually(lambda: flask.get("/short").text != first)) == (first, True)


def test_flask_what_has_no_period_is_made_for_each_request(flask: httpx.Client) -> None:
    first, second = (flask.get("/dynamic") for _ in range(2))
    assert (state(first), second.json()["count"]) == (None, first.json()["count"] + 1)


def test_flask_what_depends_on_the_visitor_is_nobody_else_s(flask: httpx.Client) -> None:
    for user in ("ann", "ben"):
        answer = flask.get("/account", headers={"Cookie": f"user={user}"})
        assert (answer.text, state(answer)) == (f"<p>{user}</p>", None)
        session = flask.get(f"/login/{user}")
        assert (session.text, state(session), "set-cookie" in session.headers) == (f"<p>{user}</p>", None, True)
        flask.cookies.clear()


def test_flask_an_invalidation_makes_the_page_and_its_data_anew(flask: httpx.Client) -> None:
    before = flask.get("/data").json()
    assert kept(flask, "/data").json() == before
    assert flask.post("/invalidate/stock").status_code == 204
    assert eventually(lambda: flask.get("/data").json() != before)


def test_flask_a_streamed_answer_is_kept_whole(flask: httpx.Client) -> None:
    text = "".join(f"part {number} of /streamed\n" for number in range(3))
    assert flask.get("/streamed").text == text
    assert kept(flask, "/streamed").text == text


def test_flask_forms_and_uploads(flask: httpx.Client) -> None:
    sent = flask.post("/form", data={"name": "ü"}, files={"file": ("a.bin", b"x" * 300_000)})
    assert sent.json() == {"name": "ü", "file": "a.bin", "size": 300_000}


def test_flask_a_large_body_is_read_part_by_part(flask: httpx.Client) -> None:
    parts = (b"x" * 1024 * 1024 for _ in range(MANY_BYTES // 1024 // 1024))
    assert flask.post("/size", content=parts).json() == {"size": MANY_BYTES}


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [("/missing", 404, "<p>nothing at /missing</p>"), ("/none", 404, "<p>nothing at /none</p>"), ("/raises", 500, "")],
)
def test_flask_s_own_pages_for_errors(flask: httpx.Client, path: str, status: int, text: str) -> None:
    answer = flask.get(path)
    assert (answer.status_code, state(answer)) == (status, None)
    assert text in answer.text


def test_flask_a_redirect_is_kept(flask: httpx.Client) -> None:
    assert flask.get("/old").status_code == 301
    assert kept(flask, "/old").headers["Location"] == "/kept"


def test_flask_head_has_headers_and_no_body(flask: httpx.Client) -> None:
    answer = flask.head("/dynamic")
    assert (answer.status_code, answer.content) == (200, b"")


def test_django_a_page_is_kept_in_each_language(django: httpx.Client) -> None:
    """LocaleMiddleware sends `Vary: Accept-Language`."""
    texts = {}
    for language in ("en", "de"):
        django.get("/kept/", headers={"Accept-Language": language})
        answer = kept(django, "/kept/", **{"Accept-Language": f"{language}-XX, xx;q=0.1"})
        texts[language] = answer.text
        assert answer.headers["Content-Language"] == language
    assert [text.split()[0] for text in texts.values()] == ["<p>en", "<p>de"]


def test_django_a_form_with_a_token_is_never_kept_and_works(django: httpx.Client) -> None:
    tokens = [django.get("/form/") for _ in range(2)]
    assert [state(answer) for answer in tokens] == [None, None]
    headers = {"X-CSRFToken": tokens[1].text, "Referer": str(django.base_url)}
    assert django.post("/form/", data={"name": "ann"}, headers=headers).json() == {"name": "ann"}
    django.cookies.clear()
    assert django.post("/form/", data={"name": "ann"}).status_code == 403


def test_django_streams_redirects_and_errors(django: httpx.Client) -> None:
    assert django.get("/streamed/").text == "part 0\npart 1\npart 2\n"
    assert kept(django, "/streamed/").text == "part 0\npart 1\npart 2\n"
    assert django.get("/none/").status_code == 404
