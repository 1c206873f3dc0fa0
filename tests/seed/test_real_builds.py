"""Two real builds, seeded completely, beside what vinext's own seeders and servers made of them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.builds import BUILT_AT_MS, RSC_BUILD_ID, VERSIONS, copied, dump, file_of, manifest, plain, references, seedable
from tests.fakes.ports import FakeClock
from tests.fakes.worker import FakeWorker

from cache.entry import AppPageValue, PagesValue
from cache.keys import KeySchema, page_key
from cache.tags import path_tags
from core.paths import normalize_path
from seed.build import Artifact
from seed.routes import artifact_files
from seed.routing import ROUTING_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from cache.entry import CacheEntry

LAYOUTS = ("copied", "plain")


async def seeded(version: str, layout: str, root: Path) -> tuple[FakeWorker, dict[str, CacheEntry]]:
    """A worker and the entries of every route of a build, by their keys."""
    assets = copied(version, root) if layout == "copied" else plain(version)
    # The plain layout does not know when it was built: its pages count as old as can be.
    clock = FakeClock(BUILT_AT_MS if layout == "copied" else 1000)
    served = await FakeWorker(assets, clock=clock).open()
    entries = {}
    for route in seedable(version):
        path = normalize_path(route.path)
        for artifact in dict.fromkeys(artifact.stored for artifact in Artifact):
            key = served.site.key(path, artifact)
            entry = await served.seeder.seed(key, path, artifact)
            if entry is not None:
                entries[key] = entry
    await served.settle()
    return served, entries


def body(entry: CacheEntry) -> bytes:
    value = entry.value
    assert isinstance(value, AppPageValue | PagesValue)
    if isinstance(value, AppPageValue) and value.rsc_data is not None:
        assert value.html.to_bytes() == b""
        return value.rsc_data.to_bytes()
    return value.html.to_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_every_artifact_is_seeded_byte_for_byte_and_fetched_once(version: str, layout: str, tmp_path: Path) -> None:
    served, entries = await seeded(version, layout, tmp_path)
    expected = {}
    for route in seedable(version):
        for artifact, name in artifact_files(route, trailing_slash=False).items():
            if (artifact, route.path) != (Artifact.RSC, "/404"):
                expected[served.site.key(normalize_path(route.path), artifact)] = file_of(version, name)
    assert {key: body(entry) for key, entry in entries.items()} == expected
    assert len(expected) == {"0.0.38": 79, "1.4.0": 75}[version]
    fetched = sum(times for path, times in served.assets.fetched.items() if not path.endswith(".json"))
    # The plain layout does not know that /404 has no payload.
    assert fetched == len(expected) + (layout == "plain")
    for key, entry in entries.items():
        found = await served.cache.get(key)
        assert found == entry, "the handler keeps what the first visitor got"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_entries_have_the_periods_tags_and_times_of_the_build(version: str, layout: str, tmp_path: Path) -> None:
    served, entries = await seeded(version, layout, tmp_path)
    built_at_ms = BUILT_AT_MS if layout == "copied" else 0
    schema = manifest(version).schema
    for route in seedable(version):
        path = normalize_path(route.path)
        entry = entries[served.site.key(path, Artifact.PAGES if route.router == "pages" else Artifact.HTML)]
        assert entry.last_modified_ms == built_at_ms
        # The plain layout does not know when the build was, so it cannot tell that a page has expired since.
        expire_seconds = route.expire_seconds if layout == "copied" else None
        assert (entry.revalidate_seconds, entry.expire_seconds) == (route.revalidate_seconds, expire_seconds)
        due = None if route.revalidate_seconds is None else built_at_ms + int(route.revalidate_seconds * 1000)
        assert entry.revalidate_at_ms == due
        valid = [tag for tag in (*path_tags(schema, path), *route.tags) if len(tag) <= 256 and ":" not in tag]
        assert {tag for tag in entry.tags if len(tag) <= 256 and ":" not in tag} == set(valid)
        rsc = entries.get(served.site.key(path, Artifact.RSC))
        assert rsc is None or (rsc.tags, rsc.revalidate_at_ms) == (entry.tags, entry.revalidate_at_ms)


async def test_keys_bodies_and_periods_of_0_0_38_are_those_of_its_own_seeder(tmp_path: Path) -> None:
    _, entries = await seeded("0.0.38", "copied", tmp_path)
    theirs = {row["key"]: row for row in dump("0.0.38", "seed-dump")["entries"]}
    # A fault of theirs: the paths of the manifest are not decoded, so encoded ones never hit.
    # It does not seed the pages of the Pages Router.
    entries = {key: entry for key, entry in entries.items() if not key.startswith("pages:")}
    repaired = {}
    for key, row in theirs.items():
        prefix, _, rest = key.partition(":/")
        path, _, suffix = rest.rpartition(":")
        repaired[key if "__hash:" in key else f"{prefix}:{normalize_path('/' + path)}:{suffix}"] = row
    assert entries.keys() == repaired.keys()
    routes = [route for route in seedable("0.0.38") if route.router != "pages"]
    faulty = {route.path for route in routes if normalize_path(route.path) != route.path and len(route.path) < 200}
    assert sum(key not in theirs for key in repaired) == 2 * len(faulty)
    for key, row in repaired.items():
        rsc = row["value"].get("rscData")
        assert body(entries[key]) == (row["value"]["html"].encode() if rsc is None else base64.b64decode(rsc["$base64"]))
        assert entries[key].revalidate_seconds == row["ctx"].get("revalidate")


async def test_keys_tags_and_periods_of_1_4_0_are_those_its_own_worker_writes(tmp_path: Path) -> None:
    _, entries = await seeded("1.4.0", "copied", tmp_path)
    own_id = manifest("1.4.0").build_id
    # Their Worker was another build of the same site.
    theirs = {
        row["key"].removeprefix("cache:").replace(":vapp-140-cf1:", f":{own_id}:"): json.loads(row["value"])
        for row in dump("1.4.0", "kv-dump")["entries"]
        if row["key"].startswith("cache:app:")
    }
    common = entries.keys() & theirs.keys()
    assert len(common) >= 45
    for key in common:
        ours, row = entries[key], theirs[key]
        # Ours also have the tags of the path, where theirs have those of the route's pattern alone.
        assert set(row["tags"]) <= set(ours.tags), key
        periods = row["cacheControl"]
        assert (ours.revalidate_seconds, ours.expire_seconds) == (periods.get("revalidate"), periods.get("expire")), key


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_page_is_a_hit_in_the_form_in_which_it_is_linked(version: str, tmp_path: Path) -> None:
    served = await FakeWorker(copied(version, tmp_path), clock=FakeClock(BUILT_AT_MS + 1)).open()
    for route in seedable(version):
        files = artifact_files(route, trailing_slash=False)
        got = await served.get(route.path)
        html = files.get(Artifact.PAGES) or files[Artifact.HTML]
        assert (got.state, got.body) == ("HIT", file_of(version, html)), route.path
        assert got.status == (404 if route.path == "/404" else 200)
        assert got.header("content-type") == "text/html; charset=utf-8"
        head = await served.get(route.path, method="HEAD")
        assert (head.headers, head.body) == (got.headers, None)
        if route.path == "/404" or route.router == "pages":
            continue
        rsc = await served.get(f"{route.path}.rsc")
        assert (rsc.state, rsc.body) == ("HIT", file_of(version, files[Artifact.RSC])), route.path
    assert not served.pages.answered
    assert not served.pages.rendered


async def test_answers_of_1_4_0_are_those_of_its_own_worker_with_the_same_seeds(tmp_path: Path) -> None:
    served = await FakeWorker(copied("1.4.0", tmp_path), clock=FakeClock(BUILT_AT_MS + 1)).open()
    routes = {normalize_path(route.path) for route in seedable("1.4.0")}
    # Made anew after an invalidation, when vinext leaves out the header.
    made_live = {"tagged-4"}
    compared = 0
    for reference in references("1.4.0", "reference-responses-worker-seeded"):
        path = reference.path.partition("?")[0].removesuffix(".rsc")
        if reference.headers.get("x-vinext-cache") != "HIT" or normalize_path(path) not in routes or reference.name in made_live:
            continue
        got = await served.get(reference.path, reference.request_headers, reference.method)
        names: tuple[str, ...] = ("content-type", "cache-control", "vary", "link", "location", "x-vinext-cache", "x-nextjs-cache")
        names += ("x-vinext-params", "x-vinext-rendered-path-and-search", "x-vinext-rsc-build-id")
        assert got.status == reference.status
        assert {name: got.header(name) for name in names} == {name: reference.headers.get(name) for name in names}, reference.name
        if "x-vinext-rsc-compatibility-id" in reference.headers:
            assert got.header("x-vinext-rsc-compatibility-id") == "c5f043bb-bb76-4dc5-9f5a-dfb87cc1a2ec"
        compared += 1
    assert compared >= 40


async def test_the_payloads_of_1_4_0_have_what_its_client_wants_and_those_of_0_0_38_nothing(tmp_path: Path) -> None:
    newer = await FakeWorker(copied("1.4.0", tmp_path / "new"), clock=FakeClock(BUILT_AT_MS + 1)).open()
    got = await newer.get("/blog/h%C3%A9llo%20w%C3%B6rld.rsc")
    assert got.header("X-Vinext-RSC-Build-Id") == RSC_BUILD_ID
    assert got.header("X-Vinext-Params") == "%7B%22slug%22%3A%22h%25C3%25A9llo%2520w%25C3%25B6rld%22%7D"
    assert (await newer.get("/about.rsc")).header("X-Vinext-Params") is None
    older = await FakeWorker(copied("0.0.38", tmp_path / "old"), clock=FakeClock(BUILT_AT_MS + 1)).open()
    got = await older.get("/blog/first-post.rsc")
    assert got.header("content-type") == "text/x-component; charset=utf-8"
    assert got.header("X-Vinext-Params") is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_skipped_routes_and_shells_are_not_seeded(version: str, tmp_path: Path) -> None:
    served, entries = await seeded(version, "copied", tmp_path)
    for path in ("/dash", "/api/time", "/legacy-ssr", "/p/:id", "/blog/:slug", "/blog/[slug]", "/nowhere"):
        for artifact in Artifact:
            key = served.site.key(path, artifact)
            assert await served.seeder.seed(key, path, artifact) is None
            assert key not in entries
        assert await served.seeder.record(path) is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_long_path_has_a_short_key(version: str, tmp_path: Path) -> None:
    served, entries = await seeded(version, "copied", tmp_path)
    (long,) = (route.path for route in seedable(version) if len(route.path) > 200)
    schema = KeySchema.V1 if version == "0.0.38" else KeySchema.V2
    key = page_key(schema, manifest(version).build_id, long, "html")
    assert "__hash:" in key
    assert key in entries
    assert (await served.get(long)).state == "HIT"


async def test_a_build_that_does_not_tell_its_rules_is_not_answered_from() -> None:
    assets = plain("0.0.38")
    del assets.files[f"/__prerender/{ROUTING_NAME}"]
    served = await FakeWorker(assets).open()
    assert (await served.get("/about")).state is None


async def test_without_a_time_of_the_build_periods_are_over_and_the_rest_is_fresh() -> None:
    served = await FakeWorker(plain("0.0.38")).open()
    assert (await served.get("/about")).state == "HIT"
    assert (await served.get("/blog")).state == "STALE"
