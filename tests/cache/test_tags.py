from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.vectors import functions, kv_dump, rows, vectors

from cache.keys import KeySchema
from cache.tags import (
    encode_tag,
    is_tag_below,
    is_valid_tag,
    merge_tags,
    path_tags,
    prefix_tags,
    revalidate_path_tag,
)
from core.errors import InvalidArgumentError

V1, V2 = KeySchema
_TAKEN = str.maketrans({":": "c", "\\": "b"})


@pytest.mark.parametrize(("path", "expected"), vectors()["seeded_page_tags_1_4_0"].items())
def test_v2_path_tags_are_vinext_s(path: str, expected: list[str]) -> None:
    assert list(merge_tags(path_tags(V2, path), ["products", "posts"])) == expected


@pytest.mark.parametrize(("tag", "expected"), vectors()["encode_cache_tag_1_4_0"].items())
def test_tag_is_encoded_as_in_vinext(tag: str, expected: str) -> None:
    assert encode_tag(tag) == expected


def test_generated_tags_are_encoded_and_checked_as_in_vinext() -> None:
    for tag, expected in functions("encode"):
        assert encode_tag(tag) == expected, ascii(tag)
    for tag, expected in functions("valid"):
        if expected is not None:
            # vinext's handler for KV refuses two characters that Next.js takes.
            assert is_valid_tag(tag.translate(_TAKEN)) is expected or not _TAKEN.keys().isdisjoint(map(ord, tag)), ascii(tag)


def test_v1_path_tags_are_those_in_the_dump() -> None:
    checked = 0
    for row in kv_dump("0.0.38"):
        tags = (row["metadata"] or {}).get("tags")
        if tags and "cache:app:" in row["key"] and "__hash:" not in row["key"]:
            path = row["key"].removeprefix("cache:app:").split(":", 1)[1].rsplit(":", 1)[0]
            # vinext leaves out those with a colon.
            taken = [tag for tag in path_tags(V1, path) if is_valid_tag(tag) and ":" not in tag]
            assert taken == tags[: len(path_tags(V1, path))]
            checked += 1
    assert checked > 60


@pytest.mark.parametrize(
    ("schema", "path", "expected"),
    [
        (V1, "/", ("/", "_N_T_/", "_N_T_/layout", "_N_T_/page")),
        (V1, "/é", ("/é", "_N_T_/é", "_N_T_/layout", "_N_T_/é/layout", "_N_T_/é/page")),
        (V1, "/layout", ("/layout", "_N_T_/layout", "_N_T_/layout/layout", "_N_T_/layout/page")),
        (V2, "/é/", ("/%C3%A9/", "_N_T_/%C3%A9", "_N_T_/layout", "_N_T_/%C3%A9/layout", "_N_T_/%C3%A9/page")),
    ],
)
def test_path_tags(schema: KeySchema, path: str, expected: tuple[str, ...]) -> None:
    assert path_tags(schema, path) == expected


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/about", None, "_N_T_/about"),
        ("/about/", None, "_N_T_/about"),
        ("/about", "page", "_N_T_/about/page"),
        ("/about/", "layout", "_N_T_/about/layout"),
        ("/", None, "_N_T_/"),
        ("/", "page", "_N_T_/page"),
        ("/", "layout", "_N_T_/layout"),
        ("/blog/[slug]", "page", "_N_T_/blog/[slug]/page"),
    ],
)
def test_revalidate_path_names_its_tag(path: str, kind: Any, expected: str) -> None:
    assert revalidate_path_tag(path, kind) == expected


@pytest.mark.parametrize(
    ("tag", "valid"),
    [
        ("a", True),
        ("/a/b", True),
        ("a,b", True),
        ("\x7f", True),
        ("x" * 256, True),
        ("/" + "x" * 1023, True),
        ("_N_T_/" + "x" * 1018, True),
        ("/" + "x" * 1024, False),
        ("_N_T_/" + "x" * 1019, False),
        ("_N_T_" + "x" * 252, False),
        ("🎉" * 128, True),
        ("", False),
        ("%E8" * 256, True),
        ("x" * 253 + "%E8%A8%98" * 3, True),
        ("x" * 253 + "%E8%A8%98" * 4, False),
        ("%F0%9F%8E%89" * 128, True),
        ("%F0%9F%8E%89" * 129, False),
        ("%41" * 257, False),
        ("x" * 257, False),
        ("🎉" * 129, False),
        ("a:b", True),
        ("a\\b", True),
        ("a\x00b", False),
        ("a\tb", False),
        (5, False),
        (None, False),
    ],
)
def test_tag_is_valid(tag: object, *, valid: bool) -> None:
    assert is_valid_tag(tag) is valid


@pytest.mark.parametrize(
    ("tag", "prefix", "below"),
    [
        ("/docs", "/docs", True),
        ("/docs/a", "/docs", True),
        ("_N_T_/docs/a/page", "/docs", True),
        ("_N_T_/docs", "/docs/", True),
        ("/docs-old", "/docs", False),
        ("_N_T_/docs-old/layout", "/docs", False),
        ("docs", "/docs", False),
        ("_N_T_/layout", "/docs", False),
        ("/anything", "/", True),
        ("products", "/", False),
    ],
)
def test_tag_is_below_a_prefix(tag: str, prefix: str, *, below: bool) -> None:
    assert is_tag_below(tag, prefix) is below


paths = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=5).map(
    lambda parts: "/" + "/".join(part.replace("/", "-") for part in parts)
)


@given(paths, paths, st.sampled_from([V1, V2]))
def test_every_page_below_a_prefix_carries_one_of_its_tags(path: str, prefix: str, schema: KeySchema) -> None:
    below = f"{prefix.rstrip('/')}{path}".rstrip("/") or "/"
    assert not set(prefix_tags(schema, prefix)).isdisjoint(path_tags(schema, below))


@given(st.text())
def test_encoding_a_tag_twice_changes_nothing(tag: str) -> None:
    encoded = encode_tag(tag)
    assert encoded.isascii()
    assert encode_tag(encoded) == encoded


@given(st.lists(st.lists(st.text(max_size=2))))
def test_merged_tags_come_once_and_in_order(groups: list[list[str]]) -> None:
    flat = [tag for group in groups for tag in group]
    merged = merge_tags(*groups)
    assert sorted(merged) == sorted(set(flat))
    assert list(merged) == sorted(merged, key=flat.index)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("path", lambda: path_tags(V1, "about")),
        ("schema", lambda: path_tags("v1", "/about")),  # type: ignore[arg-type]
        ("prefix", lambda: prefix_tags(V1, "docs")),
        ("path", lambda: revalidate_path_tag("about")),
        ("type", lambda: revalidate_path_tag("/about", "pages")),  # type: ignore[arg-type]
        ("tag", lambda: encode_tag(5)),  # type: ignore[arg-type]
    ],
)
def test_wrong_argument_is_named(argument: str, call: Any) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        call()
    assert raised.value.argument == argument


def test_data_was_read() -> None:
    assert all(len(rows(name)) > 20 for name in ("functions", "reads", "writes", "seeds"))
