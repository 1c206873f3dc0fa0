from __future__ import annotations

import pytest

from core.paths import has_dot_segment, is_file_path


@pytest.mark.parametrize("path", ["a", "a/b.html", "a b", "…", ".a", "a..b", "a/...", "a\\b"])
def test_a_path_names_a_file(path: str) -> None:
    assert is_file_path(path)
    assert not has_dot_segment(path)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\0", "\0"])
def test_a_path_names_no_file_or_one_elsewhere(path: str) -> None:
    assert not is_file_path(path)


@pytest.mark.parametrize(("path", "expected"), [("", False), ("/a//b", False), ("/a/../b", True), ("a/.", True), ("..", True)])
def test_a_dot_segment_is_found(path: str, *, expected: bool) -> None:
    assert has_dot_segment(path) is expected
