"""The parts of one site, put together: the same in the Worker and in the tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from cache.handler import entry_cache
from cache.kv import KVCacheHandler
from cache.lease import KVLease, NoLease
from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from datacache.context import DataCache, enter_data_cache
from isr.files import BuiltFiles
from isr.misses import Misses
from isr.page_cache import PageCache
from isr.revalidator import Revalidator
from isr.served_build import served_build
from isr.settings import ImagesSwitch
from isr.staged_cache import StagedCache
from isr.store import PageStore
from isr.variant_pages import VariantPages
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
    from core.body import Body, Digest
    from core.runtime import Runtime
    from isr.files import FileSource
    from isr.served_build import ServedBuild
    from isr.settings import Settings
    from pages.handler import PageHandler
    from pages.images.endpoint import ImageSources, ImageTransformer
    from pages.stages import StagedPages
    from seed.sources import Source


@dataclass(frozen=True)
class SharedParts:
    """The parts that the sites of a Worker share.

    `namespace` None keeps pages in memory alone. `make_body` copies bytes to where bodies are kept. `image_transformer` None
    serves images as they are.
    """

    settings: Settings
    namespace: KVNamespace | None
    page_handler: PageHandler
    image_sources: ImageSources
    image_transformer: ImageTransformer | None
    digest: Digest
    make_body: Callable[[bytes], Body]
    files: FileSource | None = None


@dataclass(frozen=True)
class SiteServer:
    """The parts that answer the requests for one site, with keys and memory of their own.

    `images` None: the page handler answers requests for images. `enter_data` lets the Python code of the site use its
    data cache, None if no Python code renders its pages. `files` None: the page handler answers for the build's files.
    """

    page_cache: PageCache
    entries: EntryCache
    store: PageStore
    revalidator: Revalidator
    images: Images | None
    enter_data: Callable[[], None] | None
    files: BuiltFiles | None


def assemble(
    parts: SharedParts, source: Source | None, prefix: str, runtime: Runtime, handler: CacheHandler | None = None
) -> SiteServer:
    """Put a site together.

    `source` is the build, None if there is none; `prefix` begins the site's keys in the store; `handler` is the cache
    handler that the site's own code has set, if it has.
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
    entries = _default_cache(parts, build, prefix, runtime) if handler is None else entry_cache(handler)
    lease = NoLease() if parts.namespace is None else KVLease(parts.namespace, prefix, runtime.clock, runtime.log)
    store = PageStore(build, entries, Seeder(source, entries, parts.digest, runtime), parts.digest, runtime)
    # An app in stages keys its own variants, and answers as it would alone.
    variants = settings.variant_rules if staged_pages is None else None
    writer = PageWriter(store, settings.page_limit_bytes, variants, runtime)
    revalidator = Revalidator(store, writer, staged_pages or parts.page_handler, lease, runtime)
    misses = Misses(store, revalidator, runtime)
    staged = None if staged_pages is None else StagedCache(store, writer, revalidator, misses, staged_pages, runtime)
    variant_pages = None if variants is None else VariantPages(store, variants, runtime.clock)
    page_cache = PageCache(store, writer, revalidator, misses, parts.page_handler, staged, variant_pages, runtime)
    images = _images(parts, source, build, entries, runtime) if _has_images(parts) else None
    data_cache = DataCache(entries, runtime, build.schema)
    enter_data = partial(enter_data_cache, data_cache) if has_python_pages(settings) else None
    return SiteServer(page_cache, entries, store, revalidator, images, enter_data, _files(parts, source, runtime))


def _files(parts: SharedParts, source: Source | None, runtime: Runtime) -> BuiltFiles | None:
    if parts.files is None or source is None or not source.build.static_folders:
        return None
    return BuiltFiles(source.build.static_folders, parts.files, runtime.log)


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


def _default_cache(parts: SharedParts, build: ServedBuild, prefix: str, runtime: Runtime) -> EntryCache:
    """Return KV with memory in front; only one of them if there is no namespace, or no memory."""
    settings = parts.settings
    memory_bytes = settings.memory_bytes // settings.tenants.shares
    memory = MemoryCacheHandler(memory_bytes, runtime.clock, log=runtime.log, make_body=parts.make_body)
    if parts.namespace is None:
        return memory
    # An invalidation is noticed after the time for which a copy in memory is not checked, plus the time for which the tag
    # markers that it is checked against are remembered. If each page is checked against its own tags, the check is the costly
    # part; if one time serves for all pages, the check is cheap too.
    known_ms = settings.tag_cache_ms
    if memory_bytes:
        known_ms //= 2 if settings.kv_layout is Layout.FRAMED else 10
    kv = KVCacheHandler(
        parts.namespace,
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
    )
    if not memory_bytes:
        return kv
    return TieredCacheHandler(memory, kv, clock=runtime.clock, recheck_ms=settings.tag_cache_ms - known_ms)
