"""Long sequences of operations of two isolates on one namespace, next to what vinext's handlers answered."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.cache.vectors import rows, value_of, without_key

from cache import marker_writer
from cache.entry import freshness
from cache.handler import GetContext, SetContext
from cache.keys import KeySchema
from cache.stored import Layout

ALL = range(len(rows("sequences")))


@pytest.fixture(autouse=True)
def many_writes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """vinext's answers were recorded with a KV that takes any number of writes a second for a key."""
    monkeypatch.setattr(marker_writer, "WRITE_EVERY_MS", 0)


@pytest.mark.parametrize("index", ALL)
async def test_two_isolates_answer_as_vinext_s_do(index: int) -> None:
    await _check(index, Layout.VINEXT)


@pytest.mark.parametrize("index", [index for index in ALL if rows("sequences")[index]["schema"] == "v2"])
async def test_so_they_do_with_the_framed_layout(index: int) -> None:
    """vinext's handler of schema V1 forgets when an entry expires, so only V2's answers are comparable."""
    await _check(index, Layout.FRAMED)


async def _check(index: int, layout: Layout) -> None:
    sequence = rows("sequences")[index]
    schema = KeySchema(sequence["schema"])
    subject = FakeSubject(lambda subject: kv(subject, schema, layout))
    handlers = [subject.handler, kv(subject, schema, layout)]
    for number, operation in enumerate(sequence["operations"]):
        subject.clock.now_ms += operation["after"]
        handler = handlers[operation["by"]]
        match operation["do"]:
            case "set":
                context = {**operation["ctx"], "tags": tuple(operation["ctx"]["tags"])}
                await handler.set(operation["key"], value_of(operation["value"]), SetContext(**context))
            case "revalidate_tag":
                await handler.revalidate_tag(operation["tags"])
            case "revalidate_by_path_prefix":
                await handler.revalidate_by_path_prefix(operation["prefix"])
            case _:
                asked: dict[str, Any] = operation["ctx"]
                soft_tags = tuple(asked.get("softTags", ()))
                entry = await handler.get(operation["key"], GetContext(soft_tags, asked.get("revalidate")))
                await subject.settle()
                expected = operation["found"]
                assert (entry is None) == (expected is None), f"operation {number}"
                if entry is not None:
                    assert freshness(entry, subject.now_ms()).value == expected["state"], f"operation {number}"
                    assert entry.last_modified_ms == expected["lastModified"], f"operation {number}"
                if entry is not None and layout is Layout.VINEXT:
                    name = f"cache:{operation['key']}"
                    stored = without_key(subject.kv.stored[name].value, name)
                    assert hashlib.sha256(stored).hexdigest()[:16] == expected["digest"], f"operation {number}"
