"""Answers that say they vary by what the key of an entry does not hold: others must not get them."""

from __future__ import annotations

import pytest
from tests.fakes.pages import page
from tests.fakes.worker import FakeWorker

from cache.keys import KeySchema
from isr.admission import varies_by
from isr.settings import Settings


@pytest.mark.parametrize(
    ("vary", "schema", "expected"),
    [
        pytest.param("X-Language", KeySchema.V2, ("x-language",), id="one"),
        pytest.param("RSC, Origin, Cookie", KeySchema.V2, ("origin", "cookie"), id="some of several"),
        pytest.param("*", KeySchema.V2, ("*",), id="anything"),
        pytest.param("RSC, Next-Url, X-Vinext-Rsc-State-Fingerprint", KeySchema.V2, (), id="kept apart anyway"),
        pytest.param("Accept-Encoding", KeySchema.V2, (), id="says nothing of the content"),
        pytest.param("Accept", KeySchema.V2, ("accept",), id="the media type"),
        pytest.param("RSC, Accept", KeySchema.V2, ("accept",), id="the media type, beside what is kept apart"),
        pytest.param("RSC, Accept", KeySchema.V1, (), id="the media type, by which the older keys tell payloads"),
        pytest.param("Accept", KeySchema.V1, ("accept",), id="the media type of what has no payload"),
        pytest.param("", KeySchema.V2, (), id="does not vary"),
        pytest.param(" , ,", KeySchema.V2, (), id="empty names"),
    ],
)
def test_an_answer_varies_by_what_its_key_does_not_hold(vary: str, schema: KeySchema, expected: tuple[str, ...]) -> None:
    assert varies_by(vary, schema) == expected


@pytest.mark.parametrize("headers", [{"Accept": "text/markdown"}, {}], ids=["who sends it", "who does not"])
@pytest.mark.parametrize(
    ("vary", "settings"),
    [
        pytest.param("Accept", Settings(variants=0), id="no variants are kept"),
        pytest.param("*", Settings(), id="anything"),
        pytest.param("Cookie", Settings(), id="cookies"),
        pytest.param("Accept, Authorization", Settings(), id="credentials"),
        pytest.param("X-Forwarded-Host", Settings(), id="a header that no kept answer is made from"),
        pytest.param("Not A Name", Settings(), id="no name"),
        pytest.param(", ".join(f"X-{number}" for number in range(9)), Settings(), id="too many"),
    ],
)
async def test_such_an_answer_is_kept_for_nobody(vary: str, settings: Settings, headers: dict[str, str]) -> None:
    worker = FakeWorker(settings=settings)
    worker.pages.documents["/a"] = page(vary=vary)
    await worker.open()
    for _ in range(3):
        got = await worker.get("/a", headers)
        assert (got.state, got.is_cached) == (None, False)
    assert worker.kv is not None
    assert worker.kv.count("put") == 0
