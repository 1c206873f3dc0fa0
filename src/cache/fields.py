"""The fields of a JSON object, taken out one by one with their shapes checked."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from core.errors import CorruptValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.entry import Headers, Revalidate
    from core.body import Body

T = TypeVar("T")

_LOWEST_STATUS = 200
_HIGHEST_STATUS = 599

_MAX_PLAIN = 2**53

_ONLY_TEXT = frozenset({str})

_MAX_SHARED_CHARACTERS = 256


class Fields:
    """The fields of an object that have not been read yet; each method checks the shape and takes its field out.

    The object comes from JSON, so its types are never subclasses.
    """

    def __init__(self, document: Mapping[str, object], where: str) -> None:
        self._document = dict(document)
        self._where = where

    def refuse(self, name: str, value: object, allowed: str) -> CorruptValueError:
        shown = f"{str(value)[:40]!r} ({type(value).__name__})"
        return CorruptValueError(f"{self._where}.{name} is {shown}, allowed: {allowed}")

    def rest(self) -> dict[str, object]:
        return self._document or {}  # an emptied dict keeps its memory

    def take(self, name: str, *default: object) -> object:
        if name not in self._document and not default:
            message = f"{self._where} has no {name}"
            raise CorruptValueError(message)
        return self._document.pop(name, *default)

    def required(self, name: str, value: T | None) -> T:
        if value is None:
            raise self.refuse(name, None, "present")
        return value

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str):
            raise self.refuse(name, value, "a string")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self._document.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise self.refuse(name, value, "a string")
        return value

    def optional_flag(self, name: str) -> bool | None:
        value = self.take(name, None)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, value, "a boolean")
        return value

    def number(self, name: str) -> float:
        return self._finite(name, self.take(name))

    def optional_number(self, name: str, *, required: bool = False) -> float | None:
        if required and name not in self._document:
            raise self.refuse(name, None, "a number or null, not absent")
        value = self._document.pop(name, None)
        return None if value is None else self._finite(name, value)

    def status(self) -> int | None:
        number = self.optional_number("status")
        if number is None:
            return None
        if number != int(number) or not _LOWEST_STATUS <= number <= _HIGHEST_STATUS:
            raise self.refuse("status", number, f"a whole number from {_LOWEST_STATUS} to {_HIGHEST_STATUS}")
        return int(number)

    def revalidate(self) -> Revalidate:
        """Take seconds or false; null is JavaScript's Infinity."""
        if "revalidate" not in self._document:
            return None
        value = self.take("revalidate")
        if value is None:
            return math.inf
        if value is False:
            return False
        self._document["revalidate"] = value
        return self.number("revalidate")

    def strings(self, name: str) -> tuple[str, ...]:
        value = self.take(name)
        if not isinstance(value, list) or not _ONLY_TEXT.issuperset(map(type, value)):
            raise self.refuse(name, value, "an array of strings")
        return tuple(map(_one_for_all, value))

    def optional_strings(self, name: str) -> tuple[str, ...] | None:
        if self._is_absent(name):
            return None
        return self.strings(name)

    def mapping(self, name: str) -> Mapping[str, object]:
        value = self.take(name)
        if not isinstance(value, dict):
            raise self.refuse(name, value, "an object")
        return value

    def headers(self) -> Headers | None:
        if self._is_absent("headers"):
            return None
        value = self.mapping("headers")
        headers: dict[str, str | list[str]] = {}
        for name, item in value.items():
            if not isinstance(item, str) and not (isinstance(item, list) and _ONLY_TEXT.issuperset(map(type, item))):
                raise self.refuse(f"headers.{name}", item, "a string or an array of strings")
            headers[_one_for_all(name)] = _one_for_all(item) if isinstance(item, str) else item
        return headers

    def body(self, name: str, bodies: Mapping[str, Body]) -> Body:
        value = bodies.get(name)
        if value is None:
            raise self.refuse(name, self._document.get(name), "a string")
        return value

    def optional_body(self, name: str, bodies: Mapping[str, Body]) -> Body | None:
        value = bodies.get(name)
        if value is None and self._is_absent(name):
            return None
        return self.body(name, bodies)

    def _finite(self, name: str, value: object) -> float:
        if type(value) is int and -_MAX_PLAIN < value < _MAX_PLAIN:  # nearly all numbers are
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(_as_float(value)):
            raise self.refuse(name, value, "a number")
        return value

    def _is_absent(self, name: str) -> bool:
        """Return whether an optional field is absent, or null, which counts as absent; null is taken out."""
        if self._document.get(name) is not None:
            return False
        self._document.pop(name, None)
        return True


def _one_for_all(text: str) -> str:
    """Return the same object for equal strings, if they are short: many entries share their tags and headers."""
    return _shared(text) if len(text) <= _MAX_SHARED_CHARACTERS else text


@lru_cache(256)
def _shared(text: str) -> str:
    return text


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf
