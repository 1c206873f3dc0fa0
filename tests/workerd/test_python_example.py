"""The Starlette example, as `./scripts/dev --site examples/starlette` serves it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.python_worker import PROJECT
from tests.workerd.patience import eventually

from vinext_worker.dev.changed_site import forget_pages
from vinext_worker.dev.preparation import prepare_python_site
from vinext_worker.errors import ConfigurationError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import python_build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLE = PROJECT.root / "examples" / "starlette"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> PythonProject:
    folder = tmp_path_factory.mktemp("starlette") / "site"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("dist", "state", "assets", "python_modules"))
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("../..", str(PROJECT.root)))
    site = PythonProject.find(folder)
    assert site is not None
    prepare_python_site(site, PROJECT.tools, Console(quiet=True), site.config.assets_directory)
    return site


@pytest.fixture(scope="module")
def runtime(site: PythonProject) -> Iterator[LocalRuntime]:
    variables = {"VINEXT_SERVER_TIMING": "on"}  # by that header, answers of the Worker are told from those of the assets
    options = RuntimeOptions(config=site.config, tools=PROJECT.tools, vendored=site.packages, variables=variables)
    with LocalRuntime(options) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def client(runtime: LocalRuntime) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=runtime.url, trust_env=False, timeout=20) as connected:
        yield connected


@pytest.mark.parametrize("path", ["/", "/posts", "/posts/first-post", "/posts/gr%C3%BC%C3%9Fe", "/posts/a%20b", "/api/time"])
def test_pages_of_the_build_are_hits_from_the_first_request_on(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["X-Vinext-Cache"]) in {(200, "HIT"), (200, "STALE")}


@pytest.mark.parametrize("path", ["/hello?name=Ada", "/account"])
def test_other_pages_are_rendered_for_each_request(client: httpx.Client, path: str) -> None:
    assert "X-Vinext-Cache" not in client.get(path).headers
    assert client.get("/hello?name=Ada").text.count("Ada") == 1


def test_a_streamed_page_arrives_in_parts_and_is_stored(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as answer:
        parts = answer.iter_raw()
        first = next(parts)
        rest = b"".join(parts)
    assert b"Part by part" in first
    assert b"part 5" not in first
    assert b"part 5" in rest
    eventually(lambda: client.get("/stream").headers["X-Vinext-Cache"], lambda state: state == "HIT")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/robots.txt", "text/plain"), ("/images/picture.jpg", "image/jpeg"), ("/static/site.css", "text/css")],
)
def test_static_files_are_served_at_their_paths_without_python(client: httpx.Client, path: str, kind: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)
    unchanged = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.post(path).status_code == 405
    assert "Server-Timing" not in {**answer.headers, **unchanged.headers}
    assert "Server-Timing" in client.get("/posts").headers


@pytest.mark.parametrize("path", ["/__prerender/", "/%5F_prerender/", "/__%70rerender/", "//__prerender/", "/..%2f__prerender/"])
def test_the_files_of_the_cache_stay_private(client: httpx.Client, path: str) -> None:
    answer = client.get(httpx.URL(str(client.base_url), raw_path=f"{path}build.json".encode()))
    assert answer.status_code in {307, 404}
    assert "buildId" not in answer.text


def test_images_and_missing_pages(client: httpx.Client) -> None:
    image = client.get("/_vinext/image?url=/images/picture.jpg&w=384&q=75", headers={"Accept": "image/webp"})
    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/webp")
    missing = client.get("/posts/none")
    assert (missing.status_code, "There is no such page" in missing.text) == (404, True)


def test_nothing_is_rebuilt_if_nothing_changed(site: PythonProject) -> None:
    manifest = python_build(site).manifest.read_bytes()
    prepare_python_site(site, PROJECT.tools, Console(quiet=True), site.config.assets_directory)
    assert python_build(site).manifest.read_bytes() == manifest
    (site.sources / "posts.py").write_text((site.sources / "posts.py").read_text() + "\n")
    prepare_python_site(site, PROJECT.tools, Console(quiet=True), site.config.assets_directory)
    assert python_build(site).manifest.read_bytes() != manifest


def test_its_upload_has_the_app_the_worker_and_the_packages(site: PythonProject, tmp_path: Path) -> None:
    wrangler = PROJECT.tools.node_modules / "wrangler" / "bin" / "wrangler.js"
    environment = {**os.environ, "WRANGLER_SEND_METRICS": "false", "CI": "1", "WRANGLER_LOG_PATH": str(tmp_path / "logs")}
    command: list[str | Path] = [PROJECT.tools.node, wrangler, "deploy", "--dry-run", "--outdir", tmp_path / "out"]
    done = subprocess.run(command, cwd=site.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    uploaded = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert {"entry.py", "app.py", "layout.html", "python_modules/vinext/worker.py"} <= uploaded
    assert {"python_modules/vinext/isr/settings.py", "python_modules/starlette/routing.py"} <= uploaded


def test_a_site_without_assets_names_the_missing_setting(site: PythonProject, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    text = site.config.path.read_text()
    (tmp_path / "wrangler.toml").write_text(text.replace("[assets]", "[unused]"))
    bare = PythonProject.find(tmp_path)
    assert bare is not None
    with pytest.raises(ConfigurationError, match=r"has no \[assets\]"):
        prepare_python_site(bare, PROJECT.tools, Console(quiet=True), tmp_path / "assets")


def test_after_a_reload_no_page_is_of_the_former_sources(site: PythonProject, runtime: LocalRuntime) -> None:
    app = site.sources / "app.py"
    app.write_text(app.read_text().replace("Pages of Python, from the cache", "Pages of changed sources"))
    forget_pages(site.config.assets_directory)
    runtime.reload()
    answer = httpx.get(f"{runtime.url}/", trust_env=False)
    assert (answer.headers["X-Vinext-Cache"], "Pages of changed sources" in answer.text) == ("MISS", True)
    assert httpx.get(f"{runtime.url}/images/picture.jpg", trust_env=False).status_code == 200
