"""Packs: the bodies of many routes in one file, from `vinext-worker copy` to the first request for each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.builds import BUILT_AT_MS, written_build
from tests.fakes.ports import FakeClock
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from seed.build import Artifact
from seed.sources import open_source
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.copy.pack import MAX_PACK_BYTES, MAX_PACKED_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seed.build import RouteRecord
    from vinext_worker.copy.build_copy import CopyReport

# As many routes a shard as a site of 100,000 has.
ROUTES = 390
FREE_PLAN_FILES = 20_000


def copied(root: Path, pages: Mapping[str, tuple[bytes, bytes]]) -> CopyReport:
    """Copy a build of pages by name, each with its HTML and its payload."""
    rows = [{"route": f"/{name}", "status": "rendered", "router": "app", "revalidate": False} for name in pages]
    document = {"buildId": "b", "trailingSlash": False, "routes": rows, "pregeneratedConcretePaths": []}
    files = {f"{name}.html": html for name, (html, _) in pages.items()} | {f"{name}.rsc": rsc for name, (_, rsc) in pages.items()}
    return copy_build(written_build(root, document, files), root / "assets")


def small(number: int) -> tuple[bytes, bytes]:
    return f"page {number} ".encode() * 600, f"payload {number} ".encode() * 300


def contents(root: Path) -> set[bytes]:
    """The contents of all files: wrangler uploads those that it has not uploaded before, whatever their names."""
    return {file.read_bytes() for file in (root / "assets").rglob("*") if file.is_file()}


def packs(root: Path) -> list[Path]:
    return sorted((root / "assets" / "__prerender" / "packs").iterdir())


async def record_of(root: Path, path: str) -> RouteRecord:
    source = await open_source(FakeAssets(folder=root / "assets"))
    assert source is not None
    found = await source.record(path)
    assert found is not None
    return found


async def worker(root: Path) -> FakeWorker:
    return await FakeWorker(FakeAssets(folder=root / "assets"), clock=FakeClock(BUILT_AT_MS + 1)).open()


def failures(served: FakeWorker) -> list[dict[str, object]]:
    return [fields for level, event, fields in served.log.lines if (level, event) == ("error", "seed.failed")]


def test_100_000_routes_of_10_kb_are_fewer_files_than_the_free_plan_takes(tmp_path: Path) -> None:
    bodies = {f"blog/post-{number}": (b"%9d." % number * 1024, b"%9d:" % number * 1024) for number in range(ROUTES)}
    report = copied(tmp_path, bodies)
    assert report.routes == ROUTES
    assert report.written_files * 100_000 / ROUTES < FREE_PLAN_FILES
    assert max(pack.stat().st_size for pack in packs(tmp_path)) <= MAX_PACK_BYTES


async def test_every_page_and_payload_is_served_from_its_pack(tmp_path: Path) -> None:
    copied(tmp_path, {f"p-{number}": small(number) for number in range(100)})
    served = await worker(tmp_path)
    for number in range(100):
        html, rsc = small(number)
        assert (await served.get(f"/p-{number}")).text == html.decode()
        assert (await served.get(f"/p-{number}.rsc")).text == rsc.decode()
    assert served.log.names() == []
    assert not (tmp_path / "assets" / "__prerender" / "artifacts").exists()


async def test_a_page_and_its_payload_lie_next_to_each_other(tmp_path: Path) -> None:
    copied(tmp_path, {f"p-{number}": small(number) for number in range(100)})
    for number in range(100):
        found = await record_of(tmp_path, f"/p-{number}")
        html, rsc = found.slices[Artifact.HTML], found.slices[Artifact.RSC]
        assert rsc.start == html.start + html.size_bytes


async def test_a_body_that_is_large_has_a_file_of_its_own(tmp_path: Path) -> None:
    large = b"x" * (MAX_PACKED_BYTES + 1)
    copied(tmp_path, {"large": (large, b"payload"), "both": (large + b"y", large + b"z"), "just": (large[1:], large[1:])})
    found = await record_of(tmp_path, "/large")
    assert found.slices.keys() == {Artifact.RSC}
    assert (await record_of(tmp_path, "/both")).slices == {}
    assert (await record_of(tmp_path, "/just")).slices.keys() == {Artifact.HTML, Artifact.RSC}
    served = await worker(tmp_path)
    assert (await served.get("/large")).text == large.decode()
    assert (await served.get("/large.rsc")).text == "payload"
    assert (await served.get("/both.rsc")).text == (large + b"z").decode()
    assert (await served.get("/just")).text == large[1:].decode()


def test_a_page_that_changes_changes_one_pack_and_one_shard(tmp_path: Path) -> None:
    pages = {f"p-{number}": small(number) for number in range(300)}
    copied(tmp_path, pages)
    before = contents(tmp_path)
    copied(tmp_path, pages | {"p-7": small(1000)})
    # build.json names the index.
    assert len(contents(tmp_path) - before) == 3


def test_pages_that_are_added_leave_the_packs_of_the_others(tmp_path: Path) -> None:
    pages = {f"p-{number}": small(number) for number in range(300)}
    copied(tmp_path, pages)
    before = contents(tmp_path)
    copied(tmp_path, pages | {f"new-{number}": small(2000 + number) for number in range(2)})
    assert len(contents(tmp_path) - before) <= 2 * 2 + 1


def test_the_order_of_the_manifest_does_not_matter(tmp_path: Path) -> None:
    pages = {f"p-{number}": small(number) for number in range(100)}
    copied(tmp_path, pages)
    assert copied(tmp_path, dict(reversed(pages.items()))).written_files == 0


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content[:-1] + b"?"], ids=["cut", "corrupt"])
async def test_of_a_damaged_pack_only_the_damaged_pages_are_missing_with_one_line_each(change: Any, tmp_path: Path) -> None:
    copied(tmp_path, {"a": (b"page a", b"payload a"), "b": (b"page b", b"payload b")})
    (pack,) = packs(tmp_path)
    pack.write_bytes(change(pack.read_bytes()))
    served = await worker(tmp_path)
    assert not (await served.get("/b.rsc")).is_cached
    assert not (await served.get("/b.rsc")).is_cached
    (fields,) = failures(served)
    assert fields["path"] == "/b"
    assert fields["error"] == f"the pack {pack.name} does not hold the rsc that was built"
    assert [(await served.get(url)).text for url in ("/a", "/a.rsc", "/b")] == ["page a", "payload a", "page b"]


async def test_a_pack_that_is_missing_costs_its_pages_only(tmp_path: Path) -> None:
    copied(tmp_path, {"a": (b"page a", b"payload a"), "large": (b"x" * (MAX_PACKED_BYTES + 1), b"payload")})
    (pack,) = packs(tmp_path)
    pack.unlink()
    served = await worker(tmp_path)
    for _ in range(2):
        assert not (await served.get("/a")).is_cached
    assert (await served.get("/large")).is_cached
    assert failures(served) == [{"path": "/a", "error": f"the pack {pack.name} of its html is missing"}]


async def test_a_copy_of_version_1_in_which_every_body_has_a_file_is_read() -> None:
    files = copied_build(BUILD, record("/about"))
    files["/__prerender/build.json"] = files["/__prerender/build.json"].replace(b'"version": 2', b'"version": 1')
    served = await FakeWorker(FakeAssets(files)).open()
    got = await asyncio.gather(served.get("/about"), served.get("/about.rsc"))
    assert [(one.state, one.text) for one in got] == [("HIT", "built page"), ("HIT", "built payload")]
