"""A build's pages in a cache handler, which may be the site's own and do anything."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.worker import FakeWorker

from cache.entry import AppPageValue
from cache.handler import SetContext
from core.body import BytesBody
from isr.lookup import Lookup
from seed.build import Artifact


@pytest.mark.parametrize(
    "headers",
    [{"x-a": "1\r\nset-cookie: b=c"}, {"x-a": ["1", "2\0"]}, {"x a": "1"}, {"": "1"}, {"x:a": "1"}],
    ids=["line-break", "one-of-several", "space-in-name", "no-name", "colon-in-name"],
)
async def test_an_entry_with_a_header_that_http_does_not_allow_is_a_miss(headers: dict[str, Any]) -> None:
    served = await FakeWorker(in_memory=True).open()
    lookup = Lookup.of("/a", "/a", served.site, Artifact.HTML)
    value = AppPageValue(html=BytesBody(b"page"), headers=headers)
    await served.cache.set(lookup.keys[0], value, SetContext(revalidate=60))
    assert await served.store.find(lookup) is None
    assert "cache.entry_corrupt" in served.log.names()


async def test_an_entry_whose_headers_http_allows_is_found() -> None:
    served = await FakeWorker(in_memory=True).open()
    lookup = Lookup.of("/a", "/a", served.site, Artifact.HTML)
    value = AppPageValue(html=BytesBody(b"page"), headers={"x-a": ["1", "2"], "x_b!": "é"})
    await served.cache.set(lookup.keys[0], value, SetContext(revalidate=60))
    assert await served.store.find(lookup) is not None


async def test_a_page_is_later_than_an_invalidation_of_its_prefix_in_the_same_millisecond() -> None:
    served = await FakeWorker(in_memory=True).open()
    assert served.store.started_at_ms() == served.clock.now_ms
    await served.store.revalidate_path_prefix("/docs")
    assert served.store.started_at_ms() == served.clock.now_ms + 1


async def test_a_handler_that_cannot_forget_is_a_line_in_the_log() -> None:
    served = await FakeWorker(in_memory=True).open()

    def fail() -> None:
        raise OSError("down")

    entries: Any = served.cache
    entries.forget_reads = fail
    served.store.forget_read()
    assert "cache.read_failed" in served.log.names()
