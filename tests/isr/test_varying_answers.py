"""Answers that say they vary by what the visitor sent: others must not get them."""

from __future__ import annotations

import pytest
from tests.fakes.pages import page
from tests.fakes.requests import RequestHeaders
from tests.fakes.worker import FakeWorker

from isr.admission import chosen_by


@pytest.mark.parametrize(
    ("vary", "sent", "expected"),
    [
        pytest.param("X-Language", {"X-Language": "de"}, "x-language", id="sent"),
        pytest.param("RSC, Origin", {"Origin": "https://other.example"}, "origin", id="one of several"),
        pytest.param("X-Language", {}, None, id="not sent"),
        pytest.param("X-Language", {"Accept-Language": "de"}, None, id="something else was sent"),
        pytest.param(
            "RSC, Next-Url, X-Vinext-Rsc-State-Fingerprint", {"RSC": "1", "Next-Url": "/"}, None, id="kept apart anyway"
        ),
        pytest.param(
            "Accept-Encoding, Accept", {"Accept-Encoding": "br", "Accept": "*/*"}, None, id="says nothing of the content"
        ),
        pytest.param(None, {"X-Language": "de"}, None, id="does not vary"),
        pytest.param(" , ,", {"": "x"}, None, id="empty names"),
    ],
)
def test_the_visitor_has_chosen_an_answer_by_a_header_that_it_varies_by(
    vary: str | None, sent: dict[str, str], expected: str | None
) -> None:
    response = page(vary=vary) if vary is not None else page(vary="")
    assert chosen_by(RequestHeaders(sent), response) == expected


async def test_such_an_answer_is_not_kept_but_the_one_for_everybody_is() -> None:
    worker = FakeWorker()
    worker.pages.documents["/a"] = page(vary="RSC, X-Language")
    await worker.open()
    chosen = await worker.get("/a", {"X-Language": "de"})
    assert (chosen.state, chosen.is_cached) == (None, False)
    assert worker.pages.rendered[0].headers == {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    kept = await worker.get("/a")
    assert (kept.state, kept.is_cached) == ("HIT", True)
