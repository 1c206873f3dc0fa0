"""Seeding from disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import BUILT_AT_MS, SCHEMAS, VERSIONS, VINEXT, copied, real_build, written_build
from tests.fakes.ports import FakeClock

from cache.memory import MemoryCacheHandler
from seed.build import AssetsError, ManifestError
from seed.entries import SeedEntry, seed_entries
from seed.from_directory import DirectoryAssets, open_directory, seed_from_directory
from vinext_worker.copy.build_copy import copy_build

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = {"0.0.38": 79, "1.4.0": 75}


def handler() -> MemoryCacheHandler:
    return MemoryCacheHandler(100_000_000, FakeClock(BUILT_AT_MS + 1))


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_page_of_a_copied_build_is_in_the_handler(version: str, tmp_path: Path) -> None:
    copied(version, tmp_path)
    cache = handler()
    seeded = await seed_from_directory(cache, tmp_path / "assets")
    assert (seeded.entries, seeded.skipped, len(cache)) == (ENTRIES[version], (), ENTRIES[version])
    build = f"app:{'v2:' if version == '1.4.0' else ''}{seeded.build_id}"
    entry = await cache.get(f"{build}:/blog/日本語:html")
    assert entry is not None
    assert (entry.last_modified_ms, entry.revalidate_at_ms) == (BUILT_AT_MS, BUILT_AT_MS + 3_600_000)
    assert await seed_from_directory(handler(), tmp_path / "assets" / "__prerender") == seeded


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_build_where_vinext_left_it_gives_the_same_entries(version: str, tmp_path: Path) -> None:
    built = real_build(version, tmp_path)
    server = built.manifest.parent
    (server / "prerendered-routes").symlink_to(VINEXT / version / "prerendered-routes")
    copy_build(built, tmp_path / "assets")
    of_copy = await open_directory(tmp_path / "assets")
    of_build = await open_directory(server)
    assert of_build.build.schema is SCHEMAS[version]
    assert dict(of_build.build.rsc_headers) == dict(of_copy.build.rsc_headers)
    assert (of_build.build.built_at_ms, of_build.build.base_path) == (of_copy.build.built_at_ms, of_copy.build.base_path)
    there = {item.key: item.entry for item in [item async for item in seed_entries(of_copy)] if isinstance(item, SeedEntry)}
    cache = handler()
    seeded = await seed_from_directory(cache, server)
    assert seeded.entries == len(there)
    assert seeded.skipped
    for key, entry in there.items():
        found = await cache.get(key)
        assert found is not None
        assert (found.tags, found.revalidate_at_ms, found.expire_at_ms) == (
            entry.tags,
            entry.revalidate_at_ms,
            entry.expire_at_ms,
        )
    assert await of_build.record("/about") is not None
    assert await of_build.record("/nowhere") is None


async def test_a_page_that_was_invalidated_since_the_build_is_left_out(tmp_path: Path) -> None:
    copied("1.4.0", tmp_path)
    cache = handler()
    await cache.revalidate_tag("_N_T_/about")
    assert (await seed_from_directory(cache, tmp_path / "assets")).entries == 73
    assert await cache.get("app:v2:8dd92ee6-2d78-4cda-8910-512f5d198150:/about:html") is None


async def test_what_is_missing_is_skipped_with_the_reason(tmp_path: Path) -> None:
    rows = [
        {"route": path, "status": "rendered", "router": "app", "revalidate": period}
        for path, period in {"/a": 60, "/gone": 60, "/../out": 60, "/never": 0}.items()
    ]
    document = {"buildId": "b", "trailingSlash": False, "routes": rows, "pregeneratedConcretePaths": []}
    built = written_build(tmp_path, document, {"a.html": b"<p>", "never.html": b"<p>"})
    seeded = await seed_from_directory(handler(), built.manifest.parent)
    assert seeded.entries == 1
    assert [item.path for item in seeded.skipped] == ["/gone", "/../out", "/never"]
    reasons = [item.reason for item in seeded.skipped]
    assert "is missing" in reasons[0]
    assert "leaves the folder" in reasons[1]
    assert "period is 0" in reasons[2]


async def test_a_damaged_shard_costs_its_pages_alone(tmp_path: Path) -> None:
    copied("1.4.0", tmp_path)
    (index,) = (tmp_path / "assets" / "__prerender" / "index").iterdir()
    (index / "0.json").write_text("{")
    seeded = await seed_from_directory(handler(), tmp_path / "assets")
    assert 0 < seeded.entries < ENTRIES["1.4.0"]
    assert "all pages of shard 0" in seeded.skipped[0].reason


async def test_a_folder_without_a_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no build"):
        await seed_from_directory(handler(), tmp_path)


async def test_assets_of_a_folder_are_its_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b%.txt").write_bytes(b"text")
    (tmp_path / "secret").write_bytes(b"secret")
    assets = DirectoryAssets(tmp_path / "in")
    found = await assets.get("/a%20b%25.txt")
    assert found is not None
    assert found.to_bytes() == b"text"
    for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "/", "/none", "/a%20b%25.txt/x", "/a%00"):
        assert await assets.get(path) is None
    shutil.copytree(tmp_path / "in", tmp_path / "in" / "folder")
    assert await assets.get("/folder") is None
    with pytest.raises(AssetsError, match="cannot be read"):
        await assets.get(f"/{'x' * 5000}")
