from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.builds import BUILT_AT_MS, VERSIONS, real_build, seedable, set_built_at, written_build
from tests.fakes.ports import FakeClock
from tests.fakes.worker import FakeWorker

from cache.keys import KeySchema
from seed.build import Build, shard_count
from seed.sources import CopiedSource, open_source
from vinext_worker.copy import build_copy
from vinext_worker.copy.build_copy import CopyReport, copy_build, expected_files
from vinext_worker.copy.pack import MAX_PACKED_BYTES
from vinext_worker.errors import UserError
from vinext_worker.sites.files import remove_others, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vinext_worker.sites.site_build import SiteBuild


def route(path: str = "/about", **fields: Any) -> dict[str, Any]:
    return {"route": path, "status": "rendered", "router": "app", "revalidate": 60} | fields


def manifest(*routes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"buildId": "b1", "trailingSlash": False, "routes": list(routes), "pregeneratedConcretePaths": []} | fields


SMALL = manifest(route("/"), route("/about"), route("/blog", revalidate=False))
FILES = {"index.html": b"home", "index.rsc": b"home rsc", "about.html": b"about", "about.rsc": b"about rsc", "blog.html": b"blog"}


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def build_of(destination: Path) -> Build:
    return Build.from_json((destination / "__prerender" / "build.json").read_bytes(), "build.json")


async def worker(destination: Path) -> FakeWorker:
    return await FakeWorker(FakeAssets(folder=destination), clock=FakeClock(BUILT_AT_MS + 1)).open()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_run_writes_nothing(version: str, tmp_path: Path) -> None:
    built, destination = real_build(version, tmp_path), tmp_path / "assets"
    first = copy_build(built, destination)
    before = snapshot(destination)
    second = copy_build(built, destination)
    assert snapshot(destination) == before
    assert (second.written_files, second.removed_files) == (0, 0)
    assert second.unchanged_files == first.written_files == len(before) == expected_files(built)
    assert (second.routes, second.skipped) == (first.routes, first.skipped)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_says_what_is_served_from_the_build_and_what_is_not(version: str, tmp_path: Path) -> None:
    report = copy_build(real_build(version, tmp_path), tmp_path / "assets")
    assert report.routes == len(seedable(version))
    skipped = dict(report.skipped)
    assert skipped["/dash"] == "skipped: dynamic"
    assert skipped["/legacy-ssr"] == "skipped: ssr"
    build = build_of(tmp_path / "assets")
    assert "/dash" in build.dynamic_paths
    assert build.dynamic_paths == tuple(
        path for path, reason in report.skipped if reason == "skipped: dynamic" and ":" not in path
    )
    assert build.built_at_ms == BUILT_AT_MS
    assert build.shards == shard_count(report.routes)
    assert build.routers == ("app", "pages")
    assert build.schema is (KeySchema.V1 if version == "0.0.38" else KeySchema.V2)


async def test_what_changed_only_is_written_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    destination = tmp_path / "assets"
    copy_build(written_build(tmp_path, SMALL, FILES | {"index.html": b"home" * MAX_PACKED_BYTES}), destination)
    before = snapshot(destination)
    changed = manifest(route("/"), route("/about"), buildId="b2")
    report = copy_build(written_build(tmp_path, changed, {"about.html": b"about, again"}), destination)
    after = snapshot(destination)
    unchanged = {name for name in before if after.get(name) == before[name]}
    # A page of more than a pack takes.
    assert len(unchanged) == report.unchanged_files == 1
    # The pack, the one shard of the index, build.json, and the note of its static files.
    assert report.written_files == 4
    assert report.removed_files == len(before.keys() - after.keys()) == 2
    served = await worker(destination)
    assert (await served.get("/about")).text == "about, again"
    assert not (await served.get("/blog")).is_cached


@pytest.mark.parametrize(
    ("routes", "files", "paths", "reason"),
    [
        pytest.param([route("/a")], {}, ["/a"], "a.html", id="missing-html"),
        pytest.param([route("/../../secret")], {}, ["/../../secret"], "leaves the folder", id="traversal"),
        pytest.param([route("/a\\..\\b")], {}, ["/a\\..\\b"], "leaves the folder", id="backslashes"),
        pytest.param([route("/a\0")], {}, ["/a\0"], "leaves the folder", id="nul"),
        pytest.param([route("/a\ud800")], {}, ["/a\ud800"], "surrogates not allowed", id="lone-surrogate"),
        pytest.param([route("/" + "x" * 300)], {}, ["/" + "x" * 300], "File name too long", id="name-too-long"),
        pytest.param([route("/a")], {"a.html/x": b""}, ["/a"], "s a directory", id="a-folder-of-that-name"),
        pytest.param([route(status="error", error="boom")], {}, ["/about"], "error: boom", id="error"),
        pytest.param([{"route": 1}], {}, [""], "route 3", id="unreadable-row"),
    ],
)
async def test_a_route_that_cannot_be_copied_is_named_and_the_rest_is_copied(
    routes: list[dict[str, Any]], files: dict[str, bytes], paths: list[str], reason: str, tmp_path: Path
) -> None:
    document = SMALL | {"routes": [*SMALL["routes"], *routes]}
    report = copy_build(written_build(tmp_path, document, FILES | files), tmp_path / "assets")
    assert report.routes == 3
    assert [path for path, _ in report.skipped] == paths
    assert reason in report.skipped[0][1]
    served = await worker(tmp_path / "assets")
    for path, text in (("/", "home"), ("/about", "about"), ("/blog", "blog"), ("/.rsc", "home rsc")):
        assert (await served.get(path)).text == text


def test_nothing_outside_the_build_is_ever_copied(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "secret.html").write_bytes(b"secret")
    for path in ("/../../secret", "/%2e%2e/%2e%2e/secret", "/..%2f..%2fsecret", "/a/../../../secret"):
        copy_build(written_build(tmp_path, manifest(route(path)), {}), tmp_path / "assets")
        assert not any(
            b"secret" in content for name, (content, _) in snapshot(tmp_path / "assets").items() if "/index/" not in name
        )


async def test_a_page_without_a_payload_is_copied_alone(tmp_path: Path) -> None:
    copy_build(written_build(tmp_path, SMALL, FILES), tmp_path / "assets")
    served = await worker(tmp_path / "assets")
    assert (await served.get("/blog")).state == "HIT"
    assert not (await served.get("/blog.rsc")).is_cached
    assert "seed.failed" not in served.log.names()


async def test_a_page_that_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_copy, "MAX_BODY_BYTES", 100)
    report = copy_build(written_build(tmp_path, SMALL, FILES | {"about.html": b"x" * 101}), tmp_path / "assets")
    ((path, reason),) = report.skipped
    assert (path, reason) == ("/about", "about.html has 101 bytes, but an asset may have at most 100")
    assert report.routes == 2


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    (built.artifacts_directory / "about.html").unlink()
    (built.artifacts_directory / "about.html").symlink_to("about.html")
    report = copy_build(built, tmp_path / "assets")
    ((path, reason),) = report.skipped
    assert path == "/about"
    assert "symbolic links" in reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(SMALL).encode()[:-20], "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"routes": ' + b"[" * 100_000, "is not JSON"),
        (b"[]", ""),
        (json.dumps({"routes": []}).encode(), "has no buildId"),
        (json.dumps({"buildId": "b"}).encode(), "has no list of routes"),
        (json.dumps({"buildId": "b", "routes": {}}).encode(), "has no list of routes"),
    ],
    ids=["truncated", "empty", "not-utf8", "nested", "nested-routes", "no-object", "no-build-id", "no-routes", "routes-no-list"],
)
def test_a_manifest_that_is_none_is_one_line_and_changes_nothing(text: bytes, message: str, tmp_path: Path) -> None:
    destination = tmp_path / "assets"
    copy_build(written_build(tmp_path, SMALL, FILES), destination)
    before = snapshot(destination)
    built = written_build(tmp_path, text, {})
    with pytest.raises(UserError) as raised:
        copy_build(built, destination)
    assert str(raised.value).startswith(str(built.manifest))
    assert message in str(raised.value)
    assert "build the site" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert snapshot(destination) == before


def test_a_manifest_that_is_missing_is_one_line(tmp_path: Path) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    built.manifest.unlink()
    with pytest.raises(UserError, match=r"vinext-prerender\.json cannot be read .*build the site again"):
        copy_build(built, tmp_path / "assets")
    assert not (tmp_path / "assets").exists()


async def test_a_build_without_pages_is_copied_as_one(tmp_path: Path) -> None:
    report = copy_build(written_build(tmp_path, manifest(), {}), tmp_path / "assets")
    assert report == CopyReport("b1", 0, 2, 0, 0, ())
    assert build_of(tmp_path / "assets").shards == 0
    served = await worker(tmp_path / "assets")
    assert served.site.build_id == "b1"
    assert not (await served.get("/about")).is_cached


@pytest.mark.parametrize("name", ["thesis.txt", ".git/HEAD", "static/logo.png"])
def test_a_folder_with_files_of_somebody_elses_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    built, destination = written_build(tmp_path, SMALL, FILES), tmp_path / "documents"
    (destination / name).parent.mkdir(parents=True)
    (destination / name).write_text("mine")
    with pytest.raises(UserError, match=rf"documents has files that no copy has put there \({name.partition('/')[0]}\)"):
        copy_build(built, destination)
    assert snapshot(destination).keys() == {name}


def test_the_folder_of_the_builds_own_static_files_takes_the_pages(tmp_path: Path) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    (built.client_directory / "logo.png").write_text("logo")
    copy_build(built, built.client_directory)
    assert (built.client_directory / "logo.png").read_text() == "logo"
    assert build_of(built.client_directory).build_id == "b1"


def test_an_empty_destination_takes_a_build_without_static_files(tmp_path: Path) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    built.client_directory.rmdir()
    (tmp_path / "assets").mkdir()
    copy_build(built, tmp_path / "assets")
    assert build_of(tmp_path / "assets").build_id == "b1"


def test_a_destination_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "assets").write_bytes(b"a file")
    with pytest.raises(UserError, match=r"the build cannot be copied to .*assets"):
        copy_build(written_build(tmp_path, SMALL, FILES), tmp_path / "assets")


@pytest.mark.parametrize("writes", range(3))
def test_a_run_that_is_cut_off_leaves_the_build_that_was_there(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "assets"
    copy_build(written_build(tmp_path, SMALL, FILES), destination)
    before = snapshot(destination)
    built = written_build(tmp_path, SMALL | {"buildId": "b2"}, {name: body + b"2" for name, body in FILES.items()})
    # The one pack, the one shard of the index, and build.json.
    left = iter(range(writes))

    def interrupted(path: Path, content: bytes) -> bool:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return write_atomically(path, content)

    monkeypatch.setattr(build_copy, "write_atomically", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy_build(built, destination)
    after = snapshot(destination)
    assert {name: after.get(name) for name in before} == before
    monkeypatch.undo()
    copy_build(built, destination)
    assert build_of(destination).build_id == "b2"
    assert not before.keys() - {"__prerender/build.json", "__prerender/static-files.json"} & snapshot(destination).keys()


async def test_the_index_finds_every_route_in_one_shard(tmp_path: Path) -> None:
    routes = [route(f"/p/{number}") for number in range(200)]
    files = {f"p/{number}.html": f"page {number}".encode() for number in range(200)}
    copy_build(written_build(tmp_path, manifest(*routes), files), tmp_path / "assets")
    assert build_of(tmp_path / "assets").shards == 8
    for number in range(0, 200, 20):
        assets = FakeAssets(folder=tmp_path / "assets")
        source = await open_source(assets)
        assert isinstance(source, CopiedSource)
        found = await source.record(f"/p/{number}")
        assert found is not None
        assert assets.count("/index/") == 1


async def test_pages_with_the_same_content_are_kept_once(tmp_path: Path) -> None:
    same = {"index.html": b"same", "about.html": b"same", "blog.html": b"same", "index.rsc": b"payload"}
    copy_build(written_build(tmp_path, SMALL, same), tmp_path / "assets")
    (pack,) = (tmp_path / "assets" / "__prerender" / "packs").iterdir()
    assert pack.read_bytes().count(b"same") == 1
    served = await worker(tmp_path / "assets")
    assert [(await served.get(path)).text for path in ("/", "/about", "/blog")] == ["same"] * 3


async def test_paths_that_differ_in_case_alone_are_two_pages(tmp_path: Path) -> None:
    document = manifest(route("/Team"), route("/team"))
    copy_build(written_build(tmp_path, document, {"Team.html": b"upper", "team.html": b"lower"}), tmp_path / "assets")
    served = await worker(tmp_path / "assets")
    assert [(await served.get(path)).text for path in ("/Team", "/team")] == ["upper", "lower"]


async def test_redirects_and_errors_are_copied_with_status_and_headers(tmp_path: Path) -> None:
    document = manifest(
        route("/moved", responseStatus=308, headers={"location": "/about"}),
        route("/gone", responseStatus=410),
        route("/404", revalidate=False),
    )
    files = {"moved.html": b"", "moved.rsc": b"", "gone.html": b"gone", "404.html": b"none"}
    copy_build(written_build(tmp_path, document, files), tmp_path / "assets")
    served = await worker(tmp_path / "assets")
    # The client takes a redirect out of the payload itself, so that is a 200.
    for url, status in (("/moved", 308), ("/moved.rsc", 200)):
        got = await served.get(url)
        assert (got.status, got.header("location"), got.state) == (status, "/about", "HIT")
    assert (await served.get("/gone")).status == 410
    assert (await served.get("/404")).status == 404


async def test_a_site_with_trailing_slashes(tmp_path: Path) -> None:
    document = manifest(route("/"), route("/about"), route("/404"), trailingSlash=True)
    files = {"index.html": b"home", "about/index.html": b"about", "about.rsc": b"payload", "404.html": b"none"}
    copy_build(written_build(tmp_path, document, files), tmp_path / "assets")
    served = await worker(tmp_path / "assets")
    for url, text in (("/", "home"), ("/about/", "about"), ("/about.rsc", "payload"), ("/404/", "none")):
        assert (await served.get(url)).text == text
    assert not (await served.get("/about")).is_cached


async def test_metadata_routes_are_copied_with_their_headers(tmp_path: Path) -> None:
    document = manifest(route("/sitemap.xml", router="metadata", headers={"content-type": "application/xml"}))
    copy_build(written_build(tmp_path, document, {"sitemap.xml.route": b"<urlset/>"}), tmp_path / "assets")
    got = await (await worker(tmp_path / "assets")).get("/sitemap.xml")
    assert (got.state, got.text, got.header("content-type")) == ("HIT", "<urlset/>", "application/xml")


def client_file(built: SiteBuild, name: str, content: bytes = b"x") -> Path:
    file = built.client_directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_static_files_are_mirrored_beside_the_pages(tmp_path: Path) -> None:
    destination = tmp_path / "assets"
    built = written_build(tmp_path, SMALL, FILES)
    client_file(built, "_next/static/a.js", b"a")
    old = client_file(built, "old/only.txt", b"old")
    client_file(built, "__prerender/build.json", b"not ours")
    copy_build(built, destination)
    assert (destination / "_next/static/a.js").read_bytes() == b"a"
    assert build_of(destination).build_id == "b1"
    old.unlink()
    client_file(built, "_next/static/a.js", b"b")
    report = copy_build(built, destination)
    assert (destination / "_next/static/a.js").read_bytes() == b"b"
    assert not (destination / "old").exists()
    assert (report.written_files, report.removed_files) == (1, 1)


def test_the_folders_of_scripts_are_recorded(tmp_path: Path) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    client_file(built, "shop/_next/static/a.js")
    report = copy_build(built, tmp_path / "assets")
    assert build_of(tmp_path / "assets").static_folders == report.static_folders == ("/shop/_next/static/",)


def test_a_static_file_takes_the_place_of_a_folder_and_the_other_way(tmp_path: Path) -> None:
    destination = tmp_path / "assets"
    built = written_build(tmp_path, SMALL, FILES)
    first, second = client_file(built, "docs/a.txt"), client_file(built, "feed", b"feed")
    copy_build(built, destination)
    first.unlink()
    first.parent.rmdir()
    second.unlink()
    client_file(built, "docs", b"docs")
    client_file(built, "feed/a.xml", b"a")
    copy_build(built, destination)
    assert (destination / "docs").read_bytes() == b"docs"
    assert (destination / "feed/a.xml").read_bytes() == b"a"
    assert copy_build(built, destination).written_files == 0


def test_the_time_of_the_build_is_the_manifest_s(tmp_path: Path) -> None:
    built = written_build(tmp_path, SMALL, FILES)
    set_built_at(built.manifest, 1_600_000_000_000)
    copy_build(built, tmp_path / "assets")
    assert build_of(tmp_path / "assets").built_at_ms == 1_600_000_000_000


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "folder" / "a.json"
    assert write_atomically(file, b"one")
    assert not write_atomically(file, b"one")
    assert file.stat().st_mode & 0o777 == 0o644

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"two")
    assert file.read_bytes() == b"one"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        (lambda name: True, {"a", "b/c", "b/d/e"}),
        (lambda name: False, set()),
        (lambda name: name == "b/d/e", {"b/d/e"}),
        (lambda name: name == "b", {"b/c", "b/d/e"}),
    ],
    ids=["all", "none", "one", "a-folder"],
)
def test_other_files_and_empty_folders_are_removed(kept: Callable[[str], bool], left: set[str], tmp_path: Path) -> None:
    for name in ("a", "b/c", "b/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "b/empty").mkdir()
    removed = remove_others(tmp_path, kept)
    assert snapshot(tmp_path).keys() == left
    assert removed == 3 - len(left)
    if not left:
        assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/link").symlink_to(tmp_path / "outside")
    assert remove_others(tmp_path / "folder", lambda name: False) == 1
    assert (tmp_path / "outside/file").exists()
    assert remove_others(tmp_path / "nowhere", lambda name: False) == 0
