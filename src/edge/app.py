"""The page handler that the site's code or the setting names.

One site of the Worker: its pages, its data and its images, in a cache of its own.

The Worker's parts, put together from its bindings and settings.

The entrypoint of a Worker: builds the application once, hands requests to it.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy
from workers import WorkerEntrypoint

from cache.handler import entry_cache, get_cache_handler
from cache.kv import KVCacheHandler
from cache.lease import KVLease, NoLease
from cache.memory import MemoryCacheHandler
from cache.stored import Layout
from cache.tiered import TieredCacheHandler
from core.log import QuietLog
from core.paths import is_admin
from core.runtime import Runtime
from edge.bindings.assets import AssetsBinding, NoAssets
from edge.bindings.images import images
from edge.bindings.kv import KVBinding
from edge.bindings.service import MissingService, ServicePages
from edge.bodies import JsBuffer, StreamCopy, digest
from edge.http import RequestReader, js_response
from edge.loop import as_it_is, enter_site_code, raw_env, take_shortcuts
from edge.python.pages import data_entrance, python_pages
from edge.runtime import ConsoleLog, PromiseFlight, RequestBackground, enter_request, now_ms
from isr.admin import Admin, AdminCache
from isr.answer import PassedAnswer
from isr.page_cache import PageCache, PassThrough
from isr.revalidator import Regeneration
from isr.settings import ImagesSwitch, SettingError, Settings, read_settings
from isr.site import site_of
from isr.store import PageStore
from pages.handler import FailedPages
from pages.selection import PageHandlerError, ServiceChoice, chosen_pages
from seed.build import SeedError
from seed.seeder import Seeder
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.handler import EntryCache
    from cache.kv_namespace import KVNamespace
    from isr.answer import CachedAnswer
    from isr.site import Site
    from pages.handler import PageHandler
    from pages.images.endpoint import Images
    from pages.request import PageRequest
    from seed.sources import Assets, Source


def page_handler(env: Any, settings: Settings, runtime: Runtime) -> PageHandler:
    """Never raises: where the handler cannot be used, every request says why."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError as error:
        return FailedPages(str(error))
    if isinstance(choice, ServiceChoice):
        binding = getattr(env, choice.name, None)
        if not isinstance(binding, JsProxy):
            return MissingService(choice.name)
        return ServicePages(choice.name, binding, settings.page_timeout_ms)
    return python_pages(choice, env, settings.page_timeout_ms, runtime)


def is_python(settings: Settings) -> bool:
    """Whether code in this Worker makes the pages."""
    return chosen_pages() is not None or settings.page_handler.kind != "service"


def static_paths(settings: Settings) -> Callable[[], Any] | None:
    """The site's function that lists the paths to pre-render, None where it has none."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError:
        return None
    return getattr(choice, "static_paths", None)  # an app or a function may have one


def has_images(settings: Settings, *, has_binding: bool) -> bool:
    """Whether the image endpoint is this Worker's; a vinext Worker behind a service has one of its own."""
    if settings.images is not ImagesSwitch.AUTO:
        return settings.images is ImagesSwitch.ON
    return has_binding or is_python(settings)


@dataclass(frozen=True)
class Tenant:
    """What answers the requests for one site.

    `images` None: the page handler answers those for images. `enter_data` lets Python pages keep their data, None where there
    are none.
    """

    pages: PageCache
    handler: EntryCache
    store: PageStore
    images: Images | None
    enter_data: Callable[[], None] | None


@dataclass(frozen=True)
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
    own = get_cache_handler()
    handler = _cache_handler(parts.namespace, settings, prefix, site, runtime) if own is None else entry_cache(own)
    lease = NoLease() if parts.namespace is None else KVLease(parts.namespace, prefix, runtime.clock, runtime.log)
    store = PageStore(site, handler, Seeder(source, handler, runtime), digest, runtime)
    pages = PageCache(site, store, parts.pages, Regeneration(site, store, parts.pages, lease, runtime), runtime)
    return Tenant(pages, handler, store, _images(parts, site, handler, runtime), _data_entrance(settings, site, handler, runtime))


def _images(parts: TenantParts, site: Site, handler: EntryCache, runtime: Runtime) -> Images | None:
    if not has_images(parts.settings, has_binding=parts.images is not None):
        return None
    return images(parts, site, handler, runtime)


def _data_entrance(settings: Settings, site: Site, handler: EntryCache, runtime: Runtime) -> Callable[[], None] | None:
    if not is_python(settings):
        return None
    return data_entrance(handler, runtime, site.schema)


def _cache_handler(namespace: KVNamespace | None, settings: Settings, prefix: str, site: Site, runtime: Runtime) -> EntryCache:
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


KV_BINDING = "VINEXT_CACHE"

ASSETS_BINDING = "ASSETS"

IMAGES_BINDING = "IMAGES"


class Application:
    """Made once an isolate, at its first request, from the raw `env`.

    A site is put together when the build is known, because its ID and schema are part of every
    key. Until then, with a wrong setting, and for a host that is no tenant, the page handler alone
    answers.
    """

    def __init__(self, env: Any) -> None:
        # A site's own cache handler is called before its pages are, and may switch stacks.
        self.is_own_code = get_cache_handler() is None
        log = QuietLog(ConsoleLog(), now_ms)
        self._log = log
        self._requests = RequestReader()
        self._fault: str | None = None
        try:
            self._settings = read_settings(_variables(env))
        except SettingError as error:
            self._fault = str(error)
            self._settings = Settings()
        self.direct_await = self._settings.direct_await
        runtime = Runtime(PromiseFlight(), RequestBackground(log), now_ms, log)
        self._pages = page_handler(env, self._settings, runtime)
        self._pass_through = PassThrough(self._pages, log)
        binding = _binding(env, ASSETS_BINDING)
        assets = NoAssets() if binding is None else AssetsBinding(binding)
        self._opener = BuildOpener(assets, runtime)
        namespace = _binding(env, KV_BINDING)
        self._parts = TenantParts(
            settings=self._settings,
            namespace=None if namespace is None else KVBinding(namespace),
            assets=assets,
            pages=self._pages,
            images=_binding(env, IMAGES_BINDING),
        )
        # By prefix. Each has memory of its own, so that no request can reach another's pages.
        self._tenants: dict[str | None, Tenant] = {}

    async def answer(self, raw_request: Any) -> Any:
        """Answer the runtime's raw request by a raw response."""
        request = self._requests.read(raw_request)
        if self._settings.prerender:
            return js_response(await self._prerender(request))
        if is_admin(request.path):
            return js_response(await self._administer(request, raw_request))
        if self._settings.server_timing:
            return await self._timed(request)
        return as_it_is(await self._answer(request))

    async def _answer(self, request: PageRequest) -> Any:
        if self._fault is not None:
            self._log.event("error", "settings.wrong", error=self._fault)
            return js_response(await self._pass_through.answer(request))
        prefix = self._settings.prefix_for(request)
        tenant = self._tenants.get(prefix) or await self._tenant(prefix)
        if tenant is None:
            return js_response(await self._pass_through.answer(request))
        if tenant.enter_data is not None:
            tenant.enter_data()
        if tenant.images is not None and request.path in tenant.images.paths:
            return js_response(PassedAnswer(await tenant.images.answer(request), frozenset()))
        try:
            return js_response(await tenant.pages.answer(request))
        except Exception:
            # A mistake of ours must not cost the visitor the page, where asking for it twice does no harm.
            self._log.event("error", "answer.failed", path=request.path, error=traceback.format_exc())
            if request.method not in {"GET", "HEAD"}:
                raise
            return js_response(await self._pass_through.answer(request))

    async def _tenant(self, prefix: str | None) -> Tenant | None:
        """The site of a prefix; None where there is none, or the build cannot be told just now."""
        if prefix is None:
            return None
        if prefix in self._tenants:
            return self._tenants[prefix]
        try:
            source = await self._opener.open()
        except SeedError:
            return None
        if prefix not in self._tenants:
            runtime = Runtime(PromiseFlight(), RequestBackground(self._log), now_ms, self._log)
            self._tenants[prefix] = make_tenant(self._parts, source, prefix, runtime)
        return self._tenants[prefix]

    async def _timed(self, request: PageRequest) -> Any:
        started = time.perf_counter()
        response = await self._answer(request)
        took_ms = (time.perf_counter() - started) * 1000
        response.headers.set("Server-Timing", f"worker;dur={took_ms:.1f}")
        return response

    async def _prerender(self, request: PageRequest) -> CachedAnswer:
        from isr.prerendering import Prerendering  # noqa: PLC0415 - never in production

        await enter_site_code()
        return await Prerendering(self._pages, static_paths(self._settings)).answer(request)

    async def _administer(self, request: PageRequest, raw_request: Any) -> CachedAnswer:
        async def cache() -> AdminCache | None:
            tenant = await self._tenant(self._settings.prefix_for(request))
            return None if tenant is None else AdminCache(tenant.handler, tenant.store)

        return await Admin(self._settings.admin_token, self._log).answer(request, StreamCopy(raw_request.body).read, cache)


def _binding(env: Any, name: str) -> Any | None:
    binding = getattr(env, name, None)
    return binding if isinstance(binding, JsProxy) else None


def _variables(env: Any) -> dict[str, str]:
    """The variables; wrangler gives a number of the configuration as a number."""
    variables = {name: getattr(env, name) for name in dir(env) if name.startswith("VINEXT_")}
    return {name: str(value) for name, value in variables.items() if isinstance(value, str | int | float)}


_application: Application | None = None


class Default(WorkerEntrypoint):
    """The runtime makes one for each request, so the module keeps what lasts."""

    def fetch(self, request: Any) -> Awaitable[Any]:
        global _application  # noqa: PLW0603 - the isolate's one application
        enter_request(self.ctx)
        if _application is not None:
            return _application.answer(request.js_object)
        _application = Application(raw_env(self.env))
        if not _application.direct_await:
            return _application.answer(request.js_object)
        return self._first_answer(_application, request.js_object)

    async def _first_answer(self, application: Application, raw_request: Any) -> Any:
        reason = await take_shortcuts(self.env, begins_requests=type(self) is Default and application.is_own_code)
        if reason is not None:
            ConsoleLog().event("warning", "loop.fallback", reason=reason)
        return await application.answer(raw_request)
