"""The settings of the Worker: the variables of its configuration, and a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from cache.keys import KeySchema
from cache.kv_record import TTLPolicy
from cache.own_handler import HandlerName as CacheHandlerName
from cache.stored import Layout
from core.body import MAX_BODY_BYTES
from core.errors import VinextWorkerError
from isr.tenants import Tenants, read_tenants, required_prefix
from isr.variants import VariantRules
from pages.images.rules import MAX_REDIRECTS, read_formats, read_hosts, read_local_patterns, read_remote_patterns
from pages.selection import HandlerName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import Enum

    from pages.images.rules import ImageRules
    from pages.request import PageRequest

_MAX_DIGITS = 15

_MAX_PAGE_BYTES = 8 * 1024 * 1024

_MAX_NUMBERS = 100

_MAX_VARIANTS = 100

_MAX_SHARDS = 100

_MAX_SAMPLE = 10_000

_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")

MAX_CLOCK_SKEW_MS = 30_000

_NO_TENANTS = Tenants()

_PAGES_SERVICE = HandlerName("service", "", "PAGES")

T = TypeVar("T")

E = TypeVar("E", bound="Enum")


class SettingError(VinextWorkerError):
    """A setting has a value that is not allowed; the message lists those that are."""


class ImagesSwitch(StrEnum):
    """Whether this Worker has an image endpoint. `auto`: if it has an images binding, or Python code renders its pages."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class EdgeCache(StrEnum):
    """Whether the cache in front of the Worker may keep pages. `without_cookies`: for visitors who send no cookie."""

    OFF = "off"
    ON = "on"
    WITHOUT_COOKIES = "without_cookies"


@dataclass(frozen=True)
class Settings:
    """The settings. Each field is the variable of its name, in capitals, after `VINEXT_`.

    `max_page_bytes` None takes the layout's own (`page_limit_bytes`). With an R2 bucket, KV keeps entries of at most
    `kv_body_bytes`. `cache_handler` None keeps pages in the Worker's own cache. `regional_cache` is for how many seconds the
    Cache API keeps copies, 0 keeps none. `edge_cache` is what the cache in front of the Worker may keep (`isr.edge_policy`).
    `build_id` None takes the build's, `key_schema` None likewise. `tag_shards` is how many Durable Objects share a site's tags.
    `tenants` are the sites of the Worker. With `direct_await` off every step goes through Pyodide's event loop. `variants` is how
    many of a page are kept, and `languages` are the site's (`isr.variants`). `prerender` is on while pages are rendered for a
    build. Of `analytics_sample` requests one gets a data point (`isr.analytics`). With `admin_token` None the
    endpoints below `/__vinext/` do not exist.
    """

    app_prefix: str = ""
    build_id: str | None = None
    key_schema: KeySchema | None = None
    kv_layout: Layout = Layout.VINEXT
    kv_ttl: TTLPolicy = TTLPolicy.THIRTY_DAYS
    kv_body_bytes: int = 1024 * 1024
    regional_cache: int = 0
    edge_cache: EdgeCache = EdgeCache.OFF
    tag_cache_ms: int = 5000
    tag_shards: int = 1
    clock_skew_ms: int = 1000
    memory_bytes: int = 32 * 1024 * 1024
    max_page_bytes: int | None = None
    cache_handler: CacheHandlerName | None = None
    page_handler: HandlerName = _PAGES_SERVICE
    page_timeout_ms: int = 60_000
    body_timeout_ms: int = 15_000
    tenants: Tenants = _NO_TENANTS
    server_timing: bool = False
    prerender: bool = False
    direct_await: bool = True
    images: ImagesSwitch = ImagesSwitch.AUTO
    image_settings: Mapping[str, object] = field(default_factory=dict)
    variants: int = 8
    languages: tuple[str, ...] = ()
    analytics_sample: int = 1
    admin_token: str | None = None

    @property
    def page_limit_bytes(self) -> int:
        """The size up to which a page is stored.

        In vinext's layout, a page is parsed and copied as a whole each time it is read; in the other one, a large page streams.
        """
        if self.max_page_bytes is not None:
            return self.max_page_bytes
        return MAX_BODY_BYTES if self.kv_layout is Layout.FRAMED else _MAX_PAGE_BYTES

    def with_bucket(self) -> Settings:
        """Return the settings of a Worker with an R2 bucket: only this project reads what it keeps there."""
        return replace(self, kv_layout=Layout.FRAMED)

    @property
    def variant_rules(self) -> VariantRules:
        """How many variants of a page are kept, and by which languages."""
        return VariantRules(self.variants, self.languages)

    def image_rules(self, of_app: ImageRules) -> ImageRules:
        """Return the rules of images: those of the app, but for what is set."""
        return replace(of_app, **self.image_settings)  # type: ignore[arg-type]

    def prefix_for(self, request: PageRequest) -> str | None:
        """Return the prefix of the keys for a request, None if its host is not among the tenants."""
        return self.tenants.prefix_of(request.host) if self.tenants else self.app_prefix


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read the settings; a variable that is not set has its default. Raise SettingError for a value that is not allowed."""
    default = Settings()
    return Settings(
        app_prefix=_read(variables, "VINEXT_APP_PREFIX", default.app_prefix, required_prefix),
        build_id=variables.get("VINEXT_BUILD_ID") or None,
        key_schema=_read(variables, "VINEXT_KEY_SCHEMA", None, _key_schema),
        kv_layout=_read(variables, "VINEXT_KV_LAYOUT", default.kv_layout, _one_of(Layout)),
        kv_ttl=_read(variables, "VINEXT_KV_TTL", default.kv_ttl, _one_of(TTLPolicy)),
        kv_body_bytes=_read(variables, "VINEXT_KV_BODY_BYTES", default.kv_body_bytes, _count),
        regional_cache=_read(variables, "VINEXT_REGIONAL_CACHE", default.regional_cache, _count),
        edge_cache=_read(variables, "VINEXT_EDGE_CACHE", default.edge_cache, _one_of(EdgeCache)),
        tag_cache_ms=_read(variables, "VINEXT_TAG_CACHE_MS", default.tag_cache_ms, _count),
        tag_shards=_read(variables, "VINEXT_TAG_SHARDS", default.tag_shards, _number_from_1(_MAX_SHARDS)),
        clock_skew_ms=_read(variables, "VINEXT_CLOCK_SKEW_MS", default.clock_skew_ms, _number_up_to(MAX_CLOCK_SKEW_MS)),
        memory_bytes=_read(variables, "VINEXT_MEMORY_BYTES", default.memory_bytes, _count),
        max_page_bytes=_read(variables, "VINEXT_MAX_PAGE_BYTES", None, _count),
        cache_handler=_read(variables, "VINEXT_CACHE_HANDLER", None, CacheHandlerName.parse),
        page_handler=_read(variables, "VINEXT_PAGE_HANDLER", default.page_handler, HandlerName.parse),
        page_timeout_ms=_read(variables, "VINEXT_PAGE_TIMEOUT_MS", default.page_timeout_ms, _count),
        body_timeout_ms=_read(variables, "VINEXT_BODY_TIMEOUT_MS", default.body_timeout_ms, _count),
        tenants=_read(variables, "VINEXT_TENANTS", default.tenants, read_tenants),
        server_timing=_read(variables, "VINEXT_SERVER_TIMING", default.server_timing, _switch),
        prerender=_read(variables, "VINEXT_PRERENDER", default.prerender, _switch),
        direct_await=_read(variables, "VINEXT_DIRECT_AWAIT", default.direct_await, _switch),
        images=_read(variables, "VINEXT_IMAGES", default.images, _one_of(ImagesSwitch)),
        image_settings={
            name: _read(variables, variable, None, parse)
            for name, (variable, parse) in _IMAGE_SETTINGS.items()
            if variables.get(variable) is not None
        },
        variants=_read(variables, "VINEXT_VARIANTS", default.variants, _number_up_to(_MAX_VARIANTS)),
        languages=_read(variables, "VINEXT_LANGUAGES", default.languages, _languages),
        analytics_sample=_read(variables, "VINEXT_ANALYTICS_SAMPLE", default.analytics_sample, _number_from_1(_MAX_SAMPLE)),
        admin_token=variables.get("VINEXT_ADMIN_TOKEN") or None,
    )


def _read(variables: Mapping[str, str], name: str, default: T, parse: Callable[[str], T]) -> T:
    text = variables.get(name)
    if text is None:
        return default
    try:
        return parse(text)
    except ValueError as error:
        message = f"{name} is {text!r}, allowed: {error}"
        raise SettingError(message) from error


def _key_schema(text: str) -> KeySchema | None:
    if text == "auto":
        return None
    try:
        return KeySchema(text)
    except ValueError:
        raise ValueError("auto, v1, v2") from None


def _one_of(kind: type[E]) -> Callable[[str], E]:
    def parse(text: str) -> E:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(", ".join(member.value for member in kind)) from None

    return parse


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise ValueError("a whole number from 0 on")
    return int(text)


def _number_up_to(maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS or int(text) > maximum:
            raise ValueError(f"a whole number from 0 to {maximum}")
        return int(text)

    return parse


def _number_from_1(maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS or not 0 < int(text) <= maximum:
            raise ValueError(f"a whole number from 1 to {maximum}")
        return int(text)

    return parse


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError("on, off")
    return text == "on"


def _languages(text: str) -> tuple[str, ...]:
    languages = tuple(part.strip() for part in text.split(",")) if text.strip() else ()
    if not all(map(_LANGUAGE.fullmatch, languages)) or len(languages) > _MAX_VARIANTS:
        raise ValueError(f"at most {_MAX_VARIANTS} language tags, such as en and pt-BR, with commas between, the default first")
    return languages


def _numbers(maximum: int) -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        parts = [part.strip() for part in text.split(",")]
        numbers = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS)
        if len(numbers) != len(parts) or len(numbers) > _MAX_NUMBERS or not all(0 < number <= maximum for number in numbers):
            raise ValueError(f"at most {_MAX_NUMBERS} whole numbers from 1 to {maximum} with commas between them")
        return numbers

    return parse


_IMAGE_SETTINGS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "widths": ("VINEXT_IMAGE_WIDTHS", _numbers(10_000)),
    "qualities": ("VINEXT_IMAGE_QUALITIES", _numbers(100)),
    "hosts": ("VINEXT_IMAGE_HOSTS", read_hosts),
    "remote_patterns": ("VINEXT_IMAGE_REMOTE_PATTERNS", read_remote_patterns),
    "local_patterns": ("VINEXT_IMAGE_LOCAL_PATTERNS", read_local_patterns),
    "formats": ("VINEXT_IMAGE_FORMATS", read_formats),
    "period_seconds": ("VINEXT_IMAGE_TTL", _number_up_to(31_536_000)),
    "max_redirects": ("VINEXT_IMAGE_REDIRECTS", _number_up_to(MAX_REDIRECTS)),
    "allows_svg": ("VINEXT_IMAGE_SVG", _switch),
}
"""Fields of ImageRules to their variables."""
