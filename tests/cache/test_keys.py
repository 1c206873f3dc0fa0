from __future__ import annotations

from itertools import combinations, product
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.vectors import functions, kv_dump, vectors

from cache.keys import (
    KeySchema,
    data_cache_key,
    data_cache_key_v2,
    fnv1a64_base36,
    fnv1a64_hex,
    keeps_apart,
    kv_entry_prefix,
    kv_key,
    kv_last_invalidation_key,
    kv_last_stale_key,
    kv_lease_key,
    kv_stale_key,
    kv_tag_key,
    page_key,
    pages_router_key,
)
from core.errors import InvalidArgumentError
from core.javascript import encode_uri_component
from core.paths import decode_path, is_decodable_path, normalize_path

V1, V2 = KeySchema
BUILD = vectors()["build_id"]

any_text = st.text(st.characters(exclude_categories=[]))
segments = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda segment: segment not in {".", ".."}),
    max_size=5,
)


def rows(name: str) -> list[Any]:
    return [pytest.param(given_, expected, id=given_[:60]) for given_, expected in vectors()[name].items()]


@pytest.mark.parametrize(("text", "expected"), rows("hash_0_0_38"))
def test_fnv1a64_is_vinext_s(text: str, expected: str) -> None:
    assert fnv1a64_base36(text) == expected


@pytest.mark.parametrize(("path", "expected"), rows("app_key_1_4_0"))
def test_v2_page_key_is_vinext_s(path: str, expected: dict[str, str]) -> None:
    assert {
        "html": page_key(V2, BUILD, path, "html"),
        "rsc": page_key(V2, BUILD, path, "rsc"),
        "route": page_key(V2, BUILD, path, "route"),
    } == expected


@pytest.mark.parametrize(("path", "expected"), rows("app_key_0_0_38_without_suffix"))
def test_v1_page_key_is_vinext_s_and_measures_with_the_suffix(path: str, expected: str) -> None:
    """The fault of vinext 0.0.38's seeder: it measures without the suffix, its Worker with it."""
    units = len(expected.encode("utf-16-le")) // 2
    if units <= 200 < units + len(":html"):
        stem = path.removesuffix("/")
        expected = f"app:{BUILD}:__hash:{fnv1a64_base36(stem)}"
    assert page_key(V1, BUILD, path, "html") == f"{expected}:html"


@pytest.mark.parametrize(("path", "expected"), rows("pages_key_1_4_0"))
def test_pages_router_key_is_vinext_s(path: str, expected: str) -> None:
    assert pages_router_key(V2, BUILD, path) == expected


@pytest.mark.parametrize(("path", "expected"), rows("normalized_path_1_4_0"))
def test_path_decodes_as_in_vinext(path: str, expected: str) -> None:
    assert decode_path(path) == expected


@pytest.mark.parametrize(("path", "expected"), rows("decoded_path_0_0_38"))
def test_path_normalizes_as_in_vinext(path: str, expected: str) -> None:
    """vinext 0.0.38 decodes a backslash for its Pages Router; its keys have it encoded, as 1.4.0 does."""
    assert normalize_path(path) == expected.replace("\\", "%5C")


@pytest.mark.parametrize(
    ("of", "ours"),
    [
        ("decode", decode_path),
        ("hash", lambda text: [fnv1a64_base36(text), fnv1a64_hex(text)]),
        ("storage", lambda row: [kv_key(row[1], row[0]), kv_tag_key(row[1], row[0]), kv_entry_prefix(row[0])]),
        (
            "key",
            lambda row: [
                pages_router_key(V1, row[0], row[1]),
                page_key(V2, row[0], row[1], "html"),
                page_key(V2, row[0], row[1], "rsc"),
                pages_router_key(V2, row[0], decode_path(row[2])),
                pages_router_key(V2, row[0], decode_path(row[2]), "fr:é"),
            ],
        ),
    ],
)
def test_generated_inputs_give_what_vinext_gave(of: str, ours: Any) -> None:
    for given_, expected in functions(of):
        if of == "key" and "//" in given_[2]:
            continue  # no path from normalize_path has such
        assert ours(given_) == (expected[:2] if of == "hash" else expected), ascii(given_)


def test_generated_paths_normalize_as_vinext_s_do_but_for_a_trailing_slash() -> None:
    for path, expected in functions("normalize"):
        assert normalize_path(path) == (expected.removesuffix("/") or "/"), ascii(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/about/", "/about"),
        ("/", "/"),
        ("", "/"),
        ("about", "/about"),
        ("//", "/"),
        ("/a//b/", "/a/b"),
        ("/../a", "/a"),
        ("/a/%2E%2E/b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a%252Fb", "/a%252Fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/%E6%97%A5/%zz", "/日/%zz"),
        ("/%ED%A0%80", "/%ED%A0%80"),
        ("/é", "/é"),
    ],
)
def test_path_normalizes(path: str, expected: str) -> None:
    assert normalize_path(path) == expected


@pytest.mark.parametrize(
    ("path", "decodable"), [("/a%20b", True), ("/", True), ("/%", False), ("/%C3", False), ("/a/%C3%28", False), ("/%41", True)]
)
def test_path_that_does_not_decode_is_told(path: str, *, decodable: bool) -> None:
    assert is_decodable_path(path) is decodable


@given(
    st.lists(st.sampled_from(["%", "%2", "%2F", "%C3", "%A9", "/", "é", "\ud83d", "\ude00", ".", "a", "%F0%9F%98%80"])), any_text
)
def test_normalizing_never_raises_and_is_a_path(pieces: list[str], text: str) -> None:
    for path in ("".join(pieces), text):
        normalized = normalize_path(path)
        assert normalized == "/" or (normalized.startswith("/") and not normalized.endswith("/"))
        is_decodable_path(path)


@given(segments, segments, st.sampled_from([V1, V2]))
def test_two_paths_share_a_key_only_if_they_are_the_same(first: list[str], second: list[str], schema: KeySchema) -> None:
    keys = [page_key(schema, "b", normalize_path(url), "html") for url in map(_url, (first, second))]
    assert (keys[0] == keys[1]) is (first == second)


@given(segments)
def test_one_path_has_one_key_however_it_is_encoded(parts: list[str]) -> None:
    lower = "/" + "/".join("".join(f"%{byte:02x}" for byte in part.encode()) for part in parts)
    assert normalize_path(lower) == normalize_path(_url(parts))


@given(any_text, st.one_of(any_text, st.integers(400, 520).map("p".__mul__), st.integers(100, 180).map("日".__mul__)))
def test_no_kv_key_is_over_512_bytes(text: str, app_prefix: str) -> None:
    for key in (kv_key(text, app_prefix), kv_tag_key(text * 40, app_prefix), kv_key(text * 40, app_prefix)):
        assert len(key.encode("utf-8", "replace")) <= 512


WORDS = ("a", "b", "cache", "__tag", "__swr")
NAMES = ("", *WORDS, *map(":".join, product(WORDS, WORDS)))


def keys_of_an_app(prefix: str) -> set[str]:
    """Keys of every kind, for names that begin as other apps' keys do."""
    named = {key_of(name, prefix) for key_of in (kv_key, kv_tag_key, kv_stale_key, kv_lease_key) for name in NAMES if name}
    return named | {kv_last_invalidation_key(prefix), kv_last_stale_key(prefix)}


def test_two_apps_share_no_kv_key() -> None:
    apps = {prefix: keys_of_an_app(prefix) for prefix in NAMES}
    clashing = {prefix for pair in combinations(apps, 2) if apps[pair[0]] & apps[pair[1]] for prefix in pair}
    assert {"a", "a:cache"} <= clashing
    kept_apart = [keys for prefix, keys in apps.items() if keeps_apart(prefix)]
    assert len(kept_apart) == 7
    assert all(keys.isdisjoint(others) for keys, others in combinations(kept_apart, 2))


@given(any_text.map(lambda text: f"/{text}"), st.sampled_from([V1, V2]), st.sampled_from(["html", "rsc", "route"]))
def test_no_page_key_is_over_200_units_but_for_its_build(path: str, schema: KeySchema, suffix: Any) -> None:
    key = page_key(schema, "b", path * 20, suffix)
    assert len(key.encode("utf-16-le", "surrogatepass")) <= 400
    assert key.endswith(f":{suffix}")


@pytest.mark.parametrize("version", ["0.0.38", "1.4.0"])
def test_every_page_key_in_the_dump_is_built_from_its_path(version: str) -> None:
    schema, prefix = (V1, "app") if version == "0.0.38" else (V2, "app:v2")
    checked = 0
    for row in kv_dump(version):
        if not row["key"].startswith("cache:app") or "__hash:" in row["key"]:
            continue
        build, rest = row["key"].removeprefix(f"cache:{prefix}:").split(":", 1)
        path, suffix = rest.rsplit(":", 1)
        assert kv_key(page_key(schema, build, normalize_path(_url(path.split("/")[1:])), suffix)) == row["key"].replace(
            "%2F", "%252F"
        ).replace("%23", "%2523").replace("%3F", "%253F")
        checked += 1
    assert checked > 60


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (page_key(V1, None, "/a", "html"), "app:/a:html"),
        (page_key(V2, None, "/a", "html"), "app:v2:/a:html"),
        (page_key(V2, "", "/", "rsc"), "app:v2:/:rsc"),
        (page_key(V2, "b", "/a/", "route:trailing-slash"), "app:v2:b:/a:route:trailing-slash"),
        (pages_router_key(V1, "b", "/a/"), "pages:b:/a"),
        (pages_router_key(V2, "b", "/a/", "fr"), "pages:v2:b:/a::i18n=fr"),
        (data_cache_key(["products"], ["shoes"]), 'unstable_cache:products:["shoes"]'),
        (data_cache_key(["a", "b"], [{"é": 1.0, "x": None}]), 'unstable_cache:a:b:[{"é":1,"x":null}]'),
        (
            data_cache_key_v2("() => 1", ["k"], [1]),
            "unstable_cache:v2:031cd7d2c978cb59a098e8f74a948eae6606ed88749470780d0b111044a81224",
        ),
        (kv_key("k"), "cache:k"),
        (kv_key("k", "shop"), "shop:cache:k"),
        (kv_tag_key("t", "shop"), "shop:__tag:t"),
    ],
)
def test_key_reads(key: str, expected: str) -> None:
    assert key == expected


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("path", lambda: normalize_path(None)),  # type: ignore[arg-type]
        ("path", lambda: is_decodable_path(b"/")),  # type: ignore[arg-type]
        ("path", lambda: page_key(V1, "b", "about", "html")),
        ("suffix", lambda: page_key(V1, "b", "/about", "json")),
        ("schema", lambda: page_key("v1", "b", "/about", "html")),  # type: ignore[arg-type]
        ("build_id", lambda: page_key(V1, 5, "/about", "html")),  # type: ignore[arg-type]
        ("i18n_variant", lambda: pages_router_key(V1, "b", "/about", "fr")),
        ("key", lambda: kv_key(None)),  # type: ignore[arg-type]
        ("app_prefix", lambda: kv_key("k", None)),  # type: ignore[arg-type]
    ],
)
def test_wrong_argument_is_named(argument: str, call: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{argument} is .* allowed: ") as raised:
        call()
    assert raised.value.argument == argument


@pytest.mark.parametrize(("text", "expected"), [("a b/é", "a%20b%2F%C3%A9"), ("-_.!~*'()", "-_.!~*'()"), ("\ud800", "%EF%BF%BD")])
def test_uri_component_is_encoded(text: str, expected: str) -> None:
    assert encode_uri_component(text) == expected


def _url(parts: list[str]) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)
