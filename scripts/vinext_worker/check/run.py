"""Asking a deployed app for its pages."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import httpx2 as httpx

from seed.build import Skipped
from vinext_worker.check.expectation import Checked, Request, faults
from vinext_worker.page_url import page_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from seed.build import Build
    from seed.sources import Source

_AT_ONCE = 6
_TIMEOUT_SECONDS = 30


async def requests_of(source: Source, sample: int | None) -> list[Request]:
    """Every form of every page of a build, or of so many pages drawn at random."""
    chosen: list[tuple[Request, ...]] = []
    seen = 0
    # Not for secrets: which pages are asked for.
    draw = random.Random()  # noqa: S311
    async for path, record in source.routes():
        if isinstance(record, Skipped):
            continue
        forms = tuple(Request(page_url(path, source.build), artifact, record) for artifact in record.artifacts)
        seen += 1
        if sample is None or len(chosen) < sample:
            chosen.append(forms)
        elif (place := draw.randrange(seen)) < sample:
            chosen[place] = forms
    return [request for forms in chosen for request in forms]


async def check_all(
    url: str, requests: list[Request], build: Build, on_checked: Callable[[Checked], None] = lambda _: None
) -> list[Checked]:
    """Send every request, several at a time; what came of each, in order."""
    limit = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client:

        async def one(request: Request) -> Checked:
            async with limit:
                checked = await _check(client, request, build)
            on_checked(checked)
            return checked

        return list(await asyncio.gather(*map(one, requests)))


async def _check(client: httpx.AsyncClient, request: Request, build: Build) -> Checked:
    started = time.perf_counter()
    try:
        async with client.stream("GET", request.target, headers=request.headers) as response:
            body: AsyncIterator[bytes] = response.aiter_raw()
            size = len(await anext(body, b""))
            first_byte_ms = (time.perf_counter() - started) * 1000
            async for part in body:
                size += len(part)
    except httpx.HTTPError as error:
        return Checked(request, None, "", "", None, (f"no answer: {str(error) or type(error).__name__}",))
    found = faults(request, build, response.status_code, response.headers)
    if size == 0 and not response.has_redirect_location:
        found = (*found, "the body is empty")
    state = response.headers.get("X-Vinext-Cache", "")
    return Checked(request, response.status_code, state, response.headers.get("Cache-Control", ""), first_byte_ms, found)
