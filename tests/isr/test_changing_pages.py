"""Random sequences over what a page becomes: whatever it was before, nothing of that is left in the cache."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, FakeResponse, page, payload, route
from tests.fakes.stages import FakeStages
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from seed.rules import STAGES_VERSION, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.worker import Got

PERIOD = "s-maxage=2, stale-while-revalidate=600"
NO_STORE = "private, no-store"
RULED = Rule("/ruled", is_prefix=True, name="middleware.ts: /ruled/:path*")


def _redirect(cache_control: str, version: int, suffix: str = "") -> FakeResponse:
    return FakeResponse(307, {"location": f"/to-{version}{suffix}", "cache-control": cache_control})


def _missing(made: FakeResponse) -> FakeResponse:
    return replace(made, status=404)


KINDS: dict[str, Callable[[int], tuple[FakeResponse, FakeResponse]]] = {
    "page": lambda version: (page(f"v{version}", PERIOD), payload(f"v{version}", PERIOD)),
    "page with a dynamic payload": lambda version: (page(f"v{version}", PERIOD), payload(f"v{version}", NO_STORE)),
    "redirect": lambda version: (_redirect(PERIOD, version), _redirect(PERIOD, version, "?_rsc")),
    "404": lambda version: (_missing(page(f"v{version}", PERIOD)), _missing(payload(f"v{version}", PERIOD))),
    "404 that is not kept": lambda version: (_missing(page(f"v{version}", NO_STORE)), _missing(payload(f"v{version}", NO_STORE))),
    "dynamic": lambda version: (page(f"v{version}", NO_STORE), payload(f"v{version}", NO_STORE)),
    "route handler": lambda version: (route(f"v{version}", PERIOD), route(f"v{version}", PERIOD)),
}
"""What a page is, by name: its document and its payload."""


@dataclass(frozen=True)
class Change:
    """A page becomes something else, and is invalidated or not. Then visitors come, who ask for its document or its payload."""

    kind: str
    is_invalidated: bool
    asks_for_payload: tuple[bool, ...]
    has_cookie: bool
    seconds: float


changes = st.builds(
    Change,
    kind=st.sampled_from(sorted(KINDS)),
    is_invalidated=st.booleans(),
    asks_for_payload=st.lists(st.booleans(), min_size=0, max_size=3).map(tuple),
    has_cookie=st.booleans(),
    seconds=st.sampled_from([0.5, 2.5, 12, 400]),
)


def _version(got: Got) -> int:
    found = re.search(r"(?:v|/to-)(\d+)", got.text or got.header("location") or "")
    assert found is not None, got
    return int(found[1])


async def _play(path: str, pages: FakePages, sequence: list[Change]) -> None:
    build = replace(BUILD, rules=(RULED,), stages=STAGES_VERSION) if isinstance(pages, FakeStages) else BUILD
    served = await FakeWorker(FakeAssets(copied_build(build, record("/about"))), pages).open()

    async def visit(*, is_payload: bool, has_cookie: bool) -> Got:
        return await served.get(f"{path}.rsc" if is_payload else path, {"Cookie": "a=b"} if has_cookie else {})

    for version, change in enumerate(sequence):
        document, rsc = KINDS[change.kind](version)
        pages.documents[path], pages.payloads[path] = document, rsc
        served.clock.pass_seconds(change.seconds)
        if change.is_invalidated:
            await served.store.revalidate_tags([path])
        for is_payload in change.asks_for_payload:
            got = await visit(is_payload=is_payload, has_cookie=change.has_cookie)
            assert _version(got) == version or not change.is_invalidated, (change, is_payload, got)
        # One is stale, the next one is what the page is now; so it stays for what is asked for then.
        served.clock.pass_seconds(3)
        for is_payload in (False, True, False, True):
            await visit(is_payload=is_payload, has_cookie=change.has_cookie)
        for is_payload in (False, True):
            got = await visit(is_payload=is_payload, has_cookie=False)
            assert _version(got) == version, (change, is_payload, got)
            assert got.status == (rsc if is_payload else document).status, (change, is_payload, got)


@pytest.mark.parametrize("gives_both", [False, True], ids=["one by one", "both at once"])
@settings(max_examples=40, deadline=None)
@given(sequence=st.lists(changes, min_size=2, max_size=6))
def test_a_page_handler_s(sequence: list[Change], gives_both: bool) -> None:  # noqa: FBT001
    asyncio.run(_play("/page", FakePages(gives_both=gives_both), sequence))


@pytest.mark.parametrize("path", ["/page", "/ruled/page"])
@settings(max_examples=40, deadline=None)
@given(sequence=st.lists(changes, min_size=2, max_size=6))
def test_an_app_in_stages(sequence: list[Change], path: str) -> None:
    asyncio.run(_play(path, FakeStages(), sequence))
