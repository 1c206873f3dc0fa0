"""One site of the Worker: its pages, its data and its images, in a cache of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cache.codec import Layout
from cache.frozen import frozen
from cache.handler import get_cache_handler
from cache.kv import KVCacheHandler
from cache.lease import KVLease, NoLease
from cache.memory import MemoryCacheHandler
from cache.tiered import TieredCacheHandler
from edge.buffer import JsBuffer
from edge.digest import digest
from edge.page_handler import has_images, is_python
from isr.engine import PageCache
from isr.regeneration import Regeneration
from isr.site import site_of
from isr.store import PageStore
from seed.seeder import Seeder

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.handler import CacheHandler
    from cache.kv_store import KVNamespace
    from cache.runtime import Runtime
    from isr.settings import Settings
    from isr.site import Site
    from pages.handler import PageHandler
    from pages.images.endpoint import Images
    from seed.source import Assets, Source


@frozen
class Tenant:
    """What answers the requests for one site.

    `images` None: the page handler answers those for images. `enter_data` lets Python pages keep their data, None where there
    are none.
    """

    pages: PageCache
    handler: CacheHandler
    store: PageStore
    images: Images | None
    enter_data: Callable[[], None] | None


@frozen
class TenantParts:
    """What the sites of a Worker have in common; `images` is the binding."""

    settings: Settings
    namespace: KVNamespace | None
    assets: Assets
    pages: PageHandler
    images: Any | None


def make_tenant(parts: TenantParts, source: Source | None, prefix: str, runtime: Runtime) -> Tenant:
    """Put a site together: the build it shares with the others, and keys and memory of its own."""
    settings = parts.settings
    site = site_of(source.build if source else None, settings.build_id, settings.key_schema)
    handler = get_cache_handler()
    if handler is None:  # one that is empty may be false
        handler = _cache_handler(parts.namespace, settings, prefix, site, runtime)
    lease = NoLease() if parts.namespace is None else KVLease(parts.namespace, prefix, runtime.clock, runtime.log)
    store = PageStore(site, handler, Seeder(source, handler, runtime), digest, runtime)
    pages = PageCache(site, store, parts.pages, Regeneration(site, store, parts.pages, lease, runtime), runtime)
    return Tenant(pages, handler, store, _images(parts, site, handler, runtime), _data_entrance(settings, site, handler, runtime))


def _images(parts: TenantParts, site: Site, handler: CacheHandler, runtime: Runtime) -> Images | None:
    if not has_images(parts.settings, has_binding=parts.images is not None):
        return None
    from edge.images import images  # noqa: PLC0415 - most sites behind a service have no use for it

    return images(parts, site, handler, runtime)


def _data_entrance(settings: Settings, site: Site, handler: CacheHandler, runtime: Runtime) -> Callable[[], None] | None:
    if not is_python(settings):
        return None
    from edge.python_site import data_entrance  # noqa: PLC0415 - loaded where Python makes the pages

    return data_entrance(handler, runtime, site.schema)


def _cache_handler(namespace: KVNamespace | None, settings: Settings, prefix: str, site: Site, runtime: Runtime) -> CacheHandler:
    memory_bytes = settings.memory_bytes // max(1, len(settings.tenants))
    memory = MemoryCacheHandler(memory_bytes, runtime.clock, log=runtime.log, make_body=JsBuffer.copy_of)
    if namespace is None:
        return memory
    # An invalidation is noticed after the time for which a copy in memory is not checked, and that for which what it is checked
    # against is remembered. Where each page is checked against tags of its own, the check is what costs; where one time serves
    # for all pages, that is cheap too.
    known_ms = settings.tag_cache_ms
    if memory_bytes:
        known_ms //= 2 if settings.kv_layout is Layout.FRAMED else 10
    kv = KVCacheHandler(
        namespace,
        app_prefix=prefix,
        schema=site.schema,
        layout=settings.kv_layout,
        ttl=settings.kv_ttl,
        tag_cache_ms=known_ms,
        clock=runtime.clock,
        background=runtime.background,
        log=runtime.log,
    )
    if not memory_bytes:
        return kv
    return TieredCacheHandler(memory, kv, clock=runtime.clock, recheck_ms=settings.tag_cache_ms - known_ms)
