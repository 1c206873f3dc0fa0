"""Which parts a site consists of, by the bindings and the settings."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.flight import FakeFlight
from tests.fakes.kv import InMemoryKV
from tests.fakes.no_op import NoOpCacheHandler
from tests.fakes.pages import FakePages
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog
from tests.fakes.requests import request
from tests.fakes.worker import BUILD, copied_build, digest

from cache.entry import CacheEntry
from cache.kv import KVCacheHandler
from cache.memory import MemoryCacheHandler
from cache.tiered import TieredCacheHandler
from core.body import BytesBody
from core.runtime import Runtime
from datacache.context import current_data_cache
from isr.assemble import SharedParts, SitePlan
from isr.settings import Settings, read_settings
from pages.images.endpoint import ImageSourceError
from pages.images.rules import ImageRules
from pages.selection import use_function, use_pages
from seed.rules import Rule
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cache.entry import CacheValue
    from cache.handler import CacheHandler, SetContext
    from cache.own_handler import HandlerContext, HandlerFactory
    from isr.assemble import SiteServer

PYTHON = {"VINEXT_PAGE_HANDLER": "site:render"}


@pytest.fixture(autouse=True)
def _setting_decides() -> Iterator[None]:
    yield
    use_pages(None)


class MissingImages:
    async def local(self, path: str) -> NoReturn:
        raise ImageSourceError(path, 404)

    async def remote(self, url: str) -> NoReturn:
        raise ImageSourceError(url, 404)


@dataclass
class Bindings:
    has_kv: bool = True
    has_images: bool = False
    settings: Settings = field(default_factory=Settings)
    of_build: dict[str, Any] | None = None
    log: FakeLog = field(default_factory=FakeLog)

    async def assemble(self, handler: CacheHandler | HandlerFactory | None = None, prefix: str = "") -> SiteServer:
        clock = FakeClock()
        runtime = Runtime(FakeFlight(), FakeBackground(), clock, self.log)
        transformer: Any = object() if self.has_images else None
        parts = SharedParts(
            settings=self.settings,
            namespace=InMemoryKV(clock) if self.has_kv else None,
            page_handler=FakePages(),
            image_sources=MissingImages(),
            image_transformer=transformer,
            digest=digest,
            make_body=BytesBody,
        )
        build = None if self.of_build is None else replace(BUILD, **self.of_build)
        source = await BuildOpener(FakeAssets() if build is None else FakeAssets(copied_build(build)), runtime).open()
        return SitePlan(parts, source, self.log, handler).site(prefix, runtime)


@pytest.mark.parametrize(
    ("has_kv", "memory_bytes", "expected"),
    [
        (True, 1000, TieredCacheHandler),
        (True, 0, KVCacheHandler),
        (False, 1000, MemoryCacheHandler),
        (False, 0, MemoryCacheHandler),
    ],
)
async def test_the_cache_is_kv_with_memory_in_front_as_far_as_there_are_both(
    memory_bytes: int, expected: type, *, has_kv: bool
) -> None:
    site = await Bindings(has_kv=has_kv, settings=Settings(memory_bytes=memory_bytes)).assemble()
    assert type(site.entries) is expected


async def test_a_cache_handler_of_the_site_s_own_is_used_even_one_that_is_false() -> None:
    class Empty(NoOpCacheHandler):
        def __init__(self) -> None:
            self.written: list[str] = []

        def __len__(self) -> int:
            return 0

        async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
            self.written.append(key)

    own = Empty()
    entries = (await Bindings().assemble(own)).entries
    await entries.write("k", CacheEntry(None, (), 0))
    assert own.written == ["k"]


async def test_a_handler_that_asks_for_the_default_cache_again_gets_the_same_one() -> None:
    caches: list[CacheHandler] = []

    def twice(context: HandlerContext) -> CacheHandler:
        caches.extend((context.default(), context.default()))
        return caches[0]

    site = await Bindings().assemble(twice)
    assert caches[0] is caches[1]
    assert type(site.entries) is TieredCacheHandler


@pytest.mark.parametrize("chosen_in_code", [False, True])
async def test_a_cache_handler_that_cannot_be_used_is_one_line_and_the_worker_s_own_cache(*, chosen_in_code: bool) -> None:
    bindings = Bindings(settings=read_settings({"VINEXT_CACHE_HANDLER": "nowhere:Handler"}))
    site = await bindings.assemble((lambda _: None) if chosen_in_code else None)  # type: ignore[arg-type, return-value]
    assert type(site.entries) is TieredCacheHandler
    ((level, event, fields),) = [line for line in bindings.log.lines if line[0] != "info"]
    assert (level, event) == ("error", "cache.handler_unusable")
    assert ("nowhere:Handler cannot be imported" in str(fields["error"])) is not chosen_in_code


@pytest.mark.parametrize("layout", ["vinext", "framed"])
async def test_an_invalidation_is_noticed_after_the_time_of_the_setting(layout: str) -> None:
    settings = read_settings({"VINEXT_KV_LAYOUT": layout, "VINEXT_TAG_CACHE_MS": "5000"})
    entries: Any = (await Bindings(settings=settings).assemble()).entries
    assert entries._recheck_ms == (2500 if layout == "framed" else 4500)


@pytest.mark.parametrize(
    ("variables", "has_images", "expected"),
    [
        pytest.param({}, False, False, id="auto, a service"),
        pytest.param({}, True, True, id="auto, a binding"),
        pytest.param(PYTHON, False, True, id="auto, Python pages"),
        pytest.param({"VINEXT_IMAGES": "on"}, False, True, id="on"),
        pytest.param({"VINEXT_IMAGES": "off"} | PYTHON, True, False, id="off"),
    ],
)
async def test_there_is_an_image_endpoint(variables: dict[str, str], *, has_images: bool, expected: bool) -> None:
    site = await Bindings(has_images=has_images, settings=read_settings(variables)).assemble()
    assert (site.images is not None) is expected


async def test_the_images_of_a_vinext_app_are_those_of_its_build_but_for_the_settings() -> None:
    settings = read_settings({"VINEXT_IMAGES": "on", "VINEXT_IMAGE_TTL": "60"})
    site = await Bindings(settings=settings, of_build={"images": {"qualities": [50], "minimumCacheTTL": 10}}).assemble()
    assert site.images is not None
    assert (site.images.rules.qualities, site.images.rules.period_seconds) == ((50,), 60)


MIDDLEWARE = {"rules": (Rule("/", is_prefix=True, name="middleware.ts"),)}
LOGIN = {"rules": (Rule("/members", is_prefix=True, name="middleware.ts: /members/:path*"),)}


@pytest.mark.parametrize(
    ("of_build", "url", "is_ours"),
    [
        pytest.param({"rules": ()}, "/members/a.png", True, id="no rules"),
        pytest.param(LOGIN, "/a.png", True, id="a rule elsewhere"),
        pytest.param(LOGIN, "/members/a.png", False, id="a rule before the file"),
        pytest.param(LOGIN, "/Members/a.png", False, id="in another case"),
        pytest.param(LOGIN, "/%6dembers/a.png", False, id="encoded"),
        pytest.param(LOGIN, "/%256dembers/a.png", False, id="encoded twice"),
        pytest.param(LOGIN, "https://images.example/members/a.png", True, id="elsewhere"),
        pytest.param(MIDDLEWARE, "https://images.example/a.png", False, id="a rule before the endpoint"),
        pytest.param({"base_path": "/docs"}, "/a.png", False, id="a base path"),
    ],
)
@pytest.mark.parametrize("switch", ["auto", "on"])
async def test_an_image_that_a_rule_of_the_app_may_touch_is_the_page_handlers(
    switch: str, of_build: dict[str, Any], url: str, *, is_ours: bool
) -> None:
    settings = read_settings({"VINEXT_IMAGES": switch, "VINEXT_IMAGE_HOSTS": "images.example"})
    site = await Bindings(has_images=True, settings=settings, of_build=of_build).assemble()
    asked = request(f"/_next/image?url={quote(url, safe='')}&w=640&q=75")
    images = site.images
    answered = None if images is None or asked.path not in images.paths else await images.answer(asked)
    assert (answered is not None) is (is_ours or switch == "on")


async def test_a_rule_before_the_image_endpoint_is_a_log_line() -> None:
    bindings = Bindings(has_images=True, of_build=MIDDLEWARE)
    await bindings.assemble()
    assert bindings.log.names() == ["images.passed_on"]


async def test_images_of_a_build_that_make_no_sense_are_a_log_line() -> None:
    bindings = Bindings(settings=read_settings({"VINEXT_IMAGES": "on"}), of_build={"images": {"qualities": "x"}})
    site = await bindings.assemble()
    assert site.images is not None
    assert site.images.rules == ImageRules()
    assert bindings.log.names() == ["images.rules_wrong"]


@pytest.mark.parametrize("chosen_in_code", [True, False])
async def test_python_pages_have_a_data_cache_which_is_the_site_s(*, chosen_in_code: bool) -> None:
    if chosen_in_code:
        use_function(lambda request: None)
    site = await Bindings(settings=read_settings({} if chosen_in_code else PYTHON)).assemble()
    assert site.enter_data is not None
    context = copy_context()
    context.run(site.enter_data)
    cache = context.run(current_data_cache)
    assert cache is not None
    assert cache.entries is site.entries


async def test_pages_of_a_service_have_none() -> None:
    assert (await Bindings().assemble()).enter_data is None
