"""The entrypoint of a Worker: it builds the application from bindings and settings once, and hands requests to it."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy
from workers import WorkerEntrypoint

from cache.handler import get_cache_handler
from core.log import QuietLog
from core.paths import is_admin
from core.recent import MAX_BYTES, Budget, Recent
from core.runtime import Runtime
from edge.bindings.assets import AssetsBinding, NoAssets
from edge.bindings.images import ImagesBinding, RuntimeImages
from edge.bindings.kv import KVBinding
from edge.bindings.service import ServicePages
from edge.bodies import JsBuffer, StreamCopy, digest
from edge.http import RequestReader, js_response
from edge.loop import as_it_is, enter_site_code, raw_env, take_shortcuts
from edge.python.pages import python_pages
from edge.runtime import ConsoleLog, PromiseFlight, RequestBackground, enter_request, now_ms
from isr.admin import Admin, AdminCache
from isr.answer import PassedAnswer
from isr.assemble import SharedParts, assemble
from isr.page_cache import PassThrough
from isr.settings import SettingError, Settings, read_settings
from pages.handler import FailedPages
from pages.selection import PageHandlerError, ServiceChoice, chosen_pages
from seed.build import SeedError
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from isr.answer import CachedAnswer
    from isr.assemble import SiteServer
    from pages.handler import PageHandler
    from pages.request import PageRequest


def page_handler(env: Any, settings: Settings, runtime: Runtime) -> PageHandler:
    """Return the page handler that the site's code or the setting names. One that cannot be used fails each request."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError as error:
        return FailedPages(str(error))
    if isinstance(choice, ServiceChoice):
        binding = getattr(env, choice.name, None)
        if not isinstance(binding, JsProxy):
            return FailedPages(f"no service is bound as {choice.name}; add a [[services]] with that binding to wrangler.toml")
        return ServicePages(choice.name, binding, settings.page_timeout_ms, settings.body_timeout_ms)
    return python_pages(choice, env, settings.page_timeout_ms, settings.body_timeout_ms, runtime)


def static_paths(settings: Settings) -> Callable[[], Any] | None:
    """Return the site's function that lists the paths to pre-render, None if it has none."""
    try:
        choice = chosen_pages() or settings.page_handler.load()
    except PageHandlerError:
        return None
    return getattr(choice, "static_paths", None)  # an app or a function may have one


KV_BINDING = "VINEXT_CACHE"

ASSETS_BINDING = "ASSETS"

IMAGES_BINDING = "IMAGES"


class Application:
    """Everything in an isolate that outlives a request, built at the first one from the raw `env`.

    A site is assembled when the build is known, because its ID and schema are part of every key. Until then, with a wrong
    setting, and for a host that is no tenant, the page handler alone answers.
    """

    def __init__(self, env: Any) -> None:
        self.has_default_cache = get_cache_handler() is None
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
        runtime = Runtime(PromiseFlight(now_ms, log), RequestBackground(log), now_ms, log)
        self._page_handler = page_handler(env, self._settings, runtime)
        self._pass_through = PassThrough(self._page_handler, log)
        binding = _binding(env, ASSETS_BINDING)
        assets = NoAssets() if binding is None else AssetsBinding(binding)
        self._opener = BuildOpener(assets, runtime)
        namespace = _binding(env, KV_BINDING)
        images = _binding(env, IMAGES_BINDING)
        self._parts = SharedParts(
            settings=self._settings,
            namespace=None if namespace is None else KVBinding(namespace),
            page_handler=self._page_handler,
            image_sources=RuntimeImages(assets),
            image_transformer=None if images is None else ImagesBinding(images),
            digest=digest,
            make_body=JsBuffer.copy_of,
            files=assets,
        )
        # By prefix. Each has memory of its own, so that no request can reach another's pages.
        tenants = self._settings.tenants
        self._sites: Recent[str | None, SiteServer] = Recent(tenants.shares, lambda *_: 0, Budget(MAX_BYTES))
        self._counts_uses = bool(tenants.patterns)

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
        site = self._sites.get(prefix) or await self._site(prefix)
        if site is None:
            return js_response(await self._pass_through.answer(request))
        if self._counts_uses:
            self._sites[prefix] = site
        if site.enter_data is not None:
            site.enter_data()
        if site.files is not None and request.path.startswith(site.files.folders):
            file = await site.files.answer(request)
            if file is not None:
                return js_response(PassedAnswer(file, frozenset()))
        if site.images is not None and request.path in site.images.paths:
            return js_response(PassedAnswer(await site.images.answer(request), frozenset()))
        try:
            return js_response(await site.page_cache.answer(request))
        except Exception:
            # A bug in the page cache must not cost the visitor the page, if asking for it twice does no harm.
            self._log.event("error", "answer.failed", path=request.path, error=traceback.format_exc())
            if request.method not in {"GET", "HEAD"}:
                raise
            return js_response(await self._pass_through.answer(request))

    async def _site(self, prefix: str | None) -> SiteServer | None:
        """Return the site of a prefix; None if there is none, or the build cannot be read just now."""
        if prefix is None:
            return None
        if prefix in self._sites:
            return self._sites[prefix]
        try:
            source = await self._opener.open()
        except SeedError:
            return None
        if prefix not in self._sites:
            runtime = Runtime(PromiseFlight(now_ms, self._log), RequestBackground(self._log), now_ms, self._log)
            self._sites[prefix] = assemble(self._parts, source, prefix, runtime, get_cache_handler())
        return self._sites[prefix]

    async def _timed(self, request: PageRequest) -> Any:
        started = time.perf_counter()
        response = await self._answer(request)
        took_ms = (time.perf_counter() - started) * 1000
        response.headers.set("Server-Timing", f"worker;dur={took_ms:.1f}")
        return response

    async def _prerender(self, request: PageRequest) -> CachedAnswer:
        from isr.prerendering import Prerendering  # noqa: PLC0415 - never in production

        await enter_site_code()
        return await Prerendering(self._page_handler, static_paths(self._settings), self._settings.variant_rules).answer(request)

    async def _administer(self, request: PageRequest, raw_request: Any) -> CachedAnswer:
        async def cache() -> AdminCache | None:
            site = await self._site(self._settings.prefix_for(request))
            return None if site is None else AdminCache(site.entries, site.store)

        return await Admin(self._settings.admin_token, self._log).answer(request, StreamCopy(raw_request.body).read, cache)


def _binding(env: Any, name: str) -> Any | None:
    binding = getattr(env, name, None)
    return binding if isinstance(binding, JsProxy) else None


def _variables(env: Any) -> dict[str, str]:
    """Return the variables as text; wrangler gives a number of the configuration as a number."""
    variables = {name: getattr(env, name) for name in dir(env) if name.startswith("VINEXT_")}
    return {name: str(value) for name, value in variables.items() if isinstance(value, str | int | float)}


_application: Application | None = None


class Default(WorkerEntrypoint):
    """The runtime makes one for each request, so the application is kept in the module."""

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
        reason = await take_shortcuts(self.env, begins_requests=type(self) is Default and application.has_default_cache)
        if reason is not None:
            ConsoleLog().event("warning", "loop.fallback", reason=reason)
        return await application.answer(raw_request)
