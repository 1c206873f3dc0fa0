"""`x-nextjs-stale-time`: how long a client's router may use a page without asking again (`cacheLife({ stale })`)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, page
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import AppPageValue, CacheEntry
from cache.keys import page_key
from core.body import BytesBody
from seed.build import Artifact, RouteRecord
from seed.manifest import parse_route
from seed.routes import record_of

HEADER = "x-nextjs-stale-time"


def test_a_build_s_record_has_the_manifest_s_stale_time() -> None:
    row = {"route": "/life", "status": "rendered", "router": "app", "revalidate": 5, "expire": 300, "stale": 30}
    made = record_of(parse_route(row), BUILD.schema, {Artifact.HTML: "a"})
    assert made.stale_seconds == 30
    assert RouteRecord.from_document(made.to_document(), "/life") == made
    assert record_of(parse_route({**row, "stale": 0}), BUILD.schema, {}).stale_seconds == 0


async def opened(*records: object, **fields: object) -> FakeWorker:
    return await FakeWorker(FakeAssets(copied_build(BUILD, *records)), **fields).open()  # type: ignore[arg-type]


@pytest.mark.parametrize("revalidate", [60, None], ids=["with a period", "never stale"])
@pytest.mark.parametrize("url", ["/life", "/life.rsc"])
async def test_a_page_of_the_build_says_it(url: str, revalidate: float | None) -> None:
    worker = await opened(record("/life", stale_seconds=30, revalidate=revalidate))
    for _ in range(2):
        got = await worker.get(url)
        assert (got.state, got.header(HEADER)) == ("HIT", "30")
    # Stored once: vinext sends both.
    document = stored_document(worker)
    assert document.get("cacheControl", {}).get("stale") == (None if revalidate is None else 30)
    assert document["value"]["headers"].get(HEADER) == ("30" if revalidate is None else None)
    # Another isolate has it from there.
    other = await opened(record("/life", stale_seconds=30, revalidate=revalidate), kv=worker.kv)
    assert (await other.get(url)).header(HEADER) == "30"


def stored_document(worker: FakeWorker) -> dict[str, Any]:
    assert worker.kv is not None
    (name,) = worker.stored_pages
    document: dict[str, Any] = json.loads(worker.kv.stored[name].value)
    return document


async def test_zero_is_a_time_too_and_none_is_none() -> None:
    worker = await opened(record("/zero", stale_seconds=0), record("/none"))
    assert (await worker.get("/zero")).header(HEADER) == "0"
    assert (await worker.get("/none")).header(HEADER) is None


async def test_an_entry_of_vinext_s_own_says_it() -> None:
    worker = await opened()
    entry = CacheEntry.make(AppPageValue(html=BytesBody(b"theirs")), (), worker.clock(), 60, 600, 45)
    await worker.cache.write(page_key(BUILD.schema, "build-1", "/theirs", "html"), entry)
    got = await worker.get("/theirs")
    assert (got.state, got.header(HEADER)) == ("HIT", "45")


async def test_a_page_of_the_app_is_stored_with_it_among_the_periods() -> None:
    pages = FakePages({"/new": page("new", vary="", x_nextjs_stale_time="30")})
    worker = await opened(pages=pages)
    assert (await worker.get("/new")).state == "MISS"
    got = await worker.get("/new")
    assert (got.state, got.header(HEADER)) == ("HIT", "30")
    document = stored_document(worker)
    assert document["cacheControl"]["stale"] == 30
    assert HEADER not in document["value"]["headers"]


async def test_a_header_that_is_no_number_stays_a_header() -> None:
    worker = await opened(pages=FakePages({"/new": page("new", x_nextjs_stale_time="soon")}))
    await worker.get("/new")
    assert (await worker.get("/new")).header(HEADER) == "soon"
