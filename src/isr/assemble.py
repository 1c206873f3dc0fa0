"""The parts of one site, put together: the same in the Worker and in the tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cache.handler import ForeignCache, entry_cache
from cache.kv import KVCacheHandler
from cache.lease import KVLease, NoLease, SharedLease
from cache.listing import StoreListing
from cache.memory import MemoryCacheHandler
from cache.own_handler import HandlerContext, made_handler
from cache.purging import PurgingCache
from cache.r2 import store_of
from cache.regional import RegionalCacheHandler
from cache.shared_markers import FollowingCache, SharedMarkers
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.errors import CacheHandlerError
from core.http import NEVER_STALE_SECONDS
from core.runtime import WORK_MS
from datacache.context import DataCache, enter_data_cache
from isr.edge_policy import EdgePolicy
from isr.files import BuiltFiles
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
from pages.images.rules import ImageRules, rules_of_app
from pages.selection import chosen_pages
from seed.rules import STAGES_VERSION
from seed.seeder import Seeder

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.handler import CacheHandler, EntryCache
    from cache.kv_namespace import KVNamespace
    from cache.lease import Lease
    from cache.own_handler import HandlerFactory
    from cache.purging import Purger
    from cache.r2 import Store
    from cache.regional import Region
    from cache.shared_markers import TagObjects
    from core.body import Body, Digest
    from core.runtime import Runtime
    from isr.files import FileSource
    from isr.served_build import ServedBuild
    from pages.handler import PageHandler
    from pages.images.endpoint import ImageSources, ImageTransformer
    from pages.stages import StagedPages
    from seed.sources import Source


# How long an answer may be on its way to the cache in front of the Worker.
_IN_FLIGHT_MS = 1_000

_UNSURE_SECONDS = 60


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
    region: Region | None = None
    env: Any = None
    tag_objects: Callable[[str, int], TagObjects] | None = None
    purger: Purger | None = None


@dataclass(frozen=True)
class SiteServer:
    """The parts that answer the requests for one site, with keys and memory of their own.

    `images` None: the page handler answers requests for images. `enter_data` lets the Python code of the site use its
    data cache, None if no Python code renders its pages. `files` None: the page handler answers for the build's files.
    `listing` None: the entries cannot be listed, in memory or in a cache handler of the site's own.
    """

    page_cache: PageCache
    entries: EntryCache
    store: PageStore
    revalidator: Revalidator
    lease: Lease
    why: Why
    images: Images | None
    enter_data: Callable[[], None] | None
    files: BuiltFiles | None
    regeneration: Regeneration
    listing: StoreListing | None


def assemble(
    parts: SharedParts,
    source: Source | None,
    prefix: str,
    runtime: Runtime,
    handler: CacheHandler | HandlerFactory | None = None,
) -> SiteServer:
    """Put a site together.

    `source` is the build, None if there is none; `prefix` begins the site's keys in the store; `handler` is the cache
    handler that the site's own code has set, None leaves the choice to the settings.
    """
    settings = parts.settings
    staged_pages = _staged_pages(parts.page_handler, source)
    build = served_build(source.build if source else None, settings.build_id, settings.key_schema)
    if staged_pages is None:
        build = replace(build, has_stages=False)
    if source is not None and not has_python_pages(settings):
        build = replace(build, takes_upgrades=False)  # it is a vinext app's
    if has_python_pages(settings):
        # Such code may pass on the headers of any other site, and its URLs are its own affair.
        build = replace(build, has_adapter=False, has_next_urls=False)
    kept = store_of(parts.namespace, parts.bucket, settings.kv_body_bytes)
    objects = None if kept is None or parts.tag_objects is None else parts.tag_objects(prefix, settings.tag_shards)
    entries = _entries(parts, kept, objects, build, prefix, runtime, handler)
    edge = None
    if parts.purger is not None and _may_use_edge(settings, build, runtime):
        longest_seconds, again_ms = _edge_times(parts, entries)
        is_for_cookies = settings.edge_cache is EdgeCache.ON
        edge = EdgePolicy(build.schema, is_for_cookies, longest_seconds, runtime.clock)
        entries = PurgingCache(entries, parts.purger, build.schema, runtime, again_ms)
    lease = _lease(kept, objects, prefix, runtime)
    store = PageStore(build, entries, Seeder(source, entries, parts.digest, runtime), parts.digest, runtime)
    # An app in stages keys its own variants, and answers as it would alone.
    variants = settings.variant_rules if staged_pages is None else None
    is_default = handler is None and settings.cache_handler is None
    # A site's own handler gets whole bodies.
    whole_bytes = kept.whole_bytes if kept is not None and is_default else None
    writer = PageWriter(store, settings.page_limit_bytes, variants, runtime, whole_bytes)
    revalidator = Revalidator(store, writer, staged_pages or parts.page_handler, lease, runtime)
    misses = Misses(store, revalidator, runtime)
    staged = None if staged_pages is None else StagedCache(store, writer, revalidator, misses, staged_pages, runtime)
    variant_pages = None if variants is None else VariantPages(store, variants, runtime.clock)
    page_cache = PageCache(store, writer, revalidator, misses, parts.page_handler, staged, variant_pages, runtime, edge)
    images = _images(parts, source, build, entries, runtime) if _has_images(parts) else None
    data_cache = DataCache(entries, runtime, build.schema)
    enter_data = partial(enter_data_cache, data_cache) if has_python_pages(settings) else None
    why = Why(store, misses, revalidator, variant_pages, staged is not None, runtime.clock)
    listing = StoreListing(kept.namespace, prefix) if kept is not None and is_default else None
    files = _files(parts, source, runtime)
    regeneration = Regeneration(store, revalidator, staged)
    return SiteServer(page_cache, entries, store, revalidator, lease, why, images, enter_data, files, regeneration, listing)


def _files(parts: SharedParts, source: Source | None, runtime: Runtime) -> BuiltFiles | None:
    if parts.files is None or source is None or not (source.build.static_folders or source.build.static_files):
        return None
    return BuiltFiles(source.build.static_folders, frozenset(source.build.static_files), parts.files, runtime.log)


def _staged_pages(page_handler: PageHandler, source: Source | None) -> StagedPages | None:
    """Return the page handler in stages, None unless both it and the build have them."""
    if source is None or source.build.stages != STAGES_VERSION:
        return None
    in_stages: Callable[[], StagedPages] | None = getattr(page_handler, "staged", None)
    return None if in_stages is None else in_stages()


def has_python_pages(settings: Settings) -> bool:
    """Return whether code in this Worker renders the pages."""
    return chosen_pages() is not None or settings.page_handler.kind != "service"


def _has_images(parts: SharedParts) -> bool:
    """Return whether the image endpoint is this Worker's; a vinext Worker behind a service has one of its own."""
    settings = parts.settings
    if settings.images is not ImagesSwitch.AUTO:
        return settings.images is ImagesSwitch.ON
    return parts.image_transformer is not None or has_python_pages(settings)


def _images(parts: SharedParts, source: Source | None, build: ServedBuild, entries: EntryCache, runtime: Runtime) -> Images:
    try:
        of_app = rules_of_app({} if source is None else source.build.images)
    except ValueError as error:
        runtime.log.event("error", "images.rules_wrong", error=str(error))
        of_app = ImageRules()
    return Images(
        rules=parts.settings.image_rules(of_app),
        sources=parts.image_sources,
        transformer=parts.image_transformer,
        build_id=build.build_id,
        entries=entries,
        digest=parts.digest,
        runtime=runtime,
    )


def _entries(  # noqa: PLR0913, PLR0917 - what a cache depends on
    parts: SharedParts,
    kept: Store | None,
    objects: TagObjects | None,
    build: ServedBuild,
    prefix: str,
    runtime: Runtime,
    handler: CacheHandler | HandlerFactory | None,
) -> EntryCache:
    """Return the site's own cache; the default one if it has none, or one that cannot be used, which is logged."""
    default = partial(_default_cache, parts, kept, objects, build, prefix, runtime)
    own = parts.settings.cache_handler if handler is None else handler
    if own is None:
        return default()
    context = HandlerContext(parts.env, prefix, build.schema, runtime.clock, runtime.background, runtime.log, default)
    try:
        return entry_cache(made_handler(own, context, is_shared=parts.settings.tenants.are_several))
    except CacheHandlerError as error:
        runtime.log.event("error", "cache.handler_unusable", error=str(error), used="the Worker's own cache")
        return default()


def _may_use_edge(settings: Settings, build: ServedBuild, runtime: Runtime) -> bool:
    """Return whether the cache in front of the Worker may keep pages of a site; if not, the reason is logged."""
    fault = None
    if settings.tenants:
        fault = "it does not tell hosts apart, and VINEXT_TENANTS does"
    elif not has_python_pages(settings) and not build.has_adapter:
        fault = "without the adapter, the app does not say what it has invalidated"
    if fault is not None:
        runtime.log.event("error", "edge.unusable", error=fault)
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


def _default_cache(  # noqa: PLR0913, PLR0917 - what a cache depends on
    parts: SharedParts, kept: Store | None, objects: TagObjects | None, build: ServedBuild, prefix: str, runtime: Runtime
) -> EntryCache:
    """Return the store with memory in front; only one of them if there is no store, or no memory."""
    settings = parts.settings
    memory_bytes = settings.memory_bytes // settings.tenants.shares
    memory = MemoryCacheHandler(memory_bytes, runtime.clock, log=runtime.log, make_body=parts.make_body)
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
        schema=build.schema,
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
    if parts.region is not None:
        back = RegionalCacheHandler(
            parts.region, kv, app_prefix=prefix, clock=runtime.clock, background=runtime.background, log=runtime.log
        )
    entries = back
    if memory_bytes:
        entries = TieredCacheHandler(memory, back, clock=runtime.clock, recheck_ms=tag_cache_ms - known_ms)
    if shared is None:
        return entries
    shared.learners.append(partial(memory.learn, clock_skew_ms=settings.clock_skew_ms))
    return FollowingCache(entries, shared, runtime.clock)
