"""The Worker's parts, put together from its bindings and settings."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy
from workers import rpc

from cache.handler import get_cache_handler
from cache.runtime import Runtime
from edge.assets import AssetsBinding, NoAssets
from edge.background import RequestBackground
from edge.flight import PromiseFlight
from edge.kv import KVBinding
from edge.log import ConsoleLog
from edge.page_handler import page_handler, static_paths
from edge.requests import RequestReader
from edge.responses import js_response
from edge.service import StreamCopy
from edge.steps import enter_site_code
from edge.tenant import TenantParts, make_tenant
from isr.answer import PassedAnswer
from isr.lookup import is_admin
from isr.pass_through import PassThrough
from isr.quiet_log import QuietLog
from isr.settings import SettingError, Settings, read_settings
from seed.errors import SeedError
from seed.opening import BuildOpener

if TYPE_CHECKING:
    from edge.tenant import Tenant
    from isr.answer import CachedAnswer
    from pages.request import PageRequest

KV_BINDING = "VINEXT_CACHE"
ASSETS_BINDING = "ASSETS"
IMAGES_BINDING = "IMAGES"

# The SDK looks closely at everything that leaves Python but what a binding's wrapper holds. That is a fifteenth of an answer
# from memory.
_AS_IT_IS = getattr(rpc, "_BindingWrapper", lambda response: response)


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
        return _AS_IT_IS(await self._answer(request))

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
        from isr.admin import Admin, AdminCache  # noqa: PLC0415 - few requests are for it

        async def cache() -> AdminCache | None:
            tenant = await self._tenant(self._settings.prefix_for(request))
            return None if tenant is None else AdminCache(tenant.handler, tenant.store)

        return await Admin(self._settings.admin_token, self._log).answer(request, StreamCopy(raw_request.body).read, cache)


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
