"""Requesting a deployed app's pages."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote, urljoin

import httpx2 as httpx

from core.paths import at_next_slash
from isr.stopwatch import DEBUG_HEADER
from seed.build import Artifact, Skipped
from seed.pages_router import data_url
from seed.rules import touching_rule
from vinext_worker.check.comparison import AnswerGiven, Comparison
from vinext_worker.check.expectation import (
    PRIVATE_PATH,
    RULE,
    CheckedAnswer,
    CheckResult,
    Request,
    faults,
    invalidation_of,
    is_made_again,
    is_of_a_rule,
    is_of_the_worker,
    repeated_fault,
)
from vinext_worker.check.page_files import file_faults, files_of
from vinext_worker.cloudflare.worker_admin import not_ours
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from seed.build import Build
    from seed.sources import Source
    from vinext_worker.check.page_files import PageFile

_AT_ONCE = 6
_TIMEOUT_SECONDS = 30
# Between the rounds in which a page that was not fresh is asked for again.
_WAITS_SECONDS = (0.3, 0.7, 1, 2, 4, 8, 15)
# One that is not in the cache by then is never kept.
_TIMES_ASKED = 3
# `normalize_path` leaves delimiters encoded, and encodes the percent sign of text that would look like an encoded delimiter.
_LITERAL_PERCENT = re.compile(r"%(?!(?:25)*(?:2f|23|3f|5c))", re.IGNORECASE)
_UNQUOTED = "/%:@!$&'()*+,;=~-._[]"

T = TypeVar("T")

Progress = Literal["pages", "again", "files", "compared"]


@dataclass(frozen=True)
class CheckOptions:
    """`patience_seconds` is for stale pages to be made again, 0 asks for none twice.

    `against` is the URL of the app itself, None to compare nothing. `headers` go with every request to the deployed app.
    With the Worker's `token`, a page that was invalidated since the build is told from one that is missing; None: it is a fault.
    """

    patience_seconds: float = 60
    against: str | None = None
    comparison: Comparison = field(default_factory=Comparison)
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None


def page_url(path: str, build: Build) -> str:
    """Return the URL path of a page; `path` is normalized, as in the index (`core.paths.normalize_path`)."""
    encoded = quote(_LITERAL_PERCENT.sub("%25", path), safe=_UNQUOTED).replace("[", "%5B").replace("]", "%5D")
    if build.trailing_slash and path != "/404":
        encoded = at_next_slash(encoded, trailing_slash=True)
    if encoded == "/" and build.base_path and not build.trailing_slash:
        return build.base_path
    return build.base_path + encoded


def data_page_url(path: str, build: Build) -> str:
    """Return the URL path of the data of a page of the Pages Router."""
    url = page_url(path, replace(build, trailing_slash=False, base_path=""))
    locale = None if build.i18n is None or build.i18n.names_locale(path) else build.i18n.default_locale
    # In several languages, the data's URL always names one.
    named = url if locale is None else f"/{locale}{'' if url == '/' else url}"
    return build.base_path + data_url(named, build.build_id)


async def requests_of(source: Source, sample: int | None) -> list[Request]:
    """Return a request for every form of every page of a build, or of `sample` random pages."""
    chosen: list[tuple[Request, ...]] = []
    seen = 0
    # Not for secrets: it chooses pages.
    draw = random.Random()  # noqa: S311
    async for path, record in source.routes():
        if isinstance(record, Skipped):
            continue
        # Without stages, `copy` has left out the pages that a rule may touch.
        build = source.build
        is_ruled = touching_rule(build.rules, path) is not None
        url_path = page_url(path, build)
        forms = tuple(Request(url_path, artifact, record, is_ruled) for artifact in record.artifacts)
        if Artifact.PAGES in record.artifacts:
            forms = (*forms, Request(data_page_url(path, build), Artifact.DATA, record, is_ruled))
        seen += 1
        if sample is None or len(chosen) < sample:
            chosen.append(forms)
        elif (place := draw.randrange(seen)) < sample:
            chosen[place] = forms
    return [request for forms in chosen for request in forms]


async def check_all(
    url: str,
    requests: list[Request],
    build: Build,
    options: CheckOptions,
    on_done: Callable[[Progress], None] = lambda _: None,
) -> CheckResult:
    """Check the pages, then the files that they need, several at a time. Raise UserError if a server cannot be reached."""
    headers = dict(options.headers)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client:
        await _reach(client, url)
        check = _Check(client, url, build, options, on_done)
        if options.against is None:
            return await check.run(requests, None)
        async with httpx.AsyncClient(base_url=options.against, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as app:
            await _reach(app, options.against)
            return await check.run(requests, app)


async def _reach(client: httpx.AsyncClient, url: str) -> None:
    """Raise UserError if nobody listens: the same fault in every row would say no more."""
    try:
        async with client.stream("HEAD", "/"):
            pass
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UserError(f"{url} cannot be reached ({_reason(error)}); is it running, and is the URL right?") from error
    except httpx.HTTPError:
        # It is there, so each page has a fault of its own.
        return


@dataclass
class _Asked:
    """A request, its first answer, and how often it was sent; `is_settled` if nothing is left to see by sending it again."""

    request: Request
    checked: CheckedAnswer
    asked_at: float
    times: int = 1
    is_settled: bool = False

    def add_fault(self, fault: str) -> None:
        self.checked = replace(self.checked, faults=(*self.checked.faults, fault))


class _Check:
    def __init__(
        self, client: httpx.AsyncClient, url: str, build: Build, options: CheckOptions, on_done: Callable[[Progress], None]
    ) -> None:
        self._client = client
        self._url = url
        self._build = build
        self._options = options
        self._on_done = on_done
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._files: dict[PageFile, str] = {}

    async def run(self, requests: Iterable[Request], app: httpx.AsyncClient | None) -> CheckResult:
        asked = list(await asyncio.gather(*(self._limited("pages", self._ask(request)) for request in requests)))
        if self._options.patience_seconds:
            await self._ask_again([one for one in asked if not one.is_settled])
        files = await asyncio.gather(*(self._limited("files", self._file(file)) for file in self._files))
        if app is not None:
            await asyncio.gather(*(self._limited("compared", self._compare(one, app)) for one in asked))
        answers = tuple(one.checked for one in asked)
        has_no_state = bool(answers) and all(answer.state in {"", RULE} for answer in answers)
        return CheckResult(answers, tuple(files), await self._stranger() if has_no_state else "")

    async def _stranger(self) -> str:
        """Return what to say if something else than the Worker answers, "" if the Worker does."""
        try:
            response = await self._client.get(PRIVATE_PATH)
        except httpx.HTTPError as error:
            said = f"no answer: {_reason(error)}"
        else:
            if is_of_the_worker(response.status_code, response.headers, response.content):
                return ""
            location = response.headers.get("Location")
            said = f"status {response.status_code}{f', to {location}' if location else ''}"
        return f"no page comes from the cache, and {not_ours(self._url)} ({PRIVATE_PATH}: {said})"

    async def _limited(self, progress: Progress, work: Awaitable[T]) -> T:
        async with self._limit:
            result = await work
        self._on_done(progress)
        return result

    async def _ask(self, request: Request) -> _Asked:
        started = time.perf_counter()
        form, token = request.artifact.value, self._options.token
        try:
            headers = request.headers if token is None else {**request.headers, DEBUG_HEADER: token}
            async with self._client.stream("GET", request.target, headers=headers) as response:
                parts = response.aiter_bytes()
                body = [await anext(parts, b"")]
                first_byte_ms = (time.perf_counter() - started) * 1000
                body += [part async for part in parts]
        except httpx.HTTPError as error:
            checked = CheckedAnswer(request.url_path, form, None, "", "", None, (f"no answer: {_reason(error)}",))
            return _Asked(request, checked, started, is_settled=True)
        invalidated = None if token is None else invalidation_of(response.headers)
        was_invalidated = invalidated is not None
        reasons = faults(request, self._build, response.status_code, response.headers, was_invalidated=was_invalidated)
        is_page = not is_of_a_rule(request, response.status_code, response.headers)
        if is_page and not any(body) and not response.has_redirect_location:
            reasons = (*reasons, "the body is empty")
        if is_page and request.artifact is Artifact.HTML:
            self._note_files(request, b"".join(body).decode("utf-8", "replace"))
        state, cache_control = (response.headers.get(name, "") for name in ("X-Vinext-Cache", "Cache-Control"))
        if not is_page:
            state = RULE
        notes = () if invalidated is None else (f"it was rendered anew, because {invalidated}",)
        checked = CheckedAnswer(request.url_path, form, response.status_code, state, cache_control, first_byte_ms, reasons, notes)
        return _Asked(request, checked, started, is_settled=state in {"HIT", RULE})

    def _note_files(self, request: Request, html: str) -> None:
        for file in sorted(files_of(html, urljoin(self._url, request.url_path)), key=lambda file: file.target):
            self._files.setdefault(file, request.url_path)

    async def _ask_again(self, waiting: list[_Asked]) -> None:
        """Ask again for pages that were not fresh, together: what is stale is made again, what was missing is there."""
        give_up_at = time.perf_counter() + self._options.patience_seconds
        waits = iter(_WAITS_SECONDS)
        while waiting:
            wait = min(next(waits, _WAITS_SECONDS[-1]), give_up_at - time.perf_counter())
            if wait <= 0:
                break
            await asyncio.sleep(wait)
            await asyncio.gather(*(self._limited("again", self._once_more(one)) for one in waiting))
            waiting = [one for one in waiting if not one.is_settled]
        for one in waiting:
            period = one.request.record.revalidate_seconds or 0
            fault = (
                f"it stays STALE: it was not made again within {self._options.patience_seconds:g} s of a period of {period:g} s"
            )
            one.add_fault(fault)

    async def _once_more(self, one: _Asked) -> None:
        try:
            response = await self._client.get(one.request.target, headers=one.request.headers)
        except httpx.HTTPError as error:
            one.add_fault(f"no answer to request {one.times + 1}: {_reason(error)}")
            one.is_settled = True
            return
        one.times += 1
        state = response.headers.get("X-Vinext-Cache", "")
        age = response.headers.get("Age", "")
        if state in {"HIT", "STALE"}:
            since_seconds = time.perf_counter() - one.asked_at
            one.is_settled = is_made_again(state, int(age) if age.isdigit() else None, since_seconds)
        elif one.times == _TIMES_ASKED:
            one.add_fault(repeated_fault(one.request, state, one.times))
            one.is_settled = True

    async def _file(self, file: PageFile) -> CheckedAnswer:
        started = time.perf_counter()
        where = f"in {self._files[file]}"
        try:
            async with self._client.stream("GET", file.target, follow_redirects=True) as response:
                reasons = file_faults(file, response.status_code, response.headers)
        except httpx.HTTPError as error:
            return CheckedAnswer(file.target, file.kind.value, None, "", "", None, (f"no answer: {_reason(error)}, {where}",))
        first_byte_ms = (time.perf_counter() - started) * 1000
        cache_control = response.headers.get("Cache-Control", "")
        reasons = tuple(f"{reason}, {where}" for reason in reasons)
        return CheckedAnswer(file.target, file.kind.value, response.status_code, "", cache_control, first_byte_ms, reasons)

    async def _compare(self, one: _Asked, app: httpx.AsyncClient) -> None:
        if one.checked.status is None:
            return
        request = one.request
        try:
            ours = await _whole(self._client, request)
            theirs = await _whole(app, request)
        except httpx.HTTPError as error:
            one.add_fault(f"not compared with {self._options.against}: {_reason(error)}")
            return
        names = request.expected_headers(self._build)
        for difference in self._options.comparison.differences(request.artifact, ours, theirs, names):
            one.add_fault(difference)


async def _whole(client: httpx.AsyncClient, request: Request) -> AnswerGiven:
    response = await client.get(request.target, headers=request.headers)
    cookies = frozenset(text.partition("=")[0].strip() for text in response.headers.get_list("set-cookie"))
    return AnswerGiven(response.status_code, response.headers, cookies, response.content.decode("utf-8", "replace"))


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
