"""Long sequences of operations of two isolates on one namespace, next to what vinext's handlers answered."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.cache.subjects import FakeSubject, kv
from tests.cache.vectors import rows, value_of

from cache.entry import freshness
from cache.handler import GetContext, SetContext
from cache.keys import KeySchema


@pytest.mark.parametrize("index", range(len(rows("sequences"))))
async def test_two_isolates_answer_as_vinext_s_do(index: int) -> None:
    sequence = rows("sequences")[index]
    schema = KeySchema(sequence["schema"])
    subject = FakeSubject(lambda subject: kv(subject, schema))
    handlers = [subject.handler, kv(subject, schema)]
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
                found = entry and {
                    "state": freshness(entry, subject.now_ms()).value,
                    "lastModified": entry.last_modified_ms,
                    "digest": hashlib.sha256(subject.kv.stored[f"cache:{operation['key']}"].value).hexdigest()[:16],
                }
                assert found == operation["found"], f"operation {number}"
