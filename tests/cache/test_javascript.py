from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.vectors import functions

from core.javascript import json_text, number_text, string_text, to_utf8, utf16_length

any_text = st.text(st.characters(exclude_categories=[]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=20,
)


@pytest.mark.parametrize(("of", "ours"), [("number", number_text), ("string", string_text)])
def test_generated_inputs_are_written_as_json_stringify_does(of: str, ours: Any) -> None:
    for given_, expected in functions(of):
        assert ours(given_) == expected, ascii(given_)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (-0.0, "0"),
        (1.0, "1"),
        (2**53, "9007199254740992"),
        (2**60, "1152921504606847000"),
        (10**400, "null"),
        (math.nan, "null"),
        (-math.inf, "null"),
        (1e21, "1e+21"),
        (-1.5e-9, "-1.5e-9"),
    ],
)
def test_number_is_written(number: float, expected: str) -> None:
    assert number_text(number) == expected


def test_a_number_of_another_library_is_written_as_pythons_own() -> None:
    """NumPy's `float64` is a `float`, and its representation is `np.float64(1.5)`."""

    class Float64(float):
        def __abs__(self) -> Float64:
            return Float64(super().__abs__())

        def __repr__(self) -> str:
            return f"np.float64({super().__repr__()})"

    class Number(int):
        def __repr__(self) -> str:
            return f"Number({super().__repr__()})"

    assert json_text([Float64(-1.5), Number(5)]) == "[-1.5,5]"


@pytest.mark.parametrize(
    ("text", "length", "utf8"),
    [
        ("", 0, b""),
        ("é", 1, b"\xc3\xa9"),
        ("🎉", 2, "🎉".encode()),
        ("\ud83c\udf89", 2, "🎉".encode()),
        ("a\ud800", 2, b"a\xef\xbf\xbd"),
        ("\udc00b", 2, b"\xef\xbf\xbdb"),
        ("\ud800\ud800\udc00", 3, b"\xef\xbf\xbd" + "\U00010000".encode()),
    ],
)
def test_text_is_measured_and_encoded_as_in_javascript(text: str, length: int, utf8: bytes) -> None:
    assert (utf16_length(text), to_utf8(text)) == (length, utf8)


@given(json_values)
def test_json_comes_back_as_it_was(value: object) -> None:
    written = json_text(value).encode()
    assert json.loads(written, parse_int=float) == json.loads(json.dumps(value), parse_int=float)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_comes_back_as_it_was(number: float) -> None:
    assert float(number_text(number)) == number


@pytest.mark.parametrize("value", [b"", object(), {"a": {1, 2}}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        json_text(value)
