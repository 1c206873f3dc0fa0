from __future__ import annotations

import pytest

from core.http import matches_etag, vary_names


@pytest.mark.parametrize(
    ("if_none_match", "etag", "expected"),
    [
        pytest.param(None, '"a"', False, id="no field"),
        pytest.param("", '"a"', False, id="empty"),
        pytest.param("*", '"a"', True, id="any"),
        pytest.param(" * ", 'W/"a"', True, id="any with spaces"),
        pytest.param('"a"', '"a"', True, id="the same"),
        pytest.param('"b"', '"a"', False, id="another"),
        pytest.param('W/"a"', '"a"', True, id="weak against strong"),
        pytest.param('"a"', 'W/"a"', True, id="strong against weak"),
        pytest.param('"b",W/"a" , "c"', '"a"', True, id="one of several"),
        pytest.param('"b", *', '"a"', False, id="any is no member of a list"),
        pytest.param('"a,b"', '"a,b"', True, id="comma inside the tag"),
        pytest.param('"x", "a,b"', '"a,b"', True, id="comma inside one of several"),
        pytest.param('"a,b"', '"a', False, id="a part of a tag"),
        pytest.param('"a\\", "b"', '"a\\"', True, id="a backslash escapes nothing"),
        pytest.param('"a', '"a"', False, id="never closed"),
        pytest.param("a", "a", True, id="not quoted"),
    ],
)
def test_an_if_none_match_field_names_an_entity_tag(if_none_match: str | None, etag: str, *, expected: bool) -> None:
    assert matches_etag(if_none_match, etag) is expected


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        pytest.param(None, (), id="no field"),
        pytest.param(" , ,", (), id="empty names"),
        pytest.param("RSC,Accept ", ("rsc", "accept"), id="several"),
        pytest.param("*", ("*",), id="everything"),
    ],
)
def test_a_vary_field_names_headers(vary: str | None, expected: tuple[str, ...]) -> None:
    assert vary_names(vary) == expected
