from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.requests import request

from cache.keys import KeySchema
from cache.kv_record import TTLPolicy
from cache.own_handler import HandlerName
from cache.stored import Layout
from isr.settings import EdgeCache, SettingError, Settings, read_settings
from isr.tenants import TenantPattern, Tenants


def test_without_variables_everything_has_its_default() -> None:
    assert read_settings({}) == Settings()


PREFIX = "a prefix without cache or __… between its colons; a and a:cache, for example, would have keys in common"

LANGUAGES = "at most 100 language tags, such as en and pt-BR, with commas between, the default first"
PAIRS = (
    "HOST=PREFIX pairs with commas between them, each host once, no prefix with a colon; "
    "*.HOST takes {label} in its prefix once, which is what stands for the asterisk"
)
HANDLER = "module:Class, or module:function, of a module beside the entry"

CLASH = "patterns of which no two may make the same prefix, as {label} and shop-{label} do, or {label} twice"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("VINEXT_APP_PREFIX", "", ""),
        ("VINEXT_APP_PREFIX", "shop", "shop"),
        ("VINEXT_APP_PREFIX", "team:shop", "team:shop"),
        ("VINEXT_APP_PREFIX", "cached", "cached"),
        ("VINEXT_BUILD_ID", "", None),
        ("VINEXT_BUILD_ID", "build-1", "build-1"),
        ("VINEXT_KEY_SCHEMA", "auto", None),
        ("VINEXT_KEY_SCHEMA", "v1", KeySchema.V1),
        ("VINEXT_KEY_SCHEMA", "v2", KeySchema.V2),
        ("VINEXT_KV_LAYOUT", "vinext", Layout.VINEXT),
        ("VINEXT_KV_LAYOUT", "framed", Layout.FRAMED),
        ("VINEXT_KV_BODY_BYTES", "1000", 1000),
        ("VINEXT_REGIONAL_CACHE", "60", 60),
        ("VINEXT_EDGE_CACHE", "on", EdgeCache.ON),
        ("VINEXT_EDGE_CACHE", "without_cookies", EdgeCache.WITHOUT_COOKIES),
        ("VINEXT_KV_TTL", "30d", TTLPolicy.THIRTY_DAYS),
        ("VINEXT_KV_TTL", "ten_times", TTLPolicy.TEN_TIMES),
        ("VINEXT_TAG_CACHE_MS", "0", 0),
        ("VINEXT_TAG_CACHE_MS", "100", 100),
        ("VINEXT_TAG_SHARDS", "4", 4),
        ("VINEXT_ANALYTICS_SAMPLE", "10000", 10_000),
        ("VINEXT_BODY_TIMEOUT_MS", "0", 0),
        ("VINEXT_BODY_TIMEOUT_MS", "2500", 2500),
        ("VINEXT_CLOCK_SKEW_MS", "0", 0),
        ("VINEXT_CLOCK_SKEW_MS", "30000", 30_000),
        ("VINEXT_MEMORY_BYTES", "0", 0),
        ("VINEXT_MEMORY_BYTES", "33554432", 33_554_432),
        ("VINEXT_MAX_PAGE_BYTES", "1000", 1000),
        ("VINEXT_ADMIN_TOKEN", "", None),
        ("VINEXT_ADMIN_TOKEN", "secret", "secret"),
        ("VINEXT_TENANTS", "", Tenants()),
        (
            "VINEXT_TENANTS",
            "a.example=shop-a, B.example = shop-b,",
            Tenants({"a.example": "shop-a", "b.example": "shop-b"}),
        ),
        (
            "VINEXT_TENANTS",
            "*.Example.com=shop-{label}, a.example=a",
            Tenants({"a.example": "a"}, (TenantPattern("example.com", "shop-", ""),)),
        ),
        ("VINEXT_SERVER_TIMING", "on", True),
        ("VINEXT_SERVER_TIMING", "off", False),
        ("VINEXT_VARIANTS", "0", 0),
        ("VINEXT_VARIANTS", "100", 100),
        ("VINEXT_LANGUAGES", "", ()),
        ("VINEXT_LANGUAGES", "en, pt-BR,zh-Hant-TW", ("en", "pt-BR", "zh-Hant-TW")),
        ("VINEXT_CACHE_HANDLER", "own.cache:Pages", HandlerName("own.cache", "Pages")),
        ("VINEXT_DIRECT_AWAIT", "on", True),
        ("VINEXT_DIRECT_AWAIT", "off", False),
    ],
)
def test_a_variable_sets_the_setting_of_its_name(variable: str, text: str, expected: Any) -> None:
    found = read_settings({variable: text})
    name = variable.removeprefix("VINEXT_").lower()
    assert getattr(found, name) == expected
    others = {field.name for field in fields(Settings)} - {name}
    assert all(getattr(found, other) == getattr(Settings(), other) for other in others)


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        *(
            ("VINEXT_APP_PREFIX", text, PREFIX)
            for text in ("cache", "a:cache", "a:cache:b", "__tag", "a:__swr", "__app:0123456789abcdef")
        ),
        ("VINEXT_KEY_SCHEMA", "v3", "auto, v1, v2"),
        ("VINEXT_KEY_SCHEMA", "", "auto, v1, v2"),
        ("VINEXT_KV_LAYOUT", "json", "vinext, framed"),
        ("VINEXT_KV_TTL", "30", "30d, ten_times"),
        ("VINEXT_CLOCK_SKEW_MS", "30001", "a whole number from 0 to 30000"),
        ("VINEXT_CLOCK_SKEW_MS", "-1", "a whole number from 0 to 30000"),
        ("VINEXT_EDGE_CACHE", "true", "off, on, without_cookies"),
        ("VINEXT_REGIONAL_CACHE", "on", "a whole number from 0 on"),
        ("VINEXT_TAG_SHARDS", "0", "a whole number from 1 to 100"),
        ("VINEXT_TAG_SHARDS", "101", "a whole number from 1 to 100"),
        ("VINEXT_ANALYTICS_SAMPLE", "0", "a whole number from 1 to 10000"),
        ("VINEXT_TAG_CACHE_MS", "-1", "a whole number from 0 on"),
        ("VINEXT_TAG_CACHE_MS", "5s", "a whole number from 0 on"),
        ("VINEXT_TAG_CACHE_MS", "\u0665", "a whole number from 0 on"),
        ("VINEXT_MAX_PAGE_BYTES", "8 MiB", "a whole number from 0 on"),
        ("VINEXT_MEMORY_BYTES", "1.5", "a whole number from 0 on"),
        ("VINEXT_MEMORY_BYTES", "", "a whole number from 0 on"),
        ("VINEXT_MEMORY_BYTES", "9" * 16, "a whole number from 0 on"),
        ("VINEXT_TENANTS", "a.example", PAIRS),
        (
            "VINEXT_TENANTS",
            "a.example=a,b.example=a:cache",
            PAIRS,
        ),
        ("VINEXT_TENANTS", "=shop", PAIRS),
        ("VINEXT_TENANTS", "a.example=cache", PREFIX),
        ("VINEXT_TENANTS", "a.example=x,A.example=y", PAIRS),
        ("VINEXT_TENANTS", "*.example.com=shop", PAIRS),
        ("VINEXT_TENANTS", "*.example.com={label}{label}", PAIRS),
        ("VINEXT_TENANTS", "*.example.com={host}", PAIRS),
        ("VINEXT_TENANTS", "*.*.example.com={label}", PAIRS),
        ("VINEXT_TENANTS", "*.com={label}", PAIRS),
        ("VINEXT_TENANTS", "a*.example.com=a", PAIRS),
        ("VINEXT_TENANTS", "a.example.com={label}", PAIRS),
        ("VINEXT_TENANTS", "*.example.com={label},*.EXAMPLE.com=b-{label}", PAIRS),
        ("VINEXT_TENANTS", "*.example.com=a:{label}", PAIRS),
        ("VINEXT_TENANTS", "*.example.com=__{label}", PREFIX),
        ("VINEXT_TENANTS", "*.a.example={label},*.b.example=shop-{label}", CLASH),
        ("VINEXT_TENANTS", "*.a.example={label}-x,*.b.example=shop-{label}", CLASH),
        ("VINEXT_TENANTS", "*.a.example=shop-{label},*.b.example=shop-{label}", CLASH),
        ("VINEXT_CACHE_HANDLER", "own_cache", HANDLER),
        ("VINEXT_CACHE_HANDLER", "own cache:Pages", HANDLER),
        ("VINEXT_CACHE_HANDLER", "", HANDLER),
        ("VINEXT_VARIANTS", "101", "a whole number from 0 to 100"),
        ("VINEXT_LANGUAGES", "en,,de", LANGUAGES),
        ("VINEXT_LANGUAGES", "en;q=1", LANGUAGES),
        ("VINEXT_LANGUAGES", ",".join(["en"] * 101), LANGUAGES),
        ("VINEXT_SERVER_TIMING", "yes", "on, off"),
        ("VINEXT_DIRECT_AWAIT", "no", "on, off"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(variable: str, text: str, allowed: str) -> None:
    with pytest.raises(SettingError) as raised:
        read_settings({variable: text})
    assert str(raised.value) == f"{variable} is {text!r}, allowed: {allowed}"


@pytest.mark.parametrize("text", ["", "PAGES", "service:", ":PAGES"])
def test_a_page_handler_that_is_none_is_named(text: str) -> None:
    with pytest.raises(SettingError, match=f"^VINEXT_PAGE_HANDLER is {text!r}, allowed: "):
        read_settings({"VINEXT_PAGE_HANDLER": text})


def test_a_tenant_has_its_own_prefix_and_a_stranger_none() -> None:
    alone = read_settings({"VINEXT_APP_PREFIX": "shop"})
    assert alone.prefix_for(request("/", origin="https://any.example")) == "shop"
    shared = read_settings({"VINEXT_APP_PREFIX": "shop", "VINEXT_TENANTS": "a.example=a,b.example=b"})
    origins = [f"https://{host}" for host in ("a.example", "b.example", "c.example", "")]
    assert [shared.prefix_for(request("/", origin=origin)) for origin in origins] == ["a", "b", None, None]


VARIABLES = st.sampled_from([f"VINEXT_{field.name.upper()}" for field in fields(Settings)])


@given(st.dictionaries(VARIABLES, st.text(max_size=20)))
def test_any_value_is_taken_or_named(variables: dict[str, str]) -> None:
    try:
        read_settings(variables)
    except SettingError as error:
        refused = str(error).partition(" is ")[0]
    else:
        return
    assert refused in variables


@pytest.mark.parametrize(
    ("variables", "limit_bytes"),
    [
        ({}, 8 * 1024 * 1024),
        ({"VINEXT_KV_LAYOUT": "framed"}, 25 * 1024 * 1024),
        ({"VINEXT_KV_LAYOUT": "framed", "VINEXT_MAX_PAGE_BYTES": "1000"}, 1000),
    ],
)
def test_a_page_may_be_as_large_as_its_layout_reads_well(variables: dict[str, str], limit_bytes: int) -> None:
    assert read_settings(variables).page_limit_bytes == limit_bytes
