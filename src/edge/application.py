"""The Worker's parts, put together from its bindings and settings."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy

from cache.handler import get_cache_handler
from cache.kv import KVCacheHandler
from cache.lease import KVLease, NoLease
from cache.memory import MemoryCacheHandler
from cache.runtime import Runtime
from cache.tiered import TieredCacheHandler
from datacache.cache import DataCache, enter_data_cache
from datacache.fetched import set_fetcher
from edge.assets import AssetsBinding, NoAssets
from edge.background import RequestBackground
from edge.digest import digest
from edge.fetching import fetch
from edge.flight import PromiseFlight
from edge.images import ImagesBinding, RuntimeImages
from edge.kv import KVBinding
from edge.log import ConsoleLog
from edge.page_handler import has_images, page_handler, static_paths
from edge.requests import page_request
from edge.responses import js_response
from edge.service import StreamCopy
from edge.xml_http_request import provide_xml_http_request
from isr.admin import Admin, AdminCache, is_admin
from isr.answer import PassedAnswer
from isr.engine import PageCache
from isr.pass_through import PassThrough
from isr.prerendering import Prerendering
from isr.quiet_log import QuietLog
from isr.regeneration import Regeneration
from isr.site import site_of
from isr.store import PageStore
from pages.images.endpoint import Images
from pages.images.request import IMAGE_PATHS
from seed.errors import SeedError
from seed.opening import BuildOpener
from seed.seeder import Seeder
from settings import SettingError, Settings, read_settings

if TYPE_CHECKING:
    from cache.handler import CacheHandler
    from isr.answer import Answer
    from isr.site import Site
    from pages.request import PageRequest
    from seed.source import Source

KV_BINDING = "VINEXT_CACHE"
ASSETS_BINDING = "ASSETS"
IMAGES_BINDING = "IMAGES"


class Application:
    """Made once an isolate, at its first request, from the raw `env`.

    The page cache is made when the build is known, because its ID and schema are part of
    every key. Until then, with a wrong setting, and for a host that is no tenant, the page
    handler alone answers.
    """

    def __init__(self, env: Any) -> None:
        set_fetcher(fetch)
        self._env = env
        log = QuietLog(ConsoleLog(), now_ms)
        self._log = log
        self._fault: str | None = None
        try:
            self._settings = read_settings(_variables(env))
        except SettingError as error:
            self._fault = str(error)
            self._settings = Settings()
        runtime = Runtime(PromiseFlight(), RequestBackground(log), now_ms, log)
        self._pages = page_handler(env, self._settings, runtime)
        provide_xml_http_request()
        self._pass_through = PassThrough(self._pages, log)
        assets = _binding(env, ASSETS_BINDING)
        self._assets = NoAssets() if assets is None else AssetsBinding(assets)
        self._opener = BuildOpener(self._assets, runtime)
        # One page cache a tenant, each with memory of its own, so that no request can reach another's pages.
        self._page_caches: dict[str, PageCache] = {}
        self._data_caches: dict[str, DataCache] = {}
        self._images: dict[str, Images] = {}
        self._admin = Admin(self._settings.admin_token, log)
        self._admin_caches: dict[str, AdminCache] = {}

    async def answer(self, raw_request: Any) -> Any:
        """Answer the runtime's raw request by a raw response."""
        started = time.perf_counter()
        request = page_request(raw_request)
        if self._settings.prerender:
            return js_response(await Prerendering(self._pages, static_paths(self._settings)).answer(request))
        if is_admin(request):
            body = StreamCopy(raw_request.body)
            return js_response(await self._admin.answer(request, body.read, lambda: self._admin_cache(request.host)))
        response = js_response(await self._answer(request))
        if self._settings.server_timing:
            took_ms = (time.perf_counter() - started) * 1000
            response.headers.set("Server-Timing", f"worker;dur={took_ms:.1f}")
        return response

    async def _answer(self, request: PageRequest) -> Answer:
        if self._fault is not None:
            self._log.event("error", "settings.wrong", error=self._fault)
            return await self._pass_through.answer(request)
        prefix = self._settings.prefix_of(request.host)
        if prefix is None:
            return await self._pass_through.answer(request)
        page_cache = self._page_caches.get(prefix) or await self._open_page_cache(prefix)
        if page_cache is None:
            return await self._pass_through.answer(request)
        enter_data_cache(self._data_caches[prefix])
        images = self._images.get(prefix) if request.path in IMAGE_PATHS else None
        if images is not None:
            return PassedAnswer(await images.answer(request), frozenset())
        try:
            return await page_cache.answer(request)
        except Exception:
            # A mistake of ours must not cost the visitor the page, where asking for it twice does no harm.
            self._log.event("error", "answer.failed", path=request.path, error=traceback.format_exc())
            if request.method not in {"GET", "HEAD"}:
                raise
            return await self._pass_through.answer(request)

    async def _open_page_cache(self, prefix: str) -> PageCache | None:
        try:
            source = await self._opener.open()
        except SeedError:
            # Without the build's ID no key is known, so nothing can be read or kept.
            return None
        if prefix not in self._page_caches:
            self._page_caches[prefix] = self._make_page_cache(source, prefix)
        return self._page_caches[prefix]

    async def _admin_cache(self, host: str) -> AdminCache | None:
        prefix = self._settings.prefix_of(host)
        if prefix is None or (prefix not in self._page_caches and await self._open_page_cache(prefix) is None):
            return None
        return self._admin_caches[prefix]

    def _make_page_cache(self, source: Source | None, prefix: str) -> PageCache:
        settings, log = self._settings, self._log
        runtime = Runtime(PromiseFlight(), RequestBackground(log), now_ms, log)
        site = site_of(source.build if source else None, settings.build_id, settings.key_schema)
        binding = _binding(self._env, KV_BINDING)
        namespace = None if binding is None else KVBinding(binding)
        handler = get_cache_handler()
        if handler is None:  # one that is empty may be false
            handler = _cache_handler(namespace, settings, prefix, site, runtime)
        lease = NoLease() if namespace is None else KVLease(namespace, prefix, now_ms, log)
        seeder = Seeder(source, handler, runtime)
        store = PageStore(site, handler, seeder, digest, runtime)
        self._admin_caches[prefix] = AdminCache(handler, store)
        self._data_caches[prefix] = DataCache(handler, runtime, site.schema)
        binding = _binding(self._env, IMAGES_BINDING)
        if has_images(settings, has_binding=binding is not None):
            sources, transformer = RuntimeImages(self._assets), None if binding is None else ImagesBinding(binding)
            self._images[prefix] = Images(settings.image_rules, sources, transformer, site.build_id, handler, digest, runtime)
        regeneration = Regeneration(store, self._pages, lease, runtime)
        return PageCache(site, store, self._pages, regeneration, runtime)


def now_ms() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)


def _binding(env: Any, name: str) -> Any | None:
    binding = getattr(env, name, None)
    return binding if isinstance(binding, JsProxy) else None


def _variables(env: Any) -> dict[str, str]:
    """The variables; wrangler gives a number of the configuration as a number."""
    variables = {name: getattr(env, name) for name in dir(env) if name.startswith("VINEXT_")}
    return {name: str(value) for name, value in variables.items() if isinstance(value, str | int | float)}


def _cache_handler(namespace: KVBinding | None, settings: Settings, prefix: str, site: Site, runtime: Runtime) -> CacheHandler:
    memory_bytes = settings.memory_bytes // max(1, len(settings.tenants))
    memory = MemoryCacheHandler(memory_bytes, now_ms, log=runtime.log)
    if namespace is None:
        return memory
    # A copy in memory is checked against markers, which are remembered too: an invalidation is noticed after both.
    known_ms = settings.tag_cache_ms // 2 if memory_bytes else settings.tag_cache_ms
    kv = KVCacheHandler(
        namespace,
        app_prefix=prefix,
        schema=site.schema,
        layout=settings.kv_layout,
        ttl=settings.kv_ttl,
        tag_cache_ms=known_ms,
        clock=now_ms,
        background=runtime.background,
        log=runtime.log,
    )
    return TieredCacheHandler(memory, kv, clock=now_ms, recheck_ms=known_ms) if memory_bytes else kv
