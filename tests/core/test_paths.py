from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.paths import at_next_slash, canonical_url_path, decode_path, has_dot_segment, is_decodable_path, is_file_path


@pytest.mark.parametrize("path", ["a", "a/b.html", "a b", "…", ".a", "a..b", "a/...", "a\\b"])
def test_a_path_names_a_file(path: str) -> None:
    assert is_file_path(path)
    assert not has_dot_segment(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/about", "/about", id="nothing encoded"),
        pytest.param("/%61bout/", "/about/", id="encoded for nothing"),
        pytest.param("/caf%c3%a9", "/caf%C3%A9", id="small letters"),
        pytest.param("/a%2fb%3F%23%5c", "/a%2Fb%3F%23%5C", id="delimiters"),
        pytest.param("/100%25", "/100%25", id="a percent sign"),
        pytest.param("/a%2541", "/a%2541", id="what looks encoded"),
        pytest.param("/a%252fb", "/a%252fb", id="what looks like an encoded delimiter"),
        pytest.param("/a+b%20%26~:@", "/a+b%20&~:@", id="signs"),
    ],
)
def test_a_path_has_one_spelling(path: str, expected: str) -> None:
    assert canonical_url_path(path) == expected


_ESCAPE = st.integers(0, 127).map(lambda byte: f"%{byte:02x}")
_PARTS = st.one_of(_ESCAPE, st.characters(codec="utf-8"), st.sampled_from(["%25", "%2F", "/"]))


@given(st.lists(_PARTS).map("".join))
def test_the_one_spelling_names_the_same_page(path: str) -> None:
    canonical = canonical_url_path(path)
    if is_decodable_path(path):
        assert decode_path(canonical) == decode_path(path)
        assert canonical_url_path(canonical) == canonical
    assert canonical.isascii()


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\0", "\0"])
def test_a_path_names_no_file_or_one_elsewhere(path: str) -> None:
    assert not is_file_path(path)


@pytest.mark.parametrize(("path", "expected"), [("", False), ("/a//b", False), ("/a/../b", True), ("a/.", True), ("..", True)])
def test_a_dot_segment_is_found(path: str, *, expected: bool) -> None:
    assert has_dot_segment(path) is expected


@pytest.mark.parametrize(
    ("path", "slashed", "bare"),
    [
        ("/", "/", "/"),
        ("/about", "/about/", "/about"),
        ("/about/", "/about/", "/about"),
        ("/a.b/c", "/a.b/c/", "/a.b/c"),
        ("/file.txt", "/file.txt", "/file.txt"),
        ("/file.txt/", "/file.txt", "/file.txt"),
        ("/dot.", "/dot./", "/dot."),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/.well-known/x/", "/.well-known/x/", "/.well-known/x"),
        ("/api", "/api", "/api"),
        ("/api/", "/api/", "/api/"),
        ("/api/feed/", "/api/feed/", "/api/feed/"),
        ("/apis", "/apis/", "/apis"),
    ],
)
def test_a_path_has_the_slash_that_nextjs_gives_it(path: str, slashed: str, bare: str) -> None:
    """The rules of vinext's `normalizeTrailingSlashPathname`."""
    assert at_next_slash(path, trailing_slash=True) == slashed
    assert at_next_slash(path, trailing_slash=False) == bare
