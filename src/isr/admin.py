"""The endpoints for the people who run the site, below `/__vinext/`: they populate the cache, and invalidate.

    POST /__vinext/seed         NDJSON, one entry a line: a stored entry as vinext writes it, with its "key" beside it
    POST /__vinext/revalidate   {"tags": [...], "paths": ["/a", {"path": "/a", "type": "layout"}], "prefixes": [...]}
                                and, with tags and paths, "stale": the seconds for which their pages stay, stale;
                                202 with "unwritten" if other isolates will not learn of these tags yet, and with "unpurged",
                                the reasons, if the cache in front of the Worker may still have their pages
    GET  /__vinext/metrics      the counters of this isolate, for Prometheus (`isr.metrics`)
    GET  /__vinext/inspect      the inspector, for a browser (`isr.inspector`)
    POST /__vinext/why          {"url": "/a?b", "method": "GET", "headers": {"RSC": "1"}}: what becomes of such a request now,
                                and why (`isr.why`); nothing changes
    GET  /__vinext/pages        the pages that are being regenerated, or could not be; ?state=failed those in a state
                                (`cache.due_pages`)

They exist if a token is set. No request for a path below that folder reaches the page handler.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from cache.document import DETACH, read_entry
from cache.due_pages import PageState
from cache.failures import FAILED_PURGES
from cache.handler import SetContext
from cache.invalidation import LONGEST_STALE_SECONDS
from cache.tags import ALLOWED_TAG, is_valid_tag, merge_tags, revalidate_path_tag
from core.body import BytesBody, parse_detached, parse_json
from core.errors import CacheError, described
from core.javascript import json_text
from core.paths import ADMIN_FOLDER, normalize_path
from isr.answer import NOT_FOUND, CachedAnswer
from isr.metrics import CONTENT_TYPE
from isr.story import due_facts
from pages.handler import PageError
from pages.request import GivenHeaders, PageRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from typing import Literal

    from cache.handler import CacheHandler
    from cache.lease import Lease
    from core.body import Body
    from core.log import Log
    from isr.why import Why

# KV may take half a second for a write, and six are under way at a time: so many are written before the platform ends the work
# (`cache.marker_writer`), within the operations that a request may make.
MAX_NAMES = 400

# Each has to list the keys in KV.
MAX_PREFIXES = 10

_PAGES_URL = f"/{ADMIN_FOLDER}/pages"

_LISTS = ("tags", "paths", "prefixes")

_STALE = "stale"

_UNWRITTEN = "unwritten"

_UNPURGED = "unpurged"

_TYPES: tuple[Literal["page", "layout"], ...] = ("page", "layout")


@dataclass(frozen=True)
class RevalidateRequest:
    """Tags and prefixes to invalidate. Paths are among the tags, as in Next.js's `revalidatePath`.

    `stale_seconds` None: the pages are gone at once.
    """

    tags: tuple[str, ...]
    prefixes: tuple[str, ...]
    stale_seconds: float | None = None

    @classmethod
    def parse(cls, body: bytes) -> RevalidateRequest:
        """Read a request's JSON. Raise ValueError that says what is wrong and what is allowed."""
        try:
            document = parse_json(body)
        except CacheError as error:
            raise ValueError(f"the body is {error}") from error
        if not isinstance(document, dict) or not document or not set(document) <= {*_LISTS, _STALE}:
            raise ValueError(f"the body must be an object with some of {', '.join(_LISTS)}, {_STALE}")
        lists = {name: document.get(name, []) for name in _LISTS}
        if not all(isinstance(items, list) for items in lists.values()):
            raise ValueError(f"{', '.join(_LISTS)} must be lists")
        count = sum(map(len, lists.values()))
        if not 0 < count <= MAX_NAMES:
            raise ValueError(f"{count} tags, paths and prefixes, allowed: 1 to {MAX_NAMES} a request")
        if len(lists["prefixes"]) > MAX_PREFIXES:
            raise ValueError(f"{len(lists['prefixes'])} prefixes, allowed: {MAX_PREFIXES} a request")
        for tag in lists["tags"]:
            if not is_valid_tag(tag):
                raise ValueError(f"{tag!r} is no tag: {ALLOWED_TAG}")
        tags = merge_tags(lists["tags"], map(_path_tag, lists["paths"]))
        prefixes = tuple(_path(prefix, "a prefix") for prefix in lists["prefixes"])
        stale_seconds = _stale_seconds(document[_STALE]) if _STALE in document else None
        if stale_seconds is not None and prefixes:
            raise ValueError(f"{_STALE} is for tags and paths; send prefixes in a request without it")
        return cls(tags, prefixes, stale_seconds)


@dataclass(frozen=True)
class WhyRequest:
    """The request of which the story is wanted. The host is that of the endpoint."""

    url: str
    method: str
    headers: dict[str, str]

    @classmethod
    def parse(cls, body: bytes) -> WhyRequest:
        """Read a request's JSON. Raise ValueError that says what is wrong and what is allowed."""
        try:
            document = parse_json(body)
        except CacheError as error:
            raise ValueError(f"the body is {error}") from error
        if not isinstance(document, dict) or not set(document) <= {"url", "method", "headers"}:
            raise ValueError("the body must be an object with url, and if you like method and headers")
        url, method, headers = document.get("url"), document.get("method", "GET"), document.get("headers", {})
        if not isinstance(url, str) or not url.startswith("/"):
            raise ValueError(f"{url!r} is no url: a path that begins with /, with or without a query")
        is_text = isinstance(headers, dict) and all(isinstance(text, str) for item in headers.items() for text in item)
        if not is_text or not isinstance(method, str):
            raise ValueError("method must be a string, and headers an object with strings by name")
        return cls(url, method.upper(), headers)

    def of(self, origin: str) -> PageRequest:
        """Return the request as a visitor of a host would send it."""
        path, _, query = self.url.partition("#")[0].partition("?")
        return PageRequest(self.method, origin, path, query, GivenHeaders(self.headers))


def _stale_seconds(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= LONGEST_STALE_SECONDS:
        raise ValueError(f"{_STALE} is {given!r}, allowed: seconds above 0, at most {LONGEST_STALE_SECONDS}")
    return given


def _path_tag(item: object) -> str:
    if isinstance(item, str):
        return revalidate_path_tag(_path(item, "a path"))
    if not isinstance(item, dict) or not set(item) <= {"path", "type"}:
        raise ValueError(f"{item!r} is neither a path nor an object with path and type")
    kind = item.get("type")
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"the type {kind!r} is neither page nor layout")
    return revalidate_path_tag(_path(item.get("path"), "a path"), kind)


def _path(item: object, what: str) -> str:
    """Return a path as it is written in tags."""
    if not isinstance(item, str) or not item.startswith("/"):
        raise ValueError(f"{item!r} is not {what} that begins with /")
    return normalize_path(item)


MAX_LINES = 100

# From the first character that is no space.
_LINE = re.compile(rb"\S[^\n]*")

MAX_REQUEST_BYTES = 16 * 1024 * 1024

MAX_REVALIDATE_BYTES = 1024 * 1024

MAX_WHY_BYTES = 64 * 1024

# A Worker may have six connections waiting for their answer at a time.
_AT_ONCE = 6


class Invalidation(Protocol):
    """Invalidates pages. Its methods return the tags that are not written yet, and raise the cache handler's own exceptions."""

    async def revalidate_tags(self, tags: Iterable[str], stale_seconds: float | None = None) -> tuple[str, ...]: ...

    async def revalidate_path_prefix(self, prefix: str) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class AdminCache:
    """The cache of the request's host."""

    handler: CacheHandler
    invalidation: Invalidation
    why: Why
    lease: Lease


class _RefusedError(Exception):
    """The request is answered with a status and a reason."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        self.status = status
        self.headers = headers
        super().__init__(reason)


class Admin:
    """Answers requests for the endpoints. With `token` None there are none. `metrics` returns what Prometheus reads.

    With `is_tenant` false, the host of the request has no cache.
    """

    def __init__(self, token: str | None, log: Log, metrics: Callable[[], str] = str, *, is_tenant: bool = True) -> None:
        self._token = token
        self._log = log
        self._metrics = metrics
        self._is_tenant = is_tenant

    async def answer(
        self,
        request: PageRequest,
        read_body: Callable[[int], Awaitable[Body | None]],
        open_cache: Callable[[], Awaitable[AdminCache | None]],
    ) -> CachedAnswer:
        """Answer a request to a path for which `core.paths.is_admin` holds.

        `read_body` returns the body, None if it is larger than the given number of bytes; `open_cache` returns None if the
        site's cache is not known just now. Neither is called before the token has been checked.
        """
        if self._token is None:
            return NOT_FOUND
        try:
            self._authenticate(request, self._token)
            if request.path == f"/{ADMIN_FOLDER}/metrics":
                _require(request, "GET")
                fixed = (("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"))
                return CachedAnswer(HTTPStatus.OK, fixed, BytesBody(self._metrics().encode()))
            if request.path == _PAGES_URL:
                return _answer(HTTPStatus.OK, await self._pages(request, open_cache))
            endpoints: dict[str, tuple[Callable[[AdminCache, bytes], Awaitable[dict[str, object]]], int]] = {
                f"/{ADMIN_FOLDER}/seed": (self._seed, MAX_REQUEST_BYTES),
                f"/{ADMIN_FOLDER}/revalidate": (self._revalidate, MAX_REVALIDATE_BYTES),
                f"/{ADMIN_FOLDER}/why": (partial(self._why, request.origin), MAX_WHY_BYTES),
            }
            if request.path not in endpoints:
                return NOT_FOUND
            work, max_bytes = endpoints[request.path]
            _require(request, "POST")
            document = await work(await self._cache(request, open_cache), await _body(read_body, max_bytes))
            is_done = document.keys().isdisjoint({_UNWRITTEN, _UNPURGED})
            return _answer(HTTPStatus.OK if is_done else HTTPStatus.ACCEPTED, document)
        except _RefusedError as refused:
            self._log.event("warning", "admin.refused", path=request.path, status=refused.status, reason=str(refused))
            return _answer(refused.status, {"error": str(refused)}, refused.headers)

    async def _cache(self, request: PageRequest, open_cache: Callable[[], Awaitable[AdminCache | None]]) -> AdminCache:
        if not self._is_tenant:
            raise _RefusedError(421, f"{request.host} is none of the hosts in VINEXT_TENANTS, so nothing is cached for it")
        cache = await open_cache()
        if cache is None:
            raise _RefusedError(503, "the site's build cannot be read just now; see the log", ("Retry-After", "2"))
        return cache

    @staticmethod
    def _authenticate(request: PageRequest, token: str) -> None:
        scheme, _, given = (request.headers.get("authorization") or "").partition(" ")
        is_right = compare_digest(given.strip().encode(), token.encode())
        if scheme.lower() != "bearer" or not is_right:
            reason = "the Authorization header has no bearer token, or a wrong one"
            raise _RefusedError(401, reason, ("WWW-Authenticate", "Bearer"))

    async def _seed(self, cache: AdminCache, body: bytes) -> dict[str, object]:
        lines = list(islice(_lines(body), MAX_LINES + 1))
        if not lines:
            raise _RefusedError(400, "the body is empty; send an entry a line")
        if len(lines) > MAX_LINES:
            raise _RefusedError(400, f"more than {MAX_LINES} entries; send the others in further requests")
        refused: list[dict[str, object]] = []
        for start in range(0, len(lines), _AT_ONCE):
            results = await asyncio.gather(*(_set(cache.handler, line) for _, line in lines[start : start + _AT_ONCE]))
            for (number, _), (key, error) in zip(lines[start : start + _AT_ONCE], results, strict=True):
                if error is not None:
                    refused.append({"line": number, "key": key, "error": error})
        accepted = len(lines) - len(refused)
        self._log.event("info", "admin.seeded", accepted=accepted, refused=len(refused))
        return {"accepted": accepted, "refused": refused}

    async def _revalidate(self, cache: AdminCache, body: bytes) -> dict[str, object]:
        try:
            wanted = RevalidateRequest.parse(body)
        except ValueError as error:
            raise _RefusedError(400, str(error)) from error
        try:
            return await revalidate(cache.invalidation, wanted, self._log)
        except CacheError as error:
            raise _RefusedError(503, str(error)) from error
        except Exception as error:
            raise _RefusedError(503, f"the cache handler failed, call again to retry: {described(error)}") from error

    async def _pages(self, request: PageRequest, open_cache: Callable[[], Awaitable[AdminCache | None]]) -> dict[str, object]:
        _require(request, "GET")
        state = request.query.removeprefix("state=")
        if request.query and (state == request.query or state not in {*PageState}):
            raise _RefusedError(400, f"{request.query!r} is no query of this endpoint: state= and one of {', '.join(PageState)}")
        cache = await self._cache(request, open_cache)
        try:
            pages = await cache.lease.pages(state=state)
        except Exception as error:
            raise _RefusedError(503, f"the Durable Object of tags does not say: {described(error)}") from error
        return {"pages": [due_facts(page) for page in pages]}

    async def _why(self, origin: str, cache: AdminCache, body: bytes) -> dict[str, object]:
        try:
            wanted = WhyRequest.parse(body)
        except ValueError as error:
            raise _RefusedError(400, str(error)) from error
        try:
            story = await cache.why.explain(wanted.of(origin))
        except Exception as error:
            self._log.event("error", "why.failed", path=wanted.url, error=traceback.format_exc())
            raise _RefusedError(500, f"the reason cannot be told: {described(error)}") from error
        return {"url": wanted.url, "method": wanted.method, **story.to_document()}


async def revalidate(invalidation: Invalidation, wanted: RevalidateRequest, log: Log) -> dict[str, object]:
    """Invalidate what a request wants. Return what was done, also logged; raise the cache handler's own exceptions."""
    unwritten: list[str] = []
    with FAILED_PURGES.noted() as failures:
        if wanted.tags:
            unwritten += await invalidation.revalidate_tags(wanted.tags, wanted.stale_seconds)
        for prefix in wanted.prefixes:
            unwritten += await invalidation.revalidate_path_prefix(prefix)
    done: dict[str, object] = {"tags": wanted.tags, "prefixes": wanted.prefixes}
    if wanted.stale_seconds is not None:
        done[_STALE] = wanted.stale_seconds
    if unwritten:
        done[_UNWRITTEN] = merge_tags(unwritten)
    if failures:
        done[_UNPURGED] = merge_tags(failures)
    log.event("info", "admin.revalidated", **done)
    return done


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers from 1 on, without a list of all."""
    number, counted_to = 1, 0
    for line in _LINE.finditer(body):
        number += body.count(b"\n", counted_to, line.start())
        counted_to = line.start()
        yield number, line[0]


async def _set(handler: CacheHandler, line: bytes) -> tuple[str | None, str | None]:
    """Write the entry of one line. Return its key, if it has one, and the reason if it was refused."""
    key: str | None = None
    try:
        document, bodies = parse_detached(line, DETACH)
        given = document.pop("key", None) if isinstance(document, dict) else None
        if not isinstance(given, str) or not given:
            return None, "a line is an object with a key, which is a string"
        key = given
        entry = read_entry(document, bodies)
        await handler.set(key, entry.value, SetContext.of(entry))
    except CacheError as error:
        return key, str(error)
    except Exception as error:  # noqa: BLE001 - a cache handler may be the site's own, and the other lines go on
        return key, described(error)
    return key, None


def _require(request: PageRequest, method: str) -> None:
    if request.method != method:
        raise _RefusedError(405, f"{request.path} takes {method}, not {request.method}", ("Allow", method))


async def _body(read_body: Callable[[int], Awaitable[Body | None]], max_bytes: int) -> bytes:
    try:
        body = await read_body(max_bytes)
    except PageError as error:
        raise _RefusedError(400, f"the body broke off: {error}") from error
    if body is None:
        raise _RefusedError(413, f"the body is larger than {max_bytes} bytes; send it in several requests")
    return body.to_bytes()


def _answer(status: int, document: dict[str, object], headers: tuple[tuple[str, str], ...] = ()) -> CachedAnswer:
    fixed = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return CachedAnswer(status, (*fixed, *headers), BytesBody(json_text(document).encode()))
