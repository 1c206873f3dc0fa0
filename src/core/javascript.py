"""Text, numbers and JSON as JavaScript has them, where Python differs.

JavaScript strings are UTF-16 units and may hold lone surrogates, its numbers are doubles, and `JSON.stringify` has
one spelling for each (ECMA-262, sections 6.1.4, 6.1.6.1.20 and 25.5.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from json.encoder import encode_basestring

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")

_MAX_SAFE_INTEGER = 2**53 - 1

_EXPONENT_FROM = 21
_EXPONENT_BELOW = -6


def encode_uri_component(text: str) -> str:
    """Encode as `encodeURIComponent` does, but a lone surrogate as U+FFFD instead of raising."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in to_utf8(text))


def utf16_length(text: str) -> int:
    """Return `text.length` as in JavaScript."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf16_units(text: str) -> memoryview:
    """Return the UTF-16 code units of `text`, as `charCodeAt` does."""
    return memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")


def join_surrogates(text: str) -> str:
    """Join each surrogate pair to one character, as JavaScript sees them; lone surrogates stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def to_utf8(text: str) -> bytes:
    """Encode as `TextEncoder` does: a lone surrogate becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def number_text(number: float) -> str:  # noqa: PLR0911 - one for each case of ECMA-262
    """Return `number` as `JSON.stringify` writes it; NaN and the infinities are `null`."""
    if isinstance(number, int):
        if -_MAX_SAFE_INTEGER <= number <= _MAX_SAFE_INTEGER:
            return int.__repr__(number)
        try:
            number = float(number)
        except OverflowError:
            return "null"
    if not math.isfinite(number):
        return "null"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent_text = float.__repr__(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent_text or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= _EXPONENT_FROM:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= _EXPONENT_FROM:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _EXPONENT_BELOW < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    exponent = point - 1
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def string_text(text: str) -> str:
    r"""Return `text` as `JSON.stringify` quotes it: non-ASCII unchanged, lone surrogates as lower-case `\udXXX`."""
    return _without_lone_surrogates(encode_basestring(text))


def json_text(value: object) -> str:
    """Return `value` as `JSON.stringify` writes it, without spaces and with its keys in order.

    Accepts None, booleans, numbers, strings, lists, tuples and mappings with string keys. Raises TypeError for anything
    else, and RecursionError for a value that is nested too deeply.
    """
    return _without_lone_surrogates(_json(value))


def _json(value: object) -> str:
    """Return the same, but with surrogates as they are: only strings have any, so one look at the whole finds them all."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_json, value))}]"
    # A dict needs no question of an abstract class.
    if isinstance(value, (dict, Mapping)):
        return f"{{{','.join([f'{encode_basestring(key)}:{_json(item)}' for key, item in value.items()])}}}"
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)


def _without_lone_surrogates(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in join_surrogates(text))
    return text
