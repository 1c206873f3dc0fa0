"""Everything that is remembered of requests counts against one budget."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, dynamic
from tests.fakes.requests import request
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from cache.entry import AppPageValue, CacheEntry
from cache.handler import SetContext
from cache.keys import KeySchema
from cache.stored import Codec, Layout, whole_bytes
from core.body import BytesBody, text_body
from core.recent import MAX_BYTES, SHARED_BUDGET, Recent
from isr.lookup import RequestClassifier
from isr.served_build import served_build

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def whole_budget() -> Iterator[None]:
    """What earlier tests have remembered does not count: they are over."""
    gc.collect()
    for memory in remembered():
        memory.clear()
    yield
    assert SHARED_BUDGET.total <= MAX_BYTES


def remembered() -> list[Recent[object, object]]:
    held = [found() for holders in SHARED_BUDGET._holders.values() for found in holders.values()]
    return [memory for memory in held if isinstance(memory, Recent)]


def text_held() -> int:
    """The bytes of the texts that the keys of all memories hold."""
    keys = (key for memory in remembered() for key in memory)
    return sum(sys.getsizeof(text) for key in keys for text in (key if isinstance(key, tuple) else (key,)))


async def test_paths_that_are_asked_for_once_are_forgotten_by_their_bytes() -> None:
    pages = FakePages()
    served = await FakeWorker(pages=pages).open()
    for number in range(3000):
        path = f"/{number}/{'x' * 4000}"
        pages.documents[path] = dynamic()
        await served.ask(path)
        pages.documents.clear()
    assert 0 < text_held() <= MAX_BYTES


@pytest.mark.parametrize("layout", Layout)
def test_heads_are_forgotten_by_their_bytes(layout: Layout) -> None:
    codec = Codec(layout, KeySchema.V2)
    for number in range(1000):
        headers = {"link": f"</{number}>".ljust(3500, "x")}
        entry = CacheEntry.make(AppPageValue(html=text_body("<p>"), headers=headers), (), number)
        codec.read(BytesBody(whole_bytes(codec.write(entry))))
    assert 0 < text_held() <= MAX_BYTES


def test_urls_are_forgotten_by_their_bytes() -> None:
    classifier = RequestClassifier(served_build(None, None, None))
    for number in range(4096):
        classifier.classify(request(f"/{number}/{'x' * 200}"))
    assert 0 < SHARED_BUDGET.total <= MAX_BYTES


async def test_the_shards_of_an_index_are_forgotten_by_their_bytes() -> None:
    headers = {"link": "x" * 100_000}
    files = copied_build(replace(BUILD, shards=60), *(record(f"/{number}", headers=headers) for number in range(60)))
    served = await FakeWorker(FakeAssets(files), FakePages()).open()
    for number in range(60):
        assert await served.store.record(f"/{number}") is not None
    assert 0 < SHARED_BUDGET.total <= MAX_BYTES


async def test_markers_that_were_read_are_forgotten_by_their_bytes() -> None:
    subject = FakeSubject(lambda subject: kv(subject, layout=Layout.VINEXT))
    for number in range(300):
        tags = tuple(f"{number}-{tag}".ljust(250, "x") for tag in range(100))
        await subject.handler.set("k", AppPageValue(), SetContext(tags=tags))
        assert await subject.handler.get("k") is not None
    assert 0 < text_held() <= MAX_BYTES
