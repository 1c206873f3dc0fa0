"""The Worker's parts, put together from its bindings and settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy

from cache.handler import get_cache_handler
from cache.kv import KVCacheHandler
from cache.memory import MemoryCacheHandler
from cache.runtime import Runtime
from cache.tiered import TieredCacheHandler
from edge.assets import AssetsBinding, NoAssets
from edge.background import RequestBackground
from edge.digest import digest
from edge.flight import PromiseFlight
from edge.kv import KVBinding
from edge.log import ConsoleLog
from edge.requests import page_request
from edge.responses import js_response
from edge.service import MissingService, ServicePages
from isr.engine import PageCache
from isr.pass_through import PassThrough
from isr.quiet_log import QuietLog
from isr.regeneration import Regeneration
from isr.site import site_of
from isr.store import PageStore
from seed.errors import SeedError
from seed.opening import BuildOpener
from seed.seeder import Seeder
from settings import SettingError, Settings, read_settings

if TYPE_CHECKING:
    from cache.handler import CacheHandler
    from isr.site import Site
    from pages.handler import PageHandler
    from seed.source import Source

KV_BINDING = "VINEXT_CACHE"
ASSETS_BINDING = "ASSETS"


class Application:
    """Made once an isolate, at its first request, from the raw `env`.

    The page cache is made when the build is known, because its ID and schema are part of
    every key. Until then, and with a wrong setting, the page handler alone answers.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        log = QuietLog(ConsoleLog(), now_ms)
        self._log = log
        self._runtime = Runtime(PromiseFlight(), RequestBackground(log), now_ms, log)
        self._fault: str | None = None
        try:
            self._settings = read_settings(_variables(env))
        except SettingError as error:
            self._fault = str(error)
            self._settings = Settings()
        self._pages = _page_handler(env, self._settings)
        assets = _binding(env, ASSETS_BINDING)
        self._opener = BuildOpener(NoAssets() if assets is None else AssetsBinding(assets), self._runtime)
        self._page_cache: PageCache | None = None

    async def answer(self, raw_request: Any) -> Any:
        """Answer the runtime's raw request by a raw response."""
        answers = self._page_cache or await self._open()
        return js_response(await answers.answer(page_request(raw_request)))

    async def _open(self) -> PageCache | PassThrough:
        if self._fault is not None:
            self._log.event("error", "settings.wrong", error=self._fault)
            return PassThrough(self._pages, self._log)
        try:
            source = await self._opener.open()
        except SeedError:
            return PassThrough(self._pages, self._log)
        if self._page_cache is None:
            self._page_cache = self._make_page_cache(source)
        return self._page_cache

    def _make_page_cache(self, source: Source | None) -> PageCache:
        settings, runtime = self._settings, self._runtime
        site = site_of(source.build if source else None, settings.build_id, settings.key_schema)
        handler = get_cache_handler() or _cache_handler(self._env, settings, site, runtime)
        seeder = Seeder(source, handler, runtime)
        store = PageStore(site, handler, seeder, digest, runtime)
        regeneration = Regeneration(store, self._pages, runtime)
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


def _page_handler(env: Any, settings: Settings) -> PageHandler:
    name = settings.page_handler.removeprefix("service:")
    binding = _binding(env, name)
    return MissingService(name) if binding is None else ServicePages(name, binding)


def _cache_handler(env: Any, settings: Settings, site: Site, runtime: Runtime) -> CacheHandler:
    memory = MemoryCacheHandler(settings.memory_bytes, now_ms, log=runtime.log)
    namespace = _binding(env, KV_BINDING)
    if namespace is None:
        return memory
    kv = KVCacheHandler(
        KVBinding(namespace),
        app_prefix=settings.app_prefix,
        schema=site.schema,
        layout=settings.kv_layout,
        ttl=settings.kv_ttl,
        tag_cache_ms=settings.tag_cache_ms,
        clock=now_ms,
        background=runtime.background,
        log=runtime.log,
    )
    return TieredCacheHandler(memory, kv, clock=now_ms) if settings.memory_bytes else kv
