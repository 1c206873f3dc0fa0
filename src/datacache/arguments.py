"""What a cached function is called with, and what it returns, as JSON: it is part of a key, and it is kept."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cache.body import parse_json
from cache.errors import CorruptValueError, InvalidArgumentError
from cache.javascript import json_text

if TYPE_CHECKING:
    from collections.abc import Callable

# Beyond it two numbers may be one in JavaScript (ECMA-262, 21.1.2.6).
_LARGEST_INTEGER = 2**53 - 1
_MOST_DEPTH = 100
_ARRAY_INDICES = range(2**32 - 1)
_MOST_DIGITS = 10
_ALLOWED = "what JSON carries: None, booleans, finite numbers, strings, and lists and dicts of those"


def call_arguments(function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[object]:
    """The arguments of a call, by position where the function takes them so; the rest in a mapping at the end.

    Mappings have their keys in the order of a JavaScript object, since `unstable_cache` makes keys of such.
    Raises TypeError for a call that the function does not take, InvalidArgumentError for what JSON cannot carry.
    """
    bound = inspect.signature(function).bind(*args, **kwargs)
    for argument, value in bound.arguments.items():
        require_json(f"{argument} of {name}", value)
    arguments = [*bound.args, dict(bound.kwargs)] if bound.kwargs else bound.args
    return [_in_javascript_order(argument) for argument in arguments]


def result_body(name: str, value: object) -> str:
    """A result as `unstable_cache` keeps it; raises InvalidArgumentError for what JSON cannot carry."""
    require_json(f"the result of {name}", value)
    return json_text({"v": value})


def read_result(body: str) -> object:
    """The result in a body; raises ValueError where it is none. What is `undefined` in JavaScript is None here."""
    try:
        document = parse_json(body)
    except CorruptValueError as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict) or not {"v", "undef"} & document.keys():
        raise ValueError("neither v nor undef")
    return None if "undef" in document else document["v"]


def require_json(where: str, value: object, depth: int = 0) -> None:
    """Raise InvalidArgumentError, saying where, for a value that would come back as another, or not at all."""
    if depth > _MOST_DEPTH:
        raise InvalidArgumentError(where, "…", f"{_ALLOWED}, at most {_MOST_DEPTH} deep")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int | float):
        _require_number(where, value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidArgumentError(f"a key in {where}", key, "a string")
            require_json(where, item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            require_json(where, item, depth + 1)
    else:
        raise InvalidArgumentError(where, value, _ALLOWED)


def _in_javascript_order(value: object) -> object:
    """The value with array indices first and ascending among the keys of its mappings (ECMA-262, 10.1.11.1)."""
    if isinstance(value, Mapping):
        keys = (*sorted(filter(_is_array_index, value), key=int), *(key for key in value if not _is_array_index(key)))
        return {key: _in_javascript_order(value[key]) for key in keys}
    return list(map(_in_javascript_order, value)) if isinstance(value, list | tuple) else value


def _is_array_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and str(int(key[:_MOST_DIGITS])) == key and int(key) in _ARRAY_INDICES


def _require_number(where: str, number: float) -> None:
    if isinstance(number, int):
        if abs(number) > _LARGEST_INTEGER:
            raise InvalidArgumentError(where, number, "whole numbers of at most 53 bits; send larger ones as text")
    elif not math.isfinite(number):
        raise InvalidArgumentError(where, number, _ALLOWED)
