from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.body import MAX_DEPTH, BytesBody, body_text, decode_base64, parse_json, text_body
from core.errors import CorruptValueError, InvalidArgumentError


@given(st.binary())
def test_base64_comes_back_as_it_was(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["Q", "QQ", "QQ=", "Q===", "====", "=", "QQ==QQ==", "QUJD\n", "QU-_", "QU JD", "é===", "=QQQ"])
def test_what_is_no_base64_is_corrupt(text: str) -> None:
    with pytest.raises(CorruptValueError, match="not base64"):
        decode_base64(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b'{"a":-Infinity}',
        b'{"a":1,}',
        b"\xff",
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b'"\x01"',
        b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_json_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptValueError, match="not JSON"):
        parse_json(data)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_json_may_be_nested_to_a_limit(opening: str, closing: str) -> None:
    levels = MAX_DEPTH // len(closing)
    deepest = f"{opening * levels}1{closing * levels}"
    assert parse_json(f"{deepest[:-1]} {closing[-1]}") == json.loads(deepest)
    with pytest.raises(CorruptValueError, match="not JSON: nested more than 500 deep"):
        parse_json(f"[{deepest}]")


@pytest.mark.parametrize("text", [json.dumps([[]] * 5000), json.dumps({'"[{\\"': "[{" * 5000})], ids=["wide", "text"])
def test_brackets_that_nest_nothing_do_not_count(text: str) -> None:
    assert parse_json(text) == json.loads(text)


def test_named_fields_are_taken_out_of_the_document() -> None:
    document = b'{"value":{"kind":"K","text":"\\ud800\xc3\xa9","data":"QUI=","other":"x","number":5},"more":1}'
    rest, bodies = BytesBody(document).json({"K": {"text": "text", "data": "base64", "number": "text", "absent": "text"}})
    assert rest == '{"value":{"kind":"K","other":"x","number":5},"more":1}'
    assert bodies == {"text": BytesBody("\ufffdé".encode()), "data": BytesBody(b"AB")}


@pytest.mark.parametrize(
    "document", [b"[]", b"5", b'{"value":null}', b'{"value":{"kind":5}}', b'{"value":{"kind":"Z","text":"a"}}']
)
def test_a_document_without_such_fields_is_left_whole(document: bytes) -> None:
    rest, bodies = BytesBody(document).json({"K": {"text": "text"}})
    assert (rest, bodies) == (document.decode(), {})


def test_bytes_are_read_in_parts() -> None:
    buffer = BytesBody(b"abcdef")
    assert (buffer.head(2), buffer.head(99), buffer.tail(4), buffer.size_bytes) == (b"ab", b"abcdef", BytesBody(b"ef"), 6)


def test_text_is_utf8() -> None:
    assert body_text(text_body("é\ud800")) == "é\ufffd"
    assert body_text(BytesBody(b"a\xff")) == "a\ufffd"
    with pytest.raises(InvalidArgumentError, match="text is b''"):
        text_body(b"")  # type: ignore[arg-type]
