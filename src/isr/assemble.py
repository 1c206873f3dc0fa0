"""The parts of one site, put together: the same in the Worker and in the tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from cache.handler import ForeignCache, entry_cache
from cache.kv import KVCacheHandler
from cache.lease import KVLease, NoLease, SharedLease
from cache.listing import StoreListing
from cache.memory import MemoryCacheHandler
from cache.own_handler import HandlerContext, made_handler
from cache.pool import MemoryPool
from cache.purging import PurgingCache
from cache.r2 import store_of
from cache.regional import RegionalCacheHandler
from cache.shared_markers import FollowingCache, SharedMarkers
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.errors import CacheHandlerError
from core.http import NEVER_STALE_SECONDS
from core.paths import normalize_path
from core.runtime import WORK_MS
from datacache.context import DataCache, enter_data_cache
from isr.edge_policy import EdgePolicy
from isr.files import BuiltFiles
from isr.lookup import RequestClassifier
from isr.misses import Misses
from isr.page_cache import PageCache
from isr.regeneration import Regeneration
from isr.revalidator import Revalidator
from isr.served_build import served_build
from isr.settings import EdgeCache, ImagesSwitch, Settings
from isr.staged_cache import StagedCache
from isr.store import PageStore
from isr.variant_pages import VariantPages
from isr.why import Why
from isr.writer import PageWriter
from pages.images.endpoint import Images
from pages.images.request import IMAGE_PATHS
from pages.images.rules import ImageRules, rules_of_app
from pages.selection import chosen_pages
from seed.rules import STAGES_VERSION, touching_rule
from seed.seeder import Seeder

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.handler import CacheHandler, EntryCache
    from cache.kv_namespace import KVNamespace
    from cache.lease import Lease
    from cache.own_handler import HandlerFactory
    from cache.pool import Share
    from cache.purging import Purger
    from cache.r2 import Store
    from cache.regional import Region
    from cache.shared_markers import TagObjects
    from core.body import Body, Digest
    from core.log import Log
    from core.runtime import Clock, Runtime
    from isr.files import FileSource
    from isr.served_build import ServedBuild
    from pages.handler import PageHandler, PageResponse
    from pages.images.endpoint import ImageSources, ImageTransformer
    from pages.request import PageRequest
    from pages.stages import StagedPages
    from seed.rules import Rule
    from seed.sources import Source


# How long an answer may be on its way to the cache in front of the Worker.
_IN_FLIGHT_MS = 1_000

_UNSURE_SECONDS = 60

SITE_BYTES = 3000
"""What a site takes in a Worker before its first entry (`./scripts/bench-tenants`)."""


@dataclass(frozen=True)
class SharedParts:
    """The parts that the sites of a Worker share.

    `namespace` is KV, `bucket` R2 (`cache.r2`); without either, pages are kept in memory alone. `make_body` copies bytes to where
    bodies are kept. `image_transformer` None serves images as they are. `env` are the bindings, for a site's own cache handler.
    `purger` is the cache in front of the Worker, None if it may keep nothing. `tag_objects` makes the objects that tell the
    isolates of a site of each other's invalidations, by the prefix of its keys and the number of shards.
    """

    settings: Settings
    namespace: KVNamespace | None
    page_handler: PageHandler
    image_sources: ImageSources
    image_transformer: ImageTransformer | None
    digest: Digest
    make_body: Callable[[bytes], Body]
    files: FileSource | None = None
    bucket: KVNamespace | None = None
    env: Any = None
    tag_objects: Callable[[str, int], TagObjects] | None = None
    purger: Purger | None = None


@dataclass(frozen=True, slots=True)
class SiteServer:
    """The parts that answer the requests for one site, with keys and memory of their own. Its keys begin with `prefix`.

    `images` None: the page handler answers requests for images. `enter_data` lets the Python code of the site use its
    data cache, None if no Python code renders its pages. `files` None: the page handler answers for the build's files.
    `listed` None: the entries cannot be listed, in memory or in a cache handler of the site's own.
    """

    prefix: str
    page_cache: PageCache
    entries: EntryCache
    store: PageStore
    revalidator: Revalidator
    lease: Lease
    images: Images | None
    enter_data: Callable[[], None] | None
    files: BuiltFiles | None
    misses: Misses
    variant_pages: VariantPages | None
    staged: StagedCache | None
    listed: KVNamespace | None
    clock: Clock
    share: Share

    def may_be_file(self, path: str) -> bool:
        """Return whether a file of the build, or an image made of one, may be at a percent-encoded path, and no page."""
        is_image = self.images is not None and path in self.images.paths
        return is_image or (self.files is not None and self.files.may_have(path))

    async def file(self, request: PageRequest) -> PageResponse | None:
        """Return the answer to a request for a file or an image; None if the page handler is to answer."""
        if self.images is not None and request.path in self.images.paths:
            return await self.images.answer(request)
        return None if self.files is None else await self.files.answer(request)

    @property
    def why(self) -> Why:
        """What tells why a page is a HIT or not."""
        has_stages = self.staged is not None
        return Why(self.store, self.misses, self.revalidator, self.variant_pages, has_stages, self.clock)

    @property
    def regeneration(self) -> Regeneration:
        """What regenerates a page at once."""
        return Regeneration(self.store, self.revalidator, self.staged)

    @property
    def listing(self) -> StoreListing | None:
        """The list of the entries."""
        return None if self.listed is None else StoreListing(self.listed, self.prefix)


class SitePlan:
    """What the build and the settings decide of a site. It is the same for all sites of a Worker, so it is decided once.

    `source` is the build, None if there is none; `handler` is the cache handler that the site's own code has set, None leaves
    the choice to the settings.
    """

    def __init__(
        self, parts: SharedParts, source: Source | None, log: Log, handler: CacheHandler | HandlerFactory | None = None
    ) -> None:
        settings = parts.settings
        self._parts = parts
        self._source = source
        self._handler = settings.cache_handler if handler is None else handler
        self._staged_pages = _staged_pages(parts.page_handler, source)
        build = served_build(source.build if source else None, settings.build_id, settings.key_schema)
        if self._staged_pages is None:
            build = replace(build, has_stages=False)
        if source is not None and not has_python_pages(settings):
            build = replace(build, takes_upgrades=False)  # it is a vinext app's
        if has_python_pages(settings):
            # Such code may pass on the headers of any other site, and its URLs are its own affair.
            build = replace(build, has_adapter=False, has_next_urls=False)
        self._build = build
        self._classifier = RequestClassifier(build)
        self._pool = MemoryPool(settings.memory_bytes, parts.make_body)
        self._kept = store_of(parts.namespace, parts.bucket, settings.kv_body_bytes)
        self._purger = parts.purger if parts.purger is not None and _may_use_edge(settings, build, log) else None
        # An app in stages keys its own variants, and answers as it would alone.
        self._variants = settings.variant_rules if self._staged_pages is None else None
        self._rules_of_images = () if settings.images is ImagesSwitch.ON else build.rules
        self._image_paths = _image_paths(parts, build, log)
        self._image_rules = _image_rules(settings, source, log) if self._image_paths else None
        self._files = _files(parts, source, log)
        self._has_python_pages = has_python_pages(settings)

    def site(
        self, prefix: str, runtime: Runtime, region: Region | None = None, end: Callable[[], object] | None = None
    ) -> SiteServer:
        """Put a site together. `prefix` begins its keys in the store; `region` keeps copies for the isolates of a data centre.

        `end` is called when the memory is needed for other sites, and nobody has asked for this one for longest. Then it is made
        anew for the next request; what is still running for it goes on.
        """
        parts, build, kept = self._parts, self._build, self._kept
        settings = parts.settings
        objects = None if kept is None or parts.tag_objects is None else parts.tag_objects(prefix, settings.tag_shards)
        share = self._pool.share(SITE_BYTES if settings.tenants.are_several else 0, end)
        entries = self._entries(prefix, runtime, cache(partial(self._default_cache, prefix, runtime, objects, region, share)))
        edge = None
        if self._purger is not None:
            longest_seconds, again_ms = _edge_times(parts, entries)
            is_for_cookies = settings.edge_cache is EdgeCache.ON
            edge = EdgePolicy(build.schema, is_for_cookies, longest_seconds, runtime.clock)
            entries = PurgingCache(entries, self._purger, build.schema, runtime, again_ms)
        lease = _lease(kept, objects, prefix, runtime)
        store = PageStore(build, entries, Seeder(self._source, entries, parts.digest, runtime), parts.digest, runtime)
        # A site's own handler gets whole bodies, and what it keeps cannot be listed.
        default = kept if self._handler is None else None
        whole_bytes = None if default is None else default.whole_bytes
        writer = PageWriter(store, settings.page_limit_bytes, self._variants, runtime, whole_bytes)
        staged_pages = self._staged_pages
        revalidator = Revalidator(store, writer, staged_pages or parts.page_handler, lease, runtime)
        misses = Misses(store, revalidator, runtime)
        staged = None if staged_pages is None else StagedCache(store, writer, revalidator, misses, staged_pages, runtime)
        variant_pages = None if self._variants is None else VariantPages(store, self._variants, runtime.clock)
        page_cache = PageCache(
            self._classifier, store, writer, revalidator, misses, parts.page_handler, staged, variant_pages, runtime, edge
        )
        return SiteServer(
            prefix=prefix,
            page_cache=page_cache,
            entries=entries,
            store=store,
            revalidator=revalidator,
            lease=lease,
            images=self._images(entries, runtime),
            enter_data=self._enter_data(entries, runtime),
            files=self._files,
            misses=misses,
            variant_pages=variant_pages,
            staged=staged,
            listed=None if default is None else default.namespace,
            clock=runtime.clock,
            share=share,
        )

    def _images(self, entries: EntryCache, runtime: Runtime) -> Images | None:
        if self._image_rules is None:
            return None
        return Images(
            rules=self._image_rules,
            sources=self._parts.image_sources,
            transformer=self._parts.image_transformer,
            build_id=self._build.build_id,
            entries=entries,
            digest=self._parts.digest,
            runtime=runtime,
            paths=self._image_paths,
            is_ruled=partial(_is_ruled, self._rules_of_images),
        )

    def _enter_data(self, entries: EntryCache, runtime: Runtime) -> Callable[[], None] | None:
        if not self._has_python_pages:
            return None
        return partial(enter_data_cache, DataCache(entries, runtime, self._build.schema))

    def _entries(self, prefix: str, runtime: Runtime, default: Callable[[], EntryCache]) -> EntryCache:
        """Return the site's own cache; the default one if it has none, or one that cannot be used, which is logged."""
        own = self._handler
        if own is None:
            return default()
        context = HandlerContext(
            self._parts.env, prefix, self._build.schema, runtime.clock, runtime.background, runtime.log, default
        )
        try:
            return entry_cache(made_handler(own, context, is_shared=self._parts.settings.tenants.are_several))
        except CacheHandlerError as error:
            runtime.log.event("error", "cache.handler_unusable", error=str(error), used="the Worker's own cache")
            return default()

    def _default_cache(
        self,
        prefix: str,
        runtime: Runtime,
        objects: TagObjects | None,
        region: Region | None,
        share: Share,
    ) -> EntryCache:
        """Return the store with memory in front; only one of them if there is no store, or no memory."""
        settings, kept = self._parts.settings, self._kept
        memory_bytes = settings.memory_bytes
        memory = MemoryCacheHandler(memory_bytes, runtime.clock, log=runtime.log, share=share)
        if kept is None:
            return memory
        tag_cache_ms = settings.tag_cache_ms
        shared = None
        if objects is not None:
            shared = SharedMarkers(objects, runtime, check_ms=tag_cache_ms, shards=settings.tag_shards)
            # KV's markers are there for the time in which the objects do not answer.
            tag_cache_ms = max(tag_cache_ms, Settings.tag_cache_ms)
        # An invalidation is noticed after the time for which a copy in memory is not checked, plus the time for which the tag
        # markers that it is checked against are remembered. If each page is checked against its own tags, the check is the costly
        # part; if one time serves for all pages, the check is cheap too.
        known_ms = tag_cache_ms
        if memory_bytes:
            known_ms //= 2 if settings.kv_layout is Layout.FRAMED else 10
        kv = KVCacheHandler(
            kept.namespace,
            limits=kept.limits,
            app_prefix=prefix,
            schema=self._build.schema,
            layout=settings.kv_layout,
            ttl=settings.kv_ttl,
            tag_cache_ms=known_ms,
            clock_skew_ms=settings.clock_skew_ms,
            clock=runtime.clock,
            background=runtime.background,
            log=runtime.log,
            sleep=runtime.sleep,
            shared=shared,
        )
        back: EntryCache = kv
        if region is not None:
            back = RegionalCacheHandler(
                region, kv, app_prefix=prefix, clock=runtime.clock, background=runtime.background, log=runtime.log
            )
        entries = back
        if memory_bytes:
            entries = TieredCacheHandler(memory, back, clock=runtime.clock, recheck_ms=tag_cache_ms - known_ms)
        if shared is None:
            return entries
        shared.learners.append(partial(memory.learn, clock_skew_ms=settings.clock_skew_ms))
        return FollowingCache(entries, shared, runtime.clock)


def _files(parts: SharedParts, source: Source | None, log: Log) -> BuiltFiles | None:
    if parts.files is None or source is None or not (source.build.static_folders or source.build.static_files):
        return None
    return BuiltFiles(source.build.static_folders, frozenset(source.build.static_files), parts.files, log)


def _staged_pages(page_handler: PageHandler, source: Source | None) -> StagedPages | None:
    """Return the page handler in stages, None unless both it and the build have them."""
    if source is None or source.build.stages != STAGES_VERSION:
        return None
    in_stages: Callable[[], StagedPages] | None = getattr(page_handler, "staged", None)
    return None if in_stages is None else in_stages()


def has_python_pages(settings: Settings) -> bool:
    """Return whether code in this Worker renders the pages."""
    return chosen_pages() is not None or settings.page_handler.kind != "service"


def _image_paths(parts: SharedParts, build: ServedBuild, log: Log) -> frozenset[str]:
    """Return where the image endpoint is this Worker's; a vinext Worker behind a service has one of its own."""
    switch = parts.settings.images
    if switch is ImagesSwitch.ON:
        return IMAGE_PATHS
    if switch is ImagesSwitch.OFF or not (parts.image_transformer is not None or has_python_pages(parts.settings)):
        return frozenset()
    if build.base_path:
        return frozenset()  # the endpoint is below it
    paths = frozenset(path for path in IMAGE_PATHS if not _is_ruled(build.rules, path))
    if paths != IMAGE_PATHS:
        advice = 'have the app transform images (docs/images.md), or set VINEXT_IMAGES = "on" if everybody may see every file'
        log.event("info", "images.passed_on", error="a rule of the app may touch requests for images", advice=advice)
    return paths


def _is_ruled(rules: tuple[Rule, ...], path: str) -> bool:
    """Return whether a rule may touch a percent-encoded path, or what a file server makes of it that decodes once more."""
    decoded = normalize_path(path)
    return bool(rules) and ("%" in decoded or touching_rule(rules, decoded) is not None)


def _image_rules(settings: Settings, source: Source | None, log: Log) -> ImageRules:
    try:
        of_app = rules_of_app({} if source is None else source.build.images)
    except ValueError as error:
        log.event("error", "images.rules_wrong", error=str(error))
        of_app = ImageRules()
    return settings.image_rules(of_app)


def _may_use_edge(settings: Settings, build: ServedBuild, log: Log) -> bool:
    """Return whether the cache in front of the Worker may keep pages of a site; if not, the reason is logged."""
    fault = None
    if settings.tenants:
        fault = "it does not tell hosts apart, and VINEXT_TENANTS does"
    elif not has_python_pages(settings) and not build.has_adapter:
        fault = "without the adapter, the app does not say what it has invalidated"
    if fault is not None:
        log.event("error", "edge.unusable", error=fault)
    return fault is None


def _edge_times(parts: SharedParts, entries: EntryCache) -> tuple[Callable[[], int], Callable[[], int | None]]:
    """Return how long the cache in front of the Worker may keep a page, and after what time it is purged again, as it is now.

    After a second purge nothing old is left if by then all isolates know of an invalidation. If that may take longer than
    background work does, an old page that comes in after the purge has a minute at most.
    """
    again_ms = parts.settings.tag_cache_ms + _IN_FLIGHT_MS
    is_r2_alone = parts.namespace is None and parts.bucket is not None and not isinstance(entries, ForeignCache)
    if again_ms > WORK_MS - _IN_FLIGHT_MS or not (is_r2_alone or isinstance(entries, FollowingCache)):
        return (lambda: _UNSURE_SECONDS), (lambda: None)
    if isinstance(entries, FollowingCache):
        # An invalidation that the objects could not be told of is told again for so long.
        return (
            (lambda: NEVER_STALE_SECONDS if entries.is_following else _UNSURE_SECONDS),
            (lambda: again_ms if entries.is_following else WORK_MS),
        )
    return (lambda: NEVER_STALE_SECONDS), (lambda: again_ms)


def _lease(kept: Store | None, objects: TagObjects | None, prefix: str, runtime: Runtime) -> Lease:
    if kept is None:
        return NoLease()
    in_kv = KVLease(kept.namespace, prefix, runtime.clock, runtime.log)
    return in_kv if objects is None else SharedLease(objects, in_kv, runtime.log)
