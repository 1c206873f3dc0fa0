from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.ports import START_MS
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import AppPageValue, AppRouteValue
from cache.handler import SetContext
from cache.tags import path_tags
from seed.build import Artifact, SeedError

BLOG = record("/blog", b"built blog", b"built blog payload", expire=600)
STATIC = record("/about", revalidate=None)
NO_PAYLOAD = record("/404", b"no such page", None, revalidate=None, status=404)


async def worker() -> FakeWorker:
    files = copied_build(BUILD, BLOG, STATIC, NO_PAYLOAD)
    return await FakeWorker(FakeAssets(files), in_memory=True).open()


async def seed(served: FakeWorker, path: str, artifact: Artifact = Artifact.HTML) -> bytes | None:
    entry = await served.seeder.seed(served.site.key(path, artifact), path, artifact)
    if entry is None:
        return None
    assert isinstance(entry.value, AppPageValue)
    found = entry.value.html if artifact is Artifact.HTML else entry.value.rsc_data
    return None if found is None else found.to_bytes()


async def test_two_hundred_who_want_an_artifact_fetch_it_once() -> None:
    served = await worker()
    found = await asyncio.gather(
        *(seed(served, "/blog", artifact) for artifact in (Artifact.HTML, Artifact.RSC) for _ in range(100))
    )
    assert found == [b"built blog"] * 100 + [b"built blog payload"] * 100
    assert served.assets.count("/artifacts/") == 2
    await served.settle()
    assert len(served.memory) == 2


async def test_who_comes_while_an_entry_is_on_its_way_to_the_cache_gets_it() -> None:
    served = await worker()
    assert await seed(served, "/about") == b"built page"
    assert served.site.key("/about", Artifact.HTML) not in served.memory
    assert await seed(served, "/about") == b"built page"
    assert served.assets.count("/artifacts/") == 1


async def test_an_entry_on_its_way_that_is_invalidated_is_not_given_out() -> None:
    served = await worker()
    assert await seed(served, "/about") == b"built page"
    served.clock.pass_seconds(1)
    await served.cache.revalidate_tag(["/about"])
    assert await seed(served, "/about") is None


async def test_a_write_that_never_arrives_is_not_waited_for_for_ever() -> None:
    served = await worker()
    key = served.site.key("/about", Artifact.HTML)
    assert await seed(served, "/about") == b"built page"
    for _, task in served.background.tasks:
        task.cancel()
    served.background.tasks.clear()
    served.clock.pass_seconds(31)
    await seed(served, "/about")
    assert await seed(served, "/about") == b"built page"
    await served.settle()
    assert key in served.memory


async def test_failing_assets_are_asked_again_a_second_later_with_one_line_each_time() -> None:
    served = await worker()
    served.assets.failure = "the assets answered 500 for it"
    for round_ in range(1, 4):
        before = sum(served.assets.fetched.values())
        assert await asyncio.gather(*(seed(served, "/blog") for _ in range(20))) == [None] * 20
        assert sum(served.assets.fetched.values()) == before + 1
        assert served.log.lines[-1] == ("error", "seed.failed", {"path": "/blog", "error": "the assets answered 500 for it"})
        assert len(served.log.names()) == round_
        served.clock.pass_seconds(0.5)
        assert await seed(served, "/blog") is None
        assert sum(served.assets.fetched.values()) == before + 1
        served.clock.pass_seconds(0.6)
    served.assets.failure = None
    assert await seed(served, "/blog") == b"built blog"


async def test_a_payload_that_fails_does_not_keep_the_page_and_is_tried_again() -> None:
    served = await worker()
    assert await seed(served, "/blog") == b"built blog"
    served.assets.failure = "down"
    assert await seed(served, "/blog", Artifact.RSC) is None
    served.assets.failure = None
    assert await seed(served, "/blog", Artifact.RSC) is None
    served.clock.pass_seconds(1.1)
    assert await seed(served, "/blog", Artifact.RSC) == b"built blog payload"


async def test_a_missing_artifact_is_said_once_and_not_fetched_again() -> None:
    served = await worker()
    name = next(path for path in served.assets.files if served.assets.files[path] == b"built blog payload")
    del served.assets.files[name]
    for _ in range(3):
        assert await seed(served, "/blog", Artifact.RSC) is None
        served.clock.pass_seconds(100)
    assert served.assets.fetched[name] == 1
    assert served.log.names() == ["seed.failed"]
    assert await seed(served, "/blog") == b"built blog"


@pytest.mark.parametrize("tag", ["/blog", "_N_T_/blog", "_N_T_/layout", "_N_T_/blog/page"])
async def test_what_was_invalidated_since_the_build_is_refused_without_being_fetched(tag: str) -> None:
    served = await worker()
    served.clock.pass_seconds(1)
    await served.cache.revalidate_tag([tag])
    for _ in range(3):
        assert await seed(served, "/blog") is None
        assert await seed(served, "/blog", Artifact.RSC) is None
        served.clock.pass_seconds(5)
    assert served.assets.count("/artifacts/") == 0
    assert served.log.names() == []


async def test_what_was_invalidated_before_the_build_is_not_refused() -> None:
    served = await worker()
    served.clock.now_ms = START_MS - 1000
    await served.cache.revalidate_tag(["/blog"])
    served.clock.now_ms = START_MS + 1000
    assert await seed(served, "/blog") == b"built blog"


async def test_what_is_expired_is_refused() -> None:
    served = await worker()
    served.clock.pass_seconds(601)
    for _ in range(2):
        assert await seed(served, "/blog") is None
    assert served.assets.count("/artifacts/") == 1


@pytest.mark.parametrize(("path", "artifact"), [("/404", Artifact.RSC), ("/blog", Artifact.ROUTE), ("/nowhere", Artifact.HTML)])
async def test_what_the_build_does_not_have_is_no_failure(path: str, artifact: Artifact) -> None:
    served = await worker()
    assert await seed(served, path, artifact) is None
    assert served.log.names() == []
    assert served.assets.count("/artifacts/") == 0


async def test_looking_a_path_up_reads_one_shard_and_that_once() -> None:
    served = await worker()
    for _ in range(3):
        for path in ("/nowhere", "/blog", "/about", "/404"):
            await served.seeder.record(path)
    assert set(served.assets.fetched.values()) == {1}
    assert served.assets.count("/index/") <= BUILD.shards
    one = await worker()
    await one.seeder.record("/blog")
    assert one.assets.count("/index/") == 1


async def test_an_unreadable_shard_costs_its_pages_only() -> None:
    served = await worker()
    await served.seeder.record("/blog")
    shard = next(path for path in served.assets.fetched if "/index/" in path)
    broken = await worker()
    broken.assets.files[shard] = b'{"/blog": {"artifacts"'
    assert await seed(broken, "/blog") is None
    assert await broken.seeder.record("/blog") is None
    assert set(broken.log.names()) == {"seed.failed"}
    assert "copy the build again" in str(broken.log.lines[0][2]["error"])


async def test_a_missing_shard_costs_its_pages_only() -> None:
    served = await worker()
    for path in [path for path in served.assets.files if "/index/" in path]:
        del served.assets.files[path]
    assert await seed(served, "/blog") is None
    assert "is missing; copy the build again" in str(served.log.lines[0][2]["error"])


async def test_few_shards_are_kept_in_memory() -> None:
    build = replace(BUILD, shards=200)
    served = await FakeWorker(FakeAssets(copied_build(build, BLOG))).open()
    for number in range(2000):
        await served.seeder.record(f"/nowhere/{number}")
    first = served.assets.count("/index/")
    assert first > 200, "shards that were dropped are read again"
    await served.seeder.record("/nowhere/1999")
    assert served.assets.count("/index/") == first


async def test_the_plain_layout_leaves_out_what_cannot_be_a_page() -> None:
    rows = [{"route": path, "status": "rendered", "router": "app"} for path in ("/about", "/../secret")]
    rows.append({"route": "/dash", "status": "skipped"})
    document = json.dumps({"buildId": "b", "routes": rows}).encode()
    served = await FakeWorker(
        FakeAssets({"/__prerender/vinext-prerender.json": document, "/__prerender/about.html": b"a"})
    ).open()
    assert await seed(served, "/about") == b"a"
    assert await served.seeder.record("/secret") is None
    assert await served.seeder.record("/dash") is None


async def test_endless_keys_that_rest_take_limited_memory() -> None:
    served = await worker()
    served.assets.failure = "down"
    for number in range(10_050):
        await served.seeder.seed(f"key {number}", f"/{number}", Artifact.HTML)
    assert 0 < len(served.seeder._resting) <= 10_000  # fewer where other memories take some of their common budget


@pytest.mark.parametrize("content", [b"", b"built bl", b"<!doctype html>an app's shell", b"built blog "], ids=len)
async def test_what_is_not_the_file_that_was_built_is_no_page(content: bytes) -> None:
    served = await worker()
    files = dict(served.assets.files)
    name = next(name for name, body in files.items() if body == b"built blog")
    served.assets.files[name] = content
    assert await seed(served, "/blog") is None
    assert served.log.names()[-1] == "seed.failed"
    served.assets.files[name] = files[name]
    assert await seed(served, "/blog") is None, "it was tried a moment ago"
    served.clock.pass_seconds(1)
    assert await seed(served, "/blog") == b"built blog"


async def test_a_route_handler_s_body_is_seeded_as_one() -> None:
    path, given, contents = record(
        "/sitemap.xml", b"<urlset/>", None, revalidate=3600, headers={"content-type": "application/xml"}
    )
    metadata = replace(given, artifacts={Artifact.ROUTE: given.artifacts[Artifact.HTML]})
    served = await FakeWorker(FakeAssets(copied_build(BUILD, (path, metadata, contents)))).open()
    entry = await served.seeder.seed("key", path, Artifact.ROUTE)
    assert entry is not None
    assert isinstance(entry.value, AppRouteValue)
    assert (entry.value.body.to_bytes(), entry.value.status) == (b"<urlset/>", 200)
    got = await served.get("/sitemap.xml")
    assert (got.state, got.header("content-type")) == ("HIT", "application/xml")


async def test_without_a_build_there_is_nothing_to_seed() -> None:
    served = await FakeWorker().open()
    assert await seed(served, "/about") is None
    assert await served.seeder.record("/about") is None


async def test_a_seed_does_not_replace_what_was_made_since() -> None:
    served = await worker()
    live = AppPageValue(html=AppPageValue().html)
    key = served.site.key("/about", Artifact.HTML)
    await served.cache.set(key, live, SetContext(tags=path_tags(BUILD.schema, "/about")))
    got = await served.get("/about")
    assert (got.state, got.body) == ("HIT", b"")
    assert served.assets.count("/artifacts/") == 0


async def test_a_build_that_is_not_there_is_asked_for_once() -> None:
    served = await FakeWorker().open()
    for _ in range(20):
        await served.ask("/about")
        served.clock.pass_seconds(2)
    assert dict(served.assets.fetched) == {"/__prerender/build.json": 1, "/__prerender/vinext-prerender.json": 1}
    assert served.log.names().count("seed.nothing") == 1


@pytest.mark.parametrize("file", ["build.json", "vinext-prerender.json"])
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"{}", b'"\xff"', b'{"version": 1}', b"[" * 100_000])
async def test_an_unreadable_build_is_said_and_tried_again_a_second_later(file: str, text: bytes) -> None:
    served = FakeWorker(FakeAssets({f"/__prerender/{file}": text}))
    with pytest.raises(SeedError, match="again"):
        await served.open()
    assert served.log.names() == ["seed.failed"]
    assert file in str(served.log.lines[0][2]["error"])


async def test_opening_the_build_is_tried_again_a_second_later_and_succeeds() -> None:
    assets = FakeAssets(copied_build(BUILD, STATIC), failure="the assets answered 503")
    served = FakeWorker(assets)
    with pytest.raises(SeedError, match="503"):
        await served.open()
    opener = served.opener
    for _ in range(10):
        with pytest.raises(SeedError, match="503"):
            await opener.open()
    assert sum(assets.fetched.values()) == 1
    assert served.log.names() == ["seed.failed"]
    assets.failure = None
    with pytest.raises(SeedError, match="503"):
        await opener.open()
    served.clock.pass_seconds(1.1)
    sources = await asyncio.gather(*(opener.open() for _ in range(50)))
    assert len(set(map(id, sources))) == 1
    assert sources[0] is not None
    assert sum(assets.fetched.values()) == 2
