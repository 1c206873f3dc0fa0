"""A build's pages in the cache handler. If the handler fails, a read is a miss and a write is lost."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

from cache.entry import AppPageValue, AppRouteValue, CacheEntry, Freshness, PagesValue, RedirectValue, freshness
from cache.failures import LOST_WRITES
from cache.handler import GetContext, SetContext
from cache.keys import KeySchema
from cache.tags import is_valid_tag, merge_tags, path_tags
from core.body import ArrivingBody
from core.http import REVALIDATED_HEADER
from core.recent import Recent
from isr.admission import revalidated_tags
from isr.numbers import Numbers
from isr.page_headers import take_stale_time
from isr.reasons import Unservable
from isr.variants import SELECTED_HEADER, read_selection
from seed.build import Artifact
from seed.entries import page_value
from seed.look import Unseedable
from seed.pages_router import data_body, redirect_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from cache.entry import EntryIdentity, Headers
    from cache.handler import EntryCache
    from cache.look import Look, Mark
    from core.body import Body, Digest
    from core.runtime import Runtime
    from isr.admission import Admission
    from isr.lookup import Lookup
    from isr.served_build import ServedBuild
    from isr.variants import Selection
    from pages.handler import PageResponse
    from seed.build import RouteRecord
    from seed.look import Seed
    from seed.seeder import Seeder

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_NO_VALUE = re.compile(r"[\0\r\n]")


@dataclass(frozen=True)
class KeptHeaders:
    """What the headers of an entry say of it: whether HTTP allows them (RFC 9110, 5.1 and 5.5), and what they select."""

    are_sendable: bool
    vary: str | None
    selected: Selection


_kept_headers: WeakKeyDictionary[EntryIdentity, KeptHeaders] = WeakKeyDictionary()


@dataclass(frozen=True)
class CachedPage:
    """An entry that may be served, fresh or stale, and the body in it that was asked for.

    `has_router_headers`: the site's answers vary by the headers that the App Router's client sends. `vary` is the entry's own,
    None if it has none, and `selected` is what it was made for (`isr.variants`).
    """

    entry: CacheEntry
    artifact: Artifact
    body: Body
    state: Freshness
    has_router_headers: bool = True
    vary: str | None = None
    selected: Selection = ()

    @property
    def status(self) -> int:
        """The HTTP status with which the page was rendered."""
        return getattr(self.entry.value, "status", None) or HTTPStatus.OK


def kept_headers(entry: CacheEntry) -> KeptHeaders:
    """Return what the headers of an entry say. Each entry is read once."""
    known = _kept_headers.get(entry.identity)
    if known is None:
        known = _kept_headers[entry.identity] = _read_headers(getattr(entry.value, "headers", None) or {})
    return known


def _read_headers(headers: Headers) -> KeptHeaders:
    values = {name.lower(): texts if isinstance(texts, str) else ",".join(texts) for name, texts in headers.items()}
    are_sendable = all(map(_NAME.fullmatch, headers)) and not _NO_VALUE.search("".join(values.values()))
    selected = values.get(SELECTED_HEADER)
    return KeptHeaders(are_sendable, values.get("vary"), () if selected is None else read_selection(selected))


def body_of(entry: CacheEntry, artifact: Artifact) -> Body | None:
    """Return the body of an artifact in an entry, None if the entry is of another kind."""
    value = entry.value
    if isinstance(value, AppPageValue) and artifact is Artifact.HTML:
        return value.html
    if isinstance(value, AppPageValue) and artifact is Artifact.RSC:
        return value.rsc_data
    if isinstance(value, AppRouteValue) and artifact is Artifact.ROUTE:
        return value.body
    if isinstance(value, PagesValue) and artifact is Artifact.PAGES:
        return None if value.generated_from_data_request else value.html
    if isinstance(value, PagesValue) and artifact is Artifact.DATA:
        return _data_of(entry, value)
    return None


_data_bodies: WeakKeyDictionary[EntryIdentity, Body] = WeakKeyDictionary()


def _data_of(entry: CacheEntry, value: PagesValue) -> Body:
    """Return the data of a page as it is sent, written once for each entry."""
    body = _data_bodies.get(entry.identity)
    if body is None:
        body = _data_bodies[entry.identity] = data_body(value)
    return body


# A page is stored as HTML and as RSC payload, and both have the tags of its path.
@lru_cache(maxsize=16)
def _valid_path_tags(schema: KeySchema, path: str) -> tuple[str, ...]:
    # A very long path has no valid tags of its own; those of its layouts are valid, and invalidate it too.
    return tuple(filter(is_valid_tag, path_tags(schema, path)))


# A cache handler keeps an entry with a period for a limited time, so a tombstone has one.
_TOMBSTONE_SECONDS = 60

_STREAMED = GetContext(streamed=True)


Place: TypeAlias = "tuple[Artifact, str]"
"""An artifact and its key."""


@dataclass(frozen=True)
class RenderedPage:
    """One artifact of a page as its handler rendered it; `started_at_ms` is when the rendering began."""

    status: int
    headers: Mapping[str, str]
    body: Body
    started_at_ms: int


@dataclass(frozen=True)
class Found:
    """What is under one key: in the layers of the cache, then in the build if that is asked. `page` is what is served of it.

    `marks` are the known invalidations of the build's page, or of the page's path where nothing of it is left to tell its tags.
    `took_ms` is by phase.
    """

    artifact: Artifact
    key: str
    looks: tuple[Look, ...]
    seed: Seed | Unseedable | None
    page: CachedPage | Unservable | None
    marks: tuple[Mark, ...] = ()
    took_ms: Mapping[str, float] = field(default_factory=dict)


class PageStore:
    """The pages of a build in a cache handler, which is seeded with the build's own pages as they are asked for.

    `numbers` has what was done with them in this isolate.
    """

    def __init__(self, build: ServedBuild, entries: EntryCache, seeder: Seeder, digest: Digest, runtime: Runtime) -> None:
        self.build = build
        self.numbers = Numbers()
        self._entries = entries
        self._seeder = seeder
        self._digest = digest
        self._clock = runtime.clock
        self._log = runtime.log
        self._invalidated_at_ms = 0

    @cached_property
    def _found(self) -> Recent[str, Artifact]:
        """The artifacts that were found last where they are not the first that could be there: they are looked up first."""
        return Recent()

    @cached_property
    def _kept(self) -> Recent[str, None]:
        """Dynamic paths that turned out to be kept after all."""
        return Recent()

    @cached_property
    def _made(self) -> Recent[str, int]:
        """When the rendering began of what this isolate has written last under a key."""
        return Recent()

    def key(self, path: str, artifact: Artifact) -> str:
        """Return the cache key of an artifact; `path` is one of `normalize_path`."""
        return self.build.key(path, artifact)

    async def heed(self, response: PageResponse) -> None:
        """Invalidate the tags that the page handler says it has invalidated. A failure is logged: its answer goes out.

        Only the adapter says so. From others these headers are somebody else's, passed on.
        """
        if not self.build.has_adapter:
            return
        for stale_seconds, tags in revalidated_tags(response.header(REVALIDATED_HEADER)).items():
            stale = {} if stale_seconds is None else {"stale_seconds": stale_seconds}
            try:
                unwritten = await self.revalidate_tags(tags, stale_seconds)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
                self._log.event("error", "cache.invalidation_failed", tags=tags, **stale, error=str(error))
            else:
                late = {"unwritten": unwritten} if unwritten else {}
                self._log.event("info", "cache.invalidated", tags=tags, **stale, **late)

    async def find(self, lookup: Lookup, places: Iterable[Place] | None = None) -> CachedPage | None:
        """Return the page that answers a request, from the cache or from the build; None if neither has it.

        With `places`, only there. They are some of those that `places` returns.
        """
        for artifact, key in self.places(lookup) if places is None else places:
            try:
                entry = await self._entries.read(key, _STREAMED)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
                self._log.event("error", "cache.read_failed", key=key, error=str(error))
                entry = None
            if entry is None and lookup.may_be_seeded:
                entry = await self._seeder.seed(key, lookup.path, artifact.stored)
            if entry is None:
                continue
            page = self._page(entry, artifact)
            if isinstance(page, CachedPage):
                if artifact is not lookup.artifacts[0]:
                    self._found[lookup.path] = artifact
                return page
            if page is Unservable.BAD_HEADER:
                self._log.event("error", "cache.entry_corrupt", key=key, error="it keeps a header that HTTP does not allow")
        return None

    async def look(self, lookup: Lookup) -> tuple[Found, ...]:
        """Return what `find` would find now, and where, in the order in which it would look. Nothing changes."""
        cache = self._entries.observer()
        found: list[Found] = []
        for artifact, key in self.places(lookup):
            started = time.perf_counter()
            looks = await cache.look(key)
            looked = time.perf_counter()
            entry, seed = looks[-1].entry, None
            took_ms = {looks[-1].layer: (looked - started) * 1000}
            if entry is None and lookup.may_be_seeded:
                seed = await self._seeder.look(cache, key, lookup.path, artifact.stored)
                entry = None if isinstance(seed, Unseedable) else seed.served
                took_ms["seed"] = (time.perf_counter() - looked) * 1000
            page = None if entry is None else self._page(entry, artifact)
            tags = seed.tags if isinstance(seed, Unseedable) else ()
            if not tags and entry is None and not any(one.kept_tags for one in looks):
                # A page that was invalidated is removed: only the tags of its path are still known then.
                tags = self._path_tags(lookup.tag_path)
            marks = await self._marks(cache, tags) if tags else ()
            found.append(Found(artifact, key, looks, seed, page, marks, took_ms))
            if isinstance(page, CachedPage):
                break
        return tuple(found)

    @staticmethod
    async def _marks(cache: EntryCache, tags: tuple[str, ...]) -> tuple[Mark, ...]:
        try:
            return await cache.marks(tags)
        except Exception:  # noqa: BLE001 - the look says that the store fails
            return ()

    def _page(self, entry: CacheEntry, artifact: Artifact) -> CachedPage | Unservable:
        """Return an artifact of an entry as it is served, or why it is not."""
        body = body_of(entry, artifact)
        if body is None:
            if entry.value is None:
                return Unservable.TOMBSTONE
            redirect = redirect_value(entry.value, self.build.base_path) if isinstance(entry.value, RedirectValue) else None
            if redirect is None:
                return Unservable.OTHER_KIND
            entry = entry.with_value(redirect)
            body = body_of(entry, artifact)
            if body is None:
                return Unservable.OTHER_KIND
        headers = kept_headers(entry)
        if not headers.are_sendable:
            return Unservable.BAD_HEADER
        state = freshness(entry, self._clock())
        if state is Freshness.EXPIRED:
            return Unservable.EXPIRED
        return CachedPage(entry, artifact, body, state, self.build.has_rsc_payloads, headers.vary, headers.selected)

    def is_unlikely(self, lookup: Lookup) -> bool:
        """Return whether a look-up would find nothing: the page was dynamic when it was built, and has not been kept since.

        It may be kept all the same, as vinext decides with each render: a page may read cookies only sometimes, and the
        build calls a page dynamic too whose render failed. Then an isolate finds it once it has rendered the page itself.
        """
        return lookup.is_dynamic and lookup.path not in self._kept

    def note_kept(self, lookup: Lookup) -> None:
        """Look a page up from now on, even if it was dynamic when it was built."""
        if lookup.is_dynamic:
            self._kept[lookup.path] = None

    def places(self, lookup: Lookup) -> list[Place]:
        """Return where the page of a lookup may be, the likeliest place first."""
        places = list(zip(lookup.artifacts, lookup.keys, strict=True))
        found = None if len(places) == 1 else self._found.get(lookup.path)
        return places if found is None else sorted(places, key=lambda place: place[0] is not found)

    def may_have_built(self, lookup: Lookup) -> bool:
        """Return whether the build may have a page at the path, as far as is known without reading anything."""
        return not self._seeder.lacks(lookup.path)

    async def record(self, path: str) -> RouteRecord | None:
        """Return the build's record of a path, None if it has none."""
        return await self._seeder.record(path)

    async def write(self, lookup: Lookup, artifact: Artifact, admission: Admission, page: RenderedPage) -> None:
        """Store an artifact of a page.

        Its age counts from when its rendering began, so an invalidation since then holds against it.
        """
        headers = dict(page.headers)
        if "etag" not in headers and not isinstance(page.body, ArrivingBody):
            headers["etag"] = f'"{await self._digest(page.body)}"'
        key, period = self.build.key(lookup.path, lookup.part(artifact)), admission.period
        # Among the periods, where stored JSON has any: vinext sends the header from there, and again if it is kept as one.
        has_periods = self.build.schema is KeySchema.V2 and period.revalidate_seconds is not None
        stale_seconds = take_stale_time(headers) if has_periods else None
        value = page_value(artifact, page.body, headers, page.status, self.build.base_path)
        if value is None:
            # `isr.writer` asks first.
            self._log.event("error", "cache.write_failed", key=key, error="a page of the Pages Router does not tell its data")
            return
        tags = merge_tags(self._path_tags(lookup.tag_path), admission.tags)
        entry = CacheEntry.make(value, tags, page.started_at_ms, period.revalidate_seconds, period.expire_seconds, stale_seconds)
        self._made[key] = page.started_at_ms
        if await self._try_write(key, self._entries.write(key, entry)):
            self.numbers.stored += 1
            self.numbers.stored_bytes += page.body.size_bytes
        self.note_kept(lookup)

    def has_made(self, lookup: Lookup, page: CachedPage) -> bool:
        """Return whether this isolate has rendered a page that was found."""
        key = self.build.key(lookup.path, lookup.part(page.artifact.stored))
        return self._made.get(key) == page.entry.last_modified_ms

    async def remove(self, lookup: Lookup, artifacts: Iterable[Artifact]) -> None:
        """Replace artifacts of a page with tombstones, so that the build's are not seeded again either."""
        context = SetContext(tags=self._path_tags(lookup.tag_path), revalidate=_TOMBSTONE_SECONDS)
        for artifact in artifacts:
            key = self.build.key(lookup.path, lookup.part(artifact))
            await self._try_write(key, self._entries.set_new(key, None, context))

    async def revalidate_tags(self, tags: Iterable[str], stale_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate every page that carries one of the tags. Raise the handler's own exceptions.

        With `stale_seconds` the pages stay for that time, stale; without, they are gone at once. Return the tags that are not
        written yet, as `EntryCache.invalidate` does.
        """
        try:
            return await self._entries.invalidate(tuple(tags), stale_seconds)
        finally:
            self._invalidated_at_ms = self._clock()

    async def revalidate_path_prefix(self, prefix: str) -> tuple[str, ...]:
        """Invalidate the page at a path and those below it. Raise the handler's own exceptions.

        Return the tags that are not written yet.
        """
        try:
            return await self._entries.invalidate_below(prefix)
        finally:
            self._invalidated_at_ms = self._clock()

    async def replaced(self, path: str) -> None:
        """Let what stands in front of the Worker forget the page at a path. Never raises."""
        await self._entries.replaced((path,))

    def forget_read(self) -> None:
        """Let the next read see the pages that another writer has stored meanwhile."""
        try:
            self._entries.forget_reads()
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
            self._log.event("error", "cache.read_failed", error=str(error))

    def started_at_ms(self) -> int:
        """Return the time for a page whose rendering begins now.

        It is later than every invalidation that came through this store: one in the same millisecond came before the
        page, and must not hold against it.
        """
        return max(self._clock(), self._invalidated_at_ms + 1)

    def _path_tags(self, path: str) -> tuple[str, ...]:
        return _valid_path_tags(self.build.schema, path)

    async def _try_write(self, key: str, writing: Awaitable[None]) -> bool:
        """Wait for a write. Return whether it has not failed."""
        try:
            await writing
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
            self._log.event("error", "cache.write_failed", key=key, error=str(error))
            LOST_WRITES.note(str(error))
            return False
        return True
