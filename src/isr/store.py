"""An entry that answers a request.

Pages in and out of the cache handler. A fault in it is a miss, or a page not kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from cache.entry import AppPageValue, AppRouteValue, Freshness, freshness
from cache.handler import GetContext, SetContext
from cache.tags import is_valid_tag, merge_tags, path_tags
from core.recent import Recent
from seed.build import Artifact
from seed.entries import page_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from cache.entry import CacheEntry, CacheValue, EntryIdentity, Headers
    from cache.handler import CacheHandler
    from core.body import Body
    from core.runtime import Runtime
    from isr.admission import Admission
    from isr.lookup import Lookup
    from isr.site import Site
    from seed.build import RouteRecord
    from seed.seeder import Seeder

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_NO_VALUE = re.compile(r"[\0\r\n]")


class Found(NamedTuple):
    """An entry that may be served, fresh or stale, and the body in it that was asked for."""

    entry: CacheEntry
    artifact: Artifact
    body: Body
    state: Freshness


_sendable: WeakKeyDictionary[EntryIdentity, bool] = WeakKeyDictionary()


def is_sendable(entry: CacheEntry) -> bool:
    """Whether HTTP allows the headers that an entry keeps (RFC 9110, 5.1 and 5.5). Looked at once for each entry."""
    known = _sendable.get(entry.identity)
    if known is None:
        known = _sendable[entry.identity] = _are_sendable(getattr(entry.value, "headers", None) or {})
    return known


def _are_sendable(headers: Headers) -> bool:
    values = [text for texts in headers.values() for text in ([texts] if isinstance(texts, str) else texts)]
    return all(map(_NAME.fullmatch, headers)) and not _NO_VALUE.search("".join(values))


def body_of(entry: CacheEntry, artifact: Artifact) -> Body | None:
    """The body that an entry keeps for an artifact, None where it is of another kind."""
    value = entry.value
    if isinstance(value, AppPageValue) and artifact is Artifact.HTML:
        return value.html
    if isinstance(value, AppPageValue) and artifact is Artifact.RSC:
        return value.rsc_data
    if isinstance(value, AppRouteValue) and artifact is Artifact.ROUTE:
        return value.body
    return None


# A tombstone must go some day, and a handler keeps what has a period for a limited time.
_TOMBSTONE_SECONDS = 60

_STREAMED = GetContext(streamed=True)

Digest: TypeAlias = "Callable[[Body], Awaitable[str]]"
"""Names a body by its content."""


@dataclass(frozen=True)
class MadePage:
    """A page as its handler made it; `made_at_ms` is when its making began."""

    status: int
    headers: Mapping[str, str]
    body: Body
    made_at_ms: int


class PageStore:
    """A site's pages in a cache handler, with the build's pages behind it."""

    def __init__(self, site: Site, handler: CacheHandler, seeder: Seeder, digest: Digest, runtime: Runtime) -> None:
        self._site = site
        self._handler = handler
        self._seeder = seeder
        self._digest = digest
        self._clock = runtime.clock
        self._log = runtime.log
        self._invalidated_at_ms = 0
        # Paths that were found to be route handlers: asked for as such at once.
        self._routes: Recent[str, None] = Recent()

    def key(self, path: str, artifact: Artifact) -> str:
        """The cache key of an artifact; `path` is one of `normalize_path`."""
        return self._site.key(path, artifact)

    async def find(self, lookup: Lookup) -> Found | None:
        """The entry that answers a request, out of the cache or of the build."""
        forms = zip(lookup.artifacts, lookup.keys, strict=True)
        for artifact, key in reversed(tuple(forms)) if lookup.path in self._routes else forms:
            try:
                entry = await self._handler.get(key, _STREAMED)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
                self._log.event("error", "cache.read_failed", key=key, error=str(error))
                entry = None
            if entry is not None and entry.value is None:
                continue
            if entry is None:
                entry = await self._seeder.seed(key, lookup.path, artifact)
            body = body_of(entry, artifact) if entry is not None else None
            if entry is not None and body is not None and self._is_sendable(key, entry):
                state = freshness(entry, self._clock())
                if state is not Freshness.EXPIRED:
                    if artifact is Artifact.ROUTE:
                        self._routes[lookup.path] = None
                    return Found(entry, artifact, body, state)
        return None

    async def record(self, path: str) -> RouteRecord | None:
        """What the build says of a path."""
        return await self._seeder.record(path)

    async def keep(self, path: str, admission: Admission, page: MadePage) -> None:
        """Keep a page. It counts as made when its making began, so an invalidation since then holds against it."""
        headers = dict(page.headers)
        if "etag" not in headers:
            headers["etag"] = f'"{await self._digest(page.body)}"'
        context = SetContext(
            tags=merge_tags(self._path_tags(path), admission.tags),
            revalidate=admission.period.revalidate_seconds or False,
            expire=admission.period.expire_seconds,
            last_modified_ms=page.made_at_ms,
        )
        value = page_value(admission.artifact, page.body, headers, page.status)
        await self._set(self.key(path, admission.artifact), value, context)

    async def remove(self, path: str, artifacts: Iterable[Artifact]) -> None:
        """Leave tombstones for artifacts of a page, so that the build's do not come back either."""
        context = SetContext(tags=self._path_tags(path), revalidate=_TOMBSTONE_SECONDS)
        for artifact in artifacts:
            await self._set(self.key(path, artifact), None, context)

    async def revalidate_tags(self, tags: Iterable[str]) -> None:
        """Invalidate every page that carries one of the tags. Raises what the handler raises."""
        try:
            await self._handler.revalidate_tag(tuple(tags))
        finally:
            self._invalidated_at_ms = self._clock()

    async def revalidate_path_prefix(self, prefix: str) -> None:
        """Invalidate the page at a path and those below it. Raises what the handler raises."""
        try:
            await self._handler.revalidate_by_path_prefix(prefix)
        finally:
            self._invalidated_at_ms = self._clock()

    def forget_read(self) -> None:
        """Forget what was remembered of the cache, so that the next read finds what somebody else has written."""
        try:
            self._handler.reset_request_cache()
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
            self._log.event("error", "cache.read_failed", error=str(error))

    def started_at_ms(self) -> int:
        """The time for a page whose making begins now.

        Later than every invalidation that came through here: one in the same millisecond came
        before, and the page must not be born invalid by it.
        """
        return max(self._clock(), self._invalidated_at_ms + 1)

    def _is_sendable(self, key: str, entry: CacheEntry) -> bool:
        if is_sendable(entry):
            return True
        self._log.event("error", "cache.entry_corrupt", key=key, error="it keeps a header that HTTP does not allow")
        return False

    def _path_tags(self, path: str) -> tuple[str, ...]:
        # Those of a very long path are not valid. Its layouts' still are, and reach it.
        return tuple(filter(is_valid_tag, path_tags(self._site.schema, path)))

    async def _set(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        try:
            await self._handler.set(key, value, context)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
            self._log.event("error", "cache.write_failed", key=key, error=str(error))
