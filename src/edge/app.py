"""The entrypoint of a Worker: it builds the application from bindings and settings once, and hands requests to it."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from functools import partial
from hmac import compare_digest
from http import HTTPStatus
from types import MethodType
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy
from workers import WorkerEntrypoint

from cache.own_handler import get_cache_handler
from core.http import STATE_HEADER
from core.log import QuietLog
from core.paths import INSPECT_URL, is_admin
from core.runtime import Runtime
from edge.bindings.analytics import DatasetBinding
from edge.bindings.assets import AssetsBinding, NoAssets
from edge.bindings.edge_cache import WorkersCache, cache_of
from edge.bindings.images import ImagesBinding, RuntimeImages
from edge.bindings.kv import KV_BINDING, KVBinding
from edge.bindings.r2 import R2Binding
from edge.bindings.region import CacheApi
from edge.bindings.service import ServicePages
from edge.bindings.tags import TagsBinding
from edge.bodies import JsBuffer, StreamCopy, digest
from edge.http import RequestReader, js_response, new_request, without_header
from edge.loop import as_it_is, enter_site_code, raw_env, take_shortcuts
from edge.python.pages import python_pages
from edge.runtime import ConsoleLog, PromiseFlight, RequestBackground, enter_request, now_ms
from isr.admin import Admin, AdminCache
from isr.analytics import Analytics
from isr.answer import PassedAnswer, outcome_of, sent_bytes
from isr.assemble import SharedParts, SitePlan
from isr.edge_policy import FORBIDDEN, sealed
from isr.job import request_of
from isr.metrics import exposition
from isr.page_cache import PassThrough
from isr.settings import EdgeCache, SettingError, Settings, read_settings
from isr.stopwatch import DEBUG_HEADER, REASON_HEADER, Stopwatch
from isr.story import header_text
from pages.handler import FailedPages
from pages.selection import PageHandlerError, ServiceChoice, chosen_pages
from seed.build import SeedError
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from isr.answer import Answer, CachedAnswer
    from isr.assemble import SiteServer
    from isr.inspector import Inspector
    from isr.store import PageStore
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


R2_BINDING = "VINEXT_CACHE_R2"

_STORES = frozenset({"KvNamespace", "R2Bucket", "D1Database", "DurableObjectNamespace", "WorkerQueue", "Fetcher"})

ASSETS_BINDING = "ASSETS"

IMAGES_BINDING = "IMAGES"

TAGS_BINDING = "VINEXT_TAGS"

ANALYTICS_BINDING = "VINEXT_ANALYTICS"


class Application:
    """Everything in an isolate that outlives a request, built at the first one from the raw `env`.

    A site is assembled when the build is known, because its ID and schema are part of every key. Until then, with a wrong
    setting, and for a host that is no tenant, the page handler alone answers.

    With `is_in_object` it answers nobody: a Durable Object regenerates pages by it, and keeps none of them in memory.
    """

    def __init__(self, env: Any, context: Any, *, is_in_object: bool = False) -> None:
        log = QuietLog(ConsoleLog(), now_ms)
        self._log = log
        self._has_edge = cache_of(context) is not None
        self._requests = RequestReader()
        self._started_ms = now_ms()
        self._fault: str | None = None
        try:
            self._settings = read_settings(_variables(env))
        except SettingError as error:
            self._fault = str(error)
            self._settings = Settings()
        bucket = _store(env, R2_BINDING, "R2Bucket", log)
        if bucket is not None:
            self._settings = self._settings.with_bucket()
        if is_in_object:
            self._settings = replace(self._settings, memory_bytes=0)
        self.direct_await = self._settings.direct_await
        self.has_default_cache = get_cache_handler() is None and self._settings.cache_handler is None
        runtime = Runtime(PromiseFlight(now_ms, log), RequestBackground(log), now_ms, log)
        self._page_handler = page_handler(env, self._settings, runtime)
        self._pass_through = PassThrough(self._page_handler, log)
        binding = _binding(env, ASSETS_BINDING)
        assets = NoAssets() if binding is None else AssetsBinding(binding)
        self._opener = BuildOpener(assets, runtime)
        namespace = _store(env, KV_BINDING, "KvNamespace", log)
        images = _binding(env, IMAGES_BINDING)
        tags = _store(env, TAGS_BINDING, "DurableObjectNamespace", log)
        self._parts = SharedParts(
            settings=self._settings,
            namespace=None if namespace is None else KVBinding(namespace),
            bucket=None if bucket is None else R2Binding(bucket),
            page_handler=self._page_handler,
            image_sources=RuntimeImages(assets),
            image_transformer=None if images is None else ImagesBinding(images),
            digest=digest,
            make_body=JsBuffer.copy_of,
            files=assets,
            env=env,
            tag_objects=None if tags is None else partial(TagsBinding, tags),
            purger=None if is_in_object else self._purger(),  # no page leaves an object
        )
        self._plan: SitePlan | None = None
        # By prefix. Each has keys and entries of its own, so that no request can reach another's pages.
        self._sites: dict[str | None, SiteServer] = {}
        self._counts_uses = self._settings.tenants.are_several
        self._inspector: Inspector | None = None
        dataset = _store(env, ANALYTICS_BINDING, "AnalyticsEngine", log)
        self._analytics: Analytics | None = None
        if dataset is not None:
            sample = self._settings.analytics_sample
            self._analytics = Analytics(DatasetBinding(dataset), sample, self._started_ms % sample, log)
        self._may_be_watched = self._settings.server_timing or self._settings.admin_token is not None

    def _purger(self) -> WorkersCache | None:
        """Return the cache in front of the Worker if it may keep pages."""
        if self._settings.edge_cache is EdgeCache.OFF:
            return None
        if self._has_edge:
            return WorkersCache()
        advice = "set enabled = true under [cache] in wrangler.toml; the local runtime has no such cache"
        self._log.event("warning", "edge.unusable", error="no Workers Cache is in front of this Worker", advice=advice)
        return None

    def _response(self, answer: Answer) -> Any:
        """Return the raw response of an answer. What may not be kept in front of the Worker is sealed."""
        return js_response(sealed(answer) if self._has_edge else answer)

    async def answer(self, raw_request: Any) -> Any:
        """Answer the runtime's raw request by a raw response."""
        request = self._requests.read(raw_request)
        if self._settings.prerender:
            return js_response(await self._prerender(request))
        if is_admin(request.path):
            return self._response(await self._administer(request, raw_request))
        if self._may_be_watched and (watched := self._watched(request, raw_request)) is not None:
            return await watched
        return as_it_is(await self._answer(request))

    async def regenerate(self, key: str, job: str) -> str:
        """Regenerate a page in another isolate's place (`isr.job`). Return why that failed, "" if it did not."""
        if self._fault is not None:
            return self._fault
        request = request_of(job)
        site = await self._site(self._settings.prefix_for(request), request.host)
        if site is None:
            return "the host is no tenant, or the build cannot be read just now"
        if site.enter_data is not None:
            site.enter_data()
        return await site.revalidator.again(key, job)

    async def _answer(self, request: PageRequest, watch: Stopwatch | None = None) -> Any:
        if self._fault is not None:
            self._log.event("error", "settings.wrong", error=self._fault)
            return self._response(await self._pass_through.answer(request))
        prefix = self._settings.prefix_for(request)
        site = self._sites.get(prefix) or await self._site(prefix, request.host)
        if site is None:
            return self._response(await self._pass_through.answer(request))
        if self._counts_uses:
            site.share.used()
        if site.enter_data is not None:
            site.enter_data()
        if site.may_be_file(request.path):
            file = await site.file(request)
            if file is not None:
                return self._response(PassedAnswer(file, frozenset()))
        try:
            page_cache = site.page_cache if watch is None else site.page_cache.timed(watch)
            started = time.perf_counter()
            answer = await page_cache.answer(request)
            return self._counted(request, answer, (time.perf_counter() - started) * 1000, prefix or "", site.store)
        except Exception:
            # A bug in the page cache must not cost the visitor the page, if asking for it twice does no harm.
            self._log.event("error", "answer.failed", path=request.path, error=traceback.format_exc())
            if request.method not in {"GET", "HEAD"}:
                raise
            return self._response(await self._pass_through.answer(request))

    def _counted(self, request: PageRequest, answer: Answer, took_ms: float, prefix: str, store: PageStore) -> Any:
        """Return the raw answer to a request for a page, which is counted."""
        response = self._response(answer)
        store.numbers.answered(outcome_of(answer), answer.reason, sent_bytes(answer), took_ms)
        if self._analytics is not None:
            self._analytics.answered(request, answer, took_ms, prefix, store.build)
        return response

    async def _site(self, prefix: str | None, host: str) -> SiteServer | None:
        """Return the site of a prefix, asked for under `host`; None if there is none, or the build cannot be read just now."""
        if prefix is None:
            return None
        if prefix in self._sites:
            return self._sites[prefix]
        try:
            source = await self._opener.open()
        except SeedError:
            return None
        if prefix not in self._sites:
            if self._plan is None:
                self._plan = SitePlan(self._parts, source, self._log, get_cache_handler())
            runtime = Runtime(PromiseFlight(now_ms, self._log), RequestBackground(self._log), now_ms, self._log)
            keep_seconds = self._settings.regional_cache
            region = CacheApi(host, keep_seconds) if keep_seconds else None
            self._sites[prefix] = self._plan.site(prefix, runtime, region, partial(self._sites.pop, prefix, None))
        return self._sites[prefix]

    def _watched(self, request: PageRequest, raw_request: Any) -> Awaitable[Any] | None:
        """Return the answer to a request that is debugged, or else one whose time is told; None for any other.

        Neither the page handler nor what is kept sees DEBUG_HEADER, whatever it holds.
        """
        token = self._settings.admin_token
        given = None if token is None else request.headers.get(DEBUG_HEADER)
        if given is not None and token is not None:
            request = self._requests.read(without_header(raw_request, DEBUG_HEADER))
            if compare_digest(given.encode(), token.encode()):
                return self._debugged(request)
            return self._timed(request) if self._settings.server_timing else self._answer(request)
        return self._timed(request) if self._settings.server_timing else None

    async def _debugged(self, request: PageRequest) -> Any:
        """Answer, and say why so. The look comes first, so its times are those of a request that nobody has read for."""
        site = await self._site(self._settings.prefix_for(request), request.host)
        line, phases, story = "no cache: the host is no tenant, or the build cannot be read just now; see the log", {}, None
        if site is not None:
            try:
                story = await site.why.explain(request)
                line, phases = story.line, dict(story.took_ms)
            except Exception:  # noqa: BLE001 - a story that cannot be told must not cost the visitor the page
                line = "the reason cannot be told; see the log"
                self._log.event("error", "why.failed", path=request.path, error=traceback.format_exc())
        watch, started_ms, started = Stopwatch(), now_ms(), time.perf_counter()
        response = await self._answer(request, watch)
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return response
        phases["worker"] = (time.perf_counter() - started) * 1000
        if site is not None and story is not None:
            is_kept = response.headers.get(STATE_HEADER) == "MISS"
            line = site.why.answered(request, story, started_ms, is_kept=is_kept).line
        if self._has_edge:
            response.headers.set(*FORBIDDEN)
        response.headers.set(REASON_HEADER, header_text(line))
        response.headers.set("Server-Timing", watch.server_timing(phases))
        return response

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
            site = await self._site(self._settings.prefix_for(request), request.host)
            return None if site is None else AdminCache(site.entries, site.store, site.why, site.lease)

        token = self._settings.admin_token
        if token is not None and (request.path == INSPECT_URL or request.path.startswith(f"{INSPECT_URL}/")):
            return await self._inspect(request, raw_request, token)
        is_tenant = self._settings.prefix_for(request) is not None
        admin = Admin(token, self._log, self._metrics, is_tenant=is_tenant)
        return await admin.answer(request, StreamCopy(raw_request.body).read, cache)

    def _metrics(self) -> str:
        sites = {prefix or "": site.store.numbers for prefix, site in self._sites.items()}
        return exposition(sites, self._started_ms)

    async def _inspect(self, request: PageRequest, raw_request: Any, token: str) -> CachedAnswer:
        from isr.inspect_site import InspectedSite  # noqa: PLC0415 - few isolates ever need it
        from isr.inspector import Inspector  # noqa: PLC0415 - few isolates ever need it

        async def open_site() -> InspectedSite | None:
            site = await self._site(self._settings.prefix_for(request), request.host)
            if site is None:
                return None
            if site.enter_data is not None:
                site.enter_data()
            store = site.store
            parts = site.why, site.regeneration, site.listing, store.numbers
            return InspectedSite(site.entries, store, store.build, *parts, self._started_ms, visit)

        def visit(url: str, headers: Mapping[str, str]) -> PageRequest:
            return self._requests.read(new_request(f"{request.origin}{url.partition('#')[0]}", headers))

        if self._inspector is None:
            self._inspector = Inspector(token, now_ms, self._log)
        return await self._inspector.answer(request, StreamCopy(raw_request.body).read, open_site)


def _binding(env: Any, name: str) -> Any | None:
    binding = getattr(env, name, None)
    return binding if isinstance(binding, JsProxy) else None


def _store(env: Any, name: str, kind: str, log: QuietLog) -> Any | None:
    """Return a binding of the JavaScript class `kind`, None without it; one of another store's class is one line in the log."""
    binding = _binding(env, name)
    found = None if binding is None else binding.constructor.name
    if found in _STORES and found != kind:
        log.event("error", "binding.wrong", binding=name, error=f"it is bound to {found}, not to {kind}, and is not used")
        return None
    return binding


def _variables(env: Any) -> dict[str, str]:
    """Return the variables as text; wrangler gives a number of the configuration as a number."""
    variables = {name: getattr(env, name) for name in dir(env) if name.startswith("VINEXT_")}
    return {name: str(value) for name, value in variables.items() if isinstance(value, str | int | float)}


_application: Application | None = None


class _SharedMethod:
    """A method of which all instances of `Default` have the same callable; a subclass's have a bound method of their own.

    The runtime makes an instance for each request, gets its method and calls it at once. It looks up the signature of what it
    calls unless it knows it, and a bound method is new each time: that was a sixth of an answer from memory.
    """

    def __init__(self, method: Callable[[Default, Any], Awaitable[Any]]) -> None:
        self._method = method
        self._shared = self._call
        self._instance: Default  # set before each call

    def __get__(self, instance: Default | None, _owner: type | None = None) -> Callable[..., Awaitable[Any]]:
        if type(instance) is not Default:
            return self._method if instance is None else MethodType(self._method, instance)
        self._instance = instance
        return self._shared

    def _call(self, request: Any) -> Awaitable[Any]:
        return self._method(self._instance, request)


class Default(WorkerEntrypoint):
    """The runtime makes one for each request, so the application is kept in the module."""

    @_SharedMethod
    def fetch(self, request: Any) -> Awaitable[Any]:
        global _application  # noqa: PLW0603 - the isolate's one application
        enter_request(self.ctx)
        if _application is not None:
            return _application.answer(request.js_object)
        _application = Application(raw_env(self.env), self.ctx)
        if not _application.direct_await:
            return _application.answer(request.js_object)
        return self._first_answer(_application, request.js_object)

    async def _first_answer(self, application: Application, raw_request: Any) -> Any:
        reason = await take_shortcuts(self.env, begins_requests=type(self) is Default and application.has_default_cache)
        if reason is not None:
            ConsoleLog().event("warning", "loop.fallback", reason=reason)
        return await application.answer(raw_request)
