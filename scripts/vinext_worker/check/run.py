"""Requesting a deployed app's pages."""

from __future__ import annotations

import asyncio
import random
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2 as httpx

from seed.build import Skipped
from vinext_worker.check.expectation import CheckedAnswer, Request, faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from seed.build import Build
    from seed.sources import Source

_AT_ONCE = 6
_TIMEOUT_SECONDS = 30
# `normalize_path` leaves delimiters encoded, and encodes the percent sign of text that would look like an encoded delimiter.
_LITERAL_PERCENT = re.compile(r"%(?!(?:25)*(?:2f|23|3f|5c))", re.IGNORECASE)
_UNQUOTED = "/%:@!$&'()*+,;=~-._[]"


def page_url(path: str, build: Build) -> str:
    """Return the URL path of a page; `path` is normalized, as in the index (`core.paths.normalize_path`)."""
    encoded = quote(_LITERAL_PERCENT.sub("%25", path), safe=_UNQUOTED).replace("[", "%5B").replace("]", "%5D")
    if build.trailing_slash and encoded != "/" and "." not in encoded.rpartition("/")[2] and path != "/404":
        encoded += "/"
    if encoded == "/" and build.base_path and not build.trailing_slash:
        return build.base_path
    return build.base_path + encoded


async def requests_of(source: Source, sample: int | None) -> list[Request]:
    """Return a request for every form of every page of a build, or of `sample` random pages."""
    chosen: list[tuple[Request, ...]] = []
    seen = 0
    # Not for secrets: it chooses pages.
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
    url: str, requests: list[Request], build: Build, on_checked: Callable[[CheckedAnswer], None] = lambda _: None
) -> list[CheckedAnswer]:
    """Send every request, several at a time; return the answers in order."""
    limit = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client:

        async def one(request: Request) -> CheckedAnswer:
            async with limit:
                checked = await _check(client, request, build)
            on_checked(checked)
            return checked

        return list(await asyncio.gather(*map(one, requests)))


async def _check(client: httpx.AsyncClient, request: Request, build: Build) -> CheckedAnswer:
    started = time.perf_counter()
    try:
        async with client.stream("GET", request.target, headers=request.headers) as response:
            body: AsyncIterator[bytes] = response.aiter_raw()
            size = len(await anext(body, b""))
            first_byte_ms = (time.perf_counter() - started) * 1000
            async for part in body:
                size += len(part)
    except httpx.HTTPError as error:
        return CheckedAnswer(request, None, "", "", None, (f"no answer: {str(error) or type(error).__name__}",))
    reasons = faults(request, build, response.status_code, response.headers)
    if size == 0 and not response.has_redirect_location:
        reasons = (*reasons, "the body is empty")
    state = response.headers.get("X-Vinext-Cache", "")
    return CheckedAnswer(request, response.status_code, state, response.headers.get("Cache-Control", ""), first_byte_ms, reasons)
