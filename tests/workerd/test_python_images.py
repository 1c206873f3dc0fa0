"""Images in workerd: real files, the images binding of the local runtime, and a server elsewhere."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker
from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer

    from vinext_worker.local_runtime import LocalRuntime

FILES = FIXTURE / "assets" / "images"
ALL = "image/avif,image/webp,*/*"


@pytest.fixture(scope="module")
def runtime(make_httpserver: HTTPServer) -> Iterator[LocalRuntime]:
    host = make_httpserver.url_for("/").rstrip("/")
    with python_worker({"VINEXT_IMAGE_HOSTS": host, "VINEXT_IMAGE_WIDTHS": "100,640"}) as started:
        yield started


def image(runtime: LocalRuntime, url: str, width: int = 100, endpoint: str = "/_next/image", **headers: str) -> httpx.Response:
    address = f"{runtime.url}{endpoint}?url={quote(url, safe='')}&w={width}&q=75"
    given = {"Accept": "*/*"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(address, headers=given, trust_env=False, timeout=60)


def png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack("!II", data[16:24])
    return width, height


def test_a_png_is_made_smaller(runtime: LocalRuntime) -> None:
    answer = image(runtime, "/images/picture.png")
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["X-Vinext-Cache"]) == (200, "image/png", "MISS")
    assert png_size(answer.content) == (100, 50)


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg", "picture.webp", "picture.avif"])
@pytest.mark.parametrize(("accept", "content_type"), [(ALL, "image/avif"), ("image/webp", "image/webp")])
def test_the_format_is_the_browsers(runtime: LocalRuntime, name: str, accept: str, content_type: str) -> None:
    answer = image(runtime, f"/images/{name}", endpoint="/_vinext/image", accept=accept)
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Vary"]) == (200, content_type, "Accept")
    marks = {"image/avif": answer.content[8:12] == b"avif", "image/webp": answer.content[8:12] == b"WEBP"}
    assert marks[content_type]


def test_a_second_request_is_a_hit_with_an_etag(runtime: LocalRuntime) -> None:
    first = image(runtime, "/images/picture.jpg")
    second = image(runtime, "/images/picture.jpg")
    assert (second.headers["X-Vinext-Cache"], second.content) == ("HIT", first.content)
    third = image(runtime, "/images/picture.jpg", if_none_match=second.headers["ETag"])
    assert (third.status_code, third.content) == (304, b"")


def test_an_image_is_never_made_larger(runtime: LocalRuntime) -> None:
    assert png_size(image(runtime, "/images/picture.gif", 640).content)[0] == 200


@pytest.mark.parametrize(
    ("name", "status", "content_type"),
    [
        pytest.param("moving.gif", 200, "image/gif", id="what moves stays as it is"),
        pytest.param("picture.svg", 400, "text/plain; charset=utf-8", id="SVG"),
        pytest.param("text.png", 400, "text/plain; charset=utf-8", id="a page called an image"),
        pytest.param("empty.png", 400, "text/plain; charset=utf-8", id="an empty file"),
        pytest.param("missing.png", 400, "text/plain; charset=utf-8", id="no file"),
    ],
)
def test_files_that_are_not_transformed(runtime: LocalRuntime, name: str, status: int, content_type: str) -> None:
    answer = image(runtime, f"/images/{name}", accept=ALL)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    if status == 200:
        assert answer.content == (FILES / name).read_bytes()


def test_a_broken_file_is_served_as_it_is(runtime: LocalRuntime) -> None:
    answer = image(runtime, "/images/broken.png", accept=ALL)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.content == (FILES / "broken.png").read_bytes()
    runtime.wait_for_log("image.not_transformed")


def test_forty_megapixels(runtime: LocalRuntime) -> None:
    answer = image(runtime, "/images/40mp.png")
    assert (answer.status_code, png_size(answer.content)) == (200, (100, 63))


@pytest.mark.parametrize(
    "url", ["//example.com/a.png", "/..%2fsrc/entry.py", "/__prerender/build.json", "https://example.com/a.png"]
)
def test_what_must_not_be_had_is_refused(runtime: LocalRuntime, url: str) -> None:
    assert image(runtime, url).status_code == 400


def test_a_remote_image_comes_without_anything_of_the_visitor(runtime: LocalRuntime, httpserver: HTTPServer) -> None:
    data = (FILES / "picture.png").read_bytes()
    httpserver.expect_request("/remote.png").respond_with_data(data, content_type="application/octet-stream")
    answer = image(runtime, httpserver.url_for("/remote.png"), cookie="who=me", authorization="Bearer x")
    assert (answer.status_code, png_size(answer.content)) == (200, (100, 50))
    request, _ = httpserver.log[-1]
    assert "Cookie" not in request.headers
    assert "Authorization" not in request.headers


def test_a_redirect_is_followed_where_its_target_is_allowed(runtime: LocalRuntime, httpserver: HTTPServer) -> None:
    data = (FILES / "picture.png").read_bytes()
    httpserver.expect_request("/target.png").respond_with_data(data, headers={"Cache-Control": "max-age=90000"})
    for name, location in (("moved", "/target.png"), ("away", "https://example.com/a.png")):
        response = Response(status=302, headers={"Location": location})
        httpserver.expect_request(f"/{name}.png").respond_with_response(response)
    answer = image(runtime, httpserver.url_for("/moved.png"))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=90000, must-revalidate")
    assert image(runtime, httpserver.url_for("/away.png")).status_code == 502
    assert [request.path for request, _ in httpserver.log] == ["/moved.png", "/target.png", "/away.png"]


@pytest.mark.parametrize(("status", "answered"), [(404, 404), (410, 410), (403, 403), (500, 502), (304, 502)])
def test_the_fault_of_the_request_is_passed_on(runtime: LocalRuntime, httpserver: HTTPServer, status: int, answered: int) -> None:
    httpserver.expect_request(f"/{status}.png").respond_with_data("", status=status)
    assert image(runtime, httpserver.url_for(f"/{status}.png")).status_code == answered


def test_a_file_with_a_space_in_its_name(runtime: LocalRuntime) -> None:
    assert image(runtime, "/images/with space.png").status_code == 200


def test_without_the_binding_the_original_is_served() -> None:
    with python_worker(without=frozenset({"IMAGES"})) as runtime:
        answer = image(runtime, "/images/picture.png", 640, accept=ALL)
        assert (answer.headers["Content-Type"], answer.content) == ("image/png", (FILES / "picture.png").read_bytes())
